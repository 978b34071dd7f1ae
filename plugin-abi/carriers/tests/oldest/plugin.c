/* A plugin of the oldest protocol that x2nix speaks, as somebody may have built it then. It and the header
   beside it never change: what they say and how they say it has to work for as long as that protocol does.
   Its answers are fixed texts; it looks into its repository, so that a question to the host is among them. */

#include <stddef.h>
#include <stdint.h>

#define MANIFEST "{ \"protocol\": 1, \"ecosystem\": \"oldest\", \"version\": \"1\" }"

static const char *const answers[][2] = {
    {"describe", "{\"ecosystem\":\"oldest\",\"version\":\"1\",\"protocol\":1,\"title\":\"The oldest\",\"platforms\":\"each\","
                 "\"policies\":{\"default\":[{\"measure\":\"lag\",\"over\":\"all\"}]}}"},
    {"open", "{\"dictionary\":{\"names\":[{\"text\":\"ancient\"}],\"sets\":[{\"name\":0,\"text\":\">= 1\"}]},"
             "\"roots\":[{\"need\":{\"all\":[0,{\"set\":0,\"role\":\"build\"},{\"any\":[0]}]}}]}"},
    {"facts", "{\"packages\":[{\"name\":0,\"candidates\":[{\"version\":\"2\"},{\"version\":\"1\",\"marks\":[\"avoid\"]}]}]}"},
    {"members", "{\"sets\":[[[0,2]]]}"},
    {"build", "{\"units\":{},\"unit_of\":[null]}"},
};

static size_t length_of(const char *text) {
  size_t length = 0;
  while (text[length]) length++;
  return length;
}

static int same(const char *text, const uint8_t *bytes, size_t length) {
  for (size_t at = 0; at < length; at++)
    if (!text[at] || text[at] != (char)bytes[at]) return 0;
  return !text[length];
}

/* The answer to a method; a diagnostic if there is none. */
static const char *answer_to(const uint8_t *method, size_t length, int *refused) {
  for (size_t at = 0; at < sizeof answers / sizeof *answers; at++)
    if (same(answers[at][0], method, length)) return answers[at][1];
  *refused = 1;
  return "{\"code\":\"oldest::method\",\"severity\":\"error\",\"message\":\"there is no such method\"}";
}

static const char list[] = "{\"tree\":0,\"folders\":[\"\"]}";

#ifdef __wasm__

typedef struct {
  uint8_t refused;
  const char *data;
  size_t length;
} Answer;

__attribute__((import_module("x2nix:plugin/host@1.0.0"), import_name("call"))) void host_call(
    const char *method, size_t method_length, const char *request, size_t request_length, Answer *answer);

extern uint8_t __heap_base;
static size_t used;

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_length, size_t align,
                                                                 size_t length) {
  (void)old, (void)old_length, (void)align;
  uint8_t *data = &__heap_base + used;
  used += (length + 15) & ~(size_t)15;
  size_t end = (size_t)data + length, have = __builtin_wasm_memory_size(0) << 16;
  if (end > have && __builtin_wasm_memory_grow(0, ((end - have) >> 16) + 1) == (size_t)-1) __builtin_trap();
  return data;
}

__attribute__((export_name("x2nix:plugin/guest@1.0.0#call"))) Answer *guest_call(
    const uint8_t *method, size_t method_length, const uint8_t *request, size_t request_length) {
  static Answer answer;
  (void)request, (void)request_length;
  if (same("open", method, method_length)) {
    host_call("list", 4, list, length_of(list), &answer);
    if (answer.refused) return &answer;
  }
  int refused = 0;
  const char *text = answer_to(method, method_length, &refused);
  answer = (Answer){(uint8_t)refused, text, length_of(text)};
  return &answer;
}

#else

#include "x2nix_plugin.h"

const char x2nix_plugin_manifest[] = MANIFEST;

void *x2nix_plugin_begin(const X2nixHost *host) { return (void *)host; }

int32_t x2nix_plugin_call(void *conversation, const uint8_t *method, uintptr_t method_length, const uint8_t *request,
                          uintptr_t request_length, X2nixBuffer *answer) {
  const X2nixHost *host = conversation;
  int refused = 0;
  (void)request, (void)request_length;
  if (same("open", method, method_length)) {
    X2nixBuffer listing = {0};
    refused = host->call(host->context, (const uint8_t *)"list", 4, (const uint8_t *)list, length_of(list), &listing);
    host->free(host->context, listing);
  }
  const char *text = answer_to(method, method_length, &refused);
  *answer = (X2nixBuffer){(uint8_t *)text, length_of(text)};
  return refused ? X2NIX_REFUSED : X2NIX_ANSWER;
}

void x2nix_plugin_free(void *conversation, X2nixBuffer answer) { (void)conversation, (void)answer; }

void x2nix_plugin_end(void *conversation) { (void)conversation; }

#endif
