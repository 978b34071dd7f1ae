let for_name name =
  let greeting = Greet.greet name in
  Printf.sprintf "%s (%d letters, as C counts them)" (Shout.shout greeting) (Greet.letters greeting)
