{
  inputs = {
    nixpkgs.url = "nixpkgs";
    x2nix.url = "github:x2nix/x2nix";
    x2nix.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    { nixpkgs, x2nix, ... }:
    let
      system = "x86_64-linux";
      project = x2nix.lib.mkProject {
        src = ./.;
        pkgs = nixpkgs.legacyPackages.${system};
      };
    in
    {
      packages.${system} = {
        inherit (project) unix spt hvt;
        default = project.hvt;
      };

      # For a machine: imports = [ nameserver.nixosModules.default ];
      nixosModules.default = {
        imports = [ x2nix.nixosModules.unikernels ./service.nix ];
        services.unikernels.nameserver = {
          package = project.hvt;
          # Of the version that it was linked for.
          tender = project.hvt-scope.solo5;
        };
      };

      # nix run .#lock -- resolve --ecosystem opam --target hvt --target spt --target unix --mirage-arg=--no-dhcp .
      apps.${system}.lock = {
        type = "app";
        program = "${x2nix.packages.${system}.default}/bin/x2nix";
      };
    };
}
