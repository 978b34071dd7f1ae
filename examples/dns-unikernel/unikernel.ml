(* An authoritative name server: each file of the block device `zones` is a zone, called as the zone. *)

module Main (Zones : Mirage_kv.RO) (Stack : Tcpip.Stack.V4V6) = struct
  module Server = Dns_server_mirage.Make (Stack)
  open Lwt.Infix

  let fail error = failwith (Fmt.str "%a" Zones.pp_error error)
  let ok = function Ok value -> value | Error error -> fail error

  let zone zones (name, kind) =
    match kind with
    | `Dictionary -> Lwt.return_none
    | `Value -> Zones.get zones name >|= fun data -> Some (Mirage_kv.Key.basename name, ok data)

  let start zones stack =
    Zones.list zones Mirage_kv.Key.empty >|= ok >>= Lwt_list.filter_map_s (zone zones) >>= fun data ->
    let names, trie = Dns_zone.decode_zones data in
    Logs.app (fun f -> f "serving %a" Fmt.(iter Domain_name.Set.iter ~sep:comma Domain_name.pp) names);
    let primary = Dns_server.Primary.create ~rng:Mirage_crypto_rng.generate trie in
    Server.primary stack primary;
    Stack.listen stack
end
