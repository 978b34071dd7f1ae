# Reads a file in opam's syntax (opam-file-format: opamLexer.mll, opamBaseParser.mly) on standard
# input. What it prints depends on `mode`; every record ends in NUL:
#   check     nothing: the exit status says whether it is such a file
#   install   of a .install file, for each file to install: line, section, "?" if it is optional,
#             source, and "=" with the destination if there is one
#   config    of a .config file: name and value of each variable
#   chunks    the text in pieces to expand: "r" (as it is), "u" (outside of strings), "q" (inside)
# Exit status 1 after a message. ENVIRON["file"] is the file's name in messages. Run it with LC_ALL=C.
# POSIX awk: works in mawk and gawk alike, so no intervals, no RT, no \x in regular expressions.

BEGIN {
  word = "[A-Za-z0-9_-]*[A-Za-z][A-Za-z0-9_-]*"
  ident = "^(" word "|_)([+](" word "|_))*(:" word ")?"
  # In the order in which opam installs (OpamAction.preprocess_dot_install): the last one wins.
  sections = split("bin sbin lib libexec lib_root libexec_root toplevel stublibs man share share_root etc doc misc", section)
  for (i = 1; i <= sections; i++) known[section[i]] = 1
  state = "item"
  if (mode == "chunks") printf "r"
}

mode == "chunks" { chunks($0); next }
{ scan($0 ~ /\r$/ ? substr($0, 1, length($0) - 1) : $0) }

END {
  if (failed) exit 1
  if (mode == "chunks") { printf "%c", 0; exit }
  if (quote) fail("unterminated string", quoteLine)
  if (comment) fail("unterminated comment", NR)
  if (state == "after" && !depth) { endField(); state = "item" }
  if (state != "item" || depth) fail("the file ends too early", NR)
  if (mode == "install") printInstall()
  if (mode == "config") printConfig()
}

function fail(message, line) {
  failed = 1 # exit runs END
  if (mode != "check") print ENVIRON["file"] ":" line ": " message > "/dev/stderr"
  exit 1
}
function warn(message, line) {
  if (mode != "check") print "warning: " ENVIRON["file"] ":" line ": " message > "/dev/stderr"
}

# --- Tokens ---------------------------------------------------------------------------------------

