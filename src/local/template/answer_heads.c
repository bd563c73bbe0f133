// answer_heads.c - the heads of calls: from a mark to where arguments begin.
#include "local/template/answer_impl.h"

enum verdict expect(struct slice s, size_t *i, struct slice text)
{
    struct slice rest = slice_sub(s, *i, s.len);
    if (slice_starts(rest, text)) {
        *i += text.len;
        return GOOD;
    }
    return slice_starts(text, rest) ? NEED_MORE : BAD;
}

// The same with a mark, which may be left out if the syntax has none of this kind.
static enum verdict expect_mark(const struct answer_parser *p, struct slice s, size_t *i, int mark)
{
    return expect(s, i, p->marks[mark]);
}

bool search_end(struct answer_parser *p, struct slice s, struct slice text, size_t *at)
{
    struct slice seen = slice_sub(s, 0, CALL_BYTES_MAX);
    size_t from = p->searched > text.len ? p->searched - text.len : 0;
    const char *found =
        seen.len > from ? memmem(seen.ptr + from, seen.len - from, text.ptr, text.len) : NULL;
    p->searched = seen.len;
    *at = found ? (size_t)(found - s.ptr) : 0;
    return found != NULL;
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '/' || c == ':' || (unsigned char)c >= 0x80;
}

static size_t name_end(struct slice s, size_t i)
{
    while (i < s.len && is_name(s.ptr[i]) && (unsigned char)s.ptr[i] != ANSWER_MARK)
        i++;
    return i;
}

// Arguments must begin at s[i], behind white space.
static enum verdict arguments_at(struct slice s, size_t i, struct call_head *h)
{
    i = white_at(s, i);
    h->used = i;
    if (i == s.len)
        return i < HEAD_BYTES_MAX ? NEED_MORE : BAD;
    return s.ptr[i] == '{' ? GOOD : BAD;
}

static enum verdict one_object(struct answer_parser *p, struct slice s, size_t i,
                               struct call_head *h)
{
    i = white_at(s, i);
    if (i == s.len)
        return NEED_MORE;
    return s.ptr[i] == '{' ? object_head(p, s, i, false, h) : BAD;
}

enum verdict head_hermes(struct answer_parser *p, struct slice s, bool end, struct call_head *h)
{
    size_t i = 0;
    enum verdict v = expect_mark(p, s, &i, MARK_CALL);
    (void)end;
    return v == GOOD ? one_object(p, s, i, h) : v;
}

// A list behind its mark; or, inside of one, an object.
enum verdict head_list(struct answer_parser *p, struct slice s, bool end, struct call_head *h)
{
    size_t i = 0;
    (void)end;
    if (h->in_list)
        return one_object(p, s, 0, h);
    enum verdict v = expect_mark(p, s, &i, MARK_CALL);
    if (v != GOOD)
        return v;
    i = white_at(s, i);
    if (i < s.len && s.ptr[i] == '[') {
        h->in_list = true;
        i++;
    }
    return one_object(p, s, i, h);
}

// NAME, [CALL_ID] and its id, [ARGS], {
static enum verdict mistral_name(struct answer_parser *p, struct slice s, size_t start,
                                 struct call_head *h)
{
    size_t i = name_end(s, start);
    h->name = slice_sub(s, start, i - start);
    if (h->name.len == 0 || h->name.len > NAME_BYTES_MAX)
        return BAD;
    for (int mark = MARK_INNER; mark <= MARK_INNER2; mark++) {
        enum verdict v = expect_mark(p, s, &i, mark);
        if (v == NEED_MORE)
            return v;
        if (v == GOOD && mark == MARK_INNER)
            i = name_end(s, i);
    }
    return arguments_at(s, i, h);
}

enum verdict head_mistral(struct answer_parser *p, struct slice s, bool end, struct call_head *h)
{
    size_t i = 0;
    if (h->in_list)
        return one_object(p, s, 0, h);
    enum verdict v = expect_mark(p, s, &i, MARK_CALL);
    if (v != GOOD)
        return v;
    i = white_at(s, i);
    if (i == s.len)
        return NEED_MORE;
    bool json = s.ptr[i] == '[' || s.ptr[i] == '{';
    return json ? head_list(p, s, end, h) : mistral_name(p, s, i, h);
}

// "functions.get_weather:0" is get_weather.
static struct slice bare_name(struct slice name)
{
    struct slice prefix = slice_str("functions.");
    size_t digits = name.len;
    while (name.len && is_white(name.ptr[name.len - 1]))
        name.len--;
    if (slice_starts(name, prefix))
        name = slice_sub(name, prefix.len, name.len);
    digits = name.len;
    while (digits > 0 && name.ptr[digits - 1] >= '0' && name.ptr[digits - 1] <= '9')
        digits--;
    if (digits > 1 && digits < name.len && name.ptr[digits - 1] == ':')
        name.len = digits - 1;
    return name;
}

// What the first DeepSeek models write behind the separator: NAME, a fence, and the arguments.
static enum verdict fenced_name(struct slice s, size_t i, struct call_head *h)
{
    size_t end = name_end(s, i);
    h->name = slice_sub(s, i, end - i);
    if (end == s.len && h->name.len <= NAME_BYTES_MAX)
        return NEED_MORE;
    if (h->name.len == 0 || h->name.len > NAME_BYTES_MAX)
        return BAD;
    end = white_at(s, end);
    enum verdict v = expect(s, &end, slice_str("```json"));
    return v == GOOD ? arguments_at(s, end, h) : v;
}

