#include "local/sampling/grammar/gbnf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/sampling/grammar/charset.h"
#include "local/sampling/grammar/regex.h"

struct gbnf_rule {
    struct regex *tree;  // NULL: not defined
    const char *name;
    int used_line;  // where it was first named
};
struct gbnf {
    struct slice text;
    size_t i;
    int line, depth;
    uint32_t first;  // of the program's rules
    struct arena arena;
    struct error *err;
    json_t *index;  // name -> rule + 1
    struct gbnf_rule *rules;
    size_t n, capacity;
};

static struct regex *refuse(struct gbnf *g, const char *what)
{
    (void)error_set(g->err, ERR_FORMAT, "grammar: line %d: %s", g->line, what);
    return NULL;
}

static char peek(const struct gbnf *g, size_t ahead)
{
    return g->i + ahead < g->text.len ? g->text.ptr[g->i + ahead] : 0;
}

static bool at_end(const struct gbnf *g)
{
    return g->i >= g->text.len;
}

static bool take(struct gbnf *g, const char *what)
{
    size_t n = strlen(what);
    if (g->text.len - g->i < n || memcmp(g->text.ptr + g->i, what, n) != 0)
        return false;
    g->i += n;
    return true;
}

static void skip_space(struct gbnf *g, bool lines)
{
    for (; !at_end(g); g->i++) {
        char c = peek(g, 0);
        if (c == '#')
            while (!at_end(g) && peek(g, 0) != '\n' && peek(g, 0) != '\r')
                g->i++;
        c = peek(g, 0);
        bool line_end = (c == '\n' || c == '\r') && lines;
        if (at_end(g) || (c != ' ' && c != '\t' && !line_end))
            break;
        g->line += c == '\n';
    }
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static struct slice read_name(struct gbnf *g)
{
    size_t start = g->i;
    while (is_word(peek(g, 0)))
        g->i++;
    return slice_sub(g->text, start, g->i - start);
}

// The number of a rule, which may be defined later.
static size_t rule_of(struct gbnf *g, struct slice name)
{
    char *text = arena_text(&g->arena, name);
    const json_t *known = json_object_get(g->index, text);
    if (known)
        return (size_t)json_integer_value(known) - 1;
    memory_grow(g->rules, g->capacity, g->n + 1);
    g->rules[g->n] = (struct gbnf_rule){.name = text, .used_line = g->line};
    json_object_set_new(g->index, text, json_integer((json_int_t)++g->n));
    return g->n - 1;
}

// Characters

static bool read_hex(struct gbnf *g, int n, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < n; i++) {
        char c = peek(g, 0), low = (char)(c | 32);
        int digit = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (digit < 0) {
            (void)refuse(g, "too few hexadecimal digits");
            return false;
        }
        *code = *code * 16 + (uint32_t)digit;
        g->i++;
    }
    if (*code <= CODE_MAX && !(*code >= 0xD800 && *code <= 0xDFFF))
        return true;
    (void)refuse(g, "no character has this code");
    return false;
}

static bool read_char(struct gbnf *g, uint32_t *code)
{
    if (take(g, "\\")) {
        static const char named[] = "t\tn\nr\r\\\\\"\"[[]]";
        char c = peek(g, 0);
        g->i++;
        for (size_t k = 0; named[k]; k += 2)
            if (c == named[k]) {
                *code = (uint8_t)named[k + 1];
                return true;
            }
        if (c == 'x' || c == 'u' || c == 'U')
            return read_hex(g, c == 'x' ? 2 : c == 'u' ? 4 : 8, code);
        (void)refuse(g, "an escape of unknown meaning");
        return false;
    }
    size_t n = utf8_decode(g->text.ptr + g->i, g->text.len - g->i, code);
    if (!n)
        (void)refuse(g, at_end(g) ? "the text ends too early" : "bytes that are not UTF-8");
    g->line += *code == '\n' && n;
    g->i += n;
    return n > 0;
}

