# A stand-in for nixpkgs, for tests on machines that have none: the few attributes that x2nix's
# output and the tests use, on a tree of Debian's tools.
#   toolchain: the tree's store path, which the sandbox shows as /usr (see up.sh); null: this machine's
#   systemPackages: the file that says where Debian's packages lie in the store (see system-packages.sh)
#   rust: the store path of this machine's Rust (see add-rust.sh)
#   lib: the real one may stand here: import <nixpkgs/lib>
{
  toolchain ? null,
  systemPackages ? builtins.getEnv "X2NIX_SYSTEM_PACKAGES",
  rust ? builtins.getEnv "X2NIX_RUST",
  lib ? import ./stand-in/lib.nix,
  system ? builtins.currentSystem,
}:

let
  root = if toolchain == null then "" else "${builtins.storePath toolchain}";
  inherit (import ./stand-in/stdenv.nix { inherit lib system root; }) stdenv tools;

  # What depexts ask for, each with its own closure of Debian packages. gst_all_1.gstreamer and the
  # like lie in a set of their own; libpq is both a package and such a set.
  debian = import ./stand-in/debian.nix { inherit system root; };
  nested = builtins.foldl' (
    set: name:
    let
      path = lib.splitString "." name;
      first = builtins.head path;
      package = debian name known.${name};
    in
    set
    // {
      ${first} = (set.${first} or { })
        // (if path == [ first ] then package else { ${lib.last path} = package; });
    }
  ) { } (builtins.attrNames known);
  known = if systemPackages == "" then { } else lib.importJSON systemPackages;

  # Programs of this machine's Rust.
  rustTools = self: pname: programs:
    if rust == "" then
      throw "there is no Rust on this machine: tests/nix/up.sh brings it where there is"
    else
      self.runCommand pname { } ''
        mkdir -p $out/bin
        for program in ${toString programs}; do
          ln -s ${builtins.storePath rust}/bin/$program $out/bin/$program
        done
      '';

  base = self: nested // {
    inherit lib stdenv system;
    pkgs = self;
    buildPackages = self;
    newScope = extra: lib.callPackageWith (self // extra);
    callPackage = self.newScope { };

    runCommand =
      name: environment: buildCommand:
      stdenv.mkDerivation ({ inherit name buildCommand; } // environment);
    writeText = name: text: self.runCommand name { inherit text; } ''printf %s "$text" > "$out"'';
    mkShell =
      { packages ? [ ], nativeBuildInputs ? [ ], ... }@arguments:
      stdenv.mkDerivation (
        { name = "shell"; }
        // removeAttrs arguments [ "packages" ]
        // {
          nativeBuildInputs = packages ++ nativeBuildInputs;
          buildCommand = "touch $out";
        }
      );

    # Fixed-output, as in nixpkgs. To build without a network, add the file to the store beforehand:
    # nix-store --add-fixed sha256 FILE.
    fetchurl =
      { urls ? [ url ], url ? builtins.head urls, name ? baseNameOf url, hash }:
      derivation {
        inherit name urls url;
        builder = "builtin:fetchurl";
        system = "builtin";
        outputHash = hash;
        outputHashAlgo = null;
        outputHashMode = "flat";
        preferLocalBuild = true;
        unpack = false;
        executable = false;
      };

    # Fixed-output, as in nixpkgs: a checkout of one commit without anything of Git's own. To build
    # without a network, `x2nix fetch` beforehand.
    fetchgit =
      { url, rev, hash, name ? "source", fetchSubmodules ? true }:
      stdenv.mkDerivation {
        inherit name url rev;
        nativeBuildInputs = [ self.git ];
        outputHash = hash;
        outputHashAlgo = null;
        outputHashMode = "recursive";
        preferLocalBuild = true;
        buildCommand = ''
          export GIT_SSL_CAINFO=/etc/ssl/certs/ca-certificates.crt HOME=$PWD
          git init --quiet $out
          cd $out
          git remote add origin "$url"
          git -c safe.directory="*" fetch --quiet --depth=1 origin "$rev"
          git checkout --quiet "$rev"
          ${lib.optionalString fetchSubmodules "git submodule --quiet update --init --recursive"}
          find . -name .git -prune -exec rm -rf {} +
        '';
      };

    # Debian's tools under their names in nixpkgs.
    git = tools "git" "2.47" [ "git" ];
    autoconf = tools "autoconf" "2.72" (lib.splitString " " "autoconf autoheader autom4te autoreconf autoscan autoupdate ifnames");
    automake = tools "automake" "1.17" [ "automake" "aclocal" ];
    libtool = tools "libtool" "2.5.4" [ "libtool" "libtoolize" ];
    patchelf = tools "patchelf" "0.18.0" [ "patchelf" ];
    which = tools "which" "2.21" [ "which" ];
    # A C library for another target, and the sources of the compiler.
    musl = self.runCommand "musl-1.2.5" { } ''
      mkdir $out
      ln -s ${root}/usr/include/x86_64-linux-musl $out/include
      ln -s ${root}/usr/lib/x86_64-linux-musl $out/lib
    '' // { version = "1.2.5"; };
    ocaml-source = self.runCommand "ocaml-source-5.3.0" { } ''
      mkdir $out
      tar -xOf ${root}/usr/src/ocaml-source-5.3.0.tar ocaml-5.3.0/ocaml_5.3.0.orig.tar.xz |
        tar -xJ -C $out --strip-components=1
    '' // { version = "5.3.0"; };
    m4 = tools "gnum4" "1.4.19" [ "m4" ];
    perl = tools "perl" "5.40" [ "perl" ];
    pkg-config = tools "pkg-config" "1.8.1" [ "pkg-config" ];
    unzip = tools "unzip" "6.0" [ "unzip" ];
    rustc = rustTools self "rustc" [ "rustc" "rustdoc" ];
    cargo = rustTools self "cargo" [ "cargo" ];
    dune_3 = tools "dune" "3.17.2" [ "dune" ];
    findlib = tools "findlib" "1.9.8" [ "ocamlfind" ];
    ocaml = tools "ocaml" "5.3.0" (lib.splitString " " (
      "ocaml ocamlc ocamlc.opt ocamlc.byte ocamlopt ocamlopt.opt ocamldep ocamldep.opt ocamllex "
      + "ocamllex.opt ocamlyacc ocamlmktop ocamlmklib ocamlcp ocamlrun ocamlobjinfo ocamldoc "
      + "ocamldoc.opt ocamlprof ocamloptp ocamlcmt ocamldebug ocamlopt.byte ocamldep.byte "
      + "ocamllex.byte ocamlobjinfo.byte ocamlobjinfo.opt"
    ));
    ocamlPackages = { inherit (self) ocaml findlib dune_3; };
  }
  # Debian's looks for its skeletons where Debian has them.
  // lib.optionalAttrs (nested ? bison) {
    bison = self.runCommand "bison-${nested.bison.version}" { } ''
      mkdir -p $out/bin
      printf '#!/bin/sh\nexport BISON_PKGDATADIR=%s\nexec %s "$@"\n' \
        ${nested.bison}/share/bison ${nested.bison}/bin/bison > $out/bin/bison
      chmod +x $out/bin/bison
    '' // { inherit (nested.bison) version; };
  };
in
lib.fix base
