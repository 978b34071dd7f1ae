/* The ecosystem `@NAME@`: a repository has one file, `packages.json`, which says of each package and
   version what it needs and what text it holds. */

#include "json.h"

/* ---- One conversation ---- */

typedef struct {
  uint64_t name;
  const char *oldest;
} Set;

typedef struct {
  Value *files[16]; /* the repositories */
  size_t file_count;
  const char **names; /* that were announced, by number */
  size_t name_count, name_room;
  Set *sets; /* the same */
  size_t set_count, set_room;
  int is_open;
  /* Asks the host; the answer is zero-ended. Whether it is one, or a diagnostic. */
  int (*ask)(void *context, const char *method, const char *request, Text *answer);
  void *context;
} Conversation;

/* What was announced in one answer. */
typedef struct {
  Text names, sets;
} Dictionary;

static int refuse(Text *answer, const char *code, const char *message, const char *file) {
  answer->length = 0;
  add(answer, "{\"severity\":\"error\",\"code\":");
  add_text(answer, code);
  add(answer, ",\"message\":");
  add_text(answer, message);
  if (file) {
    add(answer, ",\"origin\":{\"file\":");
    add_text(answer, file);
    add(answer, "}");
  }
  add(answer, "}");
  return 1;
}

static int bad_number(Text *answer) {
  return refuse(answer, "@NAME@::number", "there is no such number", 0);
}

static void *more(void *old, size_t count, size_t *room, size_t size) {
  if (count < *room) return old;
  *room = *room ? *room * 2 : 64;
  char *data = take(*room * size);
  if (count) copy(data, old, count * size);
  return data;
}

/* Compares two versions by their numbers. */
static int compare(const char *a, const char *b) {
  while (*a || *b) {
    uint64_t x = 0, y = 0;
    if (!*a || !*b) return *a ? 1 : -1;
    for (; *a && *a != '.'; a++) x = x * 10 + (*a >= '0' && *a <= '9' ? (uint64_t)(*a - '0') : 0);
    for (; *b && *b != '.'; b++) y = y * 10 + (*b >= '0' && *b <= '9' ? (uint64_t)(*b - '0') : 0);
    if (x != y) return x < y ? -1 : 1;
    if (*a) a++;
    if (*b) b++;
  }
  return 0;
}

/* Cuts `NAME` or `NAME>=VERSION`. */
static const char *split(const char *need, const char **oldest) {
  size_t n = length_of(need), at = 0;
  char *name = take(n + 1);
  copy(name, need, n);
  while (at < n && name[at] != '>') at++;
  *oldest = at < n ? name + at + 2 : "";
  while (**oldest == ' ') (*oldest)++;
  while (at > 0 && name[at - 1] == ' ') at--;
  name[at] = 0;
  return name;
}

/* Announces a name, unless it was before. */
static uint64_t announce(Conversation *it, const char *name, Dictionary *dictionary) {
  for (size_t i = 0; i < it->name_count; i++)
    if (same(it->names[i], name)) return i;
  it->names = more(it->names, it->name_count, &it->name_room, sizeof *it->names);
  it->names[it->name_count] = name;
  add(&dictionary->names, dictionary->names.length ? ",{\"text\":" : "{\"text\":");
  add_text(&dictionary->names, name);
  add(&dictionary->names, "}");
  return it->name_count++;
}

/* Adds the requirement of `NAME` or `NAME>=VERSION`. */
static void add_need(Conversation *it, const char *need, Dictionary *dictionary, Text *to) {
  const char *oldest;
  uint64_t name = announce(it, split(need, &oldest), dictionary);
  size_t at = 0;
  while (at < it->set_count && !(it->sets[at].name == name && same(it->sets[at].oldest, oldest))) at++;
  if (at == it->set_count) {
    it->sets = more(it->sets, it->set_count, &it->set_room, sizeof *it->sets);
    it->sets[it->set_count++] = (Set){name, oldest};
    Text text = {0}, *sets = &dictionary->sets;
    add(&text, *oldest ? ">= " : "");
    add(&text, oldest);
    add(sets, sets->length ? ",{\"name\":" : "{\"name\":");
    add_number(sets, name);
    add(sets, ",\"text\":");
    add_text(sets, text.data);
    add(sets, "}");
  }
  add(to, "{\"need\":");
  add_number(to, at);
  add(to, "}");
}

static void add_needs(Conversation *it, Value *needs, Dictionary *dictionary, Text *to) {
  int some = 0;
  add(to, "[");
  for (; needs; needs = needs->next) {
    if (needs->kind != TEXT) continue;
    if (some++) add(to, ",");
    add_need(it, needs->text, dictionary, to);
  }
  add(to, "]");
}

