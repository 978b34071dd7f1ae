(** The text with its letters of ASCII in upper case. *)
val shout : string -> string
