#!/bin/bash
# Installs what the generated plugin projects in Python and JavaScript are built with, once, and prints
# where it is, for a shell to evaluate.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
templates=$here/../plugin-abi/templates
folder=${XDG_CACHE_HOME:-$HOME/.cache}/x2nix-tests/plugins
mkdir -p "$folder"

wanted=$(cat "$templates/python/requirements.txt")
if [ "$(cat "$folder/python/installed" 2>/dev/null)" != "$wanted" ]; then
  python3 -c 'import ensurepip' 2>/dev/null ||
    { apt-get -qq update && apt-get -qq install -y --no-install-recommends python3-venv; } >/dev/null
  python3 -m venv --clear "$folder/python" >&2
  "$folder/python/bin/pip" --quiet --disable-pip-version-check install -r "$templates/python/requirements.txt" >&2
  printf '%s\n' "$wanted" >"$folder/python/installed"
fi

command -v npm >/dev/null ||
  { apt-get -qq update && apt-get -qq install -y --no-install-recommends nodejs npm; } >/dev/null
wanted=$(cat "$templates/javascript/package.json")
if [ "$(cat "$folder/javascript/installed" 2>/dev/null)" != "$wanted" ]; then
  mkdir -p "$folder/javascript"
  sed 's/@NAME@/tools/' "$templates/javascript/package.json" >"$folder/javascript/package.json"
  (cd "$folder/javascript" && npm install --silent --no-audit --no-fund) >&2
  printf '%s\n' "$wanted" >"$folder/javascript/installed"
fi

printf 'export X2NIX_COMPONENTIZE_PY=%q\n' "$folder/python/bin"
printf 'export X2NIX_COMPONENTIZE_JS=%q\n' "$folder/javascript/node_modules/.bin"