static void add_dictionary(Text *answer, Dictionary *dictionary) {
  add(answer, "\"dictionary\":{\"names\":[");
  add_bytes(answer, dictionary->names.data, dictionary->names.length);
  add(answer, "],\"sets\":[");
  add_bytes(answer, dictionary->sets.data, dictionary->sets.length);
  add(answer, "]}");
}

/* The versions of a name, the newest first. */
static Value **versions(Conversation *it, uint64_t name, size_t *count) {
  Value *known = 0;
  for (size_t i = it->file_count; i-- > 0 && !known;) known = member(it->files[i], it->names[name]);
  Value **found = 0;
  size_t room = 0;
  *count = 0;
  for (Value *one = known ? known->first : 0; one; one = one->next) {
    if (!one->key) continue;
    found = more(found, *count, &room, sizeof *found);
    size_t at = (*count)++;
    for (; at > 0 && compare(found[at - 1]->key, one->key) < 0; at--) found[at] = found[at - 1];
    found[at] = one;
  }
  return found;
}

/* ---- The questions ---- */

static int describe(Text *answer) {
  add(answer,
      "{\"ecosystem\":\"@NAME@\",\"version\":\"0.1.0\",\"protocol\":1,\"title\":\"Packages of @NAME@\","
      "\"platforms\":\"each\",\"policies\":{\"default\":[{\"measure\":\"lag\",\"over\":\"requested\"},"
      "{\"measure\":\"lag\",\"over\":\"all\"},{\"measure\":\"count\",\"over\":\"all\"}]}}");
  return 0;
}

static int open(Conversation *it, Value *request, Text *answer) {
  Dictionary dictionary = {0};
  it->file_count = it->name_count = it->set_count = 0;
  for (Value *input = items(request, "inputs"); input; input = input->next) {
    Text question = {0}, reply = {0};
    const char *wrong;
    Value *tree = member(input, "tree"), *label = member(input, "label");
    if (!tree || !label || !label->text) return refuse(answer, "protocol::message", "a bad input", 0);
    add(&question, "{\"paths\":[\"packages.json\"],\"tree\":");
    add_number(&question, tree->number);
    add(&question, "}");
    if (it->ask(it->context, "read", question.data, &reply)) {
      /* What the host refuses goes on to the user. */
      add_bytes(answer, reply.data, reply.length);
      return 1;
    }
    Value *file = items(read_json(reply.data, reply.length, &wrong), "files");
    Value *found = member(file, "found");
    if (!found) continue;
    Text place = {0};
    add(&place, label->text);
    add(&place, ":packages.json");
    /* Bytes that are no text are {"base64": ...}. */
    if (found->kind != TEXT) return refuse(answer, "@NAME@::syntax", "it is no text", place.data);
    Value *packages = read_json(found->text, length_of(found->text), &wrong);
    if (!packages) return refuse(answer, "@NAME@::syntax", wrong, place.data);
    if (it->file_count < 16) it->files[it->file_count++] = packages;
  }
  it->is_open = 1;
  add(answer, "{\"roots\":");
  add_needs(it, items(request, "roots"), &dictionary, answer);
  add(answer, ",");
  add_dictionary(answer, &dictionary);
  add(answer, "}");
  return 0;
}

static int facts(Conversation *it, Value *request, Text *answer) {
  Dictionary dictionary = {0};
  add(answer, "{\"packages\":[");
  for (Value *name = items(request, "names"); name; name = name->next) {
    size_t count;
    if (name->number >= it->name_count) return bad_number(answer);
    Value **found = versions(it, name->number, &count);
    add(answer, "{\"name\":");
    add_number(answer, name->number);
    add(answer, ",\"candidates\":[");
    for (size_t i = 0; i < count; i++) {
      add(answer, i ? ",{\"version\":" : "{\"version\":");
      add_text(answer, found[i]->key);
      add(answer, ",\"requires\":");
      add_needs(it, items(found[i], "needs"), &dictionary, answer);
      add(answer, "}");
    }
    add(answer, name->next ? "]}," : "]}");
  }
  add(answer, "],");
  add_dictionary(answer, &dictionary);
  add(answer, "}");
  return 0;
}

static int members(Conversation *it, Value *request, Text *answer) {
  add(answer, "{\"sets\":[");
  for (Value *number = items(request, "sets"); number; number = number->next) {
    size_t count, fit = 0;
    if (number->number >= it->set_count) return bad_number(answer);
    Set *set = &it->sets[number->number];
    Value **found = versions(it, set->name, &count);
    while (fit < count && (!*set->oldest || compare(found[fit]->key, set->oldest) >= 0)) fit++;
    /* The newest are the first, so a set is one run from the start. */
    add(answer, fit ? "[[0," : "[");
    if (fit) add_number(answer, fit);
    add(answer, fit ? "]]" : "]");
    if (number->next) add(answer, ",");
  }
  add(answer, "]}");
  return 0;
}

