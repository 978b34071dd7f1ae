external greeting : unit -> string = "words_greeting"
