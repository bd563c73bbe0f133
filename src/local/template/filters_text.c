// filters_text.c - filters that make a text of a text.
#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

#define FILTER(name)                                                                               \
    static struct value name(struct run *r, struct value self, struct value *v,                    \
                             const struct args *rest)

static struct value in_case(struct run *r, const struct text *t, enum unicode_case which)
{
    struct builder b = builder_new(r);
    unicode_add_case(&b, t, 0, t->len, which);
    return text_as_markup(r, builder_value(&b).text, t->markup);
}

FILTER(filter_upper)
{
    (void)v;
    (void)rest;
    return in_case(r, to_text(r, self), CASE_UPPER);
}

FILTER(filter_lower)
{
    (void)v;
    (void)rest;
    return in_case(r, to_text(r, self), CASE_LOWER);
}

FILTER(filter_capitalize)
{
    (void)v;
    (void)rest;
    const struct text *t = to_text(r, self);
    return builtin_find(&text_methods, slice_str("capitalize"))->call(r, value_text(t), v, rest);
}

// Each word's first character in upper case, the rest in lower; words end at - ( { [ < and space.
FILTER(filter_title)
{
    (void)v;
    (void)rest;
    const struct text *t = to_text(r, self);
    struct builder b = builder_new(r);
    size_t i = 0, n;
    while (i < t->len) {
        size_t from = i;
        uint32_t c = text_code(t, i, &n);
        bool between = c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
        if (between || unicode_is_space(c)) {
            builder_part(&b, t, i, i + n);
            i += n;
            continue;
        }
        size_t first = n;
        for (; i < t->len; i += n) {
            c = text_code(t, i, &n);
            if (c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || unicode_is_space(c))
                break;
        }
        unicode_add_case(&b, t, from, from + first, CASE_UPPER);
        unicode_add_case(&b, t, from + first, i, CASE_LOWER);
    }
    return builder_value(&b);
}

FILTER(filter_trim)
{
    (void)rest;
    const struct text *t = to_text(r, self), *chars = NULL;
    size_t from, to;
    if (v[0].type != V_MISSING && v[0].type != V_NONE)
        chars = arg_text(r, v[0]);
    run_charge(r, 1);
    text_strip(r, t, chars, true, true, &from, &to);
    return text_part(r, t, from, to);
}

FILTER(filter_replace)
{
    (void)rest;
    const struct text *t = value_str(r, self).text;
    int64_t count = arg_int(r, v[2], -1);
    return text_replace(r, t, value_str(r, v[0]).text, value_str(r, v[1]).text, count);
}

FILTER(filter_string)
{
    (void)v;
    (void)rest;
    return value_text(to_text(r, self));
}

FILTER(filter_safe)
{
    (void)v;
    (void)rest;
    return text_as_markup(r, to_text(r, self), true);
}

FILTER(filter_escape)
{
    (void)v;
    (void)rest;
    return text_escape(r, to_text(r, self));
}

FILTER(filter_forceescape)
{
    (void)v;
    (void)rest;
    return text_escape(r, value_str(r, self).text);
}

FILTER(filter_center)
{
    (void)rest;
    const struct text *t = to_text(r, self);
    struct value width = v[0].type == V_MISSING ? value_int(80) : v[0];
    const struct args args = {.items = &width, .n = 1};
    struct value values[2] = {width, value_missing()};
    return builtin_find(&text_methods, slice_str("center"))->call(r, value_text(t), values, &args);
}

// The lines of a text, without their ends.
static struct list *lines_of(struct run *r, const struct text *t)
{
    struct value keep = value_missing();
    return (struct list *)builtin_find(&text_methods, slice_str("splitlines"))
        ->call(r, value_text(t), &keep, NULL)
        .list;
}

FILTER(filter_indent)
{
    (void)rest;
    const struct text *t = arg_text(r, self), *by;
    bool first = arg_bool(r, v[1], false), blank = arg_bool(r, v[2], false);
    if (is_text(v[0])) {
        by = v[0].text;
    } else {
        struct builder spaces = builder_new(r);
        int64_t width = arg_int(r, v[0], 4);
        builder_fill(&spaces, text_str(r, " ").text, width < 0 ? 0 : (size_t)width);
        by = builder_value(&spaces).text;
    }
    const struct list *lines = lines_of(r, text_concat(r, t, text_str(r, "\n").text).text);
    struct builder b = builder_new(r);
    if (first)
        builder_text(&b, by);
    for (size_t i = 0; i < lines->n; i++) {
        const struct text *line = lines->items[i].text;
        if (i) {
            builder_str(&b, "\n");
            if (blank || line->len)
                builder_text(&b, by);
        }
        builder_text(&b, line);
    }
    return text_as_markup(r, builder_value(&b).text, t->markup);
}

