#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "base/utf8.h"

enum { LOOK_BYTES = 64 << 10 };  // less is not looked for

// Values are small allocations, which abort: jansson goes on after some that failed, as if what it
// could not keep had not been there, and crashes after others.
static void *take(size_t bytes)
{
    return memory_resize(NULL, bytes, 1);
}

__attribute__((constructor)) static void use_memory(void)
{
    json_set_alloc_funcs(take, free);
}

// At most this much memory will the values of a text take: each begins or ends with one of these
// characters, whose weights were measured (bytes that jansson takes for an empty object, an empty
// list, a list's string, and what a member's key adds).
static bool check_memory(struct slice text, struct error *err)
{
    static const unsigned char weights[256] = {['{'] = 232, ['['] = 136, [','] = 88, [':'] = 64};
    size_t bytes = 0;
    for (size_t i = 0; i < text.len; i++)
        bytes += weights[(unsigned char)text.ptr[i]];
    if (bytes > JSON_MEMORY_MAX)
        return error_set(err, ERR_LIMIT, "JSON: its values would take up to %zu MiB, at most %d",
                         bytes >> 20, JSON_MEMORY_MAX >> 20);
    bytes += 2 * text.len;  // texts, and the one that is being read
    return bytes < LOOK_BYTES || memory_has_room(bytes) ||
           error_set(err, ERR_MEMORY, "JSON: no memory for values of %zu bytes", bytes);
}

static json_t *parse(struct slice text, size_t flags, struct error *err)
{
    json_error_t why;
    const char *p = text.ptr ? text.ptr : "";
    if (!check_memory(text, err))
        return NULL;
    json_t *value = json_loadb(p, text.len, flags, &why);
    if (!value && json_error_code(&why) == json_error_numeric_overflow)
        value = json_loadb(p, text.len, flags | JSON_DECODE_INT_AS_REAL, &why);
    if (value)
        return value;
    for (char *c = why.text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)  // it quotes the text: an error is one line
            *c = '?';
    error_set(err, ERR_FORMAT, "JSON, line %d, column %d: %s", why.line, why.column, why.text);
    return NULL;
}

json_t *json_parse(struct slice text, struct error *err)
{
    return parse(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, err);
}

json_t *json_parse_unique(struct slice text, struct error *err)
{
    return parse(text, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, err);
}

// Puts quotes around numbers in a text that is JSON.
static void quote_numbers(struct slice text, struct buf *out)
{
    bool in_text = false;
    buf_reserve(out, text.len + text.len / 2);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        size_t n = 1;
        if (in_text && c == '\\') {
            n = 2;
        } else if (c == '"') {
            in_text = !in_text;
        } else if (!in_text && (c == '-' || (c >= '0' && c <= '9'))) {
            while (i + n < text.len && byte_of(text.ptr[i + n], "0123456789+-.eE"))
                n++;
            buf_text_add(out, "\"\\u0000");
            buf_add(out, text.ptr + i, n);
            buf_char(out, '"');
            i += n - 1;
            continue;
        }
        buf_add(out, text.ptr + i, n);
        i += n - 1;
    }
}

json_t *json_parse_exact(struct slice text, struct error *err)
{
    struct buf quoted = {0};
    json_t *value = json_parse(text, err);  // its errors name places in the text as it is
    if (!value)
        return NULL;
    json_decref(value);
    quote_numbers(text, &quoted);
    value = json_parse(buf_view(&quoted), err);
    buf_release(&quoted);
    return value;
}

bool json_number_text(const json_t *value, struct slice *text)
{
    if (!json_is_string(value) || json_string_length(value) < 2 || json_string_value(value)[0])
        return false;
    *text = slice_of(json_string_value(value) + 1, json_string_length(value) - 1);
    return true;
}

json_t *json_read_file(const char *path, size_t max_bytes, struct error *err)
{
    struct buf text = {0};
    json_t *value = NULL;
    if (file_read(path, max_bytes, &text, err)) {
        value = json_parse(buf_view(&text), err);
        if (!value)
            error_wrap(err, "'%s'", path);
    }
    buf_release(&text);
    return value;
}