# Takes one line. Works on a window of it, so that a long line costs as little as many short ones.
function scan(line,    at, rest, size, ahead, c, n, code, kind) {
  size = length(line)
  at = 1
  if (skip) { sub(/^[ \t]+/, "", line); size = length(line); skip = 0 }
  while (1) {
    if (length(rest) < 256 && at <= size) {
      ahead = substr(line, at, 1024)
      rest = rest ahead
      at += length(ahead)
    }
    if (rest == "") break
    if (comment) {
      if (!match(rest, /\(\*|\*\)/)) { rest = (at <= size) ? substr(rest, length(rest)) : ""; if (at > size) break; continue }
      comment += substr(rest, RSTART, 1) == "(" ? 1 : -1
      rest = substr(rest, RSTART + 2)
    } else if (quote) {
      n = match(rest, /["\\]/) ? RSTART - 1 : length(rest)
      append(substr(rest, 1, n))
      rest = substr(rest, n + 1)
      c = substr(rest, 1, 1)
      if (c == "") continue
      if (c == "\"") {
        if (quote == 1 || substr(rest, 1, 3) == "\"\"\"") {
          rest = substr(rest, quote + 1)
          quote = 0
          token("string", text piece)
        } else {
          append(c)
          rest = substr(rest, 2)
        }
      } else {
        c = substr(rest, 2, 1)
        n = 2
        if (c == "") { skip = 1; return } # the line goes on, without what indents the next one
        else if (c == "n") c = "\n"
        else if (c == "t") c = "\t"
        else if (c == "r") c = "\r"
        else if (c == "b") c = "\b"
        else if (rest ~ /^\\[0-9][0-9][0-9]/) { c = character(substr(rest, 2, 3) + 0); n = 4 }
        else if (rest ~ /^\\x[0-9A-Fa-f][0-9A-Fa-f]/) {
          code = "0123456789abcdef"
          c = character(16 * index(code, tolower(substr(rest, 3, 1))) + index(code, tolower(substr(rest, 4, 1))) - 17)
          n = 4
        } else if (!index("\\\"' ", c)) fail("illegal escape sequence", NR)
        append(c)
        rest = substr(rest, n + 1)
      }
    } else {
      c = substr(rest, 1, 1)
      n = 1
      if (c == " " || c == "\t") {
        match(rest, /^[ \t]+/)
        rest = substr(rest, RLENGTH + 1)
        continue
      }
      if (c == "#") return
      if (c == "\"") {
        quote = substr(rest, 1, 3) == "\"\"\"" ? 3 : 1
        quoteLine = NR
        text = piece = ""
        rest = substr(rest, quote + 1)
        continue
      }
      if (c == "(" && substr(rest, 2, 1) == "*") {
        comment = 1
        rest = substr(rest, 3)
        continue
      }
      if (index("{}[]()&|", c)) kind = c
      else if (c == "!" && substr(rest, 2, 1) != "=" || c == "?") kind = "prefix"
      else if (match(rest, /^([+:]=|=[+:]=?)/)) { n = RLENGTH; kind = "envop" }
      else if (match(rest, /^([!<>]?=|[<>~])/)) { n = RLENGTH; kind = "relop" }
      else if (c == ":") kind = c
      else {
        n = match(rest, ident) ? RLENGTH : 0
        kind = "ident"
        if (match(rest, /^-?[0-9_]+/) && RLENGTH >= n) {
          n = rest ~ /^-?[0-9]/ ? RLENGTH : 0
          kind = "int"
        }
        if (!n) fail("not a valid token", NR)
        if (n == length(rest) && at <= size) fail("a name is too long", NR)
        if (n < 6 && rest ~ /^(true|false)/ && substr(rest, 1, n) ~ /^(true|false)$/) kind = "bool"
      }
      code = substr(rest, 1, n)
      rest = substr(rest, n + 1)
      token(kind, code)
    }
  }
  if (quote) append("\n")
}

# A string grows in two steps: adding a little to something long copies it.
function append(more) {
  piece = piece more
  if (length(piece) > 4096) { text = text piece; piece = "" }
}
function character(code) {
  if (code < 1 || code > 255) fail("illegal escape sequence", NR)
  return sprintf("%c", code)
}

# --- Grammar --------------------------------------------------------------------------------------
# A machine with a stack: `open` has the brackets that are open; "<" is a section's brace. Its state:
#   item     a field, a section, or the end of one
#   named    after a name: its colon, title or brace
#   titled   after the title of a section
#   operand  a value has to come; with `may`, a closing bracket may come instead
#   atom     an atom has to come
#   after    a value is complete; `bare` if it is a plain atom

function token(kind, value) {
  if (state == "item") {
    if (kind == "ident") { name = value; nameLine = NR; title = 0; state = "named" }
    else if (kind == "}" && open[depth] == "<") depth--
    else unexpected()
  } else if (state == "named" && kind == ":") {
    state = "operand"
    may = 0
    beginField()
  } else if (state == "named" && kind == "string") { title = 1; state = "titled" }
  else if (state == "named" || state == "titled") {
    if (kind != "{") unexpected()
    beginSection()
    open[++depth] = "<"
    state = "item"
  } else if (state == "atom") {
    if (kind !~ /^(ident|string|bool|int)$/) unexpected()
    state = "after"
    bare = 0
  } else if (kind ~ /^[])}]$/ && depth && open[depth] != "<" && (state == "after" || may)) {
    if (kind != closing(open[depth])) unexpected()
    depth--
    state = "after"
    bare = 0
  } else if (state == "after" && kind == "{") opening("{")
  else if (state == "after" && (kind == "&" || kind == "|" || bare && (kind == "relop" || kind == "envop"))) {
    bad = 1
    state = kind ~ /op$/ ? "atom" : "operand"
    may = 0
  } else if (state == "after" && (!depth || open[depth] == "<")) {
    endField()
    state = "item"
    token(kind, value)
  } else if (kind == "[" || kind == "(") opening(kind)
  else if (kind == "relop" || kind == "prefix") {
    bad = 1
    state = kind == "relop" ? "atom" : "operand"
    may = 0
  } else if (kind ~ /^(ident|string|bool|int)$/) {
    state = "after"
    bare = 1
    atom(kind, value)
  } else unexpected()
}
function opening(kind) {
  open[++depth] = kind
  if (kind == "(") bad = 1
  if (kind == "[" && shape() != "[") bad = 1
  if (kind == "{") options()
  state = "operand"
  may = 1
}
function closing(kind) { return kind == "[" ? "]" : kind == "(" ? ")" : "}" }
function unexpected() { fail("syntax error", NR) }

# --- What the fields mean -------------------------------------------------------------------------
# A field that is not as it should be is left out with a warning, and so are unknown ones
# (OpamFormat.I.fields, show_errors); of two with the same name the first counts.

# The brackets that are open inside of the field.
function shape(    i, all) {
  for (i = base + 1; i <= depth && i < base + 4; i++) all = all open[i]
  return all
}

function beginSection() {
  if (mode == "config" && depth == 0 && name == "variables" && !title && !hasVariables) hasVariables = 1
  else {
    if (depth == 0) warn("the section " name " is left out", nameLine)
    ignored[depth + 1] = 1
    return
  }
  ignored[depth + 1] = 0
}

