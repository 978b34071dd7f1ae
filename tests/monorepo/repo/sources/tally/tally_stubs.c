#include <caml/alloc.h>
#include <caml/memory.h>
#include <caml/mlvalues.h>
#include <gmp.h>
#include <stdlib.h>

/* In how many orders that many things can be, as digits. */
value tally_ways(value count)
{
  CAMLparam1(count);
  CAMLlocal1(result);
  mpz_t ways;
  mpz_init(ways);
  mpz_fac_ui(ways, Long_val(count));
  char *digits = mpz_get_str(NULL, 9, ways);
  result = caml_copy_string(digits);
  free(digits);
  mpz_clear(ways);
  CAMLreturn(result);
}
