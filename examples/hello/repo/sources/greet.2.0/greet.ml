external letters : string -> int = "greet_letters" [@@noalloc]

let greet name = Printf.sprintf "HELLO, %s!" (String.uppercase_ascii name)
