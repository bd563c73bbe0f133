// format.c - "%s" % values and "{}".format(values).
#include <math.h>
#include <stdio.h>

#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

#define WIDTH_MAX 10000000

struct spec {
    uint32_t fill;
    char align, sign, type;  // 0: not given
    bool alternate, zero;
    int64_t width, precision;  // -1: not given
    char grouping;
};

// body with its sign or prefix (the first `head` bytes) kept left of zeros.
static void add_padded(struct builder *b, const struct text *body, size_t head,
                       const struct spec *s, char otherwise)
{
    int64_t missing = s->width - (int64_t)body->n_chars;
    char align = s->align ? s->align : otherwise;
    char fill[4];
    struct text one = {.ptr = fill};
    struct builder f = builder_new(b->r);
    builder_char(&f, s->fill ? s->fill : ' ');
    one = *builder_value(&f).text;
    if (missing <= 0) {
        builder_text(b, body);
        return;
    }
    size_t before = align == '<' ? 0 : align == '^' ? (size_t)missing / 2 : (size_t)missing;
    if (align == '=') {
        builder_part(b, body, 0, head);
        builder_fill(b, &one, (size_t)missing);
        builder_part(b, body, head, body->len);
        return;
    }
    builder_fill(b, &one, before);
    builder_text(b, body);
    builder_fill(b, &one, (size_t)missing - before);
}

static void add_digits(struct builder *b, uint64_t n, unsigned base, bool upper)
{
    char text[65];
    size_t i = sizeof text;
    do {
        text[--i] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[n % base];
        n /= base;
    } while (n);
    builder_add(b, text + i, sizeof text - i);
}

static void add_sign(struct builder *b, bool negative, char sign)
{
    if (negative)
        builder_str(b, "-");
    else if (sign == '+' || sign == ' ')
        builder_add(b, &sign, 1);
}

// Puts a separator between groups of three digits of the whole part, which begins at `from`.
static struct value grouped(struct run *r, const struct text *t, size_t from, char separator)
{
    struct builder b = builder_new(r);
    size_t to = from;
    while (to < t->len && t->ptr[to] >= '0' && t->ptr[to] <= '9')
        to++;
    builder_part(&b, t, 0, from);
    for (size_t i = from; i < to; i++) {
        if (i > from && (to - i) % 3 == 0)
            builder_add(&b, &separator, 1);
        builder_part(&b, t, i, i + 1);
    }
    builder_part(&b, t, to, t->len);
    return builder_value(&b);
}

static void add_integer(struct builder *b, int64_t i, const struct spec *s, bool percent)
{
    struct builder body = builder_new(b->r);
    unsigned base = s->type == 'x' || s->type == 'X' ? 16
                    : s->type == 'o'                 ? 8
                    : s->type == 'b'                 ? 2
                                                     : 10;
    add_sign(&body, i < 0, s->sign);
    if (s->alternate && base != 10)
        builder_printf(&body, "0%c", s->type);
    size_t head = body.len;
    struct builder digits = builder_new(b->r);
    add_digits(&digits, i < 0 ? 0 - (uint64_t)i : (uint64_t)i, base, s->type == 'X');
    if (percent && s->precision > (int64_t)digits.len)
        builder_fill(&body, text_str(b->r, "0").text, (size_t)s->precision - digits.len);
    builder_add(&body, digits.ptr, digits.len);
    struct value text = builder_value(&body);
    if (s->grouping)
        text = grouped(b->r, text.text, head, s->grouping);
    add_padded(b, text.text, head, s, '>');
}

