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
    in
    {
      packages = forEach (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
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
      });

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
