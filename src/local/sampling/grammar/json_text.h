// json_text.h - the parts of JSON text that grammars are built from.
//
// White space is bounded, so that a model cannot fill its tokens with it: after '{', '[' and ','
// and before '}' and ']' stands nothing, one space, or one line break with up to 32 spaces or 16
// tabs; after ':' nothing or one space; nowhere else any, nor before or after the value. Numbers
// have at most 15 digits before and 15 behind the point and an exponent of at most 2, integers at
// most 18, so that every one is read back as it was meant. Strings are UTF-8; \u escapes are never
// of NUL or of half a surrogate pair. All functions make nodes before `next` (program.h).
//
// Beside JSON there are two notations of models that call tools: tagged, JSON in which '<' only
// stands as an escape, so that no tag can be in it; and loose, where strings stand as they are
// between quotes of the model's own (Gemma).
// Source: RFC 8259.
#pragma once
#include "local/sampling/grammar/regex.h"

struct buf;
struct raw_text;

enum { JSON_INTEGER_DIGITS = 18, JSON_DIGITS = 15 };

enum { JSON_LOOSE_NAME = 64 };  // characters of a name that no schema knows

struct json_text {  // rules that are made when first used; zeroed but for p: none, and JSON
    struct program *p;
    bool tagged;
    struct slice quote;          // if not empty: loose
    const struct raw_text *raw;  // what may stand between quotes or tags; NULL if neither is there
    uint32_t made;               // bits of enum json_rule
    uint32_t rules[9];
};

uint32_t emit_space(struct json_text *j, uint32_t next);
uint32_t emit_colon(struct json_text *j, uint32_t next);   // ':' and a space or none
uint32_t emit_string(struct json_text *j, uint32_t next);  // any
// Of min to max characters (REPEAT_NO_MAX: no bound).
uint32_t emit_string_sized(struct json_text *j, uint32_t min, uint32_t max, uint32_t next);
// The rest of any string with its quote.
uint32_t emit_string_rest(struct json_text *j, uint32_t next);
// One of some characters as it stands inside of a string: those that need it are escaped in the
// shortest way, the others are themselves.
uint32_t emit_chars(struct program *p, const struct code_range *ranges, size_t n, uint32_t next);
// emit_chars, or what the notation has in its place (not for loose ones).
regex_chars *json_chars(const struct json_text *j);
uint32_t emit_raw(struct json_text *j, uint32_t next);  // what may stand between tags or quotes
static inline bool json_is_loose(const struct json_text *j)
{
    return j->quote.len > 0;
}
// A text of JSON in the notation: tagged, '<' becomes its escape. Appends to out.
void json_notate(const struct json_text *j, struct slice text, struct buf *out);
uint32_t emit_number(struct json_text *j, uint32_t next);
uint32_t emit_integer(struct json_text *j, uint32_t next);
uint32_t emit_value(struct json_text *j, uint32_t next);  // any value
uint32_t emit_object_any(struct json_text *j, uint32_t next);
uint32_t emit_array_any(struct json_text *j, uint32_t next);
