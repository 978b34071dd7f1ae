(** What the crate says. *)
val greeting : unit -> string
