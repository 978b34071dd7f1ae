let () =
  assert (Unix.getpid () > 0);
  let how = if Array.length Sys.argv > 1 then Sys.argv.(1) else "answer" in
  print_endline (how ^ ": " ^ string_of_int (Answer.answer ()))