static struct regex *read_literal(struct gbnf *g)
{
    struct regex *cat = regex_new(&g->arena, REGEX_CAT);
    while (!take(g, "\"")) {
        struct charset s = {0};
        uint32_t code;
        if (!read_char(g, &code))
            return NULL;
        charset_add(&s, code, code);
        regex_append(cat, regex_set(&g->arena, &s));
    }
    return cat;
}

static struct regex *read_class(struct gbnf *g)
{
    struct charset s = {0};
    bool negated = take(g, "^");
    while (!take(g, "]")) {
        uint32_t low, high;
        bool ok = read_char(g, &low);
        high = low;
        if (ok && peek(g, 0) == '-' && peek(g, 1) != ']') {
            g->i++;
            ok = read_char(g, &high);
        }
        if (ok && low > high) {
            (void)refuse(g, "a range that ends before it begins");
            ok = false;
        }
        if (!ok) {
            charset_release(&s);
            return NULL;
        }
        charset_add(&s, low, high);
    }
    charset_sort(&s);
    if (negated)
        charset_negate(&s);
    return regex_set(&g->arena, &s);
}

// Rules

static struct regex *read_alternatives(struct gbnf *g, bool nested);

static struct regex *read_group(struct gbnf *g)
{
    if (++g->depth > REGEX_DEPTH_MAX)
        return refuse(g, "groups nest too deep");
    skip_space(g, true);
    struct regex *inner = read_alternatives(g, true);
    g->depth--;
    if (inner && !take(g, ")"))
        return refuse(g, "a group without its end");
    return inner;
}

// NULL with err, or without (*none) where no symbol begins.
static struct regex *read_symbol(struct gbnf *g, bool *none)
{
    *none = false;
    if (take(g, "\""))
        return read_literal(g);
    if (take(g, "["))
        return read_class(g);
    if (take(g, "("))
        return read_group(g);
    if (take(g, ".")) {
        struct charset all = {0};
        charset_add(&all, 0, CODE_MAX);
        return regex_set(&g->arena, &all);
    }
    if (peek(g, 0) == '<' || (peek(g, 0) == '!' && peek(g, 1) == '<'))
        return refuse(g, "tokens by name or id cannot be followed");
    if (is_word(peek(g, 0))) {
        struct regex *call = regex_new(&g->arena, REGEX_CALL);
        call->min = g->first + (uint32_t)rule_of(g, read_name(g));
        return call;
    }
    *none = true;
    return NULL;
}

static bool read_count(struct gbnf *g, uint32_t *value)
{
    size_t start = g->i;
    uint64_t n = 0;
    for (; peek(g, 0) >= '0' && peek(g, 0) <= '9'; g->i++) {
        n = n * 10 + (uint64_t)(peek(g, 0) - '0');
        n = n > UINT32_MAX ? UINT32_MAX : n;
    }
    *value = (uint32_t)n;
    return g->i > start;
}

static bool read_counts(struct gbnf *g, bool nested, uint32_t *min, uint32_t *max)
{
    skip_space(g, nested);
    bool ok = read_count(g, min);
    *max = *min;
    skip_space(g, nested);
    if (take(g, ",")) {
        skip_space(g, nested);
        if (!read_count(g, max))
            *max = REPEAT_NO_MAX;
        skip_space(g, nested);
    }
    ok = ok && take(g, "}");
    if (ok && *min <= REPEAT_MAX && (*max == REPEAT_NO_MAX || (*max <= REPEAT_MAX && *max >= *min)))
        return true;
    (void)refuse(g, ok ? "a count that is too large, or a maximum below the minimum"
                       : "braces without {m}, {m,} or {m,n}");
    return false;
}

// The symbol with what repeats it.
static struct regex *read_repeats(struct gbnf *g, struct regex *symbol, bool nested)
{
    for (skip_space(g, nested);; skip_space(g, nested)) {
        uint32_t min = 0, max = REPEAT_NO_MAX;
        if (take(g, "+"))
            min = 1;
        else if (take(g, "?"))
            max = 1;
        else if (take(g, "{")) {
            if (!read_counts(g, nested, &min, &max))
                return NULL;
        } else if (!take(g, "*")) {
            return symbol;
        }
        if (++g->depth > REGEX_DEPTH_MAX)
            return refuse(g, "too many repetitions of one symbol");
        struct regex *repeat = regex_new(&g->arena, REGEX_REPEAT);
        repeat->min = min;
        repeat->max = max;
        regex_append(repeat, symbol);
        symbol = repeat;
    }
}

