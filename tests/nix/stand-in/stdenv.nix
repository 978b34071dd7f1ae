# mkDerivation in a small form: phases and hooks (setup.sh), finalAttrs, overrideAttrs, passthru, meta.
{ lib, system, root }:

let
  shell = "${root}/usr/bin/bash";
  setup = builtins.path {
    name = "stand-in-setup";
    path = ./setup.sh;
  };

  # A package of links to Debian's programs: a build finds a program only where it declares it.
  tools = toolsAnd "";
  toolsAnd =
    script: pname: version: programs:
    derivation {
      name = "${pname}-${version}";
      inherit system programs;
      builder = shell;
      args = [
        "-c"
        ''
          PATH=/usr/bin; mkdir -p $out/bin
          for program in $programs; do ln -s ${root}/usr/bin/$program $out/bin/$program; done
          ${script}
          true
        ''
      ];
    }
    // {
      inherit pname version;
      meta.mainProgram = builtins.head (programs ++ [ pname ]);
    };

  words = lib.splitString " ";
  initialPath = [
    (tools "stand-in-coreutils" "0" (words (
      "b2sum base32 base64 basename cat chgrp chmod chown cksum comm cp csplit cut date dd df dirname du "
      + "echo env expand expr factor false fmt fold groups head id install join link ln ls md5sum mkdir "
      + "mkfifo mktemp mv nice nl nohup nproc numfmt od paste pr printenv printf pwd readlink realpath rm "
      + "rmdir seq sha1sum sha224sum sha256sum sha384sum sha512sum shuf sleep sort split stat stty sum sync "
      + "tac tail tee test timeout touch tr true truncate tsort tty uname unexpand uniq unlink wc whoami yes"
    )))
    (tools "stand-in-tools" "0" (words (
      "awk bash bunzip2 bzip2 cmp diff egrep fgrep file find gawk grep gunzip gzip make patch sed sh "
      + "tar unxz xargs xz xzcat xzdiff xzgrep zcat zgrep"
    )))
    cc
  ];
  # What it links runs outside of the sandbox too: it names the tree's loader and libraries.
  cc = toolsAnd (lib.optionalString (root != "") ''
    for program in cc gcc c++ g++ x86_64-linux-gnu-gcc; do
      rm -f $out/bin/$program
      printf '#!%s\nexec %s "$@" $NIX_LDFLAGS %s %s\n' ${shell} ${root}/usr/bin/$program \
        -Wl,--dynamic-linker=${root}/usr/lib64/ld-linux-x86-64.so.2 \
        -Wl,-rpath=${root}/usr/lib/x86_64-linux-gnu > $out/bin/$program
      chmod +x $out/bin/$program
    done
  '') "stand-in-gcc" "14.2.0" (words (
    "ar as c++ cc cpp g++ gcc gcov ld nm objcopy objdump patchelf ranlib readelf size strings strip "
    + "x86_64-linux-gnu-ar x86_64-linux-gnu-as x86_64-linux-gnu-gcc x86_64-linux-gnu-ld "
    + "x86_64-linux-gnu-ranlib"
  ));

  mkDerivation =
    attributes:
    let
      function = if lib.isFunction attributes then attributes else _: attributes;
      given = function (given // { finalPackage = package; });
      pname = given.pname or "unknown";
      arguments =
        removeAttrs given [ "meta" "passthru" ]
        // {
          inherit system shell initialPath;
          name = lib.strings.sanitizeDerivationName (given.name or "${pname}-${given.version}");
          builder = shell;
          args = [ "-c" "source ${setup}; genericBuild; true" ];
          stdenv = stdenv.outPath;
        };
      extra = {
        meta = given.meta or { };
        passthru = given.passthru or { };
        overrideAttrs =
          change:
          mkDerivation (
            final:
            let
              before = function final;
              # As in nixpkgs, a change that is a function takes `old`, or `final` and `old`; which, tells
              # only what it makes of the former.
              first = if lib.isFunction change then change before else change;
              changed = if lib.isFunction first then change final before else first;
            in
            before // changed
          );
      };
      package =
        derivation arguments
        // builtins.intersectAttrs { pname = null; version = null; } given
        // extra.passthru
        // extra;
    in
    package;

  platform = {
    inherit system;
    isLinux = true;
    isDarwin = false;
  };

  stdenv =
    derivation {
      name = "stand-in-stdenv";
      inherit system;
      builder = shell;
      args = [ "-c" "PATH=/usr/bin; mkdir -p $out; cp ${setup} $out/setup; true" ];
    }
    // {
      inherit mkDerivation cc shell;
      hostPlatform = platform;
      buildPlatform = platform;
      targetPlatform = platform;
    };
in
{
  inherit stdenv tools;
}
