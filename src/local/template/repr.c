// repr.c - str() and repr() of Python's values.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

// Shortest digits that read back as f; Python writes an exponent below 1e-4 and from 1e16 on.
void add_real(struct builder *b, double f)
{
    char text[40];
    if (isnan(f) || isinf(f)) {
        builder_str(b, isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
        return;
    }
    int digits = 1;
    do
        (void)snprintf(text, sizeof text, "%.*e", digits - 1, f);
    while (strtod(text, NULL) != f && ++digits <= 17);
    int exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    if (exponent >= -4 && exponent < 16) {
        int decimals = digits - 1 - exponent;
        (void)snprintf(text, sizeof text, "%.*f", decimals > 1 ? decimals : 1, f);
    } else {
        (void)snprintf(text, sizeof text, "%.*e", digits - 1, f);
    }
    builder_str(b, text);
}

static void add_quoted_char(struct builder *b, uint32_t code, char quote)
{
    if (code == '\n')
        builder_str(b, "\\n");
    else if (code == '\r')
        builder_str(b, "\\r");
    else if (code == '\t')
        builder_str(b, "\\t");
    else if (code == (uint32_t)quote || code == '\\')
        builder_printf(b, "\\%c", (char)code);
    else if (unicode_is_printable(code))
        builder_char(b, code);
    else if (code < 0x100)
        builder_printf(b, "\\x%02x", code);
    else if (code < 0x10000)
        builder_printf(b, "\\u%04x", code);
    else
        builder_printf(b, "\\U%08x", code);
}

static void add_quoted(struct builder *b, const struct text *t)
{
    bool single = memchr(t->ptr, '\'', t->len) != NULL, dual = memchr(t->ptr, '"', t->len) != NULL;
    char quote = single && !dual ? '"' : '\'';
    size_t n, mark = 0;
    run_charge(b->r, t->len / 16);
    if (t->markup)
        builder_str(b, "Markup(");
    builder_add(b, &quote, 1);
    for (size_t i = 0; i < t->len; i += n) {
        size_t at = b->len;
        add_quoted_char(b, text_code(t, i, &n), quote);
        while (mark < t->n_marks && t->marks[mark].end <= i)
            mark++;
        if (mark < t->n_marks && t->marks[mark].start <= i)
            builder_mark(b, at, b->len);
    }
    builder_add(b, &quote, 1);
    if (t->markup)
        builder_str(b, ")");
}

static void add_items(struct builder *b, const struct list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            builder_str(b, ", ");
        value_add_repr(b, l->items[i]);
    }
}

static void add_entries(struct builder *b, const struct dict *d)
{
    builder_str(b, "{");
    for (size_t i = 0; i < d->n; i++) {
        if (i)
            builder_str(b, ", ");
        value_add_repr(b, d->entries[i].key);
        builder_str(b, ": ");
        value_add_repr(b, d->entries[i].value);
    }
    builder_str(b, "}");
}

static void add_view(struct builder *b, struct value v)
{
    builder_printf(b, "%s([", type_name(v));
    struct list *items = value_to_list(b->r, v);
    add_items(b, items);
    builder_str(b, "])");
}

static void add_range(struct builder *b, const struct range *range)
{
    builder_printf(b, "range(%lld, %lld", (long long)range->start, (long long)range->stop);
    if (range->step != 1)
        builder_printf(b, ", %lld", (long long)range->step);
    builder_str(b, ")");
}

// Objects whose text would hold an address in Python: what they are must do.
static void add_object(struct builder *b, struct value v)
{
    switch (v.type) {
    case V_MACRO: builder_printf(b, "<Macro '%s'>", v.macro->name); break;
    case V_LOOP:
        builder_printf(b, "<LoopContext %zu/%lld>", v.loop->index0 + 1,
                       (long long)value_length(b->r, v));
        break;
    case V_NAMESPACE:
        builder_str(b, "<Namespace ");
        add_entries(b, v.names);
        builder_str(b, ">");
        break;
    default: builder_printf(b, "<%s object>", type_name(v));
    }
}

void value_add_repr(struct builder *b, struct value v)
{
    run_charge(b->r, 1);
    run_enter(b->r);
    switch (v.type) {
    case V_MISSING:
    case V_UNDEFINED: builder_str(b, "Undefined"); break;
    case V_NONE: builder_str(b, "None"); break;
    case V_BOOL: builder_str(b, v.truth ? "True" : "False"); break;
    case V_INT: builder_printf(b, "%lld", (long long)v.integer); break;
    case V_FLOAT: add_real(b, v.real); break;
    case V_TEXT: add_quoted(b, v.text); break;
    case V_LIST:
        builder_str(b, "[");
        add_items(b, v.list);
        builder_str(b, "]");
        break;
    case V_TUPLE:
        builder_str(b, "(");
        add_items(b, v.list);
        builder_str(b, v.list->n == 1 ? ",)" : ")");
        break;
    case V_DICT: add_entries(b, v.dict); break;
    case V_VIEW: add_view(b, v); break;
    case V_RANGE: add_range(b, v.range); break;
    default: add_object(b, v);
    }
    run_leave(b->r);
}

void value_add_str(struct builder *b, struct value v)
{
    if (v.type == V_TEXT) {
        builder_text(b, v.text);
    } else if (v.type == V_JOINER || v.type == V_UNDEFINED || v.type == V_MISSING) {
        // str() of an undefined value is empty
        if (v.type == V_JOINER)
            value_add_repr(b, v);
    } else {
        value_add_repr(b, v);
    }
}

struct value value_str(struct run *r, struct value v)
{
    if (v.type == V_TEXT)
        return text_as_markup(r, v.text, false);
    struct builder b = builder_new(r);
    value_add_str(&b, v);
    return builder_value(&b);
}
