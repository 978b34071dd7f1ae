(* Compiles config.ml against the library, and lets it write what it describes. *)
let run program arguments =
  let command = Filename.quote_command program arguments in
  if Sys.command command <> 0 then exit 1

let () =
  let { Mirage.config; _ } = Mirage.request Sys.argv in
  if not (Sys.file_exists config) then (prerr_endline ("mirage: there is no " ^ config); exit 1);
  let here = Filename.dirname config in
  Mirage.write "dune-project" "(lang dune 3.0)\n";
  Mirage.write (Filename.concat here "dune")
    "(executable (name config) (modules config) (libraries mirage))\n";
  let program = Filename.concat here "config.exe" in
  run "dune" [ "build"; "--root"; "."; program ];
  run (Filename.concat "_build/default" program) (List.tl (Array.to_list Sys.argv))
