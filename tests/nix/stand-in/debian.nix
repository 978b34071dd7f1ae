# Debian packages as a store path of their own, laid out as nixpkgs would: bin, include, lib. Builds see
# it only where they name it. `debs` are store paths of .deb files (see system-packages.sh).
{ system, root }:

pname:
{ version, debs }:
derivation {
  name = "${builtins.replaceStrings [ "." ] [ "-" ] pname}-${builtins.replaceStrings [ "~" ] [ "-" ] version}";
  inherit system root;
  debs = map builtins.storePath debs;
  builder = "${root}/usr/bin/bash";
  args = [ "-c" "source ${builtins.path { name = "stand-in-debian"; path = ./debian.sh; }}; true" ];
}
// {
  inherit pname version;
  meta.mainProgram = pname;
}
