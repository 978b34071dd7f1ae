let () =
  let count = String.length Table.vowels in
  Printf.printf "%s: %s orders of %s (%s)\n" Stamped.text (Tally.ways count) Table.vowels Tally.version
