external letters : string -> int = "greet_letters" [@@noalloc]

let greet name = Printf.sprintf "Hello, %s!" name
