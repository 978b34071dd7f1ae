{
  inputs = {
    nixpkgs.url = "nixpkgs";
    x2nix.url = "github:x2nix/x2nix";
    x2nix.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    { nixpkgs, x2nix, ... }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      forEach = f: nixpkgs.lib.genAttrs systems (system: f (x2nix.lib.mkProject {
        src = ./.;
        pkgs = nixpkgs.legacyPackages.${system};
      }) x2nix.packages.${system});
    in
    {
      packages = forEach (project: _: project.roots // { default = project.greeting; });
      devShells = forEach (project: _: project.devShells);
      # nix run .#lock -- resolve --ecosystem opam .
      apps = forEach (_: packages: {
        lock = { type = "app"; program = "${packages.default}/bin/x2nix"; };
      });
    };
}
