/* Reading and writing JSON, as little as a plugin needs. Memory is taken and never given back: a
   conversation is short, and all of it goes when the conversation ends. */
#ifndef JSON_H
#define JSON_H

#include <stddef.h>
#include <stdint.h>

/* Memory of the plugin; zeroed. */
void *take(size_t length);
/* Never returns. */
void give_up(void);

static size_t length_of(const char *text) {
  size_t n = 0;
  while (text[n]) n++;
  return n;
}

static int same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

static void copy(char *to, const char *from, size_t n) {
  for (size_t i = 0; i < n; i++) to[i] = from[i];
}

/* Text that grows. */
typedef struct {
  char *data;
  size_t length, room;
} Text;

static void add_bytes(Text *text, const char *bytes, size_t n) {
  if (text->length + n + 1 > text->room) {
    size_t room = (text->length + n + 1) * 2;
    char *data = take(room);
    copy(data, text->data, text->length);
    text->data = data;
    text->room = room;
  }
  copy(text->data + text->length, bytes, n);
  text->length += n;
  text->data[text->length] = 0;
}

static void add(Text *text, const char *more) { add_bytes(text, more, length_of(more)); }

static void add_number(Text *text, uint64_t number) {
  char digits[24];
  size_t at = sizeof digits;
  do digits[--at] = (char)('0' + number % 10); while (number /= 10);
  add_bytes(text, digits + at, sizeof digits - at);
}

/* Text in quotes. */
static void add_text(Text *text, const char *value) {
  add(text, "\"");
  for (; *value; value++) {
    unsigned char c = (unsigned char)*value;
    if (c == '"' || c == '\\') {
      add(text, "\\");
      add_bytes(text, value, 1);
    } else if (c < 0x20) {
      char escape[7] = {'\\', 'u', '0', '0', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15], 0};
      add(text, escape);
    } else {
      add_bytes(text, value, 1);
    }
  }
  add(text, "\"");
}

/* A value: members of an object and items of a list are chained by `next`. */
typedef enum { NOTHING, TRUTH, NUMBER, TEXT, LIST, OBJECT } Kind;
typedef struct Value Value;
struct Value {
  Kind kind;
  const char *key; /* in an object */
  const char *text;
  uint64_t number;
  Value *first, *next;
};

typedef struct {
  const char *at, *end;
  const char *wrong;
} Reader;

static Value *read_value(Reader *reader, int depth);