static struct regex *read_sequence(struct gbnf *g, bool nested)
{
    struct regex *cat = regex_new(&g->arena, REGEX_CAT);
    for (;;) {
        bool none;
        int depth = g->depth;
        struct regex *symbol = read_symbol(g, &none);
        if (none)
            return cat;
        if (symbol)
            symbol = read_repeats(g, symbol, nested);
        g->depth = depth;
        if (!symbol)
            return NULL;
        regex_append(cat, symbol);
    }
}

static struct regex *read_alternatives(struct gbnf *g, bool nested)
{
    struct regex *alt = regex_new(&g->arena, REGEX_ALT);
    do {
        skip_space(g, alt->first != NULL || nested);
        struct regex *one = read_sequence(g, nested);
        if (!one)
            return NULL;
        regex_append(alt, one);
        skip_space(g, nested);
    } while (take(g, "|"));
    return alt;
}

static bool read_rule(struct gbnf *g)
{
    struct slice name = read_name(g);
    if (!name.len) {
        (void)refuse(g, "no name of a rule");
        return false;
    }
    size_t rule = rule_of(g, name);
    skip_space(g, false);
    if (!take(g, "::=")) {
        (void)refuse(g, "no ::= after the name of a rule");
        return false;
    }
    if (g->rules[rule].tree) {
        (void)refuse(g, "a second rule of this name");
        return false;
    }
    skip_space(g, true);
    struct regex *tree = read_alternatives(g, false);
    if (!tree)
        return false;
    g->rules[rule].tree = tree;
    if (!at_end(g) && peek(g, 0) != '\n' && peek(g, 0) != '\r') {
        (void)refuse(g, "something that is no part of a rule");
        return false;
    }
    skip_space(g, true);
    return true;
}

static bool check_defined(struct gbnf *g)
{
    for (size_t i = 0; i < g->n; i++)
        if (!g->rules[i].tree)
            return error_set(g->err, ERR_FORMAT, "grammar: line %d: there is no rule '%.60s'",
                             g->rules[i].used_line, g->rules[i].name);
    return json_object_get(g->index, "root") ||
           error_set(g->err, ERR_FORMAT, "grammar: there is no rule 'root'");
}

// Adds the rules behind those that the program has.
static uint32_t emit(struct gbnf *g, struct program *p)
{
    uint32_t first = (uint32_t)p->n_rules;
    for (size_t i = 0; i < g->n; i++)
        (void)program_rule(p, g->rules[i].name);
    for (size_t i = 0; i < g->n && !p->overflow; i++)
        program_set(p, first + (uint32_t)i,
                    regex_emit(p, g->rules[i].tree, node_chars, NODE_ID_END));
    return first + (uint32_t)json_integer_value(json_object_get(g->index, "root")) - 1;
}

bool gbnf_add(struct program *p, struct slice text, uint32_t *rule, struct error *err)
{
    struct gbnf g = {.text = text, .line = 1, .err = err, .index = json_object()};
    bool ok = true;
    g.first = (uint32_t)p->n_rules;
    skip_space(&g, true);
    while (ok && !at_end(&g))
        ok = read_rule(&g);
    ok = ok && check_defined(&g);
    if (ok)
        *rule = emit(&g, p);
    json_decref(g.index);
    free(g.rules);
    arena_release(&g.arena);
    return ok;
}

struct program *gbnf_compile(struct slice text, struct error *err)
{
    struct program *p = program_new();
    uint32_t root;
    if (gbnf_add(p, text, &root, err)) {
        if (program_finish(p, root, err))
            return p;
        (void)error_wrap(err, "grammar");
    }
    program_free(p);
    return NULL;
}
