// tests.c - what can stand after "is".
#include "local/template/builtins.h"
#include "local/template/run.h"
#include "local/template/text.h"

#define TEST(name, holds)                                                                          \
    static struct value name(struct run *r, struct value self, struct value *v,                    \
                             const struct args *rest)                                              \
    {                                                                                              \
        (void)r;                                                                                   \
        (void)v;                                                                                   \
        (void)rest;                                                                                \
        return value_bool(holds);                                                                  \
    }

static bool is_divisible(struct run *r, struct value v, struct value by)
{
    return value_equal(r, operate(r, '%', v, by), value_int(0));
}

// Python's islower and isupper: there is a letter with case, and none of the other case.
static bool has_case(struct run *r, struct value v, bool lower)
{
    const struct text *t = to_text(r, v);
    bool any = false;
    size_t n;
    run_charge(r, t->len / 16);
    for (size_t i = 0; i < t->len; i += n) {
        uint32_t c = text_code(t, i, &n);
        if (lower ? unicode_is_upper(c) : unicode_is_lower(c))
            return false;
        if (unicode_is_title(c))
            return false;
        any |= lower ? unicode_is_lower(c) : unicode_is_upper(c);
    }
    return any;
}

static bool is_sequence(struct value v)
{
    switch (v.type) {
    case V_UNDEFINED:
    case V_TEXT:
    case V_LIST:
    case V_TUPLE:
    case V_DICT:
    case V_RANGE: return true;
    default: return false;
    }
}

static bool is_named(struct run *r, struct value v,
                     const struct builtin *(*find)(struct slice name))
{
    value_hash(r, v);
    return is_text(v) && find(text_slice(v.text)) != NULL;
}

TEST(test_boolean, self.type == V_BOOL)
TEST(test_callable, value_is_callable(self))
TEST(test_defined, self.type != V_UNDEFINED)
TEST(test_divisibleby, is_divisible(r, self, v[0]))
TEST(test_eq, value_equal(r, self, v[0]))
TEST(test_escaped, is_text(self) && self.text->markup)
TEST(test_even, is_divisible(r, self, value_int(2)))
TEST(test_false, self.type == V_BOOL && !self.truth)
TEST(test_filter, is_named(r, self, filter_find))
TEST(test_float, self.type == V_FLOAT)
TEST(test_ge, value_order(r, 'g', self, v[0]))
TEST(test_gt, value_order(r, '>', self, v[0]))
TEST(test_in, value_contains(r, v[0], self))
TEST(test_integer, self.type == V_INT)
TEST(test_iterable, value_is_iterable(self))
TEST(test_le, value_order(r, 'l', self, v[0]))
TEST(test_lower, has_case(r, self, true))
TEST(test_lt, value_order(r, '<', self, v[0]))
TEST(test_mapping, self.type == V_DICT)
TEST(test_ne, !value_equal(r, self, v[0]))
TEST(test_none, self.type == V_NONE)
TEST(test_number, value_is_number(self))
TEST(test_odd, value_equal(r, operate(r, '%', self, value_int(2)), value_int(1)))
TEST(test_sameas, value_same(self, v[0]))
TEST(test_sequence, is_sequence(self))
TEST(test_string, is_text(self))
TEST(test_test, is_named(r, self, test_find))
TEST(test_true, self.type == V_BOOL && self.truth)
TEST(test_undefined, self.type == V_UNDEFINED)
TEST(test_upper, has_case(r, self, false))

static const struct builtin rows[] = {
    {"boolean", test_boolean, "", 0},
    {"callable", test_callable, "", 0},
    {"defined", test_defined, "", 0},
    {"divisibleby", test_divisibleby, "num", 1},
    {"eq", test_eq, "/b", 1},
    {"equalto", test_eq, "/b", 1},
    {"==", test_eq, "/b", 1},
    {"escaped", test_escaped, "", 0},
    {"even", test_even, "", 0},
    {"false", test_false, "", 0},
    {"filter", test_filter, "", 0},
    {"float", test_float, "", 0},
    {"ge", test_ge, "/b", 1},
    {">=", test_ge, "/b", 1},
    {"gt", test_gt, "/b", 1},
    {"greaterthan", test_gt, "/b", 1},
    {">", test_gt, "/b", 1},
    {"in", test_in, "seq", 1},
    {"integer", test_integer, "", 0},
    {"iterable", test_iterable, "", 0},
    {"le", test_le, "/b", 1},
    {"<=", test_le, "/b", 1},
    {"lower", test_lower, "", 0},
    {"lt", test_lt, "/b", 1},
    {"lessthan", test_lt, "/b", 1},
    {"<", test_lt, "/b", 1},
    {"mapping", test_mapping, "", 0},
    {"ne", test_ne, "/b", 1},
    {"!=", test_ne, "/b", 1},
    {"none", test_none, "", 0},
    {"number", test_number, "", 0},
    {"odd", test_odd, "", 0},
    {"sameas", test_sameas, "other", 1},
    {"sequence", test_sequence, "", 0},
    {"string", test_string, "", 0},
    {"test", test_test, "", 0},
    {"true", test_true, "", 0},
    {"undefined", test_undefined, "", 0},
    {"upper", test_upper, "", 0},
};
const struct builtin_table all_tests = {rows, sizeof rows / sizeof *rows};
