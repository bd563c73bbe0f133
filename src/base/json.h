// json.h - JSON over jansson, with what every user of it here needs.
//
// Any top value, NUL inside strings, members in their order, and integers beyond 64 bits (read
// as doubles: tokenizer files hold them). Numbers are written in the shortest form that reads
// back as the same double. Values are jansson's, counted references: json_decref.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct buf;
struct error;

// A new reference, or NULL with err (ERR_FORMAT), which names line and column.
// Nesting is bounded by jansson (2048); the caller bounds the bytes; and since values can take 80
// times the memory of their text, what would take more than JSON_MEMORY_MAX (ERR_LIMIT) or than
// there is (ERR_MEMORY) is refused unparsed. Values take their memory as memory_new does.
enum { JSON_MEMORY_MAX = 512 << 20 };
json_t *json_parse(struct slice text, struct error *err);
// The same, and a member that appears twice in an object is an error.
json_t *json_parse_unique(struct slice text, struct error *err);
// The same from a file of at most max_bytes; errors name the path.
json_t *json_read_file(const char *path, size_t max_bytes, struct error *err);

// The same with numbers as they were written, since a double changes decimals: each is a text that
// begins with NUL, read with json_number_text and by nothing else here.
json_t *json_parse_exact(struct slice text, struct error *err);
// False if the value is no number of json_parse_exact.
bool json_number_text(const json_t *value, struct slice *text);

enum json_style {
    JSON_STYLE_COMPACT,   // {"a":1,"b":[1,2]}
    JSON_STYLE_SPACED,    // {"a": 1, "b": [1, 2]}, as Python's json.dumps
    JSON_STYLE_INDENTED,  // two spaces a level
};
// Appends value; non-ASCII is written as UTF-8, "/" is not escaped.
void json_write(struct buf *out, const json_t *value, enum json_style style);
// Appends text as a JSON string with quotes. Bytes that are not UTF-8 become U+FFFD.
void json_write_text(struct buf *out, struct slice text);
// Appends the shortest decimal that reads back as the same double; NaN and infinity as null.
void json_write_number(struct buf *out, double value);

// Members of an object, with types checked; a double with an integral value counts as an integer.
// False, and *value untouched, if absent, null or of another type.
bool json_get_i64(const json_t *object, const char *key, int64_t *value);
bool json_get_f64(const json_t *object, const char *key, double *value);
bool json_get_bool(const json_t *object, const char *key, bool *value);
// NULL if absent or not a string; valid as long as the object.
const char *json_get_text(const json_t *object, const char *key);
static inline struct slice json_slice(const json_t *string)
{
    return slice_of(json_string_value(string), json_string_length(string));
}
