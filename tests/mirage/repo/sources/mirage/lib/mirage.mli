(** A miniature of the library that a [config.ml] is written with: it writes the same kinds of files. *)

val register : ?packages:(string * string) list -> ?libraries:string list -> string -> unit
(** [register name] is a unikernel that runs [Unikernel.start]. Packages are opam names with a bound, which
    may be empty; libraries are what dune links. What is to be made is taken from the command line. *)

(**/**)

type request = { target : string; config : string; arguments : string list }

val request : string array -> request
val write : string -> string -> unit
