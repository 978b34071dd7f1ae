(** Says so where the text found is not the expected one. *)
val equal : expected:string -> string -> unit

(** Ends the program, with failure if anything differed. *)
val finish : unit -> unit
