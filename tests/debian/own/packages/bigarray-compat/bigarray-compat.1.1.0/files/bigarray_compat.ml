include Stdlib.Bigarray
