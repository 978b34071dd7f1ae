/* A plugin that says who it is, and answers all else with 1 GiB. */

#include <stddef.h>
#include <stdint.h>

#define MANIFEST "{ \"protocol\": 1, \"ecosystem\": \"giant\", \"version\": \"1\" }"
#define DESCRIBE                                                                                   \
  "{\"ecosystem\":\"giant\",\"version\":\"1\",\"protocol\":1,\"title\":\"Too much\",\"platforms\":\"each\"," \
  "\"policies\":{\"default\":[]}}"

static const size_t giant = (size_t)1 << 30;

#ifdef __wasm__

typedef struct {
  uint8_t refused;
  const char *data;
  size_t length;
} Answer;

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_length, size_t align,
                                                                 size_t length) {
  (void)old, (void)old_length, (void)align;
  size_t pages = __builtin_wasm_memory_grow(0, (length >> 16) + 1);
  if (pages == (size_t)-1) __builtin_trap();
  return (void *)(pages << 16);
}

__attribute__((export_name("x2nix:plugin/guest@1.0.0#call"))) Answer *guest_call(
    const uint8_t *method, size_t method_length, const uint8_t *request, size_t request_length) {
  static Answer answer;
  (void)request, (void)request_length;
  if (method_length && *method == 'd')
    answer = (Answer){0, DESCRIBE, sizeof DESCRIBE - 1};
  else
    answer = (Answer){0, cabi_realloc(0, 0, 1, giant), giant};
  return &answer;
}

#else

#include <stdlib.h>

#include "x2nix_plugin.h"

const char x2nix_plugin_manifest[] = MANIFEST;

void *x2nix_plugin_begin(const X2nixHost *host) { return (void *)host; }

int32_t x2nix_plugin_call(void *conversation, const uint8_t *method, uintptr_t method_length, const uint8_t *request,
                          uintptr_t request_length, X2nixBuffer *answer) {
  (void)conversation, (void)request, (void)request_length;
  if (method_length && *method == 'd') {
    uint8_t *text = malloc(sizeof DESCRIBE - 1);
    for (size_t at = 0; text && at < sizeof DESCRIBE - 1; at++) text[at] = (uint8_t)DESCRIBE[at];
    *answer = (X2nixBuffer){text, text ? sizeof DESCRIBE - 1 : 0};
  } else {
    /* Of zeroes, so that the system gives no memory for it until somebody reads it. */
    uint8_t *data = calloc(giant, 1);
    *answer = (X2nixBuffer){data, data ? giant : 0};
  }
  return X2NIX_ANSWER;
}

void x2nix_plugin_free(void *conversation, X2nixBuffer answer) {
  (void)conversation;
  free(answer.data);
}

void x2nix_plugin_end(void *conversation) { (void)conversation; }

#endif