static void add_float(struct builder *b, double f, const struct spec *s)
{
    char text[512], format[8] = {'%', '.', '*', 0, 0, 0};
    struct builder body = builder_new(b->r);
    int precision = s->precision < 0 ? 6 : (int)s->precision;
    char type = s->type == '%' ? 'f' : s->type;
    if (precision > 150 || (fabs(f) > 1e150 && (type == 'f' || type == 'F')))
        run_fail(b->r, ERR_LIMIT, "a number of that many digits is not supported");
    if (s->type == '%')
        f *= 100;
    if (type == 0 && s->precision < 0) {
        add_real(&body, fabs(f));
    } else {
        size_t n = 1;
        if (s->alternate)
            format[n++] = '#';
        format[n++] = '.';
        format[n++] = '*';
        format[n] = type ? type : 'g';
        (void)snprintf(text, sizeof text, format, precision, fabs(f));
        builder_str(&body, text);
        if (type == 0 && !strpbrk(text, ".en"))
            builder_str(&body, ".0");
    }
    if (s->type == '%')
        builder_str(&body, "%");
    struct builder all = builder_new(b->r);
    add_sign(&all, signbit(f) != 0 && !isnan(f), s->sign);
    size_t head = all.len;
    builder_text(&all, builder_value(&body).text);
    struct value whole = builder_value(&all);
    if (s->grouping)
        whole = grouped(b->r, whole.text, head, s->grouping);
    add_padded(b, whole.text, head, s, '>');
}

static void add_text(struct builder *b, const struct text *t, const struct spec *s, char otherwise)
{
    if (s->precision >= 0 && s->precision < (int64_t)t->n_chars)
        t = text_part(b->r, t, 0, text_offset(b->r, t, (size_t)s->precision)).text;
    add_padded(b, t, 0, s, otherwise);
}

struct percent {
    struct run *r;
    const struct text *format;
    size_t at;
    struct value args;
    size_t next;  // which of a tuple's items
};

static struct value next_argument(struct percent *p)
{
    if (p->args.type == V_TUPLE) {
        if (p->next >= p->args.list->n)
            run_fail(p->r, ERR_FORMAT, "not enough arguments for format string");
        return p->args.list->items[p->next++];
    }
    if (p->next++ > 0)
        run_fail(p->r, ERR_FORMAT, "not enough arguments for format string");
    return p->args;
}

static char percent_char(struct percent *p)
{
    if (p->at >= p->format->len)
        run_fail(p->r, ERR_FORMAT, "incomplete format");
    return p->format->ptr[p->at];
}

// "*" or digits.
static int64_t percent_number(struct percent *p)
{
    int64_t n = 0;
    if (percent_char(p) == '*') {
        p->at++;
        return arg_int(p->r, next_argument(p), 0);
    }
    while (percent_char(p) >= '0' && percent_char(p) <= '9' && n < WIDTH_MAX)
        n = n * 10 + (p->format->ptr[p->at++] - '0');
    return n;
}

static void percent_flags(struct percent *p, struct spec *s)
{
    for (;; p->at++) {
        char c = percent_char(p);
        if (c == '-')
            s->align = '<';
        else if (c == '+')
            s->sign = '+';
        else if (c == ' ' && !s->sign)
            s->sign = ' ';
        else if (c == '#')
            s->alternate = true;
        else if (c == '0')
            s->zero = true;
        else if (c != ' ')
            return;
    }
}

// %(name)s takes its value from a dict.
static bool percent_key(struct percent *p, struct value *out)
{
    if (percent_char(p) != '(')
        return false;
    size_t from = ++p->at;
    int depth = 1;
    for (; depth; p->at++) {
        char c = percent_char(p);
        depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    }
    if (p->args.type != V_DICT)
        run_fail(p->r, ERR_FORMAT, "format requires a mapping");
    struct value key = text_part(p->r, p->format, from, p->at - 1);
    const struct value *found = dict_get(p->r, p->args.dict, key);
    if (!found)
        run_fail(p->r, ERR_FORMAT, "no such key for the format");
    *out = *found;
    p->next = 1;
    return true;
}