function beginField() {
  base = depth
  bad = 0
  first = count + 1 # of the entries
  value = ""
  values = 0
}

function atom(kind, value) {
  if (mode == "install") installAtom(kind, value)
  if (mode == "config") configAtom(kind, value)
}

function installAtom(kind, value,    where) {
  where = shape()
  if (kind != "string") bad = 1
  else if (where == "" || where == "[") {
    count++
    entryLine[count] = NR
    optional[count] = value ~ /^[?]/
    source[count] = optional[count] ? substr(value, 2) : value
    target[count] = ""
    hasOptions = 0
  } else if ((where == "{" || where == "[{") && target[count] == "") target[count] = "=" value
  else bad = 1
}
# A brace after a value: `"source" {"destination"}`, once.
function options(    where) {
  where = shape()
  if (where != "{" && where != "[{" || count < first || hasOptions || !bare) bad = 1
  hasOptions = 1
}

function configAtom(kind, value,    where) {
  where = shape()
  values++
  if (where == "" && (kind == "string" || kind == "bool")) configValue = value
  else if (where == "[" && kind == "string") configValue = values == 1 ? value : configValue " " value
  else bad = 1
}

function endField(    i) {
  if (mode == "install") {
    if (depth || name == "opam-version") count = first - 1
    else if (!(name in known) || (name in seen)) {
      warn("the field " name " is " (name in known ? "a duplicate" : "unknown") " and left out", nameLine)
      count = first - 1
    } else {
      seen[name] = 1
      for (i = first; i <= count; i++) if (name == "misc" && target[i] !~ /^=\//) bad = 1
      if (bad) warn("the field " name " is not a list of files and left out", nameLine)
      else { from[name] = first; to[name] = count }
      if (bad) count = first - 1
    }
  } else if (mode == "config") {
    if (depth > 1 || depth && ignored[1]) return
    if (!depth && name == "opam-version") version = configValue
    else if (!depth && name == "file-depends") return
    else {
      variables++
      variable[variables] = name
      content[variables] = values ? configValue : ""
      inSection[variables] = depth
      malformed[variables] = bad ? nameLine : 0
      variableLine[variables] = nameLine
    }
  }
}

function printInstall(    s, i, file) {
  for (s = 1; s <= sections; s++) {
    if (!(section[s] in from)) continue
    for (i = from[section[s]]; i <= to[section[s]]; i++) {
      if (section[s] == "man" && target[i] == "") {
        # Dot_install.add_man_section_dir: foo.1 and foo.1.gz go to man1.
        file = source[i]
        sub(/\/+$/, "", file)
        sub(/.*\//, "", file)
        if (file !~ /\.[1-8][^.]*(\.gz)?$/) fail("man file without destination or recognised suffix", entryLine[i])
        target[i] = file
        sub(/\.gz$/, "", file)
        sub(/.*\./, "", file)
        target[i] = "=man" substr(file, 1, 1) "/" target[i]
      }
      printf "%d%c%s%c%s%c%s%c%s%c", entryLine[i], 0, section[s], 0, optional[i] ? "?" : "", 0, source[i], 0, target[i], 0
    }
  }
}

# Without opam-version, or with an old one, the variables are the fields (Dot_configSyntax.pp).
function printConfig(    i, old) {
  old = version == "" || version ~ /^(0|1\.[0-2])([^0-9]|$)/
  for (i = 1; i <= variables; i++) {
    if (!inSection[i] && !old) { warn("the field " variable[i] " is unknown and left out", variableLine[i]); continue }
    if (!malformed[i]) continue
    warn("the variable " variable[i] " is no string, list of strings or boolean: all are left out", malformed[i])
    return
  }
  for (i = 1; i <= variables; i++) {
    if (!inSection[i] && !old || (variable[i] in printed)) continue
    printed[variable[i]] = 1
    printf "%s%c%s%c", variable[i], 0, content[i], 0
  }
}

# --- Pieces to expand (OpamInterpLexer) -----------------------------------------------------------
# A piece is what stands between quotes or line ends.

function chunks(line,    n, i, part, piece) {
  n = split(line, part, "\"")
  for (i = 1; i <= n; i++) {
    piece = part[i]
    if (quote) while (i < n && piece ~ /^([^\\]|\\.)*\\$/) piece = piece "\"" part[++i]
    if (index(piece, "%")) printf "%c%s%s%cr", 0, quote ? "q" : "u", piece, 0
    else printf "%s", piece
    if (i == n) break
    if (i + 2 < n && part[i + 1] == "" && part[i + 2] == "") {
      # Three quotes end a string of either kind.
      printf "\"\"\""
      i += 2
      quote = quote ? 0 : 3
    } else {
      printf "\""
      if (quote != 3) quote = !quote
    }
  }
  printf "\n"
}
