#!/bin/bash
# eval "$(up.sh [WORKDIR])": from a bare Debian machine to sandboxed Nix builds with OCaml, in about a
# minute; at once the second time. Writes only into WORKDIR and /nix. Prints the environment to use. Several
# may run at once.
# X2NIX_SYSTEM: attributes of system-packages.txt to bring beside those marked there, or --all.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
work=$(readlink -m "${1:-${XDG_CACHE_HOME:-$HOME/.cache}/x2nix-tests}")
suite=${X2NIX_NIX_SUITE:-trixie}
mkdir -p "$work"
# One at a time: a second one would unpack into what the first is still making.
exec 9> "$work/lock"
flock 9
[ -e "$work/nix-$suite/done" ] || {
  "$here/get-nix.sh" "$suite" "$work/nix-$suite"
  touch "$work/nix-$suite/done"
} >&2
mapfile -t packages < <(grep -v '^#' "$here/toolchain-packages.txt")
list=$(printf '%s\n' "${packages[@]}" | sha256sum | cut -c 1-16)
[ -e "$work/$list/done" ] || {
  "$here/get-toolchain.sh" trixie "$work/$list" "${packages[@]}"
  touch "$work/$list/done"
} >&2
toolchain=$("$here/add-toolchain.sh" "$work/nix-$suite/bin" "$work/$list/debian-toolchain" "$work/conf")
packages=$(PATH=$work/nix-$suite/bin:$PATH "$here/system-packages.sh" "$work" "$work/conf" ${X2NIX_SYSTEM-})
rust=$("$here/add-rust.sh" "$work/nix-$suite/bin" "$work")
printf 'export %s=%q\n' NIX_CONF_DIR "$work/conf" X2NIX_TOOLCHAIN "$toolchain" \
  X2NIX_SYSTEM_PACKAGES "$packages" X2NIX_RUST "$rust"
printf 'export PATH=%q:$PATH\n' "$work/nix-$suite/bin"
