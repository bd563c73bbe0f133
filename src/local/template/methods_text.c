// methods_text.c - the methods of Python's str.
#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

#define METHOD(name)                                                                               \
    static struct value name(struct run *r, struct value self, struct value *v,                    \
                             const struct args *rest)

static struct value finish(struct run *r, struct builder *b, const struct text *like)
{
    return text_as_markup(r, builder_value(b).text, like->markup);
}

static struct value in_case(struct run *r, const struct text *t, enum unicode_case which)
{
    struct builder b = builder_new(r);
    unicode_add_case(&b, t, 0, t->len, which);
    return finish(r, &b, t);
}

METHOD(text_upper)
{
    (void)v;
    (void)rest;
    return in_case(r, self.text, CASE_UPPER);
}

METHOD(text_lower)
{
    (void)v;
    (void)rest;
    return in_case(r, self.text, CASE_LOWER);
}

METHOD(text_casefold)
{
    (void)v;
    (void)rest;
    return in_case(r, self.text, CASE_FOLD);
}

METHOD(text_capitalize)
{
    (void)v;
    (void)rest;
    const struct text *t = self.text;
    struct builder b = builder_new(r);
    size_t n = 0;
    if (t->len)
        text_code(t, 0, &n);
    unicode_add_case(&b, t, 0, n, CASE_TITLE);
    unicode_add_case(&b, t, n, t->len, CASE_LOWER);
    return finish(r, &b, t);
}

static bool is_cased(uint32_t c)
{
    return unicode_is_lower(c) || unicode_is_upper(c) || unicode_is_title(c);
}

METHOD(text_title)
{
    (void)v;
    (void)rest;
    const struct text *t = self.text;
    struct builder b = builder_new(r);
    bool inside = false;
    size_t n;
    for (size_t i = 0; i < t->len; i += n) {
        bool cased = is_cased(text_code(t, i, &n));
        unicode_add_case(&b, t, i, i + n, inside ? CASE_LOWER : CASE_TITLE);
        inside = cased;
    }
    return finish(r, &b, t);
}

METHOD(text_swapcase)
{
    (void)v;
    (void)rest;
    const struct text *t = self.text;
    struct builder b = builder_new(r);
    size_t n;
    for (size_t i = 0; i < t->len; i += n) {
        uint32_t c = text_code(t, i, &n);
        if (unicode_is_upper(c))
            unicode_add_case(&b, t, i, i + n, CASE_LOWER);
        else if (unicode_is_lower(c))
            unicode_add_case(&b, t, i, i + n, CASE_UPPER);
        else
            builder_part(&b, t, i, i + n);
    }
    return finish(r, &b, t);
}

static struct value strip(struct run *r, struct value self, struct value chars, bool left,
                          bool right)
{
    size_t from, to;
    const struct text *which = NULL;
    if (chars.type != V_MISSING && chars.type != V_NONE)
        which = arg_text(r, chars);
    run_charge(r, 1);
    text_strip(r, self.text, which, left, right, &from, &to);
    return text_part(r, self.text, from, to);
}

METHOD(text_strip_both)
{
    (void)rest;
    return strip(r, self, v[0], true, true);
}

METHOD(text_lstrip)
{
    (void)rest;
    return strip(r, self, v[0], true, false);
}

METHOD(text_rstrip)
{
    (void)rest;
    return strip(r, self, v[0], false, true);
}

// Optional start and end of a search, in characters, to bytes. False if nothing lies between.
static bool search_range(struct run *r, const struct text *t, struct value *v, size_t *from,
                         size_t *to)
{
    int64_t n = (int64_t)t->n_chars, i = arg_int(r, v[0], 0), j = arg_int(r, v[1], n);
    i = i < -n ? 0 : i < 0 ? i + n : i;
    j = j < -n ? 0 : j < 0 ? j + n : j > n ? n : j;
    if (i > j)
        return false;
    run_charge(r, 1 + t->len / 64);
    *from = text_offset(r, t, (size_t)i);
    *to = text_offset(r, t, (size_t)j);
    return true;
}

static int64_t find(struct run *r, const struct text *t, struct value *v, bool last)
{
    size_t from, to;
    const struct text *needle = arg_text(r, v[0]);
    if (!search_range(r, t, v + 1, &from, &to))
        return -1;
    size_t at = last ? text_rfind(r, t, text_slice(needle), from, to)
                     : text_find(t, text_slice(needle), from, to);
    return at == SIZE_MAX ? -1 : (int64_t)text_chars(r, t, 0, at);
}

