# The part of nixpkgs' stdenv that runs in the build, small: the environment of the inputs, phases and
# hooks. The builder sources it and calls genericBuild; nix-shell sources it.

set -eu -o pipefail
shopt -s nullglob inherit_errexit
export SHELL="$shell" CONFIG_SHELL="$shell" HOME=/homeless-shelter TZ=UTC
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-315532800}"
export NIX_BUILD_CORES="${NIX_BUILD_CORES:-1}"
prefix=${prefix:-${out-}}

PATH=
for package in $initialPath; do PATH=$PATH${PATH:+:}$package/bin; done
export PATH
[ "$NIX_BUILD_CORES" -gt 0 ] 2> /dev/null || NIX_BUILD_CORES=$(nproc)

# --- Hooks: preBuild, postBuild, ... are variables, functions, or the arrays preBuildHooks, ...

runHook() {
  local name=$1 hook
  local -n hooks=${name%Hook}Hooks
  for hook in "${hooks[@]-}" "$name"; do
    if [ -z "$hook" ]; then
      continue
    elif [ "$(type -t "$hook")" = function ]; then
      "$hook"
    elif [ -n "${!hook-}" ]; then
      eval "${!hook}"
    fi
  done
}

addEnvHooks() {
  shift
  envHooks+=("$@")
}

# --- Helpers that emitted code and overrides may call

addToSearchPath() {
  [ ! -d "$2" ] || export "$1=${!1-}${!1:+:}$2"
}

stripHash() {
  local name
  name=$(basename -- "$1")
  [[ ! $name =~ ^[a-z0-9]{32}-(.*)$ ]] || name=${BASH_REMATCH[1]}
  printf '%s\n' "$name"
}

# Gives the scripts under a folder interpreters from PATH.
patchShebangs() {
  local file line program rest path
  [[ $1 != --* ]] || shift
  while IFS= read -r -d '' file; do
    line=$(head -c 512 "$file" | tr -d '\0' | head -n 1)
    [[ $line == '#!'* ]] || continue
    read -r program rest <<< "${line#\#!}"
    [[ $program != "${NIX_STORE:-/nix/store}"/* ]] || continue
    if [[ $program == */env ]]; then
      program=${rest%% *}
      rest=${rest#"$program"}
    fi
    path=$(command -v "$(basename -- "$program")") || continue
    { printf '#!%s\n' "$path${rest:+ $rest}"; tail -n +2 "$file"; } > "$file.new"
    chmod --reference="$file" "$file.new"
    mv "$file.new" "$file"
  done < <(find "$1" -type f -perm -0100 -print0)
}

# --- Inputs: PATH, search paths, setup hooks, each once, with what they propagate

envHooks=()
declare -A seenInputs=()
inputs=()

findInputs() {
  local package=$1 next
  [ -z "${seenInputs[$package]-}" ] || return 0
  seenInputs[$package]=1
  inputs+=("$package")
  if [ -f "$package/nix-support/propagated-build-inputs" ]; then
    for next in $(< "$package/nix-support/propagated-build-inputs"); do findInputs "$next"; done
  fi
  if [ -f "$package/nix-support/setup-hook" ]; then source "$package/nix-support/setup-hook"; fi
}

for package in ${nativeBuildInputs-} ${buildInputs-} ${propagatedBuildInputs-}; do
  findInputs "$package"
done
# pkgconf leaves out the folders that CPATH names, which here is what nixpkgs' compiler has in its wrapper; but
# some packages ask it where the headers are.
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
inputPath=
for package in "${inputs[@]}"; do
  addToSearchPath inputPath "$package/bin"
  addToSearchPath PKG_CONFIG_PATH "$package/lib/pkgconfig"
  addToSearchPath CPATH "$package/include"
  addToSearchPath LIBRARY_PATH "$package/lib"
  # As nixpkgs' linker does, what is linked finds its libraries; the compiler adds these.
  libraries=("$package"/lib/lib*.so*)
  [ ${#libraries[@]} = 0 ] || export NIX_LDFLAGS="${NIX_LDFLAGS-} -Wl,-rpath=$package/lib"
  for hook in "${envHooks[@]}"; do "$hook" "$package"; done
done
PATH=$inputPath${inputPath:+:}$PATH

# --- Phases

unpackPhase() {
  runHook preUnpack
  cp -R --preserve=mode,timestamps "$src" source
  chmod -R u+w source
  sourceRoot=source
  runHook postUnpack
}

patchPhase() {
  runHook prePatch
  local patch
  for patch in ${patches-}; do patch -p1 < "$patch"; done
  runHook postPatch
}

fixupPhase() {
  runHook preFixup
  [ ! -d "$out" ] || patchShebangs "$out"
  runHook postFixup
}

genericBuild() {
  local phase
  if [ -n "${buildCommand-}" ]; then
    eval "$buildCommand"
    return
  fi
  for phase in unpackPhase patchPhase buildPhase checkPhase installPhase fixupPhase; do
    [ $phase != checkPhase ] || [ -n "${doCheck-}" ] || continue
    echo "Running phase: $phase"
    if [ -n "${!phase-}" ]; then eval "${!phase}"; else $phase; fi
    [ $phase != unpackPhase ] || cd "$sourceRoot"
  done
}

runHook postHook
set +u
