external ways : int -> string = "tally_ways"
let version = Tally_version.text
