#include "local/sampling/grammar/json_text.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/memory.h"
#include "local/sampling/grammar/raw_text.h"

enum json_rule {
    RULE_SPACE,
    RULE_STRING_REST,
    RULE_CHAR,
    RULE_NUMBER,
    RULE_INTEGER,
    RULE_VALUE,
    RULE_OBJECT,
    RULE_ARRAY,
    RULE_RAW
};

// A rule of the parts; *is_new when its start is yet to be set.
static uint32_t part(struct json_text *j, enum json_rule which, const char *name, bool *is_new)
{
    *is_new = !(j->made >> which & 1);
    if (*is_new) {
        j->rules[which] = program_rule(j->p, name);
        j->made |= UINT32_C(1) << which;
    }
    return j->rules[which];
}

static uint32_t byte(struct json_text *j, char c, uint32_t next)
{
    return node_byte(j->p, (uint8_t)c, (uint8_t)c, next);
}

// White space

static uint32_t up_to(struct program *p, int most, char c, uint32_t next)
{
    uint32_t node = next;
    for (int i = 0; i < most; i++)
        node = node_either(p, node_byte(p, (uint8_t)c, (uint8_t)c, node), next);
    return node;
}

uint32_t emit_space(struct json_text *j, uint32_t next)
{
    bool is_new;
    uint32_t rule = part(j, RULE_SPACE, "white space", &is_new);
    if (is_new) {
        uint32_t line = node_either(j->p, up_to(j->p, 32, ' ', NODE_ID_END),
                                    up_to(j->p, 16, '\t', NODE_ID_END));
        uint32_t any[] = {NODE_ID_END, byte(j, ' ', NODE_ID_END), byte(j, '\n', line)};
        program_set(j->p, rule, node_split(j->p, any, 3));
    }
    return node_call(j->p, rule, next);
}

uint32_t emit_colon(struct json_text *j, uint32_t next)
{
    return byte(j, ':', node_either(j->p, byte(j, ' ', next), next));
}

// Strings

static uint32_t hex(struct program *p, const char *digits, uint32_t next)
{
    struct byte_edge edges[22];
    size_t n = 0;
    for (; *digits; digits++) {
        uint8_t c = (uint8_t)*digits;
        edges[n++] = (struct byte_edge){c, c, next};
        if (c >= 'a')
            edges[n++] = (struct byte_edge){(uint8_t)(c - 32), (uint8_t)(c - 32), next};
    }
    return node_bytes(p, edges, n);
}

static const char any_digit[] = "0123456789abcdef", not_zero[] = "123456789abcdef";

// What comes after \u: any character but NUL, those beyond U+FFFF as two surrogates.
static uint32_t four_digits(struct program *p, uint32_t next)
{
    uint32_t one = hex(p, any_digit, next), two = hex(p, any_digit, one);
    uint32_t three = hex(p, any_digit, two);
    uint32_t low = node_text(p, slice_str("\\u"), hex(p, "d", hex(p, "cdef", two)));
    uint32_t high = hex(p, "89ab", hex(p, any_digit, hex(p, any_digit, low)));
    uint32_t zeros = node_either(p, hex(p, not_zero, one), hex(p, "0", hex(p, not_zero, next)));
    zeros = node_either(p, hex(p, not_zero, two), hex(p, "0", zeros));
    uint32_t first[] = {hex(p, "123456789abcef", three), hex(p, "0", zeros),
                        hex(p, "d", node_either(p, hex(p, "01234567", two), high))};
    return node_split(p, first, 3);
}

// What stands in a string without an escape: the last two are one but for '<' between them.
static const struct code_range plain_json[] = {{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0x10FFFF}};
static const struct code_range plain_tagged[] = {
    {0x20, 0x21}, {0x23, 0x3B}, {0x3D, 0x5B}, {0x5D, 0x10FFFF}};

// Any character of a string, or, unless quote is FAIL, the quote that ends it.
static uint32_t any_char(const struct json_text *j, uint32_t next, uint32_t quote)
{
    struct program *p = j->p;
    static const char escapes[] = "\"\\/bfnrt";
    struct byte_edge after[sizeof escapes];
    size_t n = 0;
    for (; escapes[n]; n++)
        after[n] = (struct byte_edge){(uint8_t)escapes[n], (uint8_t)escapes[n], next};
    after[n++] = (struct byte_edge){'u', 'u', four_digits(p, next)};
    uint32_t all[] = {j->tagged ? node_chars(p, plain_tagged, 4, next)
                                : node_chars(p, plain_json, 3, next),
                      node_byte(p, '\\', '\\', node_bytes(p, after, n)),
                      quote == NODE_ID_FAIL ? NODE_ID_FAIL : node_byte(p, '"', '"', quote)};
    return node_split(p, all, quote == NODE_ID_FAIL ? 2 : 3);
}

