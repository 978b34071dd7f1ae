let letters = List.init 26 (fun i -> Char.chr (Char.code 'a' + i))
let is_vowel letter = String.contains "aeiou" letter
