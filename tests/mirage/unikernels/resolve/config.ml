(* mirage >= 4.11.0 & < 4.12.0 *)
open Mirage

let stack = generic_stackv4v6 default_network
let dns = generic_dns_client stack (generic_happy_eyeballs stack)
let () = register "resolve" [ main "Unikernel.Main" (dns_client @-> job) $ dns ]
