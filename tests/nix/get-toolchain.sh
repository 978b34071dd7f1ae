#!/bin/bash
# get-toolchain.sh SUITE DIR PACKAGE...: unpacks Debian packages and all that they need into one tree,
# DIR/debian-toolchain. No maintainer script runs; the few links that they would make are made here.
set -euo pipefail
source "$(dirname "$(readlink -f "$0")")/apt.sh"
suite=$1 dir=$(readlink -m "$2")
shift 2
tree=$dir/debian-toolchain
rm -rf "$tree"
mkdir -p "$tree/usr"/{bin,sbin,lib,lib64}
fetch_debs "$suite" "$dir" "$@"
# The merged /usr comes first, so that packages that still ship /bin or /lib land in it.
for folder in bin sbin lib lib64; do ln -sfn "usr/$folder" "$tree/$folder"; done
for deb in "$dir"/apt/cache/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tree" --keep-directory-symlink --no-same-owner
done
rm -rf "$dir/apt"

cd "$tree"
for link in sh:dash sh:bash awk:gawk awk:mawk cc:gcc c++:g++ which:which.debianutils \
  automake:automake-1.17 aclocal:aclocal-1.17; do
  name=usr/bin/${link%%:*} target=${link##*:}
  [ -e "$name" ] || [ ! -e "usr/bin/$target" ] || ln -sfn "$target" "$name"
done
rm -rf usr/share/{doc,man,locale,info,lintian} var dev proc sys tmp run home media mnt opt root srv boot
chmod -R u+w .
