// json_text.h - the parts of JSON text that grammars are built from.
//
// White space is bounded, so that a model cannot fill its tokens with it: after '{', '[' and ','
// and before '}' and ']' stands nothing, one space, or one line break with up to 32 spaces or 16
// tabs; after ':' nothing or one space; nowhere else any, nor before or after the value. Numbers
// have at most 15 digits before and 15 behind the point and an exponent of at most 2, integers at
// most 18, so that every one is read back as it was meant. Strings are UTF-8; \u escapes are never
// of NUL or of half a surrogate pair. All functions make nodes before `next` (program.h).
// Source: RFC 8259.
#pragma once
#include "local/sampling/grammar/program.h"

enum { JSON_INTEGER_DIGITS = 18, JSON_DIGITS = 15 };

struct json_text {  // rules that are made when first used; zeroed but for p: none
    struct program *p;
    uint32_t made;  // bits of enum json_rule
    uint32_t rules[8];
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
uint32_t emit_number(struct json_text *j, uint32_t next);
uint32_t emit_integer(struct json_text *j, uint32_t next);
uint32_t emit_value(struct json_text *j, uint32_t next);  // any value
uint32_t emit_object_any(struct json_text *j, uint32_t next);
uint32_t emit_array_any(struct json_text *j, uint32_t next);
