let () = Printf.printf "%s, says Rust. %s, says OCaml.\n" (Words.greeting ()) (Shout.shout (Words.greeting ()))
