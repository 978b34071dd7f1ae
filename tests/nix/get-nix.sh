#!/bin/bash
# get-nix.sh SUITE DIR: unpacks Debian's Nix and its libraries into DIR/root, and writes
# DIR/bin/nix... which run it by its own loader, so that this machine's libraries do not matter.
# SUITE: trixie (Nix 2.26) or sid (2.34).
set -euo pipefail
source "$(dirname "$(readlink -f "$0")")/apt.sh"
suite=$1 dir=$(readlink -m "$2")
mkdir -p "$dir"/{root,bin}
fetch_debs "$suite" "$dir" nix-bin
for deb in "$dir"/apt/cache/archives/*.deb; do dpkg -x "$deb" "$dir/root"; done
rm -rf "$dir/apt"

root=$dir/root
loader=$(find "$root" -name 'ld-linux-*.so.*' | head -n 1)
triple=$(basename "$(dirname "$(find "$root" -name 'libc.so.6' | head -n 1)")")
libraries=$root/usr/lib/$triple:$root/lib/$triple:$root/usr/lib/nix
for name in nix nix-build nix-instantiate nix-store nix-hash nix-shell; do
  cat > "$dir/bin/$name" <<WRAPPER
#!/bin/sh
exec "$loader" --argv0 $name --library-path "$libraries" "$root/usr/bin/nix" --option build-hook "" "\$@"
WRAPPER
  chmod +x "$dir/bin/$name"
done
"$dir/bin/nix" --version
