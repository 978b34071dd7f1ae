{
  inputs = {
    opam-repository = { url = "github:ocaml/opam-repository/0123456789abcdef0123456789abcdef01234567"; flake = false; };
    private.url = "git+https://example.org/private.git?ref=main&shallow=1";
    opam-nix = { url = "github:tweag/opam-nix"; inputs.opam-repository.follows = "opam-repository"; };
  };
  outputs = { self, nixpkgs, opam-nix, opam-repository, private, ... }@inputs:
    let
      system = "x86_64-linux";
      pkgs = import nixpkgs { inherit system; };
      inherit (opam-nix.lib.${system}) buildOpamProject' makeOpamRepo;
      localPackagesQuery = builtins.mapAttrs (_: pkgs.lib.last) (opam-nix.lib.${system}.listRepo (makeOpamRepo ./.));
      devPackagesQuery = {
        ocaml-lsp-server = "*";
        ocamlformat = let version = "0.27.0"; in version;
      };
      query = localPackagesQuery // devPackagesQuery // { ocaml-system = "*"; zarith = null; };
      systemLibraries = final: prev: {
        sqlite3 = prev.sqlite3.overrideAttrs (old: {
          buildInputs = (old.buildInputs or [ ]) ++ [ pkgs.sqlite ];
          nativeBuildInputs = old.nativeBuildInputs ++ (with pkgs; [ pkg-config perl ]);
          patches = [ ./mend/sqlite3.patch ];
          doCheck = false;
        });
        conf-gmp = pkgs.gmp;
        curses = prev.curses.overrideAttrs (_: {
          CFLAGS = "-O3 $(x) \${y}";
          src = pkgs.fetchurl { url = "https://example.org/curses.tgz"; hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; };
          postFixup = "rm -rf $out/nix-support";
        });
      };
      removing = final: prev: {
        odd = null;
        even = if pkgs.stdenv.isLinux then prev.even else prev.odd;
      } // builtins.mapAttrs (_: p: p) prev;
      scope = buildOpamProject' {
        repos = [ inputs.private opam-repository (makeOpamRepo ./overlay) ];
        resolveArgs = { with-test = true; with-doc = false; env.os-distribution = "debian"; criteria = "-changed"; };
        overlays = [ opam-nix.lib.${system}.defaultOverlay ];
        pinDepends = false;
      } (pkgs.lib.cleanSource ./.) query;
    in
    {
      packages.${system} = scope.overrideScope (pkgs.lib.composeManyExtensions [ systemLibraries removing ]);
    };
}
