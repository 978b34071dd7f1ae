# A flake as a user of opam-nix has it: `x2nix import` makes settings of it.
{
  inputs.opam-nix.url = "github:tweag/opam-nix";
  inputs.nixpkgs.follows = "opam-nix/nixpkgs";

  outputs = { self, nixpkgs, opam-nix }:
    let
      system = "x86_64-linux";
      pkgs = nixpkgs.legacyPackages.${system};
      scope = opam-nix.lib.${system}.buildOpamProject' { resolveArgs.with-test = true; } ./. {
        ocaml-base-compiler = "*";
        dune = "3.17.2";
      };
      withLibraries = final: prev: {
        zarith = prev.zarith.overrideAttrs (old: {
          buildInputs = old.buildInputs ++ [ pkgs.gmp ];
          postInstall = "rm -rf $out/share";
        });
      };
    in
    {
      packages.${system} = scope.overrideScope withLibraries;
    };
}
