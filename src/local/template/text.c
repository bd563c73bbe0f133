#include "local/template/text.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "local/template/run.h"

struct builder builder_new(struct run *r)
{
    return (struct builder){.r = r};
}

static void reserve(struct builder *b, size_t more)
{
    struct run *r = b->r;
    if (more > r->max_output || b->len > r->max_output - more)
        run_fail(r, ERR_LIMIT, "a text is longer than %zu bytes", r->max_output);
    if (b->len + more <= b->capacity)
        return;
    size_t capacity = b->capacity < 64 ? 64 : b->capacity * 2;
    if (capacity < b->len + more)
        capacity = b->len + more;
    char *fresh = run_alloc(r, capacity, 1);
    if (b->len)
        memcpy(fresh, b->ptr, b->len);
    b->ptr = fresh;
    b->capacity = capacity;
}

void builder_add(struct builder *b, const char *bytes, size_t len)
{
    if (len == 0)
        return;
    reserve(b, len);
    run_charge(b->r, len / 64);
    memcpy(b->ptr + b->len, bytes, len);
    b->len += len;
}

void builder_str(struct builder *b, const char *text)
{
    builder_add(b, text, strlen(text));
}

void builder_printf(struct builder *b, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    builder_str(b, text);
}

void builder_mark(struct builder *b, size_t from, size_t to)
{
    if (from >= to)
        return;
    if (b->n_marks && b->marks[b->n_marks - 1].end >= from) {
        if (b->marks[b->n_marks - 1].end < to)
            b->marks[b->n_marks - 1].end = to;
        return;
    }
    if (b->n_marks == b->marks_capacity) {
        size_t capacity = b->marks_capacity < 4 ? 4 : b->marks_capacity * 2;
        struct rendered_span *fresh = run_new(b->r, struct rendered_span, capacity);
        if (b->n_marks)
            memcpy(fresh, b->marks, b->n_marks * sizeof *fresh);
        b->marks = fresh;
        b->marks_capacity = capacity;
    }
    b->marks[b->n_marks++] = (struct rendered_span){from, to};
}

// The first of t's marks that ends after `from`: marks are many where texts were put together
// from many, and then parts of them are often cut.
static size_t first_mark(const struct text *t, size_t from)
{
    size_t low = 0, high = t->n_marks;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->marks[middle].end <= from)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void builder_part(struct builder *b, const struct text *t, size_t from, size_t to)
{
    size_t at = b->len;
    builder_add(b, t->ptr + from, to - from);
    for (size_t i = first_mark(t, from); i < t->n_marks && t->marks[i].start < to; i++) {
        size_t start = t->marks[i].start > from ? t->marks[i].start : from;
        size_t end = t->marks[i].end < to ? t->marks[i].end : to;
        builder_mark(b, at + start - from, at + end - from);
        run_charge(b->r, i & 1);
    }
}

void builder_text(struct builder *b, const struct text *t)
{
    builder_part(b, t, 0, t->len);
}

void builder_char(struct builder *b, uint32_t code)
{
    char bytes[4];
    size_t n = utf8_encode(code, bytes);
    builder_add(b, bytes, n);
}

void builder_fill(struct builder *b, const struct text *t, size_t times)
{
    struct run *r = b->r;
    if (t->len && times > r->max_output / t->len)
        run_fail(r, ERR_LIMIT, "a text is longer than %zu bytes", r->max_output);
    reserve(b, t->len * times);
    for (size_t i = 0; t->len && i < times; i++) {
        run_charge(r, 1);
        builder_text(b, t);
    }
}

size_t count_chars(const char *p, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)p[i] & 0xC0) != 0x80;
    return n;
}

static struct text *text_over(struct run *r, const char *ptr, size_t len)
{
    struct text *t = run_new(r, struct text, 1);
    *t = (struct text){.ptr = ptr, .len = len, .n_chars = count_chars(ptr, len)};
    return t;
}

struct value builder_value(struct builder *b)
{
    struct text *t = text_over(b->r, b->ptr ? b->ptr : "", b->len);
    t->marks = b->marks;
    t->n_marks = b->n_marks;
    return value_text(t);
}

struct value text_new(struct run *r, struct slice bytes)
{
    struct builder b = builder_new(r);
    builder_add(&b, bytes.ptr, bytes.len);
    return builder_value(&b);
}

struct value text_str(struct run *r, const char *text)
{
    return value_text(text_over(r, text, strlen(text)));
}

struct value text_from_caller(struct run *r, struct slice bytes)
{
    run_charge(r, bytes.len / 64);
    struct text *t = text_over(r, bytes.ptr, bytes.len);
    if (bytes.len) {
        struct rendered_span *all = run_new(r, struct rendered_span, 1);
        *all = (struct rendered_span){0, bytes.len};
        t->marks = all;
        t->n_marks = 1;
    }
    return value_text(t);
}

// Shares the bytes; the marks are cut.
struct value text_part(struct run *r, const struct text *t, size_t from, size_t to)
{
    if (from >= to)
        return text_as_markup(r, text_str(r, "").text, t->markup);
    if (from == 0 && to == t->len)
        return value_text(t);
    run_charge(r, 1 + (to - from) / 64);
    struct text *part = text_over(r, t->ptr + from, to - from);
    part->markup = t->markup;
    struct builder marks = builder_new(r);
    for (size_t i = first_mark(t, from); i < t->n_marks && t->marks[i].start < to; i++) {
        size_t start = t->marks[i].start > from ? t->marks[i].start : from;
        size_t end = t->marks[i].end < to ? t->marks[i].end : to;
        builder_mark(&marks, start - from, end - from);
        run_charge(r, i & 1);
    }
    part->marks = marks.marks;
    part->n_marks = marks.n_marks;
    return value_text(part);
}