// NAME between a call's mark and the inner one, behind which the arguments are.
enum verdict head_between(struct answer_parser *p, struct slice s, bool end, struct call_head *h)
{
    size_t i = 0;
    enum verdict v = expect_mark(p, s, &i, MARK_SECTION);
    (void)end;
    if (v == NEED_MORE)
        return v;
    i = white_at(s, i);
    v = expect_mark(p, s, &i, MARK_CALL);
    if (v != GOOD)
        return v;
    i = white_at(s, i);
    size_t start = i;
    i = name_end(s, i);
    h->name = bare_name(slice_sub(s, start, i - start));
    if (i - start > NAME_BYTES_MAX || (i < s.len && h->name.len == 0))
        return BAD;
    i = white_at(s, i);
    v = expect_mark(p, s, &i, MARK_INNER);
    if (v != GOOD)
        return v;
    i = white_at(s, i);
    if (i < s.len && s.ptr[i] != '{')
        return fenced_name(s, i, h);
    return arguments_at(s, i, h);
}

static enum verdict whole(struct answer_parser *p, json_t *arguments, size_t used,
                          struct call_head *h)
{
    if (!arguments)
        return BAD;
    buf_clear(&p->arguments);
    json_write(&p->arguments, arguments, JSON_STYLE_COMPACT);
    json_decref(arguments);
    h->whole = true;
    h->used = used;
    return GOOD;
}

// NAME.call(KEY="VALUE", …) or NAME(…).
static enum verdict python_call(struct answer_parser *p, struct slice s, size_t start, bool end,
                                struct call_head *h)
{
    struct slice call = slice_str(".call");
    size_t i = name_end(s, start), last = 0;
    h->name = slice_sub(s, start, i - start);
    if (i == s.len && h->name.len <= NAME_BYTES_MAX)
        return NEED_MORE;
    if (h->name.len > call.len &&
        slice_is(slice_sub(h->name, h->name.len - call.len, call.len), ".call"))
        h->name.len -= call.len;
    if (s.ptr[i] != '(' || h->name.len == 0 || h->name.len > NAME_BYTES_MAX ||
        !answer_knows_tool(p, h->name))
        return BAD;
    // A bracket may also stand in a string: each is tried, once.
    s.len = s.len > HEAD_BYTES_MAX ? HEAD_BYTES_MAX : s.len;
    for (size_t k = p->searched > i ? p->searched : i; k < s.len; k++) {
        last = i;
        json_t *arguments = s.ptr[k] == ')' ? loose_arguments(slice_sub(s, 0, k + 1), &last) : NULL;
        if (arguments)
            return whole(p, arguments, last, h);
    }
    p->searched = s.len;
    return end || s.len == HEAD_BYTES_MAX ? BAD : NEED_MORE;
}

// Arguments as an object, or a call as Python writes it, behind white space.
static enum verdict object_or_python(struct answer_parser *p, struct slice s, size_t i, bool bare,
                                     bool end, struct call_head *h)
{
    i = white_at(s, i);
    if (i == s.len)
        return NEED_MORE;
    return s.ptr[i] == '{' ? object_head(p, s, i, bare, h) : python_call(p, s, i, end, h);
}

enum verdict head_llama(struct answer_parser *p, struct slice s, bool end, struct call_head *h)
{
    size_t i = 0;
    if (s.ptr[0] == '{')
        return object_head(p, s, 0, true, h);
    enum verdict v = expect_mark(p, s, &i, MARK_CALL);
    return v == GOOD ? object_or_python(p, s, i, false, end, h) : v;
}

enum verdict head_json(struct answer_parser *p, struct slice s, bool end, struct call_head *h)
{
    enum { LABEL_BYTES_MAX = 16 };
    size_t i = 0;
    if (s.ptr[0] == '{')
        return object_head(p, s, 0, true, h);
    enum verdict v = expect(s, &i, slice_str("```"));
    if (v != GOOD)
        return v;
    while (i < s.len && s.ptr[i] != '\n' && i < LABEL_BYTES_MAX)
        i++;
    if (i < s.len && s.ptr[i] != '\n')
        return BAD;
    return object_or_python(p, s, i, true, end, h);
}

// call:NAME{…} up to the end's mark.
enum verdict head_gemma(struct answer_parser *p, struct slice s, bool end, struct call_head *h)
{
    size_t i = 0, stop;
    enum verdict v = expect_mark(p, s, &i, MARK_CALL);
    (void)end;
    if (v == GOOD)
        v = expect(s, &i, slice_str("call:"));
    if (v != GOOD)
        return v;
    size_t start = i;
    i = name_end(s, i);
    h->name = slice_sub(s, start, i - start);
    if (i == s.len && h->name.len <= NAME_BYTES_MAX)
        return NEED_MORE;
    if (s.ptr[i] != '{' || h->name.len == 0 || h->name.len > NAME_BYTES_MAX)
        return BAD;
    if (!search_end(p, s, p->marks[MARK_CALL_END], &stop))
        return s.len < CALL_BYTES_MAX ? NEED_MORE : BAD;
    json_t *arguments = loose_value(slice_sub(s, 0, stop), &i, p->marks[MARK_INNER], 0);
    return whole(p, arguments, i, h);
}
