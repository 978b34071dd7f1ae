open Cmdliner

let name =
  let doc = Arg.info ~doc:"The name whose address is asked for." [ "host" ] in
  Mirage_runtime.register_arg Arg.(value & opt string "www.example.org" doc)

module Main (Client : Dns_client_mirage.S) = struct
  open Lwt.Infix

  let start client =
    Client.gethostbyname client Domain_name.(host_exn (of_string_exn (name ()))) >|= function
    | Ok address -> Logs.app (fun f -> f "%s is %a" (name ()) Ipaddr.V4.pp address)
    | Error (`Msg message) -> Logs.err (fun f -> f "%s: %s" (name ()) message)
end
