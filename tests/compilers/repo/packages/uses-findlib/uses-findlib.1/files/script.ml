#use "topfind";;
#require "stublib";;
#require "unix";;

assert (Unix.getpid () > 0);;
print_endline ("toplevel: " ^ string_of_int (Answer.answer ()))
