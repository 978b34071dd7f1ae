#!/bin/bash
# add-rust.sh NIX-BIN WORKDIR: puts this machine's Rust (rustc, cargo, the standard library) into the Nix
# store, once for each release, and prints its store path; nothing where there is no Rust.
set -euo pipefail
bin=$1 work=$(readlink -m "$2")
command -v rustc cargo > /dev/null || exit 0
sysroot=$(rustc --print sysroot)
version=$(rustc --version | cut -d ' ' -f 2)
record=$work/rust-$({ rustc -vV; cat "$0"; } | sha256sum | cut -c 1-16)
if [ ! -e "$record" ] || [ ! -e "$(< "$record")" ]; then
  tree=$work/rust-$version
  rm -rf "$tree"
  mkdir -p "$tree"/{bin,lib/rustlib}
  cp "$sysroot"/bin/{rustc,rustdoc,cargo} "$tree/bin/"
  cp "$sysroot"/lib/*.so* "$tree/lib/"
  # Without the manifests of rustup, the sources and the documentation.
  for target in "$sysroot"/lib/rustlib/*/lib; do
    cp -R "$(dirname "$target")" "$tree/lib/rustlib/"
  done
  export NIX_CONFIG=$'build-users-group =\nsubstituters ='
  "$bin/nix-store" --add "$tree" > "$record.new"
  mv "$record.new" "$record"
  rm -rf "$tree"
fi
cat "$record"
