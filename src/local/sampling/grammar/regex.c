#include "local/sampling/grammar/regex.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/sampling/grammar/charset.h"

struct regex *regex_new(struct arena *a, enum regex_kind kind)
{
    struct regex *node = arena_new(a, struct regex, 1);
    node->kind = kind;
    return node;
}

void regex_append(struct regex *parent, struct regex *child)
{
    *(parent->last ? &parent->last->next : &parent->first) = child;
    parent->last = child;
}

struct regex *regex_set(struct arena *a, struct charset *s)
{
    struct regex *node = regex_new(a, REGEX_SET);
    charset_sort(s);
    struct code_range *ranges = arena_new(a, struct code_range, s->n + 1);
    if (s->n)
        memcpy(ranges, s->ranges, s->n * sizeof *ranges);
    node->ranges = ranges;
    node->n = s->n;
    charset_release(s);
    return node;
}

struct reader {
    struct slice text;
    size_t i;
    int depth;
    struct arena *arena;
    struct error *err;
};

static struct regex *refuse(struct reader *r, const char *what)
{
    (void)error_set(r->err, ERR_UNSUPPORTED, "regular expression: %s at byte %zu", what, r->i);
    return NULL;
}

static bool at_end(const struct reader *r)
{
    return r->i >= r->text.len;
}

static char peek(const struct reader *r, size_t ahead)
{
    return r->i + ahead < r->text.len ? r->text.ptr[r->i + ahead] : 0;
}

static bool take(struct reader *r, const char *what)
{
    size_t n = strlen(what);
    if (r->text.len - r->i < n || memcmp(r->text.ptr + r->i, what, n) != 0)
        return false;
    r->i += n;
    return true;
}

// Escapes

static const struct code_range digits[] = {{'0', '9'}};
static const struct code_range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const struct code_range spaces[] = {{9, 13}, {' ', ' '}};

// \d and the like. False if the letter is none of them.
static bool class_escape(char c, struct charset *out)
{
    struct charset s = {0};
    switch (c | 32) {
    case 'd': charset_add_all(&s, digits, 1); break;
    case 'w': charset_add_all(&s, words, 4); break;
    case 's': charset_add_all(&s, spaces, 2); break;
    default: return false;
    }
    if (!(c & 32))
        charset_negate(&s);
    charset_add_all(out, s.ranges, s.n);
    charset_release(&s);
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(struct reader *r, int n, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < n; i++) {
        int digit = hex_value(peek(r, 0));
        if (digit < 0 || at_end(r)) {
            (void)refuse(r, "too few hexadecimal digits");
            return false;
        }
        *code = *code * 16 + (uint32_t)digit;
        r->i++;
    }
    return true;
}

