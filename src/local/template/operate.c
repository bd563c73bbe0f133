// operate.c - arithmetic and what else + * % mean: joining, repeating, formatting.
//
// Integers are 64 bits; Python's grow. A result beyond them is ERR_LIMIT, never a wrong number.
#include <math.h>

#include "local/template/run.h"
#include "local/template/text.h"

static _Noreturn void operands_fail(struct run *r, char op, struct value a, struct value b)
{
    if (a.type == V_UNDEFINED)
        undefined_fail(r, a);
    if (b.type == V_UNDEFINED)
        undefined_fail(r, b);
    const char *name = op == 'f' ? "//" : op == 'p' ? "** or pow()" : NULL;
    char one[2] = {op, 0};
    if (op == '+' && (is_text(a) || a.type == V_LIST || a.type == V_TUPLE))
        run_fail(r, ERR_FORMAT, "can only concatenate %s (not \"%s\") to %s",
                 is_text(a) ? "str" : type_name(a), type_name(b),
                 is_text(a) ? "str" : type_name(a));
    run_fail(r, ERR_FORMAT, "unsupported operand type(s) for %s: '%s' and '%s'", name ? name : one,
             type_name(a), type_name(b));
}

static _Noreturn void overflow_fail(struct run *r)
{
    run_fail(r, ERR_LIMIT, "an integer grows beyond 64 bits");
}

static int64_t floor_divide(struct run *r, int64_t a, int64_t b)
{
    if (a == INT64_MIN && b == -1)
        overflow_fail(r);
    int64_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}

static struct value power(struct run *r, int64_t base, int64_t exponent)
{
    if (exponent < 0) {
        if (base == 0)
            run_fail(r, ERR_FORMAT, "0.0 cannot be raised to a negative power");
        return value_real(pow((double)base, (double)exponent));
    }
    int64_t result = 1;
    while (exponent > 0) {
        if (exponent & 1 && __builtin_mul_overflow(result, base, &result))
            overflow_fail(r);
        exponent >>= 1;
        if (exponent && __builtin_mul_overflow(base, base, &base))
            overflow_fail(r);
    }
    return value_int(result);
}

static struct value integers(struct run *r, char op, int64_t a, int64_t b)
{
    int64_t result = 0;
    bool overflow = false;
    if (b == 0 && (op == '/' || op == 'f' || op == '%'))
        run_fail(r, ERR_FORMAT,
                 op == '/' ? "division by zero" : "integer division or modulo by zero");
    switch (op) {
    case '+': overflow = __builtin_add_overflow(a, b, &result); break;
    case '-': overflow = __builtin_sub_overflow(a, b, &result); break;
    case '*': overflow = __builtin_mul_overflow(a, b, &result); break;
    case '/': return value_real((double)a / (double)b);
    case 'f': result = floor_divide(r, a, b); break;
    case '%': result = b == -1 ? 0 : a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0); break;
    default: return power(r, a, b);
    }
    if (overflow)
        overflow_fail(r);
    return value_int(result);
}

static double float_modulo(double a, double b)
{
    double m = fmod(a, b);
    if (m == 0)
        return copysign(0.0, b);
    return (m < 0) != (b < 0) ? m + b : m;
}

static double float_floor_divide(double a, double b)
{
    double m = fmod(a, b), q = (a - m) / b;
    if (m != 0 && (m < 0) != (b < 0))
        q -= 1;
    if (q == 0)
        return copysign(0.0, a / b);
    double whole = floor(q);
    return q - whole > 0.5 ? whole + 1 : whole;
}

