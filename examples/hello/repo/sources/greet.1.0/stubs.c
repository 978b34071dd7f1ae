#include <caml/mlvalues.h>

/* The bytes of UTF-8 text that are letters of ASCII or start a longer sequence. */
value greet_letters(value text)
{
    long letters = 0;
    for (mlsize_t i = 0; i < caml_string_length(text); i++) {
        unsigned char byte = Byte_u(text, i);
        unsigned char lower = byte | 0x20;
        letters += (lower >= 'a' && lower <= 'z') || byte >= 0xc0;
    }
    return Val_long(letters);
}
