(** How many letters a text in UTF-8 has. *)
val letters : string -> int

(** A greeting for a name, in upper case. *)
val greet : string -> string
