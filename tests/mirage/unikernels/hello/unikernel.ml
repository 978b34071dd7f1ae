open Cmdliner

let whom =
  let doc = Arg.info ~doc:"Who is greeted." [ "whom" ] in
  Mirage_runtime.register_arg Arg.(value & opt string "world" doc)

let start () =
  let rec greet = function
    | 0 -> Lwt.return_unit
    | n ->
      Logs.info (fun f -> f "hello, %s" (whom ()));
      Lwt.bind (Mirage_sleep.ns (Duration.of_ms 200)) (fun () -> greet (n - 1))
  in
  greet 3
