let text who = Printf.sprintf "%s %s, from %s" [%shout "hello"] (Wordlist.shout who) (Platform.name ())
