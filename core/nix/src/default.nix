# Made once by `x2nix emit --default`, for you to change.
#
# `nix-build` builds what was asked for, `nix-build -A packages.NAME` any package of the lock.
{ pkgs ? import <nixpkgs> { }, ... }@arguments:

let
  project = import (./. + "/x2nix.nix") ({ inherit pkgs; } // arguments);
in
project.roots // { inherit (project) packages checks devShells; }