METHOD(text_method_find)
{
    (void)rest;
    return value_int(find(r, self.text, v, false));
}

METHOD(text_method_rfind)
{
    (void)rest;
    return value_int(find(r, self.text, v, true));
}

static struct value index_of(struct run *r, struct value self, struct value *v, bool last)
{
    int64_t i = find(r, self.text, v, last);
    if (i < 0)
        run_fail(r, ERR_FORMAT, "substring not found");
    return value_int(i);
}

METHOD(text_index)
{
    (void)rest;
    return index_of(r, self, v, false);
}

METHOD(text_rindex)
{
    (void)rest;
    return index_of(r, self, v, true);
}

METHOD(text_count)
{
    (void)rest;
    const struct text *needle = arg_text(r, v[0]), *t = self.text;
    size_t from, to;
    int64_t n = 0;
    if (!search_range(r, t, v + 1, &from, &to))
        return value_int(0);
    if (needle->len == 0)
        return value_int((int64_t)text_chars(r, t, from, to) + 1);
    while ((from = text_find(t, text_slice(needle), from, to)) != SIZE_MAX) {
        from += needle->len;
        run_charge(r, 1);
        n++;
    }
    return value_int(n);
}

static struct value has_affix(struct run *r, struct value self, struct value *v, bool prefix)
{
    const struct text *t = self.text;
    size_t from, to;
    struct value one = v[0];
    const struct list all = {.items = &one, .n = 1};
    const struct list *affixes = v[0].type == V_TUPLE ? v[0].list : &all;
    if (v[0].type != V_TUPLE && !is_text(v[0]))
        run_fail(r, ERR_FORMAT, "%s first arg must be str or a tuple of str, not %s",
                 prefix ? "startswith" : "endswith", type_name(v[0]));
    bool inside = search_range(r, t, v + 1, &from, &to);
    for (size_t i = 0; i < affixes->n; i++) {
        const struct text *affix = arg_text(r, affixes->items[i]);
        run_charge(r, 1 + affix->len / 64);
        if (!inside || affix->len > to - from)
            continue;
        size_t at = prefix ? from : to - affix->len;
        if (slice_eq(slice_of(t->ptr + at, affix->len), text_slice(affix)))
            return value_bool(true);
    }
    return value_bool(false);
}

METHOD(text_startswith)
{
    (void)rest;
    return has_affix(r, self, v, true);
}

METHOD(text_endswith)
{
    (void)rest;
    return has_affix(r, self, v, false);
}

METHOD(text_removeprefix)
{
    (void)rest;
    const struct text *t = self.text, *affix = arg_text(r, v[0]);
    bool has = slice_starts(text_slice(t), text_slice(affix));
    return has ? text_part(r, t, affix->len, t->len) : self;
}

METHOD(text_removesuffix)
{
    (void)rest;
    const struct text *t = self.text, *affix = arg_text(r, v[0]);
    struct value ends = v[0], args[3] = {ends, value_missing(), value_missing()};
    return has_affix(r, self, args, false).truth ? text_part(r, t, 0, t->len - affix->len) : self;
}

METHOD(text_method_replace)
{
    (void)rest;
    const struct text *from = arg_text(r, v[0]), *to = arg_text(r, v[1]);
    if (self.text->markup) {
        from = text_escape(r, from).text;
        to = text_escape(r, to).text;
    }
    return text_replace(r, self.text, from, to, arg_int(r, v[2], -1));
}

METHOD(text_join)
{
    (void)rest;
    struct iterator *it = iterator_open(r, v[0]);
    struct builder b = builder_new(r);
    const struct text *t = self.text;
    struct value item;
    for (size_t i = 0; iterator_next(r, it, &item); i++) {
        if (!is_text(item))
            run_fail(r, ERR_FORMAT, "sequence item %zu: expected str instance, %s found", i,
                     type_name(item));
        if (i)
            builder_text(&b, t);
        builder_text(&b, t->markup ? text_escape(r, item.text).text : item.text);
    }
    return finish(r, &b, t);
}

