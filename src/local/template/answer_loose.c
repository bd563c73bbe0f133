// answer_loose.c - values in the notations of Gemma ({key:<escape>text<escape>,n:1}) and Python
// (key='text', n=1), as JSON values.
#include <stdlib.h>

#include "base/utf8.h"
#include "local/template/answer_impl.h"

static bool take(struct slice s, size_t *i, char c)
{
    *i = white_at(s, *i);
    if (*i == s.len || s.ptr[*i] != c)
        return false;
    ++*i;
    return true;
}

// Between " or ', with the escapes of both languages: \n is a line's end, other characters stand
// for themselves.
static json_t *quoted(struct slice s, size_t *i)
{
    struct buf text = {0};
    char quote = s.ptr[(*i)++];
    json_t *value = NULL;
    for (; *i < s.len && s.ptr[*i] != quote; ++*i) {
        char c = s.ptr[*i];
        if (c == '\\' && *i + 1 < s.len) {
            c = s.ptr[++*i];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        }
        buf_char(&text, c);
    }
    if (*i < s.len) {
        ++*i;
        value = json_stringn(buf_text(&text), text.len);
    }
    buf_release(&text);
    return value;
}

static json_t *marked(struct slice s, size_t *i, struct slice quote)
{
    size_t start = *i + quote.len;
    struct slice rest = slice_sub(s, start, s.len);
    const char *end = rest.len ? memmem(rest.ptr, rest.len, quote.ptr, quote.len) : NULL;
    if (!end)
        return NULL;
    *i = start + (size_t)(end - rest.ptr) + quote.len;
    return json_stringn(rest.ptr, (size_t)(end - rest.ptr));
}

// A word up to where a value must end.
static struct slice word(struct slice s, size_t *i)
{
    size_t start = *i;
    while (*i < s.len && !byte_of(s.ptr[*i], ",:=]})"))
        ++*i;
    struct slice w = slice_sub(s, start, *i - start);
    while (w.len && is_white(w.ptr[w.len - 1]))
        w.len--;
    return w;
}

static json_t *bare(struct slice s, size_t *i)
{
    struct slice w = word(s, i);
    if (w.len == 0)
        return NULL;
    if (slice_is(w, "True"))
        return json_true();
    if (slice_is(w, "False"))
        return json_false();
    if (slice_is(w, "None"))
        return json_null();
    json_t *value = json_parse(w, NULL);
    return value ? value : json_stringn(w.ptr, w.len);
}

static bool set(json_t *object, struct slice key, json_t *value)
{
    if (!value)
        return false;
    if (key.len == 0 || key.len > NAME_BYTES_MAX || memchr(key.ptr, 0, key.len)) {
        json_decref(value);
        return false;
    }
    char *name = strndup(key.ptr, key.len);
    bool ok = json_object_set_new(object, name, value) == 0;
    free(name);
    return ok;
}

static json_t *members(struct slice s, size_t *i, struct slice quote, int depth, const char *signs)
{
    json_t *object = json_object();
    bool ok = true, more = !take(s, i, signs[1]);
    while (ok && more) {
        *i = white_at(s, *i);
        bool is_text = *i < s.len && (s.ptr[*i] == '"' || s.ptr[*i] == '\'' ||
                                      (quote.len && slice_starts(slice_sub(s, *i, s.len), quote)));
        json_t *text = is_text ? loose_value(s, i, quote, depth) : NULL;
        struct slice key = text ? json_slice(text) : is_text ? slice_of("", 0) : word(s, i);
        ok = take(s, i, signs[0]) && set(object, key, loose_value(s, i, quote, depth));
        json_decref(text);
        more = ok && take(s, i, ',');
    }
    // Python lets a last comma stand; nobody writes one, so that it is an error here.
    if (ok && (json_object_size(object) == 0 || take(s, i, signs[1])))
        return object;
    json_decref(object);
    return NULL;
}

static json_t *items(struct slice s, size_t *i, struct slice quote, int depth)
{
    json_t *list = json_array();
    bool ok = true, more = !take(s, i, ']');
    while (ok && more) {
        ok = json_array_append_new(list, loose_value(s, i, quote, depth)) == 0;
        more = ok && take(s, i, ',');
    }
    if (ok && (json_array_size(list) == 0 || take(s, i, ']')))
        return list;
    json_decref(list);
    return NULL;
}

json_t *loose_value(struct slice s, size_t *i, struct slice quote, int depth)
{
    *i = white_at(s, *i);
    if (*i == s.len || depth > CALL_DEPTH_MAX)
        return NULL;
    if (quote.len && slice_starts(slice_sub(s, *i, s.len), quote))
        return marked(s, i, quote);
    char c = s.ptr[*i];
    if (c == '"' || c == '\'')
        return quoted(s, i);
    if (c != '{' && c != '[')
        return bare(s, i);
    ++*i;
    return c == '{' ? members(s, i, quote, depth + 1, ":}") : items(s, i, quote, depth + 1);
}

json_t *loose_arguments(struct slice s, size_t *i)
{
    return take(s, i, '(') ? members(s, i, slice_of("", 0), 0, "=)") : NULL;
}
