// tojson.c - json.dumps as transformers' tojson filter calls it: not escaped for HTML, non-ASCII
// as it is, keys in their order.
#include <math.h>

#include "base/utf8.h"
#include "local/template/run.h"
#include "local/template/text.h"

static void add_value(struct builder *b, struct value v, const struct dump_style *style, int depth);

static void add_escaped(struct builder *b, uint32_t c, bool ascii)
{
    static const char plain[] = "\"\\\n\r\t\f\b", letter[] = "\"\\nrtfb";
    const char *found = c && c < 0x80 ? strchr(plain, (int)c) : NULL;
    if (found)
        builder_printf(b, "\\%c", letter[found - plain]);
    else if (c < 0x20)
        builder_printf(b, "\\u%04x", c);
    else if (!ascii || c < 0x7F)
        builder_char(b, c);
    else if (c < 0x10000)
        builder_printf(b, "\\u%04x", c);
    else
        builder_printf(b, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
                       0xDC00 + ((c - 0x10000) & 0x3FF));
}

static bool needs_escape(unsigned char c, bool ascii)
{
    return c < 0x20 || c == '"' || c == '\\' || (ascii && c >= 0x7F);
}

static void add_text(struct builder *b, const struct text *t, bool ascii)
{
    size_t from = 0, n;
    run_charge(b->r, t->len / 16);
    builder_str(b, "\"");
    for (size_t i = 0; i < t->len; i += n) {
        n = 1;
        if (!needs_escape((unsigned char)t->ptr[i], ascii))
            continue;
        builder_part(b, t, from, i);
        uint32_t code = text_code(t, i, &n);
        size_t at = b->len;
        add_escaped(b, code, ascii);
        if (t->n_marks) {
            const struct text *one = text_part(b->r, t, i, i + n).text;
            if (one->n_marks)
                builder_mark(b, at, b->len);
        }
        from = i + n;
    }
    builder_part(b, t, from, t->len);
    builder_str(b, "\"");
}

static void new_line(struct builder *b, const struct dump_style *style, int depth)
{
    if (!style->indented)
        return;
    builder_str(b, "\n");
    builder_fill(b, style->indent, (size_t)depth);
}

static void add_real_json(struct builder *b, double f)
{
    if (isnan(f))
        builder_str(b, "NaN");
    else if (isinf(f))
        builder_str(b, f < 0 ? "-Infinity" : "Infinity");
    else
        add_real(b, f);
}

static void add_key(struct builder *b, struct value key, bool ascii)
{
    struct builder text = builder_new(b->r);
    switch (key.type) {
    case V_TEXT: add_text(b, key.text, ascii); return;
    case V_NONE: builder_str(b, "\"null\""); return;
    case V_BOOL: builder_str(b, key.truth ? "\"true\"" : "\"false\""); return;
    case V_INT: builder_printf(b, "\"%lld\"", (long long)key.integer); return;
    case V_FLOAT:
        add_real_json(&text, key.real);
        add_text(b, builder_value(&text).text, ascii);
        return;
    default:
        run_fail(b->r, ERR_FORMAT, "keys must be str, int, float, bool or None, not %s",
                 type_name(key));
    }
}

// Stable, by key; the order of entry numbers.
static void sort_entries(struct run *r, const struct dict *d, size_t *order, size_t *scratch,
                         size_t n)
{
    if (n < 2)
        return;
    size_t half = n / 2, i = 0, j = half, k = 0;
    sort_entries(r, d, order, scratch, half);
    sort_entries(r, d, order + half, scratch, n - half);
    while (i < half || j < n) {
        bool right = i == half || (j < n && value_order(r, '<', d->entries[order[j]].key,
                                                        d->entries[order[i]].key));
        scratch[k++] = right ? order[j++] : order[i++];
    }
    memcpy(order, scratch, n * sizeof *order);
}

static void add_dict(struct builder *b, const struct dict *d, const struct dump_style *style,
                     int depth)
{
    if (d->n == 0) {
        builder_str(b, "{}");
        return;
    }
    size_t *order = NULL;
    if (style->sort) {
        order = run_new(b->r, size_t, d->n);
        for (size_t i = 0; i < d->n; i++)
            order[i] = i;
        sort_entries(b->r, d, order, run_new(b->r, size_t, d->n), d->n);
    }
    builder_str(b, "{");
    for (size_t i = 0; i < d->n; i++) {
        const struct entry *e = d->entries + (order ? order[i] : i);
        if (i)
            builder_text(b, style->item_separator);
        new_line(b, style, depth + 1);
        add_key(b, e->key, style->ascii);
        builder_text(b, style->key_separator);
        add_value(b, e->value, style, depth + 1);
    }
    new_line(b, style, depth);
    builder_str(b, "}");
}

static void add_list(struct builder *b, const struct list *l, const struct dump_style *style,
                     int depth)
{
    if (l->n == 0) {
        builder_str(b, "[]");
        return;
    }
    builder_str(b, "[");
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            builder_text(b, style->item_separator);
        new_line(b, style, depth + 1);
        add_value(b, l->items[i], style, depth + 1);
    }
    new_line(b, style, depth);
    builder_str(b, "]");
}

static void add_value(struct builder *b, struct value v, const struct dump_style *style, int depth)
{
    run_charge(b->r, 1);
    run_enter(b->r);
    switch (v.type) {
    case V_NONE: builder_str(b, "null"); break;
    case V_BOOL: builder_str(b, v.truth ? "true" : "false"); break;
    case V_INT: builder_printf(b, "%lld", (long long)v.integer); break;
    case V_FLOAT: add_real_json(b, v.real); break;
    case V_TEXT: add_text(b, v.text, style->ascii); break;
    case V_LIST:
    case V_TUPLE: add_list(b, v.list, style, depth); break;
    case V_DICT: add_dict(b, v.dict, style, depth); break;
    default: run_fail(b->r, ERR_FORMAT, "Object of type %s is not JSON serializable", type_name(v));
    }
    run_leave(b->r);
}

void value_add_json(struct builder *b, struct value v, const struct dump_style *style)
{
    add_value(b, v, style, 0);
}