static void split_spaces(struct run *r, const struct text *t, int64_t most, struct list *out)
{
    size_t i = 0, n;
    for (;;) {
        while (i < t->len && unicode_is_space(text_code(t, i, &n)))
            i += n;
        if (i == t->len)
            return;
        size_t from = i;
        if (most >= 0 && (int64_t)out->n >= most) {  // the rest as it is
            list_add(r, out, text_part(r, t, from, t->len));
            return;
        }
        while (i < t->len && !unicode_is_space(text_code(t, i, &n)))
            i += n;
        list_add(r, out, text_part(r, t, from, i));
    }
}

static void rsplit_spaces(struct run *r, const struct text *t, int64_t most, struct list *out)
{
    size_t i = t->len, n;
    for (;;) {
        while (i > 0 && unicode_is_space(text_code_before(t, i, &n)))
            i -= n;
        if (i == 0)
            return;
        size_t to = i;
        if (most >= 0 && (int64_t)out->n >= most) {
            list_add(r, out, text_part(r, t, 0, to));
            return;
        }
        while (i > 0 && !unicode_is_space(text_code_before(t, i, &n)))
            i -= n;
        list_add(r, out, text_part(r, t, i, to));
    }
}

static void turn_around(struct list *l)
{
    for (size_t i = 0; i < l->n / 2; i++) {
        struct value other = l->items[l->n - 1 - i];
        l->items[l->n - 1 - i] = l->items[i];
        l->items[i] = other;
    }
}

static struct value split(struct run *r, struct value self, struct value *v, bool right)
{
    const struct text *t = self.text;
    struct list *out = list_new(r, 0);
    int64_t most = arg_int(r, v[1], -1);
    run_charge(r, 1 + t->len / 16);
    if (v[0].type == V_MISSING || v[0].type == V_NONE) {
        if (right)
            rsplit_spaces(r, t, most, out);
        else
            split_spaces(r, t, most, out);
    } else {
        const struct text *by = arg_text(r, v[0]);
        size_t from = 0, to = t->len;
        if (by->len == 0)
            run_fail(r, ERR_FORMAT, "empty separator");
        while (most < 0 || (int64_t)out->n < most) {
            size_t at = right ? text_rfind(r, t, text_slice(by), 0, to)
                              : text_find(t, text_slice(by), from, t->len);
            if (at == SIZE_MAX)
                break;
            run_charge(r, 1);
            list_add(r, out, right ? text_part(r, t, at + by->len, to) : text_part(r, t, from, at));
            from = at + by->len;
            to = at;
        }
        list_add(r, out, right ? text_part(r, t, 0, to) : text_part(r, t, from, t->len));
    }
    if (right)
        turn_around(out);
    return value_list(out);
}

METHOD(text_split)
{
    (void)rest;
    return split(r, self, v, false);
}

METHOD(text_rsplit)
{
    (void)rest;
    return split(r, self, v, true);
}

METHOD(text_splitlines)
{
    (void)rest;
    const struct text *t = self.text;
    bool keep = arg_bool(r, v[0], false);
    struct list *out = list_new(r, 0);
    size_t from = 0, n;
    run_charge(r, 1 + t->len / 16);
    for (size_t i = 0; i < t->len;) {
        uint32_t c = text_code(t, i, &n);
        if (!unicode_is_line_break(c)) {
            i += n;
            continue;
        }
        size_t end = i + n;
        if (c == '\r' && end < t->len && t->ptr[end] == '\n')
            end++;
        list_add(r, out, text_part(r, t, from, keep ? end : i));
        from = i = end;
    }
    if (from < t->len)
        list_add(r, out, text_part(r, t, from, t->len));
    return value_list(out);
}

static struct value partition(struct run *r, struct value self, struct value by, bool right)
{
    const struct text *t = self.text, *needle = arg_text(r, by);
    struct list *out = list_new(r, 3);
    struct value empty = text_as_markup(r, text_str(r, "").text, t->markup);
    if (needle->len == 0)
        run_fail(r, ERR_FORMAT, "empty separator");
    run_charge(r, 1 + t->len / 64);
    size_t at = right ? text_rfind(r, t, text_slice(needle), 0, t->len)
                      : text_find(t, text_slice(needle), 0, t->len);
    if (at == SIZE_MAX) {
        list_add(r, out, right ? empty : self);
        list_add(r, out, empty);
        list_add(r, out, right ? self : empty);
    } else {
        list_add(r, out, text_part(r, t, 0, at));
        list_add(r, out, text_part(r, t, at, at + needle->len));
        list_add(r, out, text_part(r, t, at + needle->len, t->len));
    }
    return value_tuple(out);
}

