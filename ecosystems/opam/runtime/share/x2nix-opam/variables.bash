# opam's variables, strings and filters as they are inside of a Nix build; bin/x2nix-opam and bin/opam
# source this. A function answers in REPLY; its status is 1 where opam says "undefined".
#
# A package that is installed has a record in its prefix, nix-support/opam/NAME: the file `version`,
# and in the folder `variables` a file for each variable that it defines. A line end that ends such a
# file is not part of the value. What installs nothing, or comes from the package set of Nix, has none:
# X2NIX_OPAM_OTHERS has NAME=VERSION=PREFIX of each, with colons between; some have no prefix.

# Ranges like [a-z] are of ASCII, and a replacement has no special `&`. All of this needs bash 4.4.
shopt -s globasciiranges
shopt -u patsub_replacement 2> /dev/null

own=${OPAM_PACKAGE_NAME-}
share=$X2NIX_OPAM/share/x2nix-opam

die() {
  printf 'x2nix-opam: %s\n' "$*" >&2
  exit 1
}

# OpamPackage.Name.of_string: also keeps names from being paths
checkName() {
  [[ $1 != *[!A-Za-z0-9_+-]* && $1 == *[A-Za-z]* ]] || die "${1@Q} cannot be the name of a package"
}

# TEXT SEPARATOR: the pieces of a text, in the array `pieces`
cut() {
  local - IFS=$2
  set -f
  # A separator that ends the text would end the last piece; so there is always one.
  pieces=($1$2)
}

readText() {
  IFS= read -r -d '' REPLY < "$1" || :
  REPLY=${REPLY%$'\n'}
}

# FILE: whether it can be read here
readable() {
  if [[ ! -f $1 ]]; then
    printf 'x2nix-opam: there is no file %s\n' "${1@Q}" >&2
    return 1
  fi
  # Bash has no strings with NUL, and between records it stands.
  if [[ $(tr -dc '\0' < "$1" | wc -c) -ne 0 ]]; then
    printf 'x2nix-opam: %s has NUL characters\n' "${1@Q}" >&2
    return 1
  fi
}

# MODE FILE: reads a file in opam's syntax; the answer is the array `records`
readSyntax() {
  readable "$2" || return
  # awk's status is the last record: bash (5.2) now and then forgets that of a process substitution. It comes
  # even where awk failed, so that no record of the file's can stand for it.
  readarray -d '' -t records < <(
    file=$2 LC_ALL=C awk -v mode="$1" -f "$share/syntax.awk" < "$2"
    printf 'status %d\0' "$?"
  )
  ((${#records[@]})) && [[ ${records[-1]} == 'status 0' ]] || return 1
  unset 'records[-1]'
}

# --- Variables ----------------------------------------------------------------------------------

# PACKAGE: where it is installed
prefixOf() {
  local prefix pieces
  cut "${X2NIX_OPAM_PREFIXES-}" :
  for prefix in "${pieces[@]}"; do
    [[ $prefix && -f $prefix/nix-support/opam/$1/version ]] && REPLY=$prefix && return
  done
  return 1
}

# PACKAGE: VERSION=PREFIX of one that is there without a record
otherOf() {
  local piece pieces
  cut "${X2NIX_OPAM_OTHERS-}" :
  for piece in "${pieces[@]}"; do
    [[ $piece == "$1="* ]] && REPLY=${piece#*=} && return
  done
  return 1
}

# VARIABLE: where a directory variable points below a prefix (OpamPath.Switch)
folder() {
  case $1 in
    prefix) REPLY= ;;
    lib | libexec) REPLY=/lib ;;
    stublibs | toplevel) REPLY=/lib/$1 ;;
    bin | sbin | man | share | doc | etc) REPLY=/$1 ;;
    *) return 1 ;;
  esac
}

