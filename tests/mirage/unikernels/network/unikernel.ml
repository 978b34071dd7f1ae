module Main (Stack : Tcpip.Stack.V4V6) = struct
  open Lwt.Infix

  let start stack =
    let udp = Stack.udp stack in
    Stack.UDP.listen udp ~port:7 (fun ~src ~dst:_ ~src_port data ->
      Stack.UDP.write ~src_port:7 ~dst:src ~dst_port:src_port udp data >|= ignore);
    Stack.TCP.listen (Stack.tcp stack) ~port:80 (fun flow ->
      Stack.TCP.write flow (Cstruct.of_string "hello from a unikernel\n") >>= fun _ -> Stack.TCP.close flow);
    Logs.app (fun f -> f "listening");
    Stack.listen stack
end
