let () =
  let name = if Array.length Sys.argv > 1 then Sys.argv.(1) else "world" in
  print_endline (Phrase.for_name name)