/* The key of the chosen version of a package, or null. */
static const char *key_of(Conversation *it, Value *request, const char *name) {
  for (Value *one = items(request, "chosen"); one; one = one->next) {
    size_t count;
    Value *number = member(one, "name"), *candidate = member(one, "candidate");
    if (!number || !candidate || number->number >= it->name_count) continue;
    if (!same(it->names[number->number], name)) continue;
    Value **found = versions(it, number->number, &count);
    if (candidate->number >= count) continue;
    Text key = {0};
    add(&key, name);
    add(&key, "@");
    add(&key, found[candidate->number]->key);
    return key.data;
  }
  return 0;
}

static int build(Conversation *it, Value *request, Text *answer) {
  Text units = {0}, unit_of = {0};
  for (Value *one = items(request, "chosen"); one; one = one->next) {
    size_t count;
    Value *number = member(one, "name"), *candidate = member(one, "candidate");
    if (!number || !candidate || number->number >= it->name_count) return bad_number(answer);
    Value **found = versions(it, number->number, &count);
    if (candidate->number >= count) return bad_number(answer);
    Value *about = found[candidate->number], *text = member(about, "text");
    const char *name = it->names[number->number], *key = key_of(it, request, name);
    Text path = {0};
    add(&path, "share/");
    add(&path, name);
    add(&path, ".txt");
    if (units.length) add(&units, ",");
    add_text(&units, key);
    add(&units, ":{\"name\":");
    add_text(&units, name);
    add(&units, ",\"version\":");
    add_text(&units, about->key);
    /* A package is built by copying its text to where it belongs. */
    add(&units, ",\"recipe\":{\"kind\":\"build\",\"files\":{\"text\":");
    add_text(&units, text && text->text ? text->text : "");
    add(&units, "},\"steps\":[{\"phase\":\"install\",\"words\":[[\"mkdir\"],[\"-p\"],[{\"out\":\"share\"}]]},"
                "{\"phase\":\"install\",\"words\":[[\"cp\"],[\"text\"],[{\"out\":");
    add_text(&units, path.data);
    add(&units, "}]]}]},\"depends\":[");
    int some = 0;
    for (Value *need = items(about, "needs"); need; need = need->next) {
      const char *oldest, *unit = need->text ? key_of(it, request, split(need->text, &oldest)) : 0;
      if (!unit) continue;
      add(&units, some++ ? ",{\"unit\":" : "{\"unit\":");
      add_text(&units, unit);
      add(&units, "}");
    }
    add(&units, "]}");
    if (unit_of.length) add(&unit_of, ",");
    add_text(&unit_of, key);
  }
  add(answer, "{\"units\":{");
  add_bytes(answer, units.data, units.length);
  add(answer, "},\"unit_of\":[");
  add_bytes(answer, unit_of.data, unit_of.length);
  add(answer, "],\"selected\":[");
  for (Value *selection = items(request, "selections"); selection; selection = selection->next)
    add(answer, selection->next ? "[]," : "[]");
  add(answer, "]}");
  return 0;
}

/* Answers one message; whether it is refused. */
static int answer_message(Conversation *it, const char *method, const char *request, size_t length,
                          Text *answer) {
  const char *wrong;
  Value *question = read_json(request, length, &wrong);
  int first = same(method, "describe") || same(method, "open");
  if (!question) return refuse(answer, "protocol::message", wrong, 0);
  if (question->kind != OBJECT && question->kind != NOTHING)
    return refuse(answer, "protocol::message", "the question is no object", 0);
  if (!first && !it->is_open) return refuse(answer, "protocol::order", "asked before `open`", 0);
  if (same(method, "describe")) return describe(answer);
  if (same(method, "open")) return open(it, question, answer);
  if (same(method, "facts")) return facts(it, question, answer);
  if (same(method, "members")) return members(it, question, answer);
  if (same(method, "build")) return build(it, question, answer);
  return refuse(answer, "protocol::method", "there is no such method", 0);
}

static const char *zero_ended(const uint8_t *data, size_t length) {
  char *text = take(length + 1);
  copy(text, (const char *)data, length);
  return text;
}

#ifdef __wasm__

/* ---- As a WebAssembly component: one instance is one conversation ---- */

typedef struct {
  uint8_t refused;
  char *data;
  size_t length;
} Answer;

__attribute__((import_module("x2nix:plugin/host@1.0.0"), import_name("call"))) void host_call(
    const char *method, size_t method_length, const char *request, size_t request_length, Answer *answer);

