# Sourced by a shell that somebody works in by hand, in the folder of the project.
# MARK DUNIVERSE CONFIGURED DUNE: see x2nix-workspace; DUNE is the folder of the dune to take.
if [ -e "$1" ]; then
  "${BASH_SOURCE[0]%/share/*}/bin/x2nix-workspace" "$1" "$2" "$3" || true
else
  printf 'x2nix: nothing was put in place, as %s is not here: enter the shell in the folder of the project\n' "$1" >&2
fi
[ -z "$4" ] || export PATH="$4:$PATH"
