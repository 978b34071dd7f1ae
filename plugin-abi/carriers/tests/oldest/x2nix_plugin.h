/* The C interface of a plugin of x2nix, made from plugin-abi/protocol/src/abi.rs. */

#ifndef X2NIX_PLUGIN_H
#define X2NIX_PLUGIN_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/*
 What came of a call.
 */
#define X2NIX_ANSWER 0

/*
 The buffer holds a diagnostic.
 */
#define X2NIX_REFUSED 1

/*
 The callee broke down; the buffer holds plain text that says how, or nothing. The conversation is over.
 */
#define X2NIX_BROKEN 2

/*
 Bytes that their maker owns: whoever gets them gives them back to be freed.
 */
typedef struct X2nixBuffer {
  /*
   The first byte; anything where the length is 0.
   */
  uint8_t *data;
  /*
   How many.
   */
  uintptr_t length;
} X2nixBuffer;

/*
 The host of one conversation, valid until it ends.
 */
typedef struct X2nixHost {
  /*
   Handed to the functions.
   */
  void *context;
  /*
   Asks the host: `list`, `read`, `open`, `fetch`. The answer is given back to `free`. Only to be called
   while `x2nix_plugin_call` runs, from its thread.
   */
  int32_t (*call)(void *context,
                  const uint8_t *method,
                  uintptr_t method_length,
                  const uint8_t *request,
                  uintptr_t request_length,
                  struct X2nixBuffer *answer);
  /*
   Frees an answer.
   */
  void (*free)(void *context, struct X2nixBuffer answer);
} X2nixHost;

/*
 `x2nix_plugin_begin`: begins a conversation. The host is valid until it ends. What it returns is
 handed to the other functions, by one thread at a time; null: it could not begin.
 */
typedef void *(*X2nixPluginBegin)(const struct X2nixHost *host);

/*
 `x2nix_plugin_call`: answers one message: `X2NIX_ANSWER`, `X2NIX_REFUSED` or `X2NIX_BROKEN`.
 */
typedef int32_t (*X2nixPluginCall)(void *conversation,
                                   const uint8_t *method,
                                   uintptr_t method_length,
                                   const uint8_t *request,
                                   uintptr_t request_length,
                                   struct X2nixBuffer *answer);

/*
 `x2nix_plugin_free`: frees an answer of `x2nix_plugin_call`.
 */
typedef void (*X2nixPluginFree)(void *conversation, struct X2nixBuffer answer);

/*
 `x2nix_plugin_end`: ends a conversation.
 */
typedef void (*X2nixPluginEnd)(void *conversation);

#endif  /* X2NIX_PLUGIN_H */

/* What a plugin defines; see the types above. */
extern const char x2nix_plugin_manifest[];
void *x2nix_plugin_begin(const X2nixHost *host);
int32_t x2nix_plugin_call(void *conversation, const uint8_t *method, uintptr_t method_length,
                          const uint8_t *request, uintptr_t request_length, X2nixBuffer *answer);
void x2nix_plugin_free(void *conversation, X2nixBuffer answer);
void x2nix_plugin_end(void *conversation);
