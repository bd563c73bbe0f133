// filters_value.c - filters of single values: defaults, numbers, JSON.
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

#define FILTER(name)                                                                               \
    static struct value name(struct run *r, struct value self, struct value *v,                    \
                             const struct args *rest)

FILTER(filter_default)
{
    (void)rest;
    bool falsy = arg_bool(r, v[1], false) && !value_true(r, self);
    if (self.type == V_UNDEFINED || falsy)
        return v[0].type == V_MISSING ? text_str(r, "") : v[0];
    return self;
}

// Digits with single underscores between them, in a base; false if the text is no such number.
static bool parse_int(struct run *r, const struct text *t, int base, int64_t *out)
{
    size_t i, end;
    text_strip(r, t, NULL, true, true, &i, &end);
    bool negative = i < end && t->ptr[i] == '-';
    if (i < end && (t->ptr[i] == '-' || t->ptr[i] == '+'))
        i++;
    if (i + 1 < end && t->ptr[i] == '0') {
        char kind = (char)(t->ptr[i + 1] | 0x20);
        int stated = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
        if (stated && (base == stated || base == 0)) {
            base = stated;
            i += 2;
            if (i < end && t->ptr[i] == '_')
                i++;
        }
    }
    if (base == 0)
        base = 10;
    int64_t n = 0;
    bool digit = false;
    for (; i < end; i++) {
        char c = t->ptr[i];
        int d = c >= '0' && c <= '9'                     ? c - '0'
                : (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? (c | 0x20) - 'a' + 10
                                                         : 99;
        if (c == '_' && digit && i + 1 < end) {
            digit = false;
            continue;
        }
        if (d >= base)
            return false;
        if (__builtin_mul_overflow(n, base, &n) || __builtin_sub_overflow(n, d, &n))
            run_fail(r, ERR_LIMIT, "an integer grows beyond 64 bits");
        digit = true;
    }
    if (!digit)
        return false;
    if (!negative && n == INT64_MIN)
        run_fail(r, ERR_LIMIT, "an integer grows beyond 64 bits");
    *out = negative ? n : -n;
    return true;
}

static bool parse_real(struct run *r, const struct text *t, double *out)
{
    size_t from, to;
    char copy[512];
    size_t n = 0;
    text_strip(r, t, NULL, true, true, &from, &to);
    if (to - from >= sizeof copy || from == to)
        return false;
    for (size_t i = from; i < to; i++) {
        char c = t->ptr[i];
        if (c == '_' && i > from && i + 1 < to && t->ptr[i - 1] >= '0' && t->ptr[i - 1] <= '9' &&
            t->ptr[i + 1] >= '0' && t->ptr[i + 1] <= '9')
            continue;
        if (c == 'x' || c == 'X' || c == '(' || c == 0)  // strtod knows hexadecimal and nan(...)
            return false;
        copy[n++] = c;
    }
    copy[n] = 0;
    char *end;
    *out = strtod(copy, &end);
    return *end == 0;
}

static bool real_to_int(struct run *r, double f, int64_t *out)
{
    if (isnan(f) || isinf(f))
        return false;
    if (fabs(f) >= 9223372036854775808.0)
        run_fail(r, ERR_LIMIT, "an integer grows beyond 64 bits");
    *out = (int64_t)f;
    return true;
}

FILTER(filter_int)
{
    (void)rest;
    int64_t i, base = arg_int(r, v[1], 10);
    double f;
    if (self.type == V_UNDEFINED)
        undefined_fail(r, self);
    if (is_text(self) && (base == 0 || (base >= 2 && base <= 36)) &&
        parse_int(r, self.text, (int)base, &i))
        return value_int(i);
    if (value_as_int(self, &i))
        return value_int(i);
    if (self.type == V_FLOAT && isinf(self.real))  // the only failure jinja2 does not catch
        run_fail(r, ERR_FORMAT, "cannot convert float infinity to integer");
    if (self.type == V_FLOAT && real_to_int(r, self.real, &i))
        return value_int(i);
    if (is_text(self) && parse_real(r, self.text, &f) && real_to_int(r, f, &i))
        return value_int(i);
    return v[0].type == V_MISSING ? value_int(0) : v[0];
}

FILTER(filter_float)
{
    (void)rest;
    double f;
    if (self.type == V_UNDEFINED)
        undefined_fail(r, self);
    if (value_as_real(self, &f) || (is_text(self) && parse_real(r, self.text, &f)))
        return value_real(f);
    return v[0].type == V_MISSING ? value_real(0) : v[0];
}

FILTER(filter_abs)
{
    (void)v;
    (void)rest;
    int64_t i;
    if (self.type == V_UNDEFINED)
        undefined_fail(r, self);
    if (self.type == V_FLOAT)
        return value_real(fabs(self.real));
    if (!value_as_int(self, &i))
        run_fail(r, ERR_FORMAT, "bad operand type for abs(): '%s'", type_name(self));
    return i < 0 ? negate(r, self) : value_int(i);
}

// Python rounds halves to even, and by the decimal digits that the double really has.
static double round_digits(double f, int64_t digits)
{
    char text[512];
    if (digits > 300 || isnan(f) || isinf(f))
        return f;
    if (digits >= 0) {
        (void)snprintf(text, sizeof text, "%.*f", (int)digits, f);
        return strtod(text, NULL);
    }
    if (digits < -308)
        return copysign(0.0, f);
    double unit = pow(10, (double)-digits);
    return nearbyint(f / unit) * unit;
}

static struct value round_integer(struct run *r, int64_t i, int64_t digits)
{
    if (digits >= 0)
        return value_int(i);
    if (digits < -18)
        return value_int(0);
    int64_t unit = 1;
    while (digits++ < 0)
        unit *= 10;
    int64_t rest = i % unit;
    if (rest < 0)
        rest += unit;
    int64_t low = i - rest, result = low;
    if (rest > unit - rest || (rest == unit - rest && (low / unit) % 2 != 0))
        if (__builtin_add_overflow(low, unit, &result))
            run_fail(r, ERR_LIMIT, "an integer grows beyond 64 bits");
    return value_int(result);
}

FILTER(filter_round)
{
    (void)rest;
    int64_t digits = arg_int(r, v[0], 0), i;
    struct slice how = v[1].type == V_MISSING ? slice_str("common") : text_slice(arg_text(r, v[1]));
    bool up = slice_is(how, "ceil"), down = slice_is(how, "floor");
    if (!up && !down && !slice_is(how, "common"))
        run_fail(r, ERR_FORMAT, "method must be common, ceil or floor");
    if (self.type == V_UNDEFINED)
        undefined_fail(r, self);
    if (!value_is_number(self))
        run_fail(r, ERR_FORMAT, "type %s doesn't define __round__ method", type_name(self));
    if (!up && !down)
        return value_as_int(self, &i) ? round_integer(r, i, digits)
                                      : value_real(round_digits(self.real, digits));
    struct value scale = operate(r, 'p', value_int(10), value_int(digits));
    struct value scaled = operate(r, '*', self, scale);
    double f = 0;
    value_as_real(scaled, &f);
    if (!real_to_int(r, up ? ceil(f) : floor(f), &i))
        run_fail(r, ERR_FORMAT, "cannot convert float infinity to integer");
    return operate(r, '/', value_int(i), scale);
}

static const struct text *json_indent(struct run *r, struct value v)
{
    int64_t n;
    struct builder b = builder_new(r);
    if (is_text(v))
        return v.text;
    n = arg_int(r, v, 0);
    builder_fill(&b, text_str(r, " ").text, n < 0 ? 0 : (size_t)n);
    return builder_value(&b).text;
}

FILTER(filter_tojson)
{
    (void)rest;
    struct dump_style style = {.ascii = arg_bool(r, v[0], false), .sort = arg_bool(r, v[3], false)};
    style.indented = v[1].type != V_MISSING && v[1].type != V_NONE;
    if (style.indented)
        style.indent = json_indent(r, v[1]);
    style.item_separator = text_str(r, style.indented ? "," : ", ").text;
    style.key_separator = text_str(r, ": ").text;
    if (v[2].type != V_MISSING && v[2].type != V_NONE) {
        const struct list *both = value_to_list(r, v[2]);
        if (both->n != 2)
            run_fail(r, ERR_FORMAT, "tojson: separators are two texts");
        style.item_separator = arg_text(r, both->items[0]);
        style.key_separator = arg_text(r, both->items[1]);
    }
    struct builder b = builder_new(r);
    value_add_json(&b, self, &style);
    return builder_value(&b);
}

// As a.name, but without falling back to a["name"].
FILTER(filter_attr)
{
    (void)rest;
    const struct text *name = arg_text(r, v[0]);
    if (self.type == V_UNDEFINED)
        undefined_fail(r, self);
    if (self.type == V_DICT && dict_get_name(self.dict, text_slice(name)) &&
        !builtin_find(&dict_methods, text_slice(name)))
        return value_undefined(r, self, v[0]);
    return get_attribute(r, self, v[0]);
}

FILTER(filter_filesizeformat)
{
    (void)rest;
    static const char letters[] = "kMGTPEZY";
    double bytes = 0;
    bool binary = arg_bool(r, v[0], false);
    if (!value_as_real(self, &bytes) && !(is_text(self) && parse_real(r, self.text, &bytes)))
        run_fail(r, ERR_FORMAT, "could not convert to float");
    double base = binary ? 1024 : 1000, unit = base;
    struct builder b = builder_new(r);
    if (bytes == 1) {
        builder_str(&b, "1 Byte");
    } else if (bytes < base) {
        builder_printf(&b, "%.0f Bytes", trunc(bytes));
    } else {
        size_t i = 0;
        for (unit = base * base; bytes >= unit && i + 1 < 8; i++)
            unit *= base;
        char letter = binary && i == 0 ? 'K' : letters[i];
        builder_printf(&b, "%.1f %c%sB", base * bytes / unit, letter, binary ? "i" : "");
    }
    return builder_value(&b);
}

static const struct builtin rows[] = {
    {"abs", filter_abs, "", 0},
    {"attr", filter_attr, "name", 1},
    {"d", filter_default, "default_value,boolean", 0},
    {"default", filter_default, "default_value,boolean", 0},
    {"filesizeformat", filter_filesizeformat, "binary", 0},
    {"float", filter_float, "default", 0},
    {"int", filter_int, "default,base", 0},
    {"round", filter_round, "precision,method", 0},
    {"tojson", filter_tojson, "ensure_ascii,indent,separators,sort_keys", 0},
};
const struct builtin_table value_filters = {rows, sizeof rows / sizeof *rows};
