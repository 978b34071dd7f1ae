# Unpacks $debs into $out. Debian's places become those of one prefix, in the texts that name them
# (pkg-config's, *-config scripts, linker scripts), in links, and in what libraries look for.
set -euo pipefail
shopt -s nullglob
PATH=/usr/bin
triple=x86_64-linux-gnu

mkdir -p tree "$out"/{bin,include,lib}
for deb in $debs; do
  dpkg-deb --fsys-tarfile "$deb" |
    tar -x -C tree --no-same-owner --exclude=./usr/share/{doc,man,locale,info,lintian} --exclude=./var
done
move() { [ ! -d "$1" ] || { mkdir -p "$2"; cp -a "$1/." "$2"; rm -rf "$1"; }; }
move "tree/usr/lib/$triple" "$out/lib"
move "tree/lib/$triple" "$out/lib"
move "tree/usr/include/$triple" "$out/include"
for folder in bin sbin lib; do move "tree/$folder" "$out/$folder"; done
move tree/usr/sbin "$out/bin"
move tree/usr/share/pkgconfig "$out/lib/pkgconfig"
move tree/usr "$out"
chmod -R u+w "$out"

relocate() {
  sed -i -E "s#(^|[^a-zA-Z0-9.}])(/usr)?/lib/$triple#\1$out/lib#g
    s#(^|[^a-zA-Z0-9.}]|-I)/usr/include(/$triple)?#\1$out/include#g
    s#(^|[^a-zA-Z0-9.}]|-[IL])/usr(/|\$|[\"' ])#\1$out\2#g
    s#(lib|include)/$triple#\1#g" "$1"
}
while IFS= read -r -d '' file; do
  case $(head -c 4 "$file" | tr -d '\0') in
    $'\x7fELF') case $file in *.so | *.so.* | */bin/*) patchelf --set-rpath "$out/lib:$root/usr/lib/$triple" "$file" ;; esac ;;
    '!<ar') ;;
    *) ! LC_ALL=C grep -qIE "/usr|/$triple" "$file" || relocate "$file" ;;
  esac
done < <(find "$out"/{bin,lib} -type f \( -name '*.pc' -o -name '*.so*' -o -name '*.cmake' -o -path '*/bin/*' \) -print0)

# Links whose target lies elsewhere now, or in the toolchain.
toolchain=$root/usr/lib/$triple
while IFS= read -r -d '' link; do
  target=$(readlink "$link")
  if [ -e "$link" ] && [[ $target != /* ]]; then continue; fi
  case $target in
    /etc/alternatives/*) found=$(find "$out" -name "${link##*/}*" -type f | sort | head -n 1) ;;
    *) found=$(find "$out" "$toolchain" -maxdepth 2 -name "${target##*/}" ! -path "$link" | head -n 1) ;;
  esac
  if [ -n "$found" ]; then ln -sfn "$found" "$link"; fi
done < <(find "$out" -type l -print0)
