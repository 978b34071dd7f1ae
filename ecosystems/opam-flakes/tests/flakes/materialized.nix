{
  outputs = { self, opam-nix }:
    let
      on = opam-nix.lib.x86_64-linux;
      query = { ocaml-base-compiler = "*"; ocamlfind = "1.9.8"; };
    in rec {
      packages.x86_64-linux = {
        materialized = on.materializedDefsToScope { sourceMap.hyper = ./.; } ./package-defs.json;
        package-defs = on.materializeOpamProject' { } ./. query;
        resolved = on.buildOpamProject' { } ./. query;
        switch = on.opamImport { } ./switch.export;
      };
    };
}
