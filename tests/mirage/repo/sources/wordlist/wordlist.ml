(* Used by the ppx, which runs on the host, and by the unikernel, on the target. *)
let shout text = String.uppercase_ascii text ^ "!"