METHOD(text_partition)
{
    (void)rest;
    return partition(r, self, v[0], false);
}

METHOD(text_rpartition)
{
    (void)rest;
    return partition(r, self, v[0], true);
}

// left and right: how many of the missing characters stand there, in the way of Python's str.
static struct value pad(struct run *r, struct value self, struct value *v, bool left, bool right)
{
    const struct text *t = self.text, *fill = text_str(r, " ").text;
    int64_t width = arg_int(r, v[0], 0), missing = width - (int64_t)t->n_chars;
    if (v[1].type != V_MISSING)
        fill = arg_text(r, v[1]);
    if (fill->n_chars != 1)
        run_fail(r, ERR_FORMAT, "The fill character must be exactly one character long");
    if (width < 0 || missing <= 0)
        return self;
    int64_t before = left && right ? missing / 2 + (missing & width & 1) : left ? missing : 0;
    struct builder b = builder_new(r);
    builder_fill(&b, fill, (size_t)before);
    builder_text(&b, t);
    builder_fill(&b, fill, (size_t)(missing - before));
    return finish(r, &b, t);
}

METHOD(text_center)
{
    (void)rest;
    return pad(r, self, v, true, true);
}

METHOD(text_ljust)
{
    (void)rest;
    return pad(r, self, v, false, true);
}

METHOD(text_rjust)
{
    (void)rest;
    return pad(r, self, v, true, false);
}

METHOD(text_zfill)
{
    (void)rest;
    const struct text *t = self.text;
    int64_t missing = arg_int(r, v[0], 0) - (int64_t)t->n_chars;
    size_t sign = t->len && (t->ptr[0] == '-' || t->ptr[0] == '+') ? 1 : 0;
    if (missing <= 0)
        return self;
    struct builder b = builder_new(r);
    builder_part(&b, t, 0, sign);
    builder_fill(&b, text_str(r, "0").text, (size_t)missing);
    builder_part(&b, t, sign, t->len);
    return finish(r, &b, t);
}