extern char __heap_base;
static char *free_from = &__heap_base;

void *take(size_t length) {
  char *start = (char *)(((uintptr_t)free_from + 15) & ~(uintptr_t)15);
  size_t have = __builtin_wasm_memory_size(0) * 65536, end = (uintptr_t)start + length;
  if (end < length) give_up();
  if (end > have && __builtin_wasm_memory_grow(0, (end - have + 65535) / 65536) == (size_t)-1) give_up();
  free_from = start + length;
  for (size_t i = 0; i < length; i++) start[i] = 0;
  return start;
}

void give_up(void) { __builtin_trap(); }

/* What the compiler may call by itself. */
void *memset(void *data, int value, size_t n) {
  volatile char *to = data;
  for (size_t i = 0; i < n; i++) to[i] = (char)value;
  return data;
}

void *memcpy(void *data, const void *from, size_t n) {
  volatile char *to = data;
  for (size_t i = 0; i < n; i++) to[i] = ((const char *)from)[i];
  return data;
}

static int ask(void *context, const char *method, const char *request, Text *reply) {
  Answer answer = {0};
  (void)context;
  host_call(method, length_of(method), request, length_of(request), &answer);
  add_bytes(reply, answer.data, answer.length);
  return answer.refused;
}

__attribute__((export_name("x2nix:plugin/guest@1.0.0#call"))) Answer *guest_call(
    const uint8_t *method, size_t method_length, const uint8_t *request, size_t request_length) {
  static Conversation conversation;
  Text text = {0};
  conversation.ask = ask;
  int refused = answer_message(&conversation, zero_ended(method, method_length),
                               zero_ended(request, request_length), request_length, &text);
  Answer *answer = take(sizeof *answer);
  *answer = (Answer){(uint8_t)refused, text.data, text.length};
  return answer;
}

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_length, size_t align,
                                                                 size_t length) {
  char *data = take(length);
  (void)align;
  copy(data, old, old_length);
  return data;
}

#else

/* ---- As a native library ---- */

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "x2nix_plugin.h"

/* Read from the file, before any code of it runs. */
const char x2nix_plugin_manifest[] = "{\"protocol\":1,\"ecosystem\":\"@NAME@\",\"version\":\"0.1.0\"}";

static _Thread_local jmp_buf *no_memory;

void give_up(void) { longjmp(*no_memory, 1); }

/* Memory that is never given back would be a leak in a long-lived program, so it is kept in a chain
   and goes with its conversation. */
typedef struct Block Block;
struct Block {
  Block *before;
  size_t length;
};
static _Thread_local Block *blocks;

void *take(size_t length) {
  Block *block = calloc(1, sizeof *block + length);
  if (!block) give_up();
  block->before = blocks;
  blocks = block;
  return block + 1;
}

typedef struct {
  Conversation conversation;
  const X2nixHost *host;
  Block *blocks;
} Native;

static int ask(void *context, const char *method, const char *request, Text *reply) {
  Native *native = context;
  X2nixBuffer answer = {0};
  int status = native->host->call(native->host->context, (const uint8_t *)method, length_of(method),
                                  (const uint8_t *)request, length_of(request), &answer);
  add_bytes(reply, (const char *)answer.data, answer.length);
  native->host->free(native->host->context, answer);
  return status != X2NIX_ANSWER;
}

void *x2nix_plugin_begin(const X2nixHost *host) {
  Native *native = calloc(1, sizeof *native);
  if (!native) return NULL;
  native->host = host;
  native->conversation.ask = ask;
  native->conversation.context = native;
  return native;
}

int32_t x2nix_plugin_call(void *handle, const uint8_t *method, size_t method_length, const uint8_t *request,
                          size_t request_length, X2nixBuffer *answer) {
  Native *native = handle;
  jmp_buf here;
  *answer = (X2nixBuffer){0};
  no_memory = &here;
  blocks = native->blocks;
  int status = X2NIX_BROKEN;
  if (!setjmp(here)) {
    Text text = {0};
    status = answer_message(&native->conversation, zero_ended(method, method_length),
                            zero_ended(request, request_length), request_length, &text);
    answer->data = malloc(text.length + 1);
    if (answer->data) {
      memcpy(answer->data, text.data, text.length);
      answer->length = text.length;
    } else {
      status = X2NIX_BROKEN;
    }
  }
  native->blocks = blocks;
  return status;
}

void x2nix_plugin_free(void *handle, X2nixBuffer answer) {
  (void)handle;
  free(answer.data);
}

void x2nix_plugin_end(void *handle) {
  Native *native = handle;
  for (Block *block = native->blocks; block;) {
    Block *before = block->before;
    free(block);
    block = before;
  }
  free(native);
}

#endif
