#!/bin/bash
# system-packages.sh WORKDIR CONF-DIR [--all | ATTRIBUTE...]: downloads the Debian packages of
# system-packages.txt with all that they need (by default those marked `!`), beside what the toolchain
# has, adds the files to the Nix store, and prints a JSON file that pkgs.nix takes: for each attribute
# its version and its files. What it has already is not downloaded again.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
source "$here/apt.sh"
work=$(readlink -m "$1") conf=$(readlink -m "$2")
shift 2
export NIX_CONF_DIR=$conf
state=$work/system
mkdir -p "$state"/{attributes,debs}
exec 9> "$state/lock"
flock 9

# Attributes of the table that are asked for and not here yet. A changed line is another file.
key() { printf '%s %s' "$1" "$2" | sha256sum | cut -c 1-16; }
absent=() table=()
declare -A asked=()
for word in "$@"; do asked[$word]=1; done
while IFS=$'\t' read -r mark attribute packages; do
  place=$state/attributes/$(key "$attribute" "$packages")
  if [ "$mark" = '!' ] || [ -n "${asked[--all]-}${asked[$attribute]-}" ]; then
    [ -e "$place" ] || absent+=("$attribute"$'\t'"$packages"$'\t'"$place")
  fi
  unset "asked[$attribute]"
  table+=("$place")
done < <(grep -v '^#' "$here/system-packages.txt" | sed 's/^\t/-\t/')
all=${asked[--all]-}
unset 'asked[--all]'
[ ${#asked[@]} = 0 ] || { echo "not in system-packages.txt: ${!asked[*]}" >&2; exit 2; }

if [ ${#absent[@]} -gt 0 ]; then
  apt_for 'trixie bookworm' "$state" # the newest wins; pcre is in bookworm only
  mapfile -t toolchain < <(grep -v '^#' "$here/toolchain-packages.txt")
  # What installing these packages would bring: NAME VERSION a line.
  closure() { apt-get "${apt_options[@]}" -s install "$@" | sed -nE 's/^Inst ([^ ]+) \(([^ ]+).*/\1 \2/p' | sort; }
  closure "${toolchain[@]}" > "$state/toolchain"
  for line in "${absent[@]}"; do
    IFS=$'\t' read -r attribute packages place <<< "$line"
    # shellcheck disable=SC2086
    if ! closure $packages > "$state/closure"; then
      echo "Debian lacks some of: $packages ($attribute)" >&2
      [ -n "$all" ] || exit 1
      continue
    fi
    { comm -23 "$state/closure" "$state/toolchain"
      for package in $packages; do grep "^$package " "$state/closure" || true; done
    } | sort -u > "$place.wanted"
  done
  cd "$state/debs"
  found=()
  for line in "${absent[@]}"; do [ ! -e "${line##*$'\t'}.wanted" ] || found+=("$line"); done
  absent=("${found[@]}")
  for line in "${absent[@]}"; do cat "${line##*$'\t'}.wanted"; done | sort -u > "$state/wanted"
  # apt writes a version's colon as %3a.
  file() { local version=${2/:/%3a} found; for found in "$state/debs/$1_$version"_*.deb; do echo "$found"; done; }
  while read -r name version; do
    [ -e "$(file "$name" "$version")" ] || printf '%s=%s\n' "$name" "$version"
  done < "$state/wanted" | xargs -r -n 50 apt-get "${apt_options[@]}" -qq download >&2
  for line in "${absent[@]}"; do
    IFS=$'\t' read -r attribute packages place <<< "$line"
    files=()
    while read -r name version; do files+=("$(file "$name" "$version")"); done < "$place.wanted"
    version=$(grep "^${packages%% *} " "$place.wanted" | sed -E 's/^[^ ]+ ([0-9]+:)?//; s/-[^-]*$//; s/[.+~](dfsg|ds|really).*//')
    # Names in the store may not hold a percent sign or a tilde.
    stored=()
    for each in "${files[@]}"; do
      name=$(basename "$each" | tr '%~' '__')
      [ -e "$state/$name.path" ] || {
        cp "$each" "$state/$name"
        nix-store --add-fixed sha256 "$state/$name" > "$state/$name.new"
        rm "$state/$name"
        mv "$state/$name.new" "$state/$name.path"
      }
      stored+=("\"$(< "$state/$name.path")\"")
    done
    printf '"%s": { "version": "%s", "debs": [%s] }\n' "$attribute" "$version" "$(IFS=,; echo "${stored[*]}")" > "$place.new"
    mv "$place.new" "$place"
    rm "$place.wanted"
  done
fi

here_are=()
for place in "${table[@]}"; do [ ! -e "$place" ] || here_are+=("$place"); done
{ echo '{'; sed -s '$!d' "${here_are[@]}" | sed '$!s/$/,/'; echo '}'; } > "$state/packages.json.new"
mv "$state/packages.json.new" "$state/packages.json"
echo "$state/packages.json"