void json_write_number(struct buf *out, double value)
{
    char text[40];
    if (!isfinite(value)) {
        buf_text_add(out, "null");
        return;
    }
    if (value == floor(value) && fabs(value) < 1e15) {
        buf_printf(out, "%.1f", value);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buf_text_add(out, text);
}

void json_write_text(struct buf *out, struct slice text)
{
    buf_char(out, '"');
    for (size_t i = 0; i < text.len;) {
        unsigned char c = (unsigned char)text.ptr[i];
        uint32_t code;
        size_t n = utf8_decode(text.ptr + i, text.len - i, &code);
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n')
            buf_text_add(out, "\\n");
        else if (c == '\t')
            buf_text_add(out, "\\t");
        else if (c == '\r')
            buf_text_add(out, "\\r");
        else if (c == '\b')
            buf_text_add(out, "\\b");
        else if (c == '\f')
            buf_text_add(out, "\\f");
        else if (c < 0x20)
            buf_printf(out, "\\u%04x", c);
        else if (n == 0)
            buf_utf8(out, 0xFFFD);
        else
            buf_add(out, text.ptr + i, n);
        i += n ? n : 1;
    }
    buf_char(out, '"');
}

static void new_line(struct buf *out, enum json_style style, int depth)
{
    if (style == JSON_STYLE_INDENTED)
        buf_printf(out, "\n%*s", depth * 2, "");
}

static void write_value(struct buf *out, const json_t *value, enum json_style style, int depth);

static void write_object(struct buf *out, const json_t *object, enum json_style style, int depth)
{
    json_t *o = (json_t *)object;  // jansson's iterators take no const
    bool first = true;
    buf_char(out, '{');
    for (void *i = json_object_iter(o); i; i = json_object_iter_next(o, i)) {
        if (!first)
            buf_text_add(out, style == JSON_STYLE_SPACED ? ", " : ",");
        new_line(out, style, depth + 1);
        json_write_text(out, slice_of(json_object_iter_key(i), json_object_iter_key_len(i)));
        buf_text_add(out, style == JSON_STYLE_COMPACT ? ":" : ": ");
        write_value(out, json_object_iter_value(i), style, depth + 1);
        first = false;
    }
    if (!first)
        new_line(out, style, depth);
    buf_char(out, '}');
}

static void write_array(struct buf *out, const json_t *array, enum json_style style, int depth)
{
    buf_char(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i)
            buf_text_add(out, style == JSON_STYLE_SPACED ? ", " : ",");
        new_line(out, style, depth + 1);
        write_value(out, json_array_get(array, i), style, depth + 1);
    }
    if (json_array_size(array))
        new_line(out, style, depth);
    buf_char(out, ']');
}

static void write_value(struct buf *out, const json_t *value, enum json_style style, int depth)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: write_object(out, value, style, depth); break;
    case JSON_ARRAY: write_array(out, value, style, depth); break;
    case JSON_STRING: json_write_text(out, json_slice(value)); break;
    case JSON_INTEGER: buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value)); break;
    case JSON_REAL: json_write_number(out, json_real_value(value)); break;
    case JSON_TRUE: buf_text_add(out, "true"); break;
    case JSON_FALSE: buf_text_add(out, "false"); break;
    case JSON_NULL: buf_text_add(out, "null"); break;
    }
}

void json_write(struct buf *out, const json_t *value, enum json_style style)
{
    write_value(out, value, style, 0);
}

bool json_get_i64(const json_t *object, const char *key, int64_t *value)
{
    const json_t *v = json_object_get(object, key);
    if (json_is_integer(v)) {
        *value = json_integer_value(v);
        return true;
    }
    double d = json_is_real(v) ? json_real_value(v) : 0.5;
    if (d != floor(d) || fabs(d) > 9e15)
        return false;
    *value = (int64_t)d;
    return true;
}

bool json_get_f64(const json_t *object, const char *key, double *value)
{
    const json_t *v = json_object_get(object, key);
    if (!json_is_number(v))
        return false;
    *value = json_number_value(v);
    return true;
}

bool json_get_bool(const json_t *object, const char *key, bool *value)
{
    const json_t *v = json_object_get(object, key);
    if (!json_is_boolean(v))
        return false;
    *value = json_is_true(v);
    return true;
}

const char *json_get_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}
