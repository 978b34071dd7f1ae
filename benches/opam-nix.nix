# For benches/evaluation: what opam-nix materialises of the packages that a lock chose, and the package set
# that it and x2nix are evaluated with.
rec {
  # The package set, with what the lock's units need of it. Where it lacks one, gmp stands for it.
  complete =
    pkgs: needs:
    let
      inherit (pkgs.lib) splitString;
      insert =
        set: path: value:
        let
          first = builtins.head path;
          rest = builtins.tail path;
        in
        set
        // {
          ${first} =
            if rest != [ ] then insert (set.${first} or { }) rest value
            else { dev = value; } // set.${first} or value;
        };
      add = set: builtins.foldl' (set: name: insert set (splitString "." name) pkgs.gmp) set needs;
    in
    add pkgs // { buildPackages = add pkgs.buildPackages; };

  # package-defs.json as `materialize` of opam-nix writes it, of packages of the form
  # { name, version, opam = FILE from opam2json, files = FOLDER or null }.
  materialise =
    packages:
    let
      texts = folder: builtins.mapAttrs (file: _: builtins.readFile (folder + "/${file}")) (builtins.readDir folder);
      definition =
        { name, version, opam, files }:
        {
          inherit name;
          value = {
            inherit name version;
            isLocal = false;
          }
          // builtins.fromJSON (builtins.readFile opam)
          // { files-contents = if files == null then { } else texts files; };
        };
    in
    builtins.listToAttrs (map definition packages)
    // {
      __opam_nix_env = { };
      __opam_nix_regen = null;
    };

  # The paths of all derivations of such a file, by the opam-nix in a folder.
  derivations =
    { pkgs, opamNix, definitions }:
    let
      scope = (import (opamNix + "/src/opam.nix") {
        pkgs = wanted pkgs;
        opam-repository = null;
        opam-overlays = null;
        mirage-opam-overlays = null;
      }).materializedDefsToScope { } definitions;
      names = removeAttrs (builtins.fromJSON (builtins.readFile definitions)) [
        "__opam_nix_env"
        "__opam_nix_regen"
      ];
    in
    builtins.mapAttrs (name: _: scope.${name}.drvPath) names;

  # What opam-nix wants of a package set, where it lacks it. What only runs in a build is a name here.
  wanted =
    pkgs:
    let
      inherit (pkgs) lib;
      named = name: pkgs.runCommand name { } "mkdir $out";
      set = pkgs // lacks // { extend = change: set // change set set; pkgsBuildBuild = set; };
      lacks = builtins.mapAttrs (name: value: pkgs.${name} or value) (
        lib.genAttrs [ "opam2json" "opam-installer" "jq" "removeReferencesTo" "emptyDirectory" ] named
        // {
          symlinkJoin = { name, paths }: pkgs.runCommand name { inherit paths; } "cp -rs $paths $out";
          writeTextDir = path: text: pkgs.runCommand (baseNameOf path) { inherit path text; } "mkdir $out";
          writeTextFile = { name, ... }@file: pkgs.runCommand name file "mkdir $out";
          writeShellScriptBin = name: text: pkgs.runCommand name { inherit text; } "mkdir $out";
          ocaml-ng = lib.genAttrs [ "ocamlPackages_latest" "ocamlPackages_5_3" ] (_: { inherit (pkgs) ocaml; });
        }
      )
      // lib.optionalAttrs (!pkgs ? pkgsBuildBuild) standIn;
      # The tests' package set knows one way to name a hash, and less of its platform.
      standIn = {
        fetchurl =
          { urls ? [ url ], url ? lib.head urls, sha512 ? null, sha256 ? null, hash ? null }:
          pkgs.fetchurl {
            inherit urls;
            hash =
              if hash != null then
                hash
              else
                builtins.convertHash {
                  hash = if sha512 != null then sha512 else sha256;
                  hashAlgo = if sha512 != null then "sha512" else "sha256";
                  toHashFormat = "sri";
                };
          };
        stdenv = pkgs.stdenv // {
          cc = { isClang = false; } // pkgs.stdenv.cc;
          hostPlatform = {
            isStatic = false;
            uname.processor = lib.head (lib.splitString "-" pkgs.stdenv.hostPlatform.system);
          }
          // pkgs.stdenv.hostPlatform;
        };
      };
    in
    set;
}