FILTER(filter_truncate)
{
    (void)rest;
    int64_t length = arg_int(r, v[0], 255), leeway = arg_int(r, v[3], 5);
    int64_t have = value_length_or_fail(r, self);
    bool kill = arg_bool(r, v[1], false);
    const struct text *end = v[2].type == V_MISSING ? text_str(r, "...").text : arg_text(r, v[2]);
    if (length < (int64_t)end->n_chars || leeway < 0)
        run_fail(r, ERR_FORMAT, "expected length >= %zu, got %lld", end->n_chars,
                 (long long)length);
    if (leeway > INT64_MAX - length || have <= length + leeway)
        return self;
    const struct text *t = arg_text(r, self);
    size_t to = text_offset(r, t, (size_t)length - end->n_chars);
    if (!kill) {
        size_t space = text_rfind(r, t, slice_str(" "), 0, to);
        if (space != SIZE_MAX)
            to = space;
    }
    return text_concat(r, text_part(r, t, 0, to).text, end);
}

FILTER(filter_wordcount)
{
    (void)v;
    (void)rest;
    const struct text *t = to_text(r, self);
    int64_t words = 0;
    bool in_word = false;
    size_t n;
    run_charge(r, t->len / 16);
    for (size_t i = 0; i < t->len; i += n) {
        bool is_word = unicode_is_word(text_code(t, i, &n));
        words += is_word && !in_word;
        in_word = is_word;
    }
    return value_int(words);
}

