// answer_object.c - calls that are JSON objects: {"name": …, "arguments": {…}, …}.
//
// The members may stand in any order. Where the arguments come last, which they do, they are not
// waited for.
#include <string.h>

#include "local/template/answer_impl.h"

struct cursor {
    struct slice s;
    size_t i;
};

static char peek(const struct cursor *c)
{
    return c->i < c->s.len ? c->s.ptr[c->i] : 0;
}

// Steps over a string, which begins here; *out is all of it, with its quotes.
static enum verdict take_string(struct cursor *c, struct slice *out)
{
    size_t start = c->i;
    if (peek(c) != '"')
        return BAD;
    for (size_t i = start + 1; i < c->s.len; i++) {
        if ((unsigned char)c->s.ptr[i] < ' ' || (unsigned char)c->s.ptr[i] == ANSWER_MARK)
            return BAD;
        if (c->s.ptr[i] == '"') {
            *out = slice_sub(c->s, start, i + 1 - start);
            c->i = i + 1;
            return GOOD;
        }
        i += c->s.ptr[i] == '\\';
    }
    return NEED_MORE;
}

// Steps over an object, a list, a string or a word.
static enum verdict take_value(struct cursor *c, struct slice *out)
{
    size_t start = c->i, depth = 0;
    struct slice string;
    if (peek(c) == '"')
        return take_string(c, out);
    for (; c->i < c->s.len; c->i++) {
        char b = peek(c);
        if (b == '"') {
            enum verdict v = take_string(c, &string);
            if (v != GOOD)
                return v;
            c->i--;
        } else if (b == '{' || b == '[') {
            if (++depth > CALL_DEPTH_MAX)
                return BAD;
        } else if ((b == '}' || b == ']' || b == ',') && depth == 0) {
            break;
        } else if (b == '}' || b == ']') {
            if (--depth == 0) {
                c->i++;
                break;
            }
        } else if ((unsigned char)b == ANSWER_MARK) {
            return BAD;
        }
    }
    *out = slice_sub(c->s, start, c->i - start);
    if (c->i == c->s.len && (depth > 0 || c->i == start || !byte_of(c->s.ptr[c->i - 1], "}]")))
        return NEED_MORE;
    return c->i > start ? GOOD : BAD;
}

static bool decode(struct slice quoted, struct buf *out)
{
    json_t *string = json_parse(quoted, NULL);
    bool ok = json_is_string(string);
    buf_clear(out);
    if (ok)
        buf_slice(out, json_slice(string));
    json_decref(string);
    return ok;
}

struct reading {
    struct answer_parser *p;
    struct cursor c;
    struct call_head *h;
    int nested;  // objects that are open
    bool bare, named, argued;
};

static enum verdict take_name(struct reading *r)
{
    struct slice quoted;
    enum verdict v = take_string(&r->c, &quoted);
    if (v != GOOD)
        return v;
    if (!decode(quoted, &r->p->name) || !r->p->name.len || r->p->name.len > NAME_BYTES_MAX ||
        strlen(buf_text(&r->p->name)) != r->p->name.len)
        return BAD;
    r->h->name = buf_view(&r->p->name);
    r->named = true;
    return r->bare && !answer_knows_tool(r->p, r->h->name) ? BAD : GOOD;
}

// Arguments that must be kept: the name comes later, or they are a string with JSON in it.
static enum verdict keep_arguments(struct reading *r)
{
    struct slice value;
    enum verdict v = take_value(&r->c, &value);
    if (v != GOOD)
        return v;
    r->argued = true;
    buf_clear(&r->p->arguments);
    if (value.ptr[0] == '{') {
        buf_slice(&r->p->arguments, value);
        return GOOD;
    }
    while (value.len && is_white(value.ptr[value.len - 1]))
        value.len--;
    if (slice_is(value, "null"))
        return GOOD;
    if (value.ptr[0] != '"' || !decode(value, &r->p->arguments))
        return BAD;
    struct slice text = buf_view(&r->p->arguments);
    size_t at = white_at(text, 0);
    if (at == text.len)
        buf_clear(&r->p->arguments);
    return at == text.len || text.ptr[at] == '{' ? GOOD : BAD;
}

