#!/bin/bash
# add-toolchain.sh NIX-BIN TREE CONF-DIR: puts TREE (named debian-toolchain) into the Nix store, writes
# CONF-DIR/nix.conf whose sandbox shows it as /usr, and prints its store path.
set -euo pipefail
bin=$1 tree=$(readlink -f "$2") conf=$3
mkdir -p "$conf"
export NIX_CONFIG=$'build-users-group =\nsubstituters ='
toolchain=$("$bin/nix-store" --add "$tree")
cat > "$conf/nix.conf" <<CONF
build-users-group =
substituters =
sandbox = true
sandbox-fallback = false
max-jobs = 2
cores = 0
experimental-features = nix-command flakes
sandbox-paths = /bin/sh=$toolchain/usr/bin/bash /usr=$toolchain/usr /lib=$toolchain/usr/lib /lib64=$toolchain/usr/lib64 /etc/ocamlfind.conf=$toolchain/etc/ocamlfind.conf /etc/alternatives=$toolchain/etc/alternatives
CONF
echo "$toolchain"
