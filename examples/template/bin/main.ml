let () = print_endline "Hello from x2nix!"
