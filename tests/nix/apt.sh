# Sourced: `fetch_debs SUITE DIR PACKAGE...` downloads packages and all that they need from a Debian
# suite into DIR/apt/cache/archives; `fetch_sources SUITE DIR SOURCE...` downloads the upstream archives of
# source packages into DIR; `apt_for "SUITE..." DIR` makes `apt_options`, with which apt knows those
# suites as on a machine where nothing is installed. All ask the archive that this machine's own apt
# asks (or DEBIAN_MIRROR), and change nothing of this machine's apt.

debian_mirror() {
  { cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{sources,list} 2>/dev/null || true; } |
    sed -nE 's/^URIs:[[:space:]]*([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+).*/\2/p' |
    grep -E '/debian/?$' | sed -n 1p
}

apt_for() {
  local suites=$1 suite apt=$2/apt kind=${3:-deb} mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  mirror=${DEBIAN_MIRROR:-$(debian_mirror)}
  [ -n "$mirror" ] || { echo "no Debian archive in apt's sources; set DEBIAN_MIRROR" >&2; return 1; }
  rm -rf "$apt"
  mkdir -p "$apt"/{lists/partial,cache/archives/partial}
  : > "$apt/status" # as if nothing were installed, so that the closure is whole
  for suite in $suites; do
    echo "$kind [signed-by=$keyring] $mirror $suite main"
  done > "$apt/sources.list"
  apt_options=(
    -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::State::lists="$apt/lists"
    -o Dir::Cache="$apt/cache" -o APT::Install-Recommends=0 -o Acquire::Languages=none
    -o APT::Sandbox::User=root -o Debug::NoLocking=1 -o Acquire::Retries=3
  )
  apt-get "${apt_options[@]}" -qq update
}

fetch_debs() {
  local apt_options
  apt_for "$1" "$2"
  shift 2
  apt-get "${apt_options[@]}" -qq -y --download-only install "$@" > /dev/null
}

fetch_sources() {
  local apt_options dir=$2
  apt_for "$1" "$dir" deb-src
  shift 2
  (cd "$dir" && apt-get "${apt_options[@]}" -qq source --download-only --tar-only "$@" > /dev/null)
}
