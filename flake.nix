{
  description = "x2nix: one resolver for every language's packages, with Nix at the end";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      forEach = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      manifest = lib.importTOML ./Cargo.toml;

      x2nix = pkgs: pkgs.rustPlatform.buildRustPackage {
        pname = "x2nix";
        inherit (manifest.workspace.package) version;
        src = self;
        cargoLock.lockFile = ./Cargo.lock;
        # Tests that build with Nix skip themselves here; .ci/run has them run.
        cargoBuildFlags = [ "--package=x2nix" ];
        meta = {
          description = "Resolves the packages of any language, locks them, and emits Nix";
          homepage = manifest.workspace.package.repository;
          license = lib.licenses.isc;
          mainProgram = "x2nix";
        };
      };
    in
    {
      packages = forEach (pkgs: { default = x2nix pkgs; });

      # pkgs.x2nix
      overlays.default = final: _: { x2nix = x2nix final; };

      # The packages, checks and shells of a folder that has a lock file: what its x2nix.nix would
      # give, by this version's reader.
      lib.mkProject =
        { src, pkgs, lockFile ? src + "/x2nix.lock.json", overrides ? null }:
        let
          own = src + "/overrides.nix";
          none = _: _: { };
        in
        if !builtins.pathExists lockFile then
          throw "x2nix: there is no ${toString lockFile}; make it with `x2nix resolve --ecosystem opam .` in that folder, and add it to Git so that a flake sees it"
        else
          import ./core/nix/src/x2nix.nix {
            inherit pkgs lockFile;
            overrides =
              if overrides != null then overrides
              else if builtins.pathExists own then import own
              else none;
          };

      # Unikernels as services.
      nixosModules.unikernels = ./nixos/unikernels.nix;

      templates.default = {
        path = ./examples/template;
        description = "An OCaml program that is locked and built by x2nix";
        welcomeText = ''
          Lock the program's dependencies, then build and run it:
            nix run .#lock -- resolve --ecosystem opam --repo OPAM-REPOSITORY .
            git add . && nix run
        '';
      };

      # `nix run`
      apps = forEach (pkgs: {
        default = {
          type = "app";
          program = lib.getExe self.packages.${pkgs.stdenv.hostPlatform.system}.default;
        };
      });

      devShells = forEach (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ self.packages.${pkgs.stdenv.hostPlatform.system}.default ];
          # opam, OCaml and dune are for the examples and the comparisons with opam's own answers.
          packages = with pkgs; [ clippy rustfmt rust-analyzer opam ocaml dune_3 ];
        };
      });

      checks = forEach (pkgs: {
        inherit (self.packages.${pkgs.stdenv.hostPlatform.system}) default;
      });
    };
}