// Tags and comments leave, entities become characters, runs of whitespace one space.
FILTER(filter_striptags)
{
    (void)v;
    (void)rest;
    const struct text *t = to_text(r, self);
    struct builder b = builder_new(r);
    size_t i = 0;
    while (i < t->len) {
        size_t comment = text_find(t, slice_str("<!--"), i, t->len);
        size_t end =
            comment == SIZE_MAX ? SIZE_MAX : text_find(t, slice_str("-->"), comment + 4, t->len);
        if (end == SIZE_MAX)
            break;
        run_charge(r, 1);
        builder_part(&b, t, i, comment);
        i = end + 3;
    }
    builder_part(&b, t, i, t->len);
    const struct text *plain = builder_value(&b).text;
    b = builder_new(r);
    for (i = 0; i < plain->len;) {
        size_t tag = text_find(plain, slice_str("<"), i, plain->len);
        size_t end = tag == SIZE_MAX ? SIZE_MAX : text_find(plain, slice_str(">"), tag, plain->len);
        if (end == SIZE_MAX)
            break;
        run_charge(r, 1);
        builder_part(&b, plain, i, tag);
        i = end + 1;
    }
    builder_part(&b, plain, i, plain->len);
    plain = builder_value(&b).text;
    b = builder_new(r);
    bool any = false, space = false;
    size_t n;
    for (i = 0; i < plain->len; i += n) {
        if (unicode_is_space(text_code(plain, i, &n))) {
            space = any;
            continue;
        }
        if (space)
            builder_str(&b, " ");
        builder_part(&b, plain, i, i + n);
        any = true;
        space = false;
    }
    static const char *const entities[][2] = {{"&lt;", "<"},   {"&gt;", ">"},  {"&quot;", "\""},
                                              {"&#34;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}};
    plain = builder_value(&b).text;
    for (i = 0; i < sizeof entities / sizeof *entities; i++)
        plain = text_replace(r, plain, text_str(r, entities[i][0]).text,
                             text_str(r, entities[i][1]).text, -1)
                    .text;
    return value_text(plain);
}

static void add_quoted_url(struct builder *b, const struct text *t, bool query)
{
    for (size_t i = 0; i < t->len; i++) {
        unsigned char c = (unsigned char)t->ptr[i];
        bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    (c && strchr("_.-~", c)) || (c == '/' && !query);
        size_t at = b->len;
        if (safe)
            builder_add(b, t->ptr + i, 1);
        else if (c == ' ' && query)
            builder_str(b, "+");
        else
            builder_printf(b, "%%%02X", c);
        if (t->n_marks)  // whole: escaping moves every mark
            builder_mark(b, at, b->len);
    }
}

FILTER(filter_urlencode)
{
    (void)v;
    (void)rest;
    struct builder b = builder_new(r);
    if (is_text(self) || !value_is_iterable(self)) {
        add_quoted_url(&b, to_text(r, self), false);
        return builder_value(&b);
    }
    struct value items = self;
    if (self.type == V_DICT) {
        struct view *view = run_new(r, struct view, 1);
        *view = (struct view){VIEW_ITEMS, self.dict};
        items = (struct value){.type = V_VIEW, .view = view};
    }
    struct iterator *it = iterator_open(r, items);
    struct value pair;
    for (bool first = true; iterator_next(r, it, &pair); first = false) {
        if ((pair.type != V_TUPLE && pair.type != V_LIST) || pair.list->n != 2)
            run_fail(r, ERR_FORMAT, "urlencode: expected pairs");
        if (!first)
            builder_str(&b, "&");
        add_quoted_url(&b, to_text(r, pair.list->items[0]), true);
        builder_str(&b, "=");
        add_quoted_url(&b, to_text(r, pair.list->items[1]), true);
    }
    return builder_value(&b);
}

FILTER(filter_format)
{
    (void)v;
    const struct text *t = to_text(r, self);
    if (rest->n && rest->n_keywords)
        run_fail(r, ERR_FORMAT, "can't handle positional and keyword arguments at the same time");
    if (rest->n_keywords) {
        struct dict *d = dict_new(r);
        for (size_t i = 0; i < rest->n_keywords; i++)
            dict_set(r, d, text_new(r, rest->keywords[i].name), rest->keywords[i].value);
        return text_percent(r, t, value_dict(d));
    }
    struct list *l = list_new(r, rest->n);
    for (size_t i = 0; i < rest->n; i++)
        list_add(r, l, rest->items[i]);
    return text_percent(r, t, value_tuple(l));
}

FILTER(filter_xmlattr)
{
    (void)rest;
    struct builder b = builder_new(r);
    bool space = arg_bool(r, v[0], true);
    if (self.type != V_DICT)
        run_fail(r, ERR_FORMAT, "'%s' object has no attribute 'items'", type_name(self));
    for (size_t i = 0; i < self.dict->n; i++) {
        const struct entry *e = self.dict->entries + i;
        if (e->value.type == V_NONE || e->value.type == V_UNDEFINED)
            continue;
        const struct text *key = arg_text(r, e->key);
        for (size_t k = 0; k < key->len; k++)
            if (key->ptr[k] && strchr(" \t\n\r\f\v/>=", key->ptr[k]))
                run_fail(r, ERR_FORMAT, "Invalid character in attribute name");
        if (b.len || space)
            builder_str(&b, " ");
        builder_text(&b, text_escape(r, key).text);
        builder_str(&b, "=\"");
        builder_text(&b, text_escape(r, to_text(r, e->value)).text);
        builder_str(&b, "\"");
    }
    return builder_value(&b);
}

static const struct builtin rows[] = {
    {"capitalize", filter_capitalize, "", 0},
    {"center", filter_center, "width", 0},
    {"e", filter_escape, "", 0},
    {"escape", filter_escape, "", 0},
    {"forceescape", filter_forceescape, "", 0},
    {"format", filter_format, NULL, 0},
    {"indent", filter_indent, "width,first,blank", 0},
    {"lower", filter_lower, "", 0},
    {"replace", filter_replace, "old,new,count", 2},
    {"safe", filter_safe, "", 0},
    {"string", filter_string, "", 0},
    {"striptags", filter_striptags, "", 0},
    {"title", filter_title, "", 0},
    {"trim", filter_trim, "chars", 0},
    {"truncate", filter_truncate, "length,killwords,end,leeway", 0},
    {"upper", filter_upper, "", 0},
    {"urlencode", filter_urlencode, "", 0},
    {"wordcount", filter_wordcount, "", 0},
    {"xmlattr", filter_xmlattr, "autospace", 0},
};
const struct builtin_table text_filters = {rows, sizeof rows / sizeof *rows};
