(** The line that [hello] prints for a name. *)
val for_name : string -> string