static struct value reals(struct run *r, char op, double a, double b)
{
    if (b == 0 && (op == '/' || op == 'f' || op == '%'))
        run_fail(r, ERR_FORMAT, "%s",
                 op == '/'   ? "float division by zero"
                 : op == 'f' ? "float floor division by zero"
                             : "float modulo");
    switch (op) {
    case '+': return value_real(a + b);
    case '-': return value_real(a - b);
    case '*': return value_real(a * b);
    case '/': return value_real(a / b);
    case 'f': return value_real(float_floor_divide(a, b));
    case '%': return value_real(float_modulo(a, b));
    default: break;
    }
    if (a == 0 && b < 0)
        run_fail(r, ERR_FORMAT, "0.0 cannot be raised to a negative power");
    double result = pow(a, b);
    if (isnan(result) && !isnan(a) && !isnan(b))
        run_fail(r, ERR_UNSUPPORTED, "complex numbers are not supported");
    if (isinf(result) && !isinf(a) && !isinf(b))
        run_fail(r, ERR_FORMAT, "(34, 'Numerical result out of range')");
    return value_real(result);
}

static struct value repeat(struct run *r, struct value of, int64_t times)
{
    size_t n = times < 0 ? 0 : (size_t)times;
    if (is_text(of)) {
        struct builder b = builder_new(r);
        builder_fill(&b, of.text, n);
        return text_as_markup(r, builder_value(&b).text, of.text->markup);
    }
    size_t have = of.list->n;
    if (have && n > r->max_memory / sizeof(struct value) / have)
        run_fail(r, ERR_LIMIT, "the template uses more memory than it may");
    run_charge(r, have * n);
    struct list *l = list_new(r, have * n);
    for (size_t i = 0; i < have * n; i++)
        list_add(r, l, of.list->items[i % have]);
    return of.type == V_LIST ? value_list(l) : value_tuple(l);
}

static struct value join_lists(struct run *r, struct value a, struct value b)
{
    struct list *l = list_new(r, a.list->n + b.list->n);
    run_charge(r, a.list->n + b.list->n);
    for (size_t i = 0; i < a.list->n; i++)
        list_add(r, l, a.list->items[i]);
    for (size_t i = 0; i < b.list->n; i++)
        list_add(r, l, b.list->items[i]);
    return a.type == V_LIST ? value_list(l) : value_tuple(l);
}

static bool is_sequence(struct value v)
{
    return v.type == V_TEXT || v.type == V_LIST || v.type == V_TUPLE;
}

struct value operate(struct run *r, char op, struct value a, struct value b)
{
    int64_t i, j;
    if (value_as_int(a, &i) && value_as_int(b, &j))
        return integers(r, op, i, j);
    if (value_is_number(a) && value_is_number(b)) {
        double f = 0, g = 0;
        value_as_real(a, &f);
        value_as_real(b, &g);
        return reals(r, op, f, g);
    }
    if (op == '%' && is_text(a))
        return text_percent(r, a.text, b);
    if (op == '+' && is_text(a) && is_text(b))
        return text_concat(r, a.text, b.text);
    if (op == '+' && a.type == b.type && is_sequence(a))
        return join_lists(r, a, b);
    if (op == '*' && is_sequence(a) && value_as_int(b, &j))
        return repeat(r, a, j);
    if (op == '*' && is_sequence(b) && value_as_int(a, &i))
        return repeat(r, b, i);
    if (op == '*' && (is_sequence(a) || is_sequence(b)) && a.type != V_UNDEFINED &&
        b.type != V_UNDEFINED)
        run_fail(r, ERR_FORMAT, "can't multiply sequence by non-int of type '%s'",
                 type_name(is_sequence(a) ? b : a));
    operands_fail(r, op, a, b);
}

struct value negate(struct run *r, struct value v)
{
    int64_t i;
    if (v.type == V_FLOAT)
        return value_real(-v.real);
    if (v.type == V_UNDEFINED)
        undefined_fail(r, v);
    if (!value_as_int(v, &i))
        run_fail(r, ERR_FORMAT, "bad operand type for unary -: '%s'", type_name(v));
    if (i == INT64_MIN)
        overflow_fail(r);
    return value_int(-i);
}
