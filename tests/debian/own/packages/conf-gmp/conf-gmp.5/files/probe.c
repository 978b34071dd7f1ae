#include <gmp.h>

int main(void) {
  mpz_t two;
  mpz_init_set_ui(two, 1);
  mpz_add_ui(two, two, 1);
  return mpz_cmp_ui(two, 2) != 0;
}