static void percent_value(struct percent *p, struct builder *b, struct spec *s, struct value v)
{
    struct run *r = p->r;
    int64_t i;
    double f;
    bool markup = p->format->markup;
    if (s->zero && s->align != '<' && s->type != 's' && s->type != 'r' && s->type != 'c') {
        s->fill = '0';
        s->align = '=';
    }
    switch (s->type) {
    case 's':
    case 'r':
    case 'a': {
        struct builder text = builder_new(r);
        if (s->type == 's')
            value_add_str(&text, v);
        else
            value_add_repr(&text, v);
        const struct text *t = builder_value(&text).text;
        if (markup && !(is_text(v) && v.text->markup))
            t = text_escape(r, t).text;
        add_text(b, t, s, '>');
        return;
    }
    case 'c':
        if (value_as_int(v, &i)) {
            if (i < 0 || i > 0x10FFFF)
                run_fail(r, ERR_FORMAT, "%%c arg not in range(0x110000)");
            struct builder one = builder_new(r);
            builder_char(&one, (uint32_t)i);
            v = builder_value(&one);
        }
        if (!is_text(v) || v.text->n_chars != 1)
            run_fail(r, ERR_FORMAT, "%%c requires int or char");
        add_text(b, v.text, s, '>');
        return;
    case 'd':
    case 'i':
    case 'u':
        if (v.type == V_FLOAT && fabs(v.real) < 9e18)
            v = value_int((int64_t)v.real);
        s->type = 'd';
        break;
    default: break;
    }
    if (v.type == V_UNDEFINED)
        undefined_fail(r, v);
    if (strchr("dxXo", s->type)) {
        if (!value_as_int(v, &i))
            run_fail(r, ERR_FORMAT, "%%%c format: %s is required, not %s", s->type,
                     s->type == 'd' ? "a real number" : "an integer", type_name(v));
        add_integer(b, i, s, true);
    } else {
        if (!value_as_real(v, &f))
            run_fail(r, ERR_FORMAT, "must be real number, not %s", type_name(v));
        add_float(b, f, s);
    }
}

struct value text_percent(struct run *r, const struct text *format, struct value args)
{
    struct percent p = {.r = r, .format = format, .args = args};
    struct builder b = builder_new(r);
    while (p.at < format->len) {
        size_t percent = text_find(format, slice_str("%"), p.at, format->len);
        size_t to = percent == SIZE_MAX ? format->len : percent;
        builder_part(&b, format, p.at, to);
        p.at = to + 1;
        if (to == format->len)
            break;
        struct spec s = {.width = -1, .precision = -1};
        struct value v;
        run_charge(r, 1);
        bool keyed = percent_key(&p, &v);
        percent_flags(&p, &s);
        s.width = percent_number(&p);
        if (s.width < 0) {
            s.align = '<';
            s.width = s.width == INT64_MIN ? INT64_MAX : -s.width;
        }
        if (percent_char(&p) == '.') {
            p.at++;
            s.precision = percent_number(&p);
            if (s.precision < 0)
                s.precision = 0;
        }
        while (percent_char(&p) == 'l' || percent_char(&p) == 'h' || percent_char(&p) == 'L')
            p.at++;
        s.type = percent_char(&p);
        p.at++;
        if (s.type == '%') {
            builder_str(&b, "%");
            continue;
        }
        if (!s.type || !strchr("sracdiuxXoeEfFgG", s.type))
            run_fail(r, ERR_FORMAT, "unsupported format character at index %zu", p.at - 1);
        if (!keyed)
            v = next_argument(&p);
        percent_value(&p, &b, &s, v);
    }
    // What has keys or positions in Python may stay unused.
    bool all_used = p.next > 0 || (args.type != V_TUPLE && !is_text(args) &&
                                   (args.type == V_UNDEFINED || value_length(r, args) >= 0));
    if (args.type == V_TUPLE)
        all_used = p.next >= args.list->n;
    if (!all_used)
        run_fail(r, ERR_FORMAT, "not all arguments converted during string formatting");
    return text_as_markup(r, builder_value(&b).text, format->markup);
}