static void skip(Reader *reader) {
  while (reader->at < reader->end &&
         (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\r' || *reader->at == '\t'))
    reader->at++;
}

static int next_is(Reader *reader, char c) {
  skip(reader);
  if (reader->at < reader->end && *reader->at == c) {
    reader->at++;
    return 1;
  }
  return 0;
}

static unsigned read_hex(Reader *reader) {
  unsigned number = 0;
  for (int i = 0; i < 4; i++) {
    char c = reader->at < reader->end ? *reader->at++ : 'x';
    unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                            : 16;
    if (digit == 16) {
      reader->wrong = "a bad escape in a text";
      return 0;
    }
    number = number * 16 + digit;
  }
  return number;
}

static void add_character(Text *text, unsigned code) {
  char bytes[4];
  size_t n = 0;
  if (code < 0x80) {
    bytes[n++] = (char)code;
  } else if (code < 0x800) {
    bytes[n++] = (char)(0xc0 | code >> 6);
    bytes[n++] = (char)(0x80 | (code & 63));
  } else if (code < 0x10000) {
    bytes[n++] = (char)(0xe0 | code >> 12);
    bytes[n++] = (char)(0x80 | (code >> 6 & 63));
    bytes[n++] = (char)(0x80 | (code & 63));
  } else {
    bytes[n++] = (char)(0xf0 | code >> 18);
    bytes[n++] = (char)(0x80 | (code >> 12 & 63));
    bytes[n++] = (char)(0x80 | (code >> 6 & 63));
    bytes[n++] = (char)(0x80 | (code & 63));
  }
  add_bytes(text, bytes, n);
}

/* After the opening quote. */
static const char *read_text(Reader *reader) {
  Text text = {take(16), 0, 16};
  while (reader->at < reader->end && *reader->at != '"' && !reader->wrong) {
    char c = *reader->at++;
    if (c != '\\') {
      add_bytes(&text, &c, 1);
      continue;
    }
    c = reader->at < reader->end ? *reader->at++ : 0;
    switch (c) {
      case 'n': add(&text, "\n"); break;
      case 't': add(&text, "\t"); break;
      case 'r': add(&text, "\r"); break;
      case 'b': add(&text, "\b"); break;
      case 'f': add(&text, "\f"); break;
      case '"': case '\\': case '/': add_bytes(&text, &c, 1); break;
      case 'u': {
        unsigned code = read_hex(reader);
        if (code >= 0xd800 && code < 0xdc00 && reader->end - reader->at > 6 && reader->at[0] == '\\' &&
            reader->at[1] == 'u') {
          reader->at += 2;
          code = 0x10000 + ((code - 0xd800) << 10) + ((read_hex(reader) - 0xdc00) & 0x3ff);
        }
        if (code == 0 || (code >= 0xd800 && code < 0xe000)) code = 0xfffd;
        add_character(&text, code);
        break;
      }
      default: reader->wrong = "a bad escape in a text";
    }
  }
  if (reader->at == reader->end) {
    reader->wrong = "a text without an end";
    return "";
  }
  reader->at++;
  return text.data;
}

static Value *read_many(Reader *reader, Kind kind, char end, int depth) {
  Value *all = take(sizeof *all), **last = &all->first;
  all->kind = kind;
  if (next_is(reader, end)) return all;
  do {
    const char *key = 0;
    if (kind == OBJECT) {
      if (!next_is(reader, '"')) return reader->wrong = "a key is due", all;
      key = read_text(reader);
      if (!next_is(reader, ':')) return reader->wrong = "a colon is due", all;
    }
    Value *value = read_value(reader, depth + 1);
    value->key = key;
    *last = value;
    last = &value->next;
  } while (!reader->wrong && next_is(reader, ','));
  if (!reader->wrong && !next_is(reader, end)) reader->wrong = "a list or an object without an end";
  return all;
}

static int next_word(Reader *reader, const char *word) {
  size_t n = length_of(word);
  if ((size_t)(reader->end - reader->at) < n) return 0;
  for (size_t i = 0; i < n; i++)
    if (reader->at[i] != word[i]) return 0;
  reader->at += n;
  return 1;
}

static Value *read_value(Reader *reader, int depth) {
  if (depth > 100) reader->wrong = "too deep";
  if (!reader->wrong && next_is(reader, '{')) return read_many(reader, OBJECT, '}', depth);
  if (!reader->wrong && next_is(reader, '[')) return read_many(reader, LIST, ']', depth);
  Value *value = take(sizeof *value);
  if (reader->wrong) return value;
  if (next_is(reader, '"')) {
    value->kind = TEXT;
    value->text = read_text(reader);
  } else if (next_word(reader, "null") || next_word(reader, "false")) {
  } else if (next_word(reader, "true")) {
    value->kind = TRUTH;
  } else {
    const char *start = reader->at;
    value->kind = NUMBER;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
      value->number = value->number * 10 + (uint64_t)(*reader->at++ - '0');
    if (reader->at == start) reader->wrong = "a value is due";
  }
  return value;
}

/* Reads a text; null and what is wrong where it is no JSON. */
static Value *read_json(const char *text, size_t length, const char **wrong) {
  Reader reader = {text, text + length, 0};
  Value *value = read_value(&reader, 0);
  skip(&reader);
  if (!reader.wrong && reader.at != reader.end) reader.wrong = "something follows the end";
  *wrong = reader.wrong;
  return reader.wrong ? 0 : value;
}

/* A member of an object, or null. */
static Value *member(Value *object, const char *key) {
  if (!object || object->kind != OBJECT) return 0;
  for (Value *value = object->first; value; value = value->next)
    if (same(value->key, key)) return value;
  return 0;
}

/* The first item of a member that is a list. */
static Value *items(Value *object, const char *key) {
  Value *list = member(object, key);
  return list && list->kind == LIST ? list->first : 0;
}

#endif
