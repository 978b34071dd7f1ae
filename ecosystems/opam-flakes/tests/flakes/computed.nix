{
  outputs = { self, opam-nix, nixpkgs }:
    let
      on = opam-nix.lib.x86_64-linux;
      loop = loop;
      query = { ocamlformat = builtins.readFile ./.ocamlformat; loop = loop; } // more;
      more = import ./more.nix;
      f = x: x;
    in {
      a = on.queryToScope { repos = [ (f 1) ]; pkgs = nixpkgs.legacyPackages.x86_64-linux.pkgsStatic; } query;
      b = on.queryToScope (f { }) (f query);
      c = on.buildDuneProject { recursive = true; } "tea" ./ocaml { };
      d = on.buildDuneProject { } "coffee" ../outside { };
      e = (on.queryToScope { } { }).overrideScope (import ./overlay.nix);
    };
}