uint32_t emit_string_rest(struct json_text *j, uint32_t next)
{
    bool is_new;
    uint32_t rule = part(j, RULE_STRING_REST, "string", &is_new);
    if (is_new) {
        uint32_t loop = node_loop(j->p);
        node_loop_set(j->p, loop, any_char(j, loop, NODE_ID_END), NODE_ID_FAIL);
        program_set(j->p, rule, loop);
    }
    return node_call(j->p, rule, next);
}

uint32_t emit_raw(struct json_text *j, uint32_t next)
{
    bool is_new;
    uint32_t rule = part(j, RULE_RAW, "text", &is_new);
    if (is_new)
        program_set(j->p, rule, raw_text_emit(j->p, j->raw, NODE_ID_END));
    return node_call(j->p, rule, next);
}

static uint32_t loose_sized(struct json_text *j, uint32_t min, uint32_t max, uint32_t next)
{
    next = node_text(j->p, j->quote, next);
    return node_text(j->p, j->quote, raw_text_sized(j->p, j->raw, min, max, next));
}

uint32_t emit_string(struct json_text *j, uint32_t next)
{
    if (json_is_loose(j))
        return node_text(j->p, j->quote, emit_raw(j, node_text(j->p, j->quote, next)));
    return byte(j, '"', emit_string_rest(j, next));
}

uint32_t emit_string_sized(struct json_text *j, uint32_t min, uint32_t max, uint32_t next)
{
    if (min == 0 && max == REPEAT_NO_MAX)
        return emit_string(j, next);
    if (json_is_loose(j))
        return loose_sized(j, min, max, next);
    bool is_new;
    uint32_t one = part(j, RULE_CHAR, "character", &is_new);
    if (is_new)
        program_set(j->p, one, any_char(j, NODE_ID_END, NODE_ID_FAIL));
    // A rule of its own, so that all strings of one size share what is known of tokens.
    uint32_t rule = program_rule(j->p, "string");
    program_set(j->p, rule, node_repeat(j->p, one, min, max, byte(j, '"', NODE_ID_END)));
    return byte(j, '"', node_call(j->p, rule, next));
}

static bool overlaps(const struct code_range *r, size_t n, uint32_t code)
{
    for (size_t i = 0; i < n; i++)
        if (code >= r[i].low && code <= r[i].high)
            return true;
    return false;
}

// What stands after the backslash for characters that need one.
static uint32_t escaped(struct program *p, const struct code_range *ranges, size_t n, bool tagged,
                        uint32_t next)
{
    static const struct {
        uint8_t code, letter;
    } named[] = {{'"', '"'}, {'\\', '\\'}, {8, 'b'}, {9, 't'}, {10, 'n'}, {12, 'f'}, {13, 'r'}};
    struct byte_edge edges[16], last[2][32];
    size_t n_edges = 0, n_last[2] = {0};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (overlaps(ranges, n, named[i].code))
            edges[n_edges++] = (struct byte_edge){named[i].letter, named[i].letter, next};
    for (uint32_t c = 1; c < 0x20; c++) {
        if (c == 8 || c == 9 || c == 10 || c == 12 || c == 13 || !overlaps(ranges, n, c))
            continue;
        uint8_t digit = (uint8_t)any_digit[c % 16];
        last[c / 16][n_last[c / 16]++] = (struct byte_edge){digit, digit, next};
    }
    bool less = tagged && overlaps(ranges, n, '<');
    if (n_last[0] + n_last[1] + less) {
        struct byte_edge third[] = {
            {'0', '0', node_bytes(p, last[0], n_last[0])},
            {'1', '1', node_bytes(p, last[1], n_last[1])},
            {'3', '3', less ? node_byte(p, 'c', 'c', next) : NODE_ID_FAIL},
        };
        uint32_t u = node_text(p, slice_str("00"), node_bytes(p, third, 3));
        edges[n_edges++] = (struct byte_edge){'u', 'u', u};
    }
    return node_bytes(p, edges, n_edges);
}

static uint32_t chars_of(struct program *p, const struct code_range *ranges, size_t n, bool tagged,
                         uint32_t next)
{
    const struct code_range *plain = tagged ? plain_tagged : plain_json;
    size_t n_plain = tagged ? 4 : 3;
    struct code_range *kept = NULL;
    size_t n_kept = 0, capacity = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n_plain; k++) {
            uint32_t low = ranges[i].low > plain[k].low ? ranges[i].low : plain[k].low;
            uint32_t high = ranges[i].high < plain[k].high ? ranges[i].high : plain[k].high;
            if (low > high)
                continue;
            memory_grow(kept, capacity, n_kept + 1);
            kept[n_kept++] = (struct code_range){low, high};
        }
    uint32_t literal = node_chars(p, kept, n_kept, next),
             escape = escaped(p, ranges, n, tagged, next);
    free(kept);
    if (escape == NODE_ID_FAIL)
        return literal;
    return node_either(p, literal, node_byte(p, '\\', '\\', escape));
}