// After \u: four digits, or any in braces; two surrogates are one character.
static bool read_unicode(struct reader *r, uint32_t *code)
{
    if (take(r, "{")) {
        *code = 0;
        int n = 0;
        for (; hex_value(peek(r, 0)) >= 0 && !at_end(r) && n < 8; n++)
            *code = *code * 16 + (uint32_t)hex_value(r->text.ptr[r->i++]);
        if (!n || !take(r, "}")) {
            (void)refuse(r, "\\u{...} without digits or end");
            return false;
        }
    } else if (!read_hex(r, 4, code)) {
        return false;
    } else if (*code >= 0xD800 && *code <= 0xDBFF && take(r, "\\u")) {
        uint32_t low;
        if (!read_hex(r, 4, &low))
            return false;
        if (low >= 0xDC00 && low <= 0xDFFF)
            *code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (*code <= CODE_MAX && !(*code >= 0xD800 && *code <= 0xDFFF))
        return true;
    (void)refuse(r, "no character has this code");
    return false;
}

// One character behind a backslash, which is read.
static bool read_escape(struct reader *r, bool in_class, uint32_t *code)
{
    if (at_end(r)) {
        (void)refuse(r, "a lone backslash");
        return false;
    }
    char c = r->text.ptr[r->i];
    static const char named[] = "t\tn\nr\rf\fv\v";
    for (size_t k = 0; named[k]; k += 2)
        if (c == named[k]) {
            *code = (uint32_t)named[k + 1];
            r->i++;
            return true;
        }
    if (c == 'b' && in_class) {
        r->i++;
        *code = 8;
        return true;
    }
    if (c == '0' && !(peek(r, 1) >= '0' && peek(r, 1) <= '9')) {
        r->i++;
        *code = 0;
        return true;
    }
    if (c == 'x' || c == 'u') {
        r->i++;
        return c == 'x' ? read_hex(r, 2, code) : read_unicode(r, code);
    }
    if (c == 'c' && ((peek(r, 1) | 32) >= 'a') && ((peek(r, 1) | 32) <= 'z')) {
        *code = (uint32_t)(peek(r, 1) & 31);
        r->i += 2;
        return true;
    }
    const char *what = NULL;
    if (c >= '0' && c <= '9')
        what = "backreferences cannot be followed";
    else if (c == 'b' || c == 'B')
        what = "\\b and \\B cannot be followed";
    else if (c == 'p' || c == 'P')
        what = "classes by property (\\p) are not known";
    else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        what = "an escape of unknown meaning";
    if (what) {
        (void)refuse(r, what);
        return false;
    }
    size_t n = utf8_decode(r->text.ptr + r->i, r->text.len - r->i, code);
    r->i += n;
    if (!n)
        (void)refuse(r, "bytes that are not UTF-8");
    return n > 0;
}

static bool read_plain(struct reader *r, uint32_t *code)
{
    size_t n = utf8_decode(r->text.ptr + r->i, r->text.len - r->i, code);
    r->i += n;
    if (!n)
        (void)refuse(r, "bytes that are not UTF-8");
    return n > 0;
}

// Classes

// One end of a range, or a whole class (*is_set).
static bool class_atom(struct reader *r, struct charset *s, uint32_t *code, bool *is_set)
{
    *is_set = false;
    if (!take(r, "\\"))
        return read_plain(r, code);
    if (class_escape(peek(r, 0), s)) {
        *is_set = true;
        r->i++;
        return true;
    }
    if (peek(r, 0) == '-') {
        r->i++;
        *code = '-';
        return true;
    }
    return read_escape(r, true, code);
}

static bool class_items(struct reader *r, struct charset *s)
{
    for (bool any = false;; any = true) {
        uint32_t low, high;
        bool is_set, is_set_too;
        if (at_end(r)) {
            (void)refuse(r, "a class without its end");
            return false;
        }
        if (peek(r, 0) == ']') {
            if (!any)
                (void)refuse(r, "an empty class");
            return any;
        }
        if (!class_atom(r, s, &low, &is_set))
            return false;
        if (is_set)
            continue;
        high = low;
        if (peek(r, 0) == '-' && peek(r, 1) != ']' && peek(r, 1)) {
            r->i++;
            if (!class_atom(r, s, &high, &is_set_too))
                return false;
            if (is_set_too) {  // a-\d: three things
                charset_add(s, low, low);
                charset_add(s, '-', '-');
                continue;
            }
        }
        if (low > high) {
            (void)refuse(r, "a range that ends before it begins");
            return false;
        }
        charset_add(s, low, high);
    }
}

static struct regex *read_class(struct reader *r)
{
    struct charset s = {0};
    bool negated = take(r, "^");
    if (!class_items(r, &s)) {
        charset_release(&s);
        return NULL;
    }
    r->i++;
    charset_sort(&s);
    if (negated)
        charset_negate(&s);
    return regex_set(r->arena, &s);
}

// The whole

static struct regex *read_alternatives(struct reader *r);

static struct regex *read_group(struct reader *r)
{
    if (take(r, "?")) {
        bool named = peek(r, 0) == '<' && peek(r, 1) != '=' && peek(r, 1) != '!';
        named |= peek(r, 0) == 'P' && peek(r, 1) == '<';
        if (named) {
            while (!at_end(r) && peek(r, 0) != '>')
                r->i++;
            if (!take(r, ">"))
                return refuse(r, "a name of a group without its end");
        } else if (!take(r, ":")) {
            return refuse(r, "look-around and flags cannot be followed");
        }
    }
    if (++r->depth > REGEX_DEPTH_MAX)
        return refuse(r, "groups nest too deep");
    struct regex *inner = read_alternatives(r);
    r->depth--;
    if (inner && !take(r, ")"))
        return refuse(r, "a group without its end");
    return inner;
}

static struct regex *one_char(struct reader *r, uint32_t code)
{
    struct charset s = {0};
    charset_add(&s, code, code);
    return regex_set(r->arena, &s);
}

static struct regex *read_atom(struct reader *r)
{
    struct charset s = {0};
    uint32_t code;
    if (take(r, "("))
        return read_group(r);
    if (take(r, "["))
        return read_class(r);
    if (take(r, "^"))
        return regex_new(r->arena, REGEX_START);
    if (take(r, "$"))
        return regex_new(r->arena, REGEX_END);
    if (take(r, ".")) {
        charset_add(&s, '\n', '\n');
        charset_add(&s, '\r', '\r');
        charset_add(&s, 0x2028, 0x2029);
        charset_negate(&s);
        return regex_set(r->arena, &s);
    }
    if (peek(r, 0) == '*' || peek(r, 0) == '+' || peek(r, 0) == '?')
        return refuse(r, "nothing to repeat");
    if (take(r, "\\")) {
        if (class_escape(peek(r, 0), &s)) {
            r->i++;
            return regex_set(r->arena, &s);
        }
        return read_escape(r, false, &code) ? one_char(r, code) : NULL;
    }
    return read_plain(r, &code) ? one_char(r, code) : NULL;
}

static bool read_count(struct reader *r, uint32_t *value)
{
    size_t start = r->i;
    uint64_t n = 0;
    while (peek(r, 0) >= '0' && peek(r, 0) <= '9') {
        n = n * 10 + (uint64_t)(peek(r, 0) - '0');
        n = n > UINT32_MAX ? UINT32_MAX : n;
        r->i++;
    }
    *value = (uint32_t)n;
    return r->i > start;
}

// {m}, {m,} or {m,n}; anything else in braces is text.
static bool braces(struct reader *r, uint32_t *min, uint32_t *max)
{
    size_t start = r->i;
    bool ok = take(r, "{") && read_count(r, min);
    if (ok) {
        *max = *min;
        if (take(r, ",") && !read_count(r, max))
            *max = REPEAT_NO_MAX;
        ok = take(r, "}");
    }
    if (!ok)
        r->i = start;
    return ok;
}

static struct regex *read_piece(struct reader *r)
{
    struct regex *atom = read_atom(r);
    uint32_t min = 0, max = REPEAT_NO_MAX;
    if (!atom)
        return NULL;
    if (take(r, "+"))
        min = 1;
    else if (take(r, "?"))
        max = 1;
    else if (!take(r, "*") && !braces(r, &min, &max))
        return atom;
    if (peek(r, 0) == '+')
        return refuse(r, "possessive quantifiers cannot be followed");
    (void)take(r, "?");  // lazy: the same texts
    if (peek(r, 0) == '*' || peek(r, 0) == '+' || peek(r, 0) == '?')
        return refuse(r, "a quantifier after a quantifier");
    if (atom->kind == REGEX_START || atom->kind == REGEX_END)
        return refuse(r, "an anchor cannot be repeated");
    if (min > REPEAT_MAX || (max != REPEAT_NO_MAX && (max > REPEAT_MAX || max < min)))
        return refuse(r, "a count that is too large, or a maximum below the minimum");
    struct regex *node = regex_new(r->arena, REGEX_REPEAT);
    node->min = min;
    node->max = max;
    regex_append(node, atom);
    return node;
}

static struct regex *read_branch(struct reader *r)
{
    struct regex *cat = regex_new(r->arena, REGEX_CAT);
    while (!at_end(r) && peek(r, 0) != '|' && peek(r, 0) != ')') {
        struct regex *piece = read_piece(r);
        if (!piece)
            return NULL;
        regex_append(cat, piece);
    }
    return cat;
}

static struct regex *read_alternatives(struct reader *r)
{
    struct regex *alt = regex_new(r->arena, REGEX_ALT);
    do {
        struct regex *branch = read_branch(r);
        if (!branch)
            return NULL;
        regex_append(alt, branch);
    } while (take(r, "|"));
    return alt;
}

// Anchors

static bool has_anchor(const struct regex *r)
{
    if (r->kind == REGEX_START || r->kind == REGEX_END)
        return true;
    for (const struct regex *c = r->first; c; c = c->next)
        if (has_anchor(c))
            return true;
    return false;
}

static struct regex *anything(struct reader *r)
{
    struct charset all = {0};
    charset_add(&all, 0, CODE_MAX);
    struct regex *node = regex_new(r->arena, REGEX_REPEAT);
    node->max = REPEAT_NO_MAX;
    regex_append(node, regex_set(r->arena, &all));
    return node;
}

static struct regex *resolve(struct reader *r, struct regex *alt, bool search);

// A branch without its anchors, and with anything where it has none.
static struct regex *resolve_branch(struct reader *r, struct regex *branch, bool search)
{
    struct regex *only = branch->first;
    if (only && !only->next && only->kind == REGEX_ALT)
        return resolve(r, only, search);
    struct regex *out = regex_new(r->arena, REGEX_CAT);
    struct regex *c = branch->first;
    bool start = false, end = false;
    for (; c && c->kind == REGEX_START; c = c->next)
        start = true;
    if (!start && search)
        regex_append(out, anything(r));
    for (struct regex *next; c; c = next) {
        next = c->next;
        end |= c->kind == REGEX_END;
        if (c->kind == REGEX_END)
            continue;
        if (end || has_anchor(c))
            return refuse(r, "an anchor that is not at the end of an alternative");
        c->next = NULL;
        regex_append(out, c);
    }
    if (!end && search)
        regex_append(out, anything(r));
    return out;
}

static struct regex *resolve(struct reader *r, struct regex *alt, bool search)
{
    struct regex *out = regex_new(r->arena, REGEX_ALT);
    for (struct regex *c = alt->first, *next; c; c = next) {
        next = c->next;
        struct regex *branch = resolve_branch(r, c, search);
        if (!branch)
            return NULL;
        regex_append(out, branch);
    }
    return out;
}

struct regex *regex_read(struct slice text, bool search, struct arena *a, struct error *err)
{
    struct reader r = {.text = text, .arena = a, .err = err};
    if (text.len > REGEX_BYTES_MAX)
        return refuse(&r, "it is too long");
    struct regex *alt = read_alternatives(&r);
    if (alt && !at_end(&r))
        return refuse(&r, "')' without '('");
    return alt ? resolve(&r, alt, search) : NULL;
}
