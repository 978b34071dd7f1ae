(* mirage >= 4.11.0 & < 4.12.0 *)
let () = Mirage.register "hello" ~packages:[ ("greeting", ">= \"1.0\"") ] ~libraries:[ "greeting" ]