METHOD(text_expandtabs)
{
    (void)rest;
    const struct text *t = self.text;
    int64_t size = arg_int(r, v[0], 8), column = 0;
    struct builder b = builder_new(r);
    size_t n;
    for (size_t i = 0; i < t->len; i += n) {
        uint32_t c = text_code(t, i, &n);
        if (c == '\t') {
            int64_t spaces = size > 0 ? size - column % size : 0;
            builder_fill(&b, text_str(r, " ").text, (size_t)spaces);
            column += spaces;
            continue;
        }
        builder_part(&b, t, i, i + n);
        column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
    return finish(r, &b, t);
}

METHOD(text_method_format)
{
    (void)v;
    if (self.text->markup)
        run_fail(r, ERR_UNSUPPORTED, "format of escaped text is not supported");
    return text_format(r, self.text, rest);
}

METHOD(text_unsupported)
{
    (void)self;
    (void)v;
    (void)rest;
    run_fail(r, ERR_UNSUPPORTED, "this method of str is not supported");
}

static bool all_are(struct run *r, const struct text *t, bool (*is)(uint32_t c))
{
    size_t n;
    run_charge(r, 1 + t->len / 16);
    for (size_t i = 0; i < t->len; i += n)
        if (!is(text_code(t, i, &n)))
            return false;
    return t->len > 0;
}

static bool is_alnum(uint32_t c)
{
    return unicode_is_alpha(c) || unicode_is_numeric(c);
}

static bool is_ascii(uint32_t c)
{
    return c < 0x80;
}

static bool is_title(struct run *r, const struct text *t)
{
    bool inside = false, any = false;
    size_t n;
    run_charge(r, 1 + t->len / 16);
    for (size_t i = 0; i < t->len; i += n) {
        uint32_t c = text_code(t, i, &n);
        bool upper = unicode_is_upper(c) || unicode_is_title(c), lower = unicode_is_lower(c);
        if ((upper && inside) || (lower && !inside))
            return false;
        inside = upper || lower;
        any |= inside;
    }
    return any;
}

static bool is_identifier(struct run *r, const struct text *t)
{
    size_t n;
    if (!t->len || unicode_is_numeric(text_code(t, 0, &n)))
        return false;
    return all_are(r, t, unicode_is_word);
}

#define PREDICATE(name, holds)                                                                     \
    METHOD(name)                                                                                   \
    {                                                                                              \
        (void)v;                                                                                   \
        (void)rest;                                                                                \
        return value_bool(holds);                                                                  \
    }

PREDICATE(text_isalnum, all_are(r, self.text, is_alnum))
PREDICATE(text_isalpha, all_are(r, self.text, unicode_is_alpha))
PREDICATE(text_isascii, self.text->len == 0 || all_are(r, self.text, is_ascii))
PREDICATE(text_isdecimal, all_are(r, self.text, unicode_is_decimal))
PREDICATE(text_isdigit, all_are(r, self.text, unicode_is_digit))
PREDICATE(text_isidentifier, is_identifier(r, self.text))
PREDICATE(text_islower, call_test(r, slice_str("lower"), self, &(struct args){0}))
PREDICATE(text_isnumeric, all_are(r, self.text, unicode_is_numeric))
PREDICATE(text_isprintable, self.text->len == 0 || all_are(r, self.text, unicode_is_printable))
PREDICATE(text_isspace, all_are(r, self.text, unicode_is_space))
PREDICATE(text_istitle, is_title(r, self.text))
PREDICATE(text_isupper, call_test(r, slice_str("upper"), self, &(struct args){0}))

static const struct builtin rows[] = {
    {"capitalize", text_capitalize, "", 0},
    {"casefold", text_casefold, "", 0},
    {"center", text_center, "/width,/fillchar", 1},
    {"count", text_count, "/sub,/start,/end", 1},
    {"encode", text_unsupported, NULL, 0},
    {"endswith", text_endswith, "/suffix,/start,/end", 1},
    {"expandtabs", text_expandtabs, "tabsize", 0},
    {"find", text_method_find, "/sub,/start,/end", 1},
    {"format", text_method_format, NULL, 0},
    {"format_map", text_unsupported, NULL, 0},
    {"index", text_index, "/sub,/start,/end", 1},
    {"isalnum", text_isalnum, "", 0},
    {"isalpha", text_isalpha, "", 0},
    {"isascii", text_isascii, "", 0},
    {"isdecimal", text_isdecimal, "", 0},
    {"isdigit", text_isdigit, "", 0},
    {"isidentifier", text_isidentifier, "", 0},
    {"islower", text_islower, "", 0},
    {"isnumeric", text_isnumeric, "", 0},
    {"isprintable", text_isprintable, "", 0},
    {"isspace", text_isspace, "", 0},
    {"istitle", text_istitle, "", 0},
    {"isupper", text_isupper, "", 0},
    {"join", text_join, "/iterable", 1},
    {"ljust", text_ljust, "/width,/fillchar", 1},
    {"lower", text_lower, "", 0},
    {"lstrip", text_lstrip, "/chars", 0},
    {"maketrans", text_unsupported, NULL, 0},
    {"partition", text_partition, "/sep", 1},
    {"removeprefix", text_removeprefix, "/prefix", 1},
    {"removesuffix", text_removesuffix, "/suffix", 1},
    {"replace", text_method_replace, "/old,/new,/count", 2},
    {"rfind", text_method_rfind, "/sub,/start,/end", 1},
    {"rindex", text_rindex, "/sub,/start,/end", 1},
    {"rjust", text_rjust, "/width,/fillchar", 1},
    {"rpartition", text_rpartition, "/sep", 1},
    {"rsplit", text_rsplit, "sep,maxsplit", 0},
    {"rstrip", text_rstrip, "/chars", 0},
    {"split", text_split, "sep,maxsplit", 0},
    {"splitlines", text_splitlines, "keepends", 0},
    {"startswith", text_startswith, "/prefix,/start,/end", 1},
    {"strip", text_strip_both, "/chars", 0},
    {"swapcase", text_swapcase, "", 0},
    {"title", text_title, "", 0},
    {"translate", text_unsupported, NULL, 0},
    {"upper", text_upper, "", 0},
    {"zfill", text_zfill, "/width", 1},
};
const struct builtin_table text_methods = {rows, sizeof rows / sizeof *rows};
