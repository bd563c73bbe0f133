// text.h - strings of templates: building them, cutting them, and where their bytes came from.
//
// Positions given by templates count characters (code points), positions here count bytes.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "local/template/value.h"

// Grows inside the rendering's arena. Marks of what is added are kept.
struct builder {
    struct run *r;
    char *ptr;
    size_t len, capacity;
    struct rendered_span *marks;
    size_t n_marks, marks_capacity;
};
struct builder builder_new(struct run *r);
void builder_add(struct builder *b, const char *bytes, size_t len);
void builder_str(struct builder *b, const char *text);
void builder_printf(struct builder *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void builder_text(struct builder *b, const struct text *t);
void builder_part(struct builder *b, const struct text *t, size_t from, size_t to);
void builder_char(struct builder *b, uint32_t code);
void builder_fill(struct builder *b, const struct text *t, size_t times);
void builder_mark(struct builder *b, size_t from, size_t to);  // says that these were values
struct value builder_value(struct builder *b);

struct value text_new(struct run *r, struct slice bytes);          // copies; unmarked
struct value text_str(struct run *r, const char *text);            // keeps the pointer; unmarked
struct value text_from_caller(struct run *r, struct slice bytes);  // keeps the pointer; marked
struct value text_part(struct run *r, const struct text *t, size_t from, size_t to);
struct value text_as_markup(struct run *r, const struct text *t, bool markup);
struct value text_concat(struct run *r, const struct text *a, const struct text *b);
bool text_equal(const struct text *a, const struct text *b);
// Byte offset of character number i, which is at most n_chars.
size_t text_offset(struct run *r, const struct text *t, size_t i);
size_t text_chars(struct run *r, const struct text *t, size_t from, size_t to);
// SIZE_MAX if absent.
size_t text_find(const struct text *t, struct slice needle, size_t from, size_t to);
size_t text_rfind(struct run *r, const struct text *t, struct slice needle, size_t from, size_t to);
size_t count_chars(const char *utf8, size_t len);
// The character at offset i, its length in *len.
uint32_t text_code(const struct text *t, size_t i, size_t *len);
uint32_t text_code_before(const struct text *t, size_t i, size_t *len);

// Bytes [from, to) of t without leading/trailing characters of `chars` (NULL: whitespace).
void text_strip(struct run *r, const struct text *t, const struct text *chars, bool left,
                bool right, size_t *from, size_t *to);
struct value text_replace(struct run *r, const struct text *t, const struct text *from,
                          const struct text *to, int64_t count);
struct value text_escape(struct run *r, const struct text *t);  // HTML; a Markup

// unicode.c: what Python's str says of characters.
bool unicode_is_space(uint32_t c);
bool unicode_is_line_break(uint32_t c);
bool unicode_is_alpha(uint32_t c);
bool unicode_is_decimal(uint32_t c);
bool unicode_is_digit(uint32_t c);
bool unicode_is_numeric(uint32_t c);
bool unicode_is_lower(uint32_t c);
bool unicode_is_upper(uint32_t c);
bool unicode_is_title(uint32_t c);
bool unicode_is_word(uint32_t c);
bool unicode_is_printable(uint32_t c);
enum unicode_case { CASE_LOWER, CASE_UPPER, CASE_FOLD, CASE_TITLE };
// Appends bytes [from, to) of t in that case, as Python does (full mappings, final sigma).
// CASE_TITLE wants one character.
void unicode_add_case(struct builder *b, const struct text *t, size_t from, size_t to,
                      enum unicode_case which);

// repr.c
struct value value_str(struct run *r, struct value v);  // Python's str()
void value_add_str(struct builder *b, struct value v);
void value_add_repr(struct builder *b, struct value v);
void add_real(struct builder *b, double f);  // as Python's repr(float)

// tojson.c
struct dump_style {
    bool ascii, sort, indented;
    const struct text *indent, *item_separator, *key_separator;
};
void value_add_json(struct builder *b, struct value v, const struct dump_style *style);

// format.c: "%s" % args and "{}".format(args)
struct value text_percent(struct run *r, const struct text *format, struct value args);
struct value text_format(struct run *r, const struct text *format, const struct args *args);

// strftime.c: the clock of strftime_now.
void add_strftime(struct builder *b, const struct text *format, int64_t now);
