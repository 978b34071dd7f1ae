{
  inputs = {
    nixpkgs.url = "github:nixos/nixpkgs";
    hillingar.url = "github:RyanGibb/hillingar";
  };
  outputs = { self, nixpkgs, flake-utils, hillingar, ... }:
    flake-utils.lib.eachDefaultSystem (system:
      let pkgs = nixpkgs.legacyPackages.${system};
      in {
        packages =
          let inherit (hillingar.lib.${system}) mkUnikernelPackages;
          in mkUnikernelPackages {
            unikernelName = "names";
            depexts = with pkgs; [ gmp libev.dev ];
            mirageDir = "unikernel";
            monorepoQuery = { ocaml-base-compiler = "*"; };
            query = { ocaml-base-compiler = "*"; mirage = "4.11.1"; };
            extra = 1;
          } self;
        defaultPackage = self.packages.${system}.unix;
      });
}
