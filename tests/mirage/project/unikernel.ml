let start arguments = List.iter (fun who -> print_endline (Greeting.text who)) ("world" :: arguments)