// [[fill]align][sign][#][0][width][grouping][.precision][type]
static struct spec parse_spec(struct run *r, const struct text *t)
{
    struct spec s = {.width = -1, .precision = -1};
    size_t i = 0, n = 0;
    if (t->len)
        s.fill = text_code(t, 0, &n);
    if (n && n < t->len && strchr("<>=^", t->ptr[n]) && t->ptr[n]) {
        s.align = t->ptr[n];
        i = n + 1;
    } else {
        s.fill = 0;
        if (t->len && t->ptr[0] && strchr("<>=^", t->ptr[0]))
            s.align = t->ptr[i++];
    }
    if (i < t->len && t->ptr[i] && strchr("+- ", t->ptr[i]))
        s.sign = t->ptr[i++];
    if (i < t->len && t->ptr[i] == '#') {
        s.alternate = true;
        i++;
    }
    if (i < t->len && t->ptr[i] == '0') {
        s.zero = true;
        i++;
    }
    for (; i < t->len && t->ptr[i] >= '0' && t->ptr[i] <= '9' && s.width < WIDTH_MAX; i++)
        s.width = (s.width < 0 ? 0 : s.width * 10) + (t->ptr[i] - '0');
    if (i < t->len && (t->ptr[i] == ',' || t->ptr[i] == '_'))
        s.grouping = t->ptr[i++];
    if (i < t->len && t->ptr[i] == '.') {
        s.precision = 0;
        size_t from = ++i;
        for (; i < t->len && t->ptr[i] >= '0' && t->ptr[i] <= '9' && s.precision < WIDTH_MAX; i++)
            s.precision = s.precision * 10 + (t->ptr[i] - '0');
        if (i == from)
            run_fail(r, ERR_FORMAT, "Format specifier missing precision");
    }
    if (i < t->len)
        s.type = t->ptr[i++];
    if (i != t->len)
        run_fail(r, ERR_FORMAT, "Invalid format specifier");
    return s;
}

static void add_formatted(struct builder *b, struct value v, const struct text *spec)
{
    struct run *r = b->r;
    int64_t i;
    if (spec->len == 0) {
        value_add_str(b, v);
        return;
    }
    struct spec s = parse_spec(r, spec);
    bool number = value_is_number(v) && !(v.type == V_BOOL && s.type == 's');
    if (s.zero && number) {
        s.fill = s.fill ? s.fill : '0';
        s.align = s.align ? s.align : '=';
    } else if (s.zero && !s.fill) {
        s.fill = '0';
    }
    if (is_text(v)) {
        if ((s.type && s.type != 's') || s.sign || s.align == '=' || s.grouping)
            run_fail(r, ERR_FORMAT, "Unknown format code '%c' for object of type 'str'",
                     s.type ? s.type : '=');
        add_text(b, v.text, &s, '<');
    } else if (value_as_int(v, &i) && (!s.type || strchr("dxXobn", s.type))) {
        if (s.precision >= 0)
            run_fail(r, ERR_FORMAT, "Precision not allowed in integer format specifier");
        add_integer(b, i, &s, false);
    } else if (number && (!s.type || strchr("eEfFgG%n", s.type))) {
        double f = 0;
        value_as_real(v, &f);
        add_float(b, f, &s);
    } else if (number) {
        run_fail(r, ERR_FORMAT, "Unknown format code '%c' for object of type '%s'", s.type,
                 type_name(v));
    } else {
        run_fail(r, ERR_FORMAT, "unsupported format string passed to %s.__format__", type_name(v));
    }
}

struct formatter {
    struct run *r;
    const struct args *args;
    int64_t next;  // automatic numbering; -1 after a number was given
};

