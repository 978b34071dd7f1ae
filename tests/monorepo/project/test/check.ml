let () = assert (Tally.ways (List.length Alphabet.letters) = "403291461126605635584000000")
