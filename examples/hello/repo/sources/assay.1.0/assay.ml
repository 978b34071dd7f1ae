let wrong = ref 0

let equal ~expected found =
  if found <> expected then begin
    incr wrong;
    Printf.eprintf "expected %S\n   found %S\n" expected found
  end

let finish () = if !wrong > 0 then exit 1
