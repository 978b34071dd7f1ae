# Sourced by a shell that somebody works in by hand, in the folder of the project, once what was generated is
# in place: PREFIX..., as for the build.
x2nixMirage=$("${BASH_SOURCE[0]%/share/*}/bin/x2nix-mirage" environment "$PWD/.x2nix/toolchains" "$@") &&
  eval "$x2nixMirage"
unset x2nixMirage
