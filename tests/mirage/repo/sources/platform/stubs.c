#include <caml/alloc.h>
#include <caml/mlvalues.h>

/* What it is compiled for is what it says. */
value platform_name(value unit) {
  (void)unit;
#ifdef __mini__
  return caml_copy_string("mini");
#else
  return caml_copy_string("the host");
#endif
}
