# What a build script says on its standard output, one instruction a line: KIND VALUE. A value has no line
# ends, so nothing in it can become another instruction. Lines that are none are for people.
#   cargo::KEY=VALUE            cargo:KEY=VALUE, where any other KEY is metadata
# The kinds: cfg check-cfg link-lib link-search link-arg link-arg-bins link-arg-bin link-arg-cdylib env
# metadata; of the last three, the value is NAME=VALUE.

function die(what) {
  print "x2nix-cargo: the build script of " name " says `" line "`: " what > "/dev/stderr"
  failed = 1
  exit 1
}

# -l and -L with their values, from `rustc-flags`
function rustc_flags(text,    words, count, i, flag, rest) {
  count = split(text, words, /[ \t]+/)
  for (i = 1; i <= count; i++) {
    if (words[i] == "") continue
    flag = substr(words[i], 1, 2)
    rest = substr(words[i], 3)
    if (flag != "-l" && flag != "-L") die("only -l and -L may be among rustc-flags")
    if (rest == "") rest = words[++i]
    if (rest == "") die("a flag lacks its value")
    print (flag == "-l" ? "link-lib " : "link-search ") rest
  }
}

BEGIN {
  count = split("rustc-flags rustc-link-lib rustc-link-search rustc-link-arg-cdylib rustc-cdylib-link-arg " \
    "rustc-link-arg-bins rustc-link-arg-bin rustc-link-arg-tests rustc-link-arg-benches " \
    "rustc-link-arg-examples rustc-link-arg rustc-cfg rustc-check-cfg rustc-env warning " \
    "rerun-if-changed rerun-if-env-changed", keys, " ")
  for (i = 1; i <= count; i++) known[keys[i]] = 1
}

{
  line = $0
  gsub(/^[ \t\r]+|[ \t\r]+$/, "", line)
  if (substr(line, 1, 7) == "cargo::") { data = substr(line, 8); old = 0 }
  else if (substr(line, 1, 6) == "cargo:") { data = substr(line, 7); old = 1 }
  else next
  at = index(data, "=")
  if (!at) die("there is no `=` in it")
  key = substr(data, 1, at - 1)
  value = substr(data, at + 1)
  if (old && !(key in known)) { value = data; key = "metadata" }

  if (key == "metadata") {
    if (!index(value, "=")) die("metadata is KEY=VALUE")
    print "metadata " value
  } else if (key == "rustc-flags") rustc_flags(value)
  else if (key == "rustc-link-lib") print "link-lib " value
  else if (key == "rustc-link-search") print "link-search " value
  else if (key == "rustc-cfg") print "cfg " value
  else if (key == "rustc-check-cfg") print "check-cfg " value
  else if (key == "rustc-link-arg") print "link-arg " value
  else if (key == "rustc-link-arg-bins") print "link-arg-bins " value
  else if (key == "rustc-link-arg-cdylib" || key == "rustc-cdylib-link-arg") print "link-arg-cdylib " value
  else if (key == "rustc-link-arg-bin") {
    if (!index(value, "=")) die("it is BINARY=ARGUMENT")
    print "link-arg-bin " value
  } else if (key == "rustc-env") {
    if (value !~ /^[^=]+=/) die("it is NAME=VALUE")
    # It would make a stable compiler another one.
    if (value ~ /^RUSTC_BOOTSTRAP=/) print "x2nix-cargo: " name " sets RUSTC_BOOTSTRAP, which is left out" > "/dev/stderr"
    else print "env " value
  } else if (key == "warning") print "warning: " name ": " value > "/dev/stderr"
  else if (key == "error") die("it gives up")
  else if (!(key in known)) die("there is no such instruction")
}

END { if (failed) exit 1 }