struct value text_as_markup(struct run *r, const struct text *t, bool markup)
{
    if (t->markup == markup)
        return value_text(t);
    struct text *copy = run_new(r, struct text, 1);
    *copy = *t;
    copy->markup = markup;
    return value_text(copy);
}

struct value text_concat(struct run *r, const struct text *a, const struct text *b)
{
    struct builder joined = builder_new(r);
    bool markup = a->markup || b->markup;
    if (markup && !a->markup)
        a = text_escape(r, a).text;
    if (markup && !b->markup)
        b = text_escape(r, b).text;
    reserve(&joined, a->len + b->len);
    builder_text(&joined, a);
    builder_text(&joined, b);
    return text_as_markup(r, builder_value(&joined).text, markup);
}

bool text_equal(const struct text *a, const struct text *b)
{
    return slice_eq(text_slice(a), text_slice(b));
}

size_t text_offset(struct run *r, const struct text *t, size_t i)
{
    if (t->n_chars == t->len)
        return i;
    run_charge(r, t->len / 64);
    size_t at = 0;
    while (i > 0 && at < t->len) {
        at++;
        while (at < t->len && ((unsigned char)t->ptr[at] & 0xC0) == 0x80)
            at++;
        i--;
    }
    return at;
}

size_t text_chars(struct run *r, const struct text *t, size_t from, size_t to)
{
    if (t->n_chars == t->len)
        return to - from;
    run_charge(r, (to - from) / 64);
    return count_chars(t->ptr + from, to - from);
}

size_t text_find(const struct text *t, struct slice needle, size_t from, size_t to)
{
    if (from > to || needle.len > to - from)
        return SIZE_MAX;
    if (needle.len == 0)
        return from;
    const char *found = memmem(t->ptr + from, to - from, needle.ptr, needle.len);
    return found ? (size_t)(found - t->ptr) : SIZE_MAX;
}

size_t text_rfind(struct run *r, const struct text *t, struct slice needle, size_t from, size_t to)
{
    if (from > to || needle.len > to - from)
        return SIZE_MAX;
    if (needle.len == 0)
        return to;
    size_t found = SIZE_MAX;
    for (size_t at = from; (at = text_find(t, needle, at, to)) != SIZE_MAX; at++) {
        run_charge(r, 1 + needle.len / 16);
        found = at;
    }
    return found;
}

uint32_t text_code(const struct text *t, size_t i, size_t *len)
{
    uint32_t code = 0;
    *len = utf8_decode(t->ptr + i, t->len - i, &code);
    if (*len == 0)
        *len = 1;
    return code;
}

uint32_t text_code_before(const struct text *t, size_t i, size_t *len)
{
    size_t at = i - 1;
    while (at > 0 && ((unsigned char)t->ptr[at] & 0xC0) == 0x80)
        at--;
    uint32_t code = text_code(t, at, len);
    *len = i - at;
    return code;
}

static bool is_stripped(struct run *r, const struct text *chars, uint32_t code)
{
    if (!chars)
        return unicode_is_space(code);
    size_t n;
    run_charge(r, 1 + chars->len / 16);
    for (size_t i = 0; i < chars->len; i += n)
        if (text_code(chars, i, &n) == code)
            return true;
    return false;
}

void text_strip(struct run *r, const struct text *t, const struct text *chars, bool left,
                bool right, size_t *from, size_t *to)
{
    size_t n;
    *from = 0;
    *to = t->len;
    while (left && *from < *to && is_stripped(r, chars, text_code(t, *from, &n)))
        *from += n;
    while (right && *to > *from && is_stripped(r, chars, text_code_before(t, *to, &n)))
        *to -= n;
    run_charge(r, (*from + t->len - *to) / 16);
}

// An empty `from` matches between all characters, as in Python.
struct value text_replace(struct run *r, const struct text *t, const struct text *from,
                          const struct text *to, int64_t count)
{
    struct builder b = builder_new(r);
    size_t at = 0, n;
    uint64_t left = count < 0 ? UINT64_MAX : (uint64_t)count;
    run_charge(r, 1 + t->len / 64);
    while (left > 0) {
        run_charge(r, 1);
        if (from->len == 0) {
            builder_text(&b, to);
            left--;
            if (at >= t->len)
                break;
            text_code(t, at, &n);
            builder_part(&b, t, at, at + n);
            at += n;
            continue;
        }
        size_t found = text_find(t, text_slice(from), at, t->len);
        if (found == SIZE_MAX)
            break;
        builder_part(&b, t, at, found);
        builder_text(&b, to);
        at = found + from->len;
        left--;
    }
    if (at < t->len)
        builder_part(&b, t, at, t->len);
    return text_as_markup(r, builder_value(&b).text, t->markup);
}

struct value text_escape(struct run *r, const struct text *t)
{
    static const struct {
        char c;
        const char *entity;
    } entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'\'', "&#39;"}, {'"', "&#34;"}};
    if (t->markup)
        return value_text(t);
    struct builder b = builder_new(r);
    size_t from = 0;
    run_charge(r, t->len / 16);
    for (size_t i = 0; i < t->len; i++) {
        const char *entity = NULL;
        for (size_t j = 0; j < sizeof entities / sizeof *entities; j++)
            if (t->ptr[i] == entities[j].c)
                entity = entities[j].entity;
        if (!entity)
            continue;
        builder_part(&b, t, from, i);
        size_t at = b.len;
        builder_str(&b, entity);
        bool marked = first_mark(t, i) < t->n_marks && t->marks[first_mark(t, i)].start <= i;
        if (marked)
            builder_mark(&b, at, b.len);
        from = i + 1;
    }
    builder_part(&b, t, from, t->len);
    return text_as_markup(r, builder_value(&b).text, true);
}
