(* Runs while the project is built, and writes a module of it. *)
let () =
  let vowels = List.filter Alphabet.is_vowel Alphabet.letters in
  Printf.printf "let vowels = %S\n" (String.of_seq (List.to_seq vowels))
