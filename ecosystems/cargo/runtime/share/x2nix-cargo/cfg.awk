# From the lines of `rustc --print cfg` to the variables of a build script: CARGO_CFG_KEY=VALUE,VALUE.
# Whether there are debug assertions the profile says, and not rustc.
{
  at = index($0, "=")
  key = at ? substr($0, 1, at - 1) : $0
  if (key == "" || key == "debug_assertions") next
  if (!(key in values)) { order[++count] = key; values[key] = "" }
  if (!at) next
  value = substr($0, at + 1)
  if (value ~ /^".*"$/) value = substr(value, 2, length(value) - 2)
  values[key] = filled[key] ? values[key] "," value : value
  filled[key] = 1
}
END {
  for (i = 1; i <= count; i++) {
    name = toupper(order[i])
    gsub(/-/, "_", name)
    print "CARGO_CFG_" name "=" values[order[i]]
  }
}