# VARIABLE: one that belongs to no package (OpamPackageVar.resolve_global; `user` and `group` are the
# switch's). Unlike in opam, the environment (OPAMVAR_...) changes nothing.
global() {
  local line
  [[ -v globals || ! -f $share/variables ]] || readarray -t globals < "$share/variables"
  for line in "${globals[@]}"; do
    [[ $line == "$1"$'\t'* ]] && REPLY=${line#*$'\t'} && return
  done
  case $1 in
    jobs)
      REPLY=${NIX_BUILD_CORES:-1}
      [[ $REPLY != 0 ]] || REPLY=$(nproc) # Nix's word for "all"
      ;;
    make) REPLY=make ;;
    switch) REPLY=default ;;
    root) REPLY=${NIX_BUILD_TOP:-${TMPDIR:-/tmp}}/.opam ;; # nothing is there
    user) REPLY=$(id -un 2> /dev/null) || REPLY=nixbld ;;
    group) REPLY=$(id -gn 2> /dev/null) || REPLY=nixbld ;;
    exe) REPLY= ;;
    *) return 1 ;;
  esac
}

# PACKAGE VARIABLE: what the package says itself, in its NAME.config
recorded() {
  local prefix i records
  if [[ $1 == "$own" ]]; then
    prefix=$out
    if [[ ! -e $out/nix-support/opam/$own/version && -f $own.config ]]; then
      readSyntax config "$own.config" 2> /dev/null || return # perhaps it is something else
      for ((i = 0; i < ${#records[@]}; i += 2)); do
        [[ ${records[i]} == "$2" ]] && REPLY=${records[i + 1]} && return
      done
      return 1
    fi
  else
    prefixOf "$1" || return
    prefix=$REPLY
  fi
  [[ $2 != */* && -f $prefix/nix-support/opam/$1/variables/$2 ]] || return
  readText "$prefix/nix-support/opam/$1/variables/$2"
}

# PACKAGE VARIABLE: what opam says about the package (OpamPackageVar.resolve, get_package_var)
described() {
  local prefix= version= installed=true
  if [[ $1 == "$own" ]]; then installed=false prefix=$out version=$OPAM_PACKAGE_VERSION # it is being built
  elif prefixOf "$1"; then
    prefix=$REPLY
    readText "$prefix/nix-support/opam/$1/version"
    version=$REPLY
  elif otherOf "$1"; then prefix=${REPLY#*=} version=${REPLY%%=*}
  else installed=false
  fi
  case $2 in
    installed) REPLY=$installed ;;
    pinned) REPLY=false ;;
    name) REPLY=$1 ;;
    *)
      [[ $version ]] || return
      case $2 in
        version) REPLY=$version ;;
        dev) REPLY=false ;;
        build)
          [[ $1 == "$own" ]] || return
          REPLY=$PWD
          ;;
        *)
          [[ $prefix ]] && folder "$2" || return
          REPLY=$prefix$REPLY
          case $2 in lib | libexec | share | doc | etc) REPLY+=/$1 ;; esac
          ;;
      esac
      ;;
  esac
}

# PACKAGE VARIABLE: its value (OpamPackageVar.resolve). PACKAGE is `_` for the own one, and empty if
# none is named: then the own one is asked last.
resolve() {
  local package=$1
  if [[ ! $package ]]; then
    if folder "$2"; then REPLY=$out$REPLY && return; fi
    global "$2" && return
  fi
  [[ $package && $package != _ ]] || package=$own
  [[ $package ]] && { recorded "$package" "$2" || described "$package" "$2"; }
}

# IDENTIFIER [interpolated]: `variable`, `package:variable`, `a+b:variable`, each perhaps with
# `?if-true:otherwise` (filter_ident_of_string, OpamFilter.resolve_ident_raw)
value() {
  local before=${1%:*} variable=${1##*:} names= yes= no= converts= package pieces all
  if [[ $1 != *:* ]]; then
    resolve '' "$1"
    return
  fi
  if [[ $before == \?*:* && ${before:1} != *\?* && ${2-} ]]; then
    # `?conf-g++:variable:`, since a name with `+` would be two
    before=${before:1}
    checkName "${before%:*}"
    resolve "${before%:*}" "${before##*:}"
    return
  elif [[ $before == \?* && ${before:1} != *\?* && ${2-} ]]; then before=
  elif [[ $before == *\?* ]]; then
    converts=1 yes=${before##*\?} no=$variable before=${before%\?*} variable=${before##*:}
    if [[ $before == *:* ]]; then before=${before%:*}; else before=; fi
  fi
  cut "$before" +
  for package in "${pieces[@]}"; do
    [[ $package ]] || continue
    [[ $package == _ ]] || checkName "$package"
    names+=${names:++}$package
  done
  if [[ $names && $variable == enable && ! $converts ]]; then
    variable=installed converts=1 yes=enable no=disable
  fi
  if [[ $names == *+* ]]; then
    all=true
    cut "$names" +
    for package in "${pieces[@]}"; do
      [[ $all != false ]] || break
      resolve "$package" "$variable" || REPLY=
      case $REPLY in true) ;; false) all=false ;; *) all= ;; esac
    done
    REPLY=$all
    [[ $REPLY || $converts ]] || return
  else
    resolve "$names" "$variable" || { [[ $converts ]] && REPLY=; } || return
  fi
  [[ ! $converts ]] || if [[ $REPLY == true ]]; then REPLY=$yes; else REPLY=$no; fi
}

# TEXT [quoted]: with the values of `%{...}%`, undefined ones empty; `%%` is one `%`
# (OpamFilter.expand_string). Values are escaped if they go into a string of opam's.
# Between the percent signs of a text: a `}` takes the next character along unless that is `%`, so
# `%{a}}%` goes on after its `}%`; and no name has a line end (string_interp_regex).
expand() {
  [[ $1 == *%* ]] || { REPLY=$1; return; }
  local LC_ALL=C pieces i last result identifier rest closes='^([^}]|\}.)*\}$'
  cut "$1" %
  last=$((${#pieces[@]} - 1)) result=${pieces[0]}
  for ((i = 1; i <= last; i++)); do
    if [[ ! ${pieces[i]} ]] && ((i < last)); then
      result+=%${pieces[i += 1]}
    elif [[ ${pieces[i]} == {* ]]; then
      identifier=${pieces[i]:1}
      while [[ ! ${pieces[i]} =~ $closes && ${pieces[i]} != *$'\n'* ]] && ((i < last)); do
        identifier+=%${pieces[i += 1]}
      done
      rest=
      if ((i < last)) && [[ ${pieces[i]} != *$'\n'* ]]; then
        identifier+=% rest=${pieces[i += 1]}
      elif [[ $identifier == *$'\n'* ]]; then
        rest=$'\n'${identifier#*$'\n'} identifier=${identifier%%$'\n'*}
        if [[ $identifier == *%\} ]]; then identifier=${identifier%\}} rest=\}$rest; fi
      fi
      # Nothing but its end is asked for, even if that is not what closes it.
      if [[ $identifier == *\}% ]]; then
        value "${identifier%\}%}" interpolated || REPLY=
        if [[ ${2-} ]]; then
          REPLY=${REPLY//\\/\\\\}
          REPLY=${REPLY//\"/\\\"}
        fi
        result+=$REPLY$rest
      else
        result+=%{$identifier$rest
      fi
    else
      result+=%${pieces[i]}
    fi
  done
  REPLY=$result
}

# --- Filters ------------------------------------------------------------------------------------

# VERSION VERSION: -1, 0 or 1 (OpamVersionCompare)
compare() {
  local LC_ALL=C revision1= revision2=
  REPLY=0
  [[ $1 != "$2" ]] || return 0
  [[ $1 != *-* ]] || revision1=${1##*-}
  [[ $2 != *-* ]] || revision2=${2##*-}
  compareParts "${1%-*}" "${2%-*}"
  [[ $REPLY != 0 ]] || compareParts "$revision1" "$revision2"
}

# Text and numbers in turn; in text `~` is before the end, that before letters, and those before the rest.
compareParts() {
  local x=$1 y=$2 a b i
  while [[ $x || $y ]]; do
    a=${x%%[0-9]*} b=${y%%[0-9]*} x=${x#"${x%%[0-9]*}"} y=${y#"${y%%[0-9]*}"}
    for ((i = 0; i < ${#a} || i < ${#b}; i++)); do
      rank "${a:i:1}" "${b:i:1}"
      [[ $REPLY == 0 ]] || return 0
    done
    a=${x%%[!0-9]*} b=${y%%[!0-9]*} x=${x#"${x%%[!0-9]*}"} y=${y#"${y%%[!0-9]*}"}
    a=${a#"${a%%[!0]*}"} b=${b#"${b%%[!0]*}"}
    order "${#a}" "${#b}"
    if [[ $REPLY == 0 && $a != "$b" ]]; then
      if [[ $a < $b ]]; then REPLY=-1; else REPLY=1; fi
    fi
    [[ $REPLY == 0 ]] || return 0
  done
}
order() { REPLY=$((($1 > $2) - ($1 < $2))); }
rank() {
  local first
  rankOf "$1"
  first=$REPLY
  rankOf "$2"
  order "$first" "$REPLY"
}
rankOf() {
  case $1 in
    '~') REPLY=0 ;;
    '') REPLY=1 ;;
    *)
      printf -v REPLY %d "'$1"
      REPLY=$((REPLY & 255))
      case $1 in [A-Za-z]) ;; *) REPLY=$((REPLY + 256)) ;; esac
      ;;
  esac
}

# FILTER: whether it holds. It is in postfix, words separated by one space: `v:NAME`, `s:TEXT` (with
# %XX), `b:true`, `b:false`, and operators (OpamFilter.reduce; undefined is false in the end).
# On the stack: `u` is undefined, `b:` a boolean, `s:` a string.
holds() {
  local pieces word stack=() a b
  cut "$1" ' '
  for word in "${pieces[@]}"; do
    a= b=
    case $word in
      '&' | '|' | = | != | '<' | '<=' | '>' | '>=') pop b && pop a ;;
      '!' | '?') pop a ;;
    esac || die "${1@Q} is no filter: ${word@Q} lacks an operand"
    case $word in
      v:*) filterVariable "${word:2}" ;;
      s:*)
        word=${word//\\/\\\\}
        printf -v REPLY %b "${word//%/\\x}"
        expand "${REPLY:2}"
        REPLY=s:$REPLY
        ;;
      b:true | b:false) REPLY=$word ;;
      '?') if [[ $a == u ]]; then REPLY=b:false; else REPLY=b:true; fi ;;
      '!')
        case $a in
          ?:true) REPLY=b:false ;;
          ?:false) REPLY=b:true ;;
          *) REPLY=u ;;
        esac
        ;;
      '&') combine "$a" "$b" false true ;;
      '|') combine "$a" "$b" true false ;;
      = | != | '<' | '<=' | '>' | '>=')
        if [[ $a == u || $b == u ]]; then REPLY=u
        else
          compare "${a:2}" "${b:2}"
          case $word:$REPLY in
            =:0 | '!=':-1 | '!=':1 | '<':-1 | '<=':-1 | '<=':0 | '>':1 | '>=':0 | '>=':1) REPLY=b:true ;;
            *) REPLY=b:false ;;
          esac
        fi
        ;;
      *) die "${1@Q} is no filter: ${word@Q} is neither a value nor an operator" ;;
    esac
    stack+=("$REPLY")
  done
  [[ ${#stack[@]} == 1 ]] || die "${1@Q} is no filter"
  [[ ${stack[0]} == ?:true ]]
}

# NAME: takes a value from the stack
pop() {
  [[ ${#stack[@]} != 0 ]] || return
  printf -v "$1" %s "${stack[-1]}"
  unset 'stack[-1]'
}

filterVariable() {
  if ! value "$1"; then REPLY=u
  elif [[ $REPLY == true || $REPLY == false ]]; then REPLY=b:$REPLY
  else
    expand "$REPLY" # as opam does, but not in a command's words
    REPLY=s:$REPLY
  fi
}

# VALUE VALUE SETTLING OTHER: and, or. One settles the matter whatever the other says, even if that is
# undefined (OpamFilter.logop2).
combine() {
  if [[ $1 == "b:$3" || $2 == "b:$3" ]]; then REPLY=b:$3
  elif [[ $1 != ?:@(true|false) || $2 != ?:@(true|false) ]]; then REPLY=u
  elif [[ ${1:2} == "$4" && ${2:2} == "$4" ]]; then REPLY=b:$4
  else REPLY=b:$3
  fi
}
