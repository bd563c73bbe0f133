// answer_xml.c - calls between tags, whose values say by no sign of their own of what type they
// are: the tool's schema does.
#include "local/template/answer_impl.h"

static bool schema_says(const json_t *schema, const char *type)
{
    const json_t *given = json_object_get(schema, "type");
    size_t i;
    json_t *one;
    if (json_is_string(given))
        return slice_is(json_slice(given), type);
    json_array_foreach((json_t *)given, i, one)
    {
        if (json_is_string(one) && slice_is(json_slice(one), type))
            return true;
    }
    return false;
}

static bool is_nothing_but_text(const json_t *schema)
{
    static const char *const others[] = {"integer", "number", "boolean", "object", "array", "null"};
    if (!schema_says(schema, "string"))
        return false;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (schema_says(schema, others[i]))
            return false;
    }
    return true;
}

bool answer_member_is_text(const json_t *parameters, const char *name)
{
    return is_nothing_but_text(json_object_get(json_object_get(parameters, "properties"), name));
}

// A value by its schema; without one, JSON if it is JSON (or Python's words for it), else text.
static json_t *typed_value(const json_t *schema, struct slice text)
{
    static const struct {
        const char *word;
        json_t *(*make)(void);
    } words[] = {{"True", json_true}, {"False", json_false}, {"None", json_null}};
    json_t *value = NULL;
    if (!is_nothing_but_text(schema)) {
        for (size_t i = 0; i < sizeof words / sizeof *words && !value; i++)
            value = slice_is(text, words[i].word) ? words[i].make() : NULL;
        if (!value)
            value = json_parse(text, NULL);
    }
    return value ? value : json_stringn(text.ptr, text.len);
}

static bool set_value(const struct answer_parser *p, struct slice name, json_t *arguments,
                      struct slice key, struct slice text)
{
    const json_t *properties = json_object_get(answer_parameters(p, name), "properties");
    if (key.len == 0 || key.len > NAME_BYTES_MAX || memchr(key.ptr, 0, key.len))
        return false;
    char *word = strndup(key.ptr, key.len);
    json_t *value = typed_value(json_object_get(properties, word), text);
    bool ok = value && json_object_set_new(arguments, word, value) == 0;
    free(word);
    return ok;
}

static struct slice between_lines(struct slice s)
{
    if (s.len && s.ptr[0] == '\n')
        s = slice_sub(s, 1, s.len);
    if (s.len && s.ptr[s.len - 1] == '\n')
        s.len--;
    return s;
}

// What stands between *i and the tag, which is stepped over.
static bool take_until(struct slice s, size_t *i, const char *tag, struct slice *out)
{
    struct slice rest = slice_sub(s, *i, s.len);
    const char *found = rest.len ? memmem(rest.ptr, rest.len, tag, strlen(tag)) : NULL;
    if (!found)
        return false;
    *out = slice_of(rest.ptr, (size_t)(found - rest.ptr));
    *i += out->len + strlen(tag);
    return true;
}

static bool take_tag(struct slice s, size_t *i, const char *tag)
{
    *i = white_at(s, *i);
    return expect(s, i, slice_str(tag)) == GOOD;
}

static enum verdict keep(struct answer_parser *p, json_t *arguments, bool ok, size_t used,
                         struct call_head *h)
{
    buf_clear(&p->arguments);
    if (ok)
        json_write(&p->arguments, arguments, JSON_STYLE_COMPACT);
    json_decref(arguments);
    h->whole = true;
    h->used = used;
    return ok ? GOOD : BAD;
}

static enum verdict no_end(struct slice s)
{
    return s.len < CALL_BYTES_MAX ? NEED_MORE : BAD;
}

enum verdict head_qwen_xml(struct answer_parser *p, struct slice s, bool end, struct call_head *h)
{
    static const char close[] = "</function>";
    struct slice key, value;
    size_t i = 0, stop;
    enum verdict v = expect(s, &i, p->marks[MARK_CALL]);
    (void)end;
    if (v == NEED_MORE)
        return v;
    i = white_at(s, i);
    v = expect(s, &i, p->marks[MARK_ALSO]);
    if (v != GOOD)
        return v;
    if (!search_end(p, s, slice_str(close), &stop))
        return no_end(s);
    struct slice body = slice_sub(s, 0, stop);
    if (!take_until(body, &i, ">", &h->name) || h->name.len == 0 || h->name.len > NAME_BYTES_MAX)
        return BAD;
    json_t *arguments = json_object();
    bool ok = true;
    while (ok && take_tag(body, &i, "<parameter="))
        ok = take_until(body, &i, ">", &key) && take_until(body, &i, "</parameter>", &value) &&
             set_value(p, h->name, arguments, key, between_lines(value));
    return keep(p, arguments, ok && i == stop, stop + sizeof close - 1, h);
}

enum verdict head_glm(struct answer_parser *p, struct slice s, bool end, struct call_head *h)
{
    struct slice key, value;
    size_t i = 0, stop;
    enum verdict v = expect(s, &i, p->marks[MARK_CALL]);
    (void)end;
    if (v != GOOD)
        return v;
    if (!search_end(p, s, p->marks[MARK_CALL_END], &stop))
        return no_end(s);
    struct slice body = slice_sub(s, 0, stop);
    size_t start = i = white_at(body, i);
    while (i < stop && body.ptr[i] != '<' && !is_white(body.ptr[i]))
        i++;
    h->name = slice_sub(body, start, i - start);
    if (h->name.len == 0 || h->name.len > NAME_BYTES_MAX)
        return BAD;
    json_t *arguments = json_object();
    bool ok = true;
    while (ok && take_tag(body, &i, "<arg_key>"))
        ok = take_until(body, &i, "</arg_key>", &key) && take_tag(body, &i, "<arg_value>") &&
             take_until(body, &i, "</arg_value>", &value) &&
             set_value(p, h->name, arguments, key, value);
    return keep(p, arguments, ok && i == stop, stop, h);
}
