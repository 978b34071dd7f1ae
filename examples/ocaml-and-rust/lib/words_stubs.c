#include <caml/alloc.h>
#include <caml/mlvalues.h>
#include <stddef.h>

/* Of the crate salute-text. */
size_t salute_text(char *into, size_t room);

value words_greeting(value unit)
{
  char text[64];
  size_t length = salute_text(text, sizeof text);
  (void)unit;
  return caml_alloc_initialized_string(length <= sizeof text ? length : 0, text);
}
