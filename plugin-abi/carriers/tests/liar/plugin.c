/* A plugin that says who it is, and answers all else with what is no answer: which, says the first root that it is
   asked for, which only has to be somewhere in the request. A native one with LIAR_CHANGES in its environment
   describes itself otherwise at the second time. */

#include <stddef.h>
#include <stdint.h>

#ifndef __wasm__
#include <stdlib.h>
#endif

#define MANIFEST "{ \"protocol\": 1, \"ecosystem\": \"liar\", \"version\": \"1\" }"
#define DESCRIBE(TITLE)                                                                              \
  "{\"ecosystem\":\"liar\",\"version\":\"1\",\"protocol\":1,\"title\":\"" TITLE "\",\"platforms\":\"each\"," \
  "\"policies\":{\"default\":[]}}"

typedef struct {
  const char *root, *text;
  size_t length;
} Lie;

#define LIE(ROOT, TEXT) {"\"" ROOT "\"", TEXT, sizeof TEXT - 1}

static const Lie lies[] = {
    {"\"giant\"", 0, (size_t)1 << 30},
    LIE("utf-8", "{\"environment\":{\"name\":\"caf\xe9\"}}"),
    LIE("surrogate", "{\"environment\":{\"name\":\"\\ud800\"}}"),
    LIE("words", "I do not know."),
    LIE("half", "{\"roots\":[{\"need\":0"),
    LIE("two", "{\"roots\":[]} {}"),
    LIE("empty", ""),
    LIE("huge", "{\"roots\":[{\"need\":99999999999999999999}]}"),
    LIE("type", "{\"environment\":{},\"roots\":[{\"need\":{\"any\":[{\"set\":\"one\"}]}}]}"),
    LIE("nest", "{\"dictionary\":{\"names\":[{\"text\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["),
    LIE("missing", "{\"dictionary\":{\"names\":[{}]}}"),
};

static const Lie *lie_of(const uint8_t *request, size_t length) {
  for (size_t number = 0; number < sizeof lies / sizeof *lies; number++) {
    const char *root = lies[number].root;
    for (size_t start = 0; start < length; start++) {
      size_t same = 0;
      while (root[same] && start + same < length && request[start + same] == (uint8_t)root[same]) same++;
      if (!root[same]) return &lies[number];
    }
  }
  return 0;
}

static const Lie one = {0, DESCRIBE("One"), sizeof DESCRIBE("One") - 1};
static const Lie another = {0, DESCRIBE("Two"), sizeof DESCRIBE("Two") - 1};

/* What it says: a text, or, where that is null, as many bytes of zeroes. */
static Lie answer_of(const uint8_t *method, size_t method_length, const uint8_t *request, size_t length) {
  static int described;
#ifndef __wasm__
  if (!getenv("LIAR_CHANGES")) described = 0;
#endif
  if (method_length && *method == 'd') return described++ ? another : one;
  const Lie *lie = lie_of(request, length);
  return lie ? *lie : (Lie){0, "{}", 2};
}

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
  Lie lie = answer_of(method, method_length, request, request_length);
  answer = (Answer){0, lie.text ? lie.text : cabi_realloc(0, 0, 1, lie.length), lie.length};
  return &answer;
}

#else

#include "x2nix_plugin.h"

const char x2nix_plugin_manifest[] = MANIFEST;

void *x2nix_plugin_begin(const X2nixHost *host) { return (void *)host; }

int32_t x2nix_plugin_call(void *conversation, const uint8_t *method, uintptr_t method_length, const uint8_t *request,
                          uintptr_t request_length, X2nixBuffer *answer) {
  (void)conversation;
  Lie lie = answer_of(method, method_length, request, request_length);
  /* Zeroes need no memory of the system until somebody reads them. */
  uint8_t *data = calloc(lie.length + 1, 1);
  for (size_t at = 0; lie.text && data && at < lie.length; at++) data[at] = (uint8_t)lie.text[at];
  *answer = (X2nixBuffer){data, data ? lie.length : 0};
  return X2NIX_ANSWER;
}

void x2nix_plugin_free(void *conversation, X2nixBuffer answer) {
  (void)conversation;
  free(answer.data);
}

void x2nix_plugin_end(void *conversation) { (void)conversation; }

#endif