enum member { OF_NAME, OF_ARGUMENTS, OF_FUNCTION, OF_OTHER, OF_NONE };

static enum member member_of(struct slice key)
{
    static const struct {
        const char *name;
        enum member member;
    } known[] = {{"name", OF_NAME},
                 {"tool_name", OF_NAME},
                 {"arguments", OF_ARGUMENTS},
                 {"parameters", OF_ARGUMENTS},
                 {"args", OF_ARGUMENTS},
                 {"function", OF_FUNCTION},
                 {"id", OF_OTHER},
                 {"type", OF_OTHER},
                 {"tool_call_id", OF_OTHER},
                 {"index", OF_OTHER}};
    struct slice bare = slice_sub(key, 1, key.len - 2);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (slice_is(bare, known[i].name))
            return known[i].member;
    }
    return OF_NONE;
}

// A member whose key was read. *begun: the arguments begin here, and the name is known.
static enum verdict take_member(struct reading *r, enum member member, bool *begun)
{
    struct slice dropped;
    if (member == OF_FUNCTION && r->nested == 1 && peek(&r->c) == '{') {
        r->nested++;
        r->c.i++;
        return GOOD;
    }
    if (member == OF_NAME || member == OF_FUNCTION)
        return take_name(r);
    if (member != OF_ARGUMENTS)
        return take_value(&r->c, &dropped);
    *begun = peek(&r->c) == '{' && r->named;
    return *begun ? GOOD : keep_arguments(r);
}

static bool skip_white(struct cursor *c)
{
    c->i = white_at(c->s, c->i);
    return c->i < c->s.len;
}

// One member or separator. *done: the head is known.
static enum verdict take_next(struct reading *r, bool *done)
{
    struct slice key;
    bool begun = false;
    if (!skip_white(&r->c))
        return NEED_MORE;
    if (peek(&r->c) == ',') {
        r->c.i++;
        return GOOD;
    }
    if (peek(&r->c) == '}') {
        r->c.i++;
        r->nested--;
        *done = r->nested == 0;
        return *done && !r->named ? BAD : GOOD;
    }
    enum verdict v = take_string(&r->c, &key);
    if (v != GOOD)
        return v;
    enum member member = member_of(key);
    if (r->bare && member == OF_NONE)
        return BAD;
    if (!skip_white(&r->c))
        return NEED_MORE;
    if (peek(&r->c) != ':')
        return BAD;
    r->c.i++;
    if (!skip_white(&r->c))
        return NEED_MORE;
    v = take_member(r, member, &begun);
    *done = begun || (r->named && r->argued);
    r->h->whole = !begun;
    return v;
}

enum verdict object_head(struct answer_parser *p, struct slice s, size_t i, bool bare,
                         struct call_head *h)
{
    struct reading r = {.p = p, .c = {s, i + 1}, .h = h, .nested = 1, .bare = bare};
    bool done = false;
    enum verdict v = GOOD;
    if (s.len > HEAD_BYTES_MAX)
        s.len = HEAD_BYTES_MAX;
    r.c.s = s;
    h->whole = true;
    while (v == GOOD && !done)
        v = take_next(&r, &done);
    if (v == GOOD && h->whole && !r.argued)
        buf_clear(&p->arguments);
    h->used = r.c.i;
    h->tail = r.nested;
    return v == NEED_MORE && s.len == HEAD_BYTES_MAX ? BAD : v;
}

enum verdict object_tail(struct slice s, int depth, size_t *used)
{
    enum { TAIL_BYTES_MAX = 1024 };
    struct cursor c = {slice_sub(s, 0, TAIL_BYTES_MAX), 0};
    struct slice string;
    while (depth > 0) {
        if (!skip_white(&c))
            return s.len >= TAIL_BYTES_MAX ? BAD : NEED_MORE;
        if (peek(&c) == '"') {
            enum verdict v = take_string(&c, &string);
            if (v != GOOD)
                return v == NEED_MORE && s.len >= TAIL_BYTES_MAX ? BAD : v;
            continue;
        }
        if (!byte_of(peek(&c), "},:-.0123456789truefalsn"))
            return BAD;
        depth -= peek(&c) == '}';
        c.i++;
    }
    *used = c.i;
    return GOOD;
}