uint32_t emit_chars(struct program *p, const struct code_range *ranges, size_t n, uint32_t next)
{
    return chars_of(p, ranges, n, false, next);
}

static uint32_t tagged_chars(struct program *p, const struct code_range *ranges, size_t n,
                             uint32_t next)
{
    return chars_of(p, ranges, n, true, next);
}

regex_chars *json_chars(const struct json_text *j)
{
    return j->tagged ? tagged_chars : emit_chars;
}

void json_notate(const struct json_text *j, struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (j->tagged && text.ptr[i] == '<')
            buf_text_add(out, "\\u003c");
        else
            buf_char(out, text.ptr[i]);
    }
}

// Numbers

static uint32_t digits(struct program *p, int min, int max, uint32_t next)
{
    uint32_t node = next;
    for (int i = max; i > 0; i--) {
        node = node_byte(p, '0', '9', node);
        if (i > min)
            node = node_either(p, node, next);
    }
    return node;
}

// Without leading zeros, with a sign or none.
static uint32_t whole_number(struct program *p, int n_digits, uint32_t next)
{
    uint32_t more = node_byte(p, '1', '9', digits(p, 0, n_digits - 1, next));
    uint32_t plain = node_either(p, node_byte(p, '0', '0', next), more);
    return node_either(p, plain, node_byte(p, '-', '-', plain));
}

uint32_t emit_number(struct json_text *j, uint32_t next)
{
    bool is_new;
    uint32_t rule = part(j, RULE_NUMBER, "number", &is_new);
    if (is_new) {
        struct program *p = j->p;
        uint32_t power = digits(p, 1, 2, NODE_ID_END);
        uint32_t sign[] = {byte(j, '+', power), byte(j, '-', power), power};
        uint32_t signed_power = node_split(p, sign, 3);
        struct byte_edge e[] = {{'e', 'e', signed_power}, {'E', 'E', signed_power}};
        uint32_t exponent = node_either(p, node_bytes(p, e, 2), NODE_ID_END);
        uint32_t fraction = byte(j, '.', digits(p, 1, JSON_DIGITS, exponent));
        program_set(p, rule, whole_number(p, JSON_DIGITS, node_either(p, fraction, exponent)));
    }
    return node_call(j->p, rule, next);
}

uint32_t emit_integer(struct json_text *j, uint32_t next)
{
    bool is_new;
    uint32_t rule = part(j, RULE_INTEGER, "integer", &is_new);
    if (is_new)
        program_set(j->p, rule, whole_number(j->p, JSON_INTEGER_DIGITS, NODE_ID_END));
    return node_call(j->p, rule, next);
}

// Any value

uint32_t emit_value(struct json_text *j, uint32_t next)
{
    bool is_new;
    uint32_t rule = part(j, RULE_VALUE, "value", &is_new);
    if (is_new) {
        struct program *p = j->p;
        uint32_t any[] = {emit_object_any(j, NODE_ID_END),
                          emit_array_any(j, NODE_ID_END),
                          emit_string(j, NODE_ID_END),
                          emit_number(j, NODE_ID_END),
                          node_text(p, slice_str("true"), NODE_ID_END),
                          node_text(p, slice_str("false"), NODE_ID_END),
                          node_text(p, slice_str("null"), NODE_ID_END)};
        program_set(p, rule, node_split(p, any, 7));
    }
    return node_call(j->p, rule, next);
}

// open, white space, then close or items with commas between.
static uint32_t listing(struct json_text *j, char open,
                        uint32_t (*item)(struct json_text *, uint32_t), char close)
{
    uint32_t end = byte(j, close, NODE_ID_END), loop = node_loop(j->p);
    uint32_t first = item(j, loop);
    node_loop_set(j->p, loop, byte(j, ',', emit_space(j, first)), emit_space(j, end));
    return byte(j, open, emit_space(j, node_either(j->p, first, end)));
}

static uint32_t member(struct json_text *j, uint32_t next)
{
    uint32_t value = emit_colon(j, emit_value(j, next));
    return json_is_loose(j) ? emit_string_sized(j, 1, JSON_LOOSE_NAME, value)
                            : emit_string(j, value);
}

uint32_t emit_object_any(struct json_text *j, uint32_t next)
{
    bool is_new;
    uint32_t rule = part(j, RULE_OBJECT, "object", &is_new);
    if (is_new)
        program_set(j->p, rule, listing(j, '{', member, '}'));
    return node_call(j->p, rule, next);
}

uint32_t emit_array_any(struct json_text *j, uint32_t next)
{
    bool is_new;
    uint32_t rule = part(j, RULE_ARRAY, "array", &is_new);
    if (is_new)
        program_set(j->p, rule, listing(j, '[', emit_value, ']'));
    return node_call(j->p, rule, next);
}
