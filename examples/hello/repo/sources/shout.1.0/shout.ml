let shout = String.uppercase_ascii
