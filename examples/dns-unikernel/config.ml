(* mirage >= 4.11.0 & < 4.12.0 *)
open Mirage

(* The zones are files of a tar archive on a block device, so they change without another build. *)
let zones = tar_kv_ro (block_of_file "zones")
let stack = generic_stackv4v6 default_network

let server =
  main
    ~packages:[ package "dns"; package "dns-server" ~sublibs:[ "mirage"; "zone" ] ]
    "Unikernel.Main"
    (kv_ro @-> stackv4v6 @-> job)

let () = register "nameserver" [ server $ zones $ stack ]
