external name : unit -> string = "platform_name"