// name.attribute[key]
static struct value field_value(struct formatter *f, const struct text *t)
{
    struct run *r = f->r;
    size_t to = 0;
    int64_t number = 0;
    bool digits = true;
    for (; to < t->len && t->ptr[to] != '.' && t->ptr[to] != '['; to++) {
        digits &= t->ptr[to] >= '0' && t->ptr[to] <= '9' && to < 9;
        if (digits)
            number = number * 10 + (t->ptr[to] - '0');
    }
    struct value v = value_missing();
    if (digits) {
        if ((to == 0) == (f->next < 0) && f->next != 0)
            run_fail(r, ERR_FORMAT, "cannot switch between automatic and manual field numbering");
        if (to == 0)
            number = f->next++;
        else
            f->next = -1;
        if ((size_t)number >= f->args->n)
            run_fail(r, ERR_FORMAT, "Replacement index %lld out of range for positional args tuple",
                     (long long)number);
        v = f->args->items[number];
    } else {
        for (size_t i = 0; i < f->args->n_keywords; i++)
            if (slice_eq(f->args->keywords[i].name, slice_of(t->ptr, to)))
                v = f->args->keywords[i].value;
        if (v.type == V_MISSING)
            run_fail(r, ERR_FORMAT, "'%.*s'", (int)(to < 80 ? to : 80), t->ptr);
    }
    while (to < t->len) {
        bool attribute = t->ptr[to] == '.';
        size_t from = ++to;
        while (to < t->len &&
               (attribute ? t->ptr[to] != '.' && t->ptr[to] != '[' : t->ptr[to] != ']'))
            to++;
        struct value key = text_part(r, t, from, to);
        v = attribute ? get_attribute(r, v, key) : get_path(r, v, key, value_missing());
        to += !attribute;
    }
    return v;
}

static struct value format_depth(struct formatter *f, const struct text *t, int depth);

static void add_field(struct formatter *f, struct builder *b, const struct text *field, int depth)
{
    struct run *r = f->r;
    size_t name_end = 0;
    char conversion = 0;
    for (int brackets = 0; name_end < field->len; name_end++) {
        char c = field->ptr[name_end];
        brackets += c == '[' ? 1 : c == ']' ? -1 : 0;
        if (brackets <= 0 && (c == ':' || c == '!'))
            break;
    }
    struct value v = field_value(f, text_part(r, field, 0, name_end).text);
    size_t at = name_end;
    if (at < field->len && field->ptr[at] == '!') {
        conversion = at + 1 < field->len ? field->ptr[at + 1] : 0;
        at += 2;
        if ((conversion != 'r' && conversion != 's') || (at < field->len && field->ptr[at] != ':'))
            run_fail(r, ERR_FORMAT, "expected ':' after conversion specifier");
        struct builder text = builder_new(r);
        if (conversion == 'r')
            value_add_repr(&text, v);
        else
            value_add_str(&text, v);
        v = builder_value(&text);
    }
    const struct text *spec = text_str(r, "").text;
    if (at < field->len)
        spec = format_depth(f, text_part(r, field, at + 1, field->len).text, depth + 1).text;
    add_formatted(b, v, spec);
}

static struct value format_depth(struct formatter *f, const struct text *t, int depth)
{
    struct run *r = f->r;
    struct builder b = builder_new(r);
    if (depth > 2)
        run_fail(r, ERR_FORMAT, "Max string recursion exceeded");
    for (size_t i = 0; i < t->len;) {
        char c = t->ptr[i];
        bool twice = i + 1 < t->len && t->ptr[i + 1] == c;
        if ((c == '{' || c == '}') && twice) {
            builder_part(&b, t, i, i + 1);
            i += 2;
        } else if (c == '}') {
            run_fail(r, ERR_FORMAT, "Single '}' encountered in format string");
        } else if (c == '{') {
            size_t from = ++i;
            for (int open = 1; open; i++) {
                if (i >= t->len)
                    run_fail(r, ERR_FORMAT, "expected '}' before end of string");
                open += t->ptr[i] == '{' ? 1 : t->ptr[i] == '}' ? -1 : 0;
            }
            run_charge(r, 1);
            add_field(f, &b, text_part(r, t, from, i - 1).text, depth);
        } else {
            size_t from = i;
            while (i < t->len && t->ptr[i] != '{' && t->ptr[i] != '}')
                i++;
            builder_part(&b, t, from, i);
        }
    }
    return builder_value(&b);
}

struct value text_format(struct run *r, const struct text *format, const struct args *args)
{
    struct formatter f = {.r = r, .args = args};
    return format_depth(&f, format, 1);
}
