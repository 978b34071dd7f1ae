# Made once by `x2nix emit --flake`, for you to change.
{
  inputs.nixpkgs.url = "nixpkgs";

  outputs =
    { nixpkgs, ... }:
    let
      inherit (nixpkgs) lib;
      lock = lib.importJSON (./. + "/x2nix.lock.json");
      forEach = f: lib.genAttrs (builtins.attrNames lock.platforms)
        (system: f (import (./. + "/x2nix.nix") { pkgs = nixpkgs.legacyPackages.${system}; }));
      # A root that is alone needs no name.
      only = roots: lib.optionalAttrs (builtins.length (builtins.attrNames roots) == 1) {
        default = builtins.head (builtins.attrValues roots);
      };
    in
    {
      packages = forEach (project: project.roots // only project.roots);
      checks = forEach (project: project.checks);
      devShells = forEach (project: project.devShells);
      # Every package of the lock: nix build .#NAME
      legacyPackages = forEach (project: project.packages);
    };
}
