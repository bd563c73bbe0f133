#include "local/template/lexer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/template/text.h"

#define BRACKETS_MAX 1000

struct lexer {
    struct parse *p;
    const char *src;
    size_t len, at;
    int line;
};

void parse_fail(struct parse *p, int line, const char *format, ...)
{
    char what[200];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    error_set(p->err, ERR_FORMAT, "template, line %d: %s", line, what);
    longjmp(p->failed, 1);
}

static void emit(struct lexer *x, enum token_type type, char op, struct slice text)
{
    struct parse *p = x->p;
    memory_grow(p->tokens, p->capacity, p->n_tokens + 1);
    p->tokens[p->n_tokens++] = (struct token){type, op, x->line, text};
}

static char peek(const struct lexer *x, size_t ahead)
{
    return ahead < x->len - x->at ? x->src[x->at + ahead] : 0;
}

static void advance_to(struct lexer *x, size_t to)
{
    for (; x->at < to; x->at++)
        if (x->src[x->at] == '\n')
            x->line++;
}

// The length of the whitespace character at i, 0 if it is none.
static size_t space_at(const struct lexer *x, size_t i)
{
    uint32_t code;
    size_t n = utf8_decode(x->src + i, x->len - i, &code);
    return n && unicode_is_space(code) ? n : 0;
}

static size_t skip_space(const struct lexer *x, size_t i)
{
    size_t n;
    while (i < x->len && (n = space_at(x, i)) > 0)
        i += n;
    return i;
}

// Text before a tag: "-" takes all whitespace at its end, otherwise (not for "{{" and not with
// "+") what stands between the line's start and the tag, if that is only whitespace.
static size_t strip_end(const struct lexer *x, size_t from, size_t to, char sign, bool output)
{
    size_t end = to;
    while (end > from) {
        size_t i = end - 1;
        while (i > from && ((unsigned char)x->src[i] & 0xC0) == 0x80)
            i--;
        if (space_at(x, i) != end - i)
            break;
        if (sign != '-' && x->src[i] == '\n')
            break;
        end = i;
    }
    if (sign == '-')
        return end;
    if (sign == '+' || output)
        return to;
    bool line_start = end > from ? x->src[end - 1] == '\n' : from == 0 || x->src[from - 1] == '\n';
    return line_start ? end : to;
}

static bool starts(const struct lexer *x, size_t i, const char *what)
{
    size_t n = strlen(what);
    return x->len - i >= n && memcmp(x->src + i, what, n) == 0;
}

// The end of the tag at i, after the whitespace that goes with it; i itself if it does not end
// there. One newline after "%}" and "#}" is dropped (trim_blocks), not after "}}".
static size_t tag_end(const struct lexer *x, size_t i, const char *end, bool trim)
{
    size_t start = i;
    char sign = i < x->len ? x->src[i] : 0;
    if (sign == '-' || (sign == '+' && trim))
        i++;
    else
        sign = 0;
    if (!starts(x, i, end))
        return start;
    i += 2;
    if (sign == '-')
        return skip_space(x, i);
    return trim && !sign && i < x->len && x->src[i] == '\n' ? i + 1 : i;
}

static char sign_at(const struct lexer *x, size_t i)
{
    char c = i < x->len ? x->src[i] : 0;
    return c == '-' || c == '+' ? c : 0;
}

static bool word(const struct lexer *x, size_t *i, const char *what)
{
    size_t at = skip_space(x, *i);
    if (!starts(x, at, what))
        return false;
    *i = skip_space(x, at + strlen(what));
    return true;
}

// {% raw %} at the cursor: copies all up to {% endraw %}.
static bool lex_raw(struct lexer *x)
{
    size_t i = x->at + 2;
    if (sign_at(x, i))
        i++;
    if (!word(x, &i, "raw"))
        return false;
    size_t end = tag_end(x, i, "%}", false);
    if (end == i)
        return false;
    int line = x->line;
    advance_to(x, end);
    size_t from = x->at;
    for (i = from; i < x->len; i++) {
        if (!starts(x, i, "{%"))
            continue;
        char sign = sign_at(x, i + 2);
        size_t j = i + 2 + (sign != 0);
        if (!word(x, &j, "endraw"))
            continue;
        end = tag_end(x, j, "%}", true);
        if (end == j)
            continue;
        size_t to = strip_end(x, from, i, sign, false);
        if (to > from)
            emit(x, T_DATA, 0, slice_of(x->src + from, to - from));
        advance_to(x, end);
        return true;
    }
    parse_fail(x->p, line, "Missing end of raw directive");
}

static void lex_comment(struct lexer *x)
{
    size_t i = x->at + 2;
    if (sign_at(x, i))
        i++;
    for (; i < x->len; i++) {
        size_t end = tag_end(x, i, "#}", true);
        if (end != i) {
            advance_to(x, end);
            return;
        }
    }
    parse_fail(x->p, x->line, "Missing end of comment tag");
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_base_digit(char c, int base)
{
    if (c >= '0' && c <= '9')
        return c - '0' < base;
    c = (char)(c | 0x20);
    return base == 16 && c >= 'a' && c <= 'f';
}

// Digits with single underscores between them, from offset i on; returns the offset after them.
static size_t digits(const struct lexer *x, size_t i, int base)
{
    size_t end = i;
    while (i < x->len) {
        if (is_base_digit(x->src[i], base))
            end = ++i;
        else if (x->src[i] == '_' && end == i && i + 1 < x->len &&
                 is_base_digit(x->src[i + 1], base))
            i++;
        else
            break;
    }
    return end;
}

static size_t float_end(const struct lexer *x, size_t after_digits)
{
    size_t i = after_digits, end = 0;
    if (i + 1 < x->len && x->src[i] == '.' && is_digit(x->src[i + 1]))
        end = i = digits(x, i + 1, 10);
    if (i < x->len && (x->src[i] | 0x20) == 'e') {
        size_t j = i + 1;
        if (j < x->len && (x->src[j] == '+' || x->src[j] == '-'))
            j++;
        if (j < x->len && is_digit(x->src[j]))
            end = digits(x, j, 10);
    }
    return end;
}

static void lex_number(struct lexer *x)
{
    size_t from = x->at, end = 0;
    bool after_dot = from > 0 && x->src[from - 1] == '.';
    if (!after_dot)
        end = float_end(x, digits(x, from, 10));
    if (end) {
        emit(x, T_FLOAT, 0, slice_of(x->src + from, end - from));
        x->at = end;
        return;
    }
    char kind = (char)(peek(x, 1) | 0x20);
    int base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 10;
    if (x->src[from] == '0' && base != 10) {
        size_t start = from + 2 + (peek(x, 2) == '_');
        end = digits(x, start, base);
        if (end == start)
            end = from + 1;
    } else if (x->src[from] == '0') {
        end = from + 1;
        while (end < x->len && (x->src[end] == '0' ||
                                (x->src[end] == '_' && end + 1 < x->len && x->src[end + 1] == '0')))
            end++;
    } else {
        end = digits(x, from, 10);
    }
    emit(x, T_INT, 0, slice_of(x->src + from, end - from));
    x->at = end;
}

static size_t hex_escape(struct lexer *x, const char *p, size_t len, size_t n_digits,
                         uint32_t *code)
{
    *code = 0;
    for (size_t i = 0; i < n_digits; i++) {
        if (i >= len || !is_base_digit(p[i], 16))
            parse_fail(x->p, x->line, "truncated \\x, \\u or \\U escape");
        char c = (char)(p[i] | 0x20);
        *code = *code * 16 + (uint32_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
    }
    if (*code > 0x10FFFF || (*code >= 0xD800 && *code <= 0xDFFF))
        parse_fail(x->p, x->line, "the string holds an escape that is not a character");
    return n_digits;
}

// One escape after its backslash: writes to out, returns how many bytes of p it took.
static size_t unescape(struct lexer *x, const char *p, size_t len, char *out, size_t *n_out)
{
    static const char plain[] = "\\'\"abfnrtv", meaning[] = "\\'\"\a\b\f\n\r\t\v";
    const char *found = len && p[0] ? strchr(plain, p[0]) : NULL;
    uint32_t code;
    size_t used;
    if (len == 0) {
        out[(*n_out)++] = '\\';
        return 0;
    }
    if (found) {
        out[(*n_out)++] = meaning[found - plain];
        return 1;
    }
    switch (p[0]) {
    case '\n': return 1;
    case 'x': used = 1 + hex_escape(x, p + 1, len - 1, 2, &code); break;
    case 'u': used = 1 + hex_escape(x, p + 1, len - 1, 4, &code); break;
    case 'U': used = 1 + hex_escape(x, p + 1, len - 1, 8, &code); break;
    case 'N': parse_fail(x->p, x->line, "\\N{...} in a string is not supported");
    default:
        if (p[0] < '0' || p[0] > '7') {  // Python keeps what it does not know
            out[(*n_out)++] = '\\';
            return 0;
        }
        code = 0;
        for (used = 0; used < 3 && used < len && p[used] >= '0' && p[used] <= '7'; used++)
            code = code * 8 + (uint32_t)(p[used] - '0');
    }
    *n_out += utf8_encode(code, out + *n_out);
    return used;
}

static void lex_string(struct lexer *x)
{
    char quote = x->src[x->at];
    size_t from = x->at + 1, to = from, n = 0;
    while (to < x->len && x->src[to] != quote)
        to += x->src[to] == '\\' ? 2 : 1;
    if (to >= x->len)
        parse_fail(x->p, x->line, "unexpected char '%s' at %zu", quote == '"' ? "\"" : "\\'",
                   x->at);
    char *out = arena_alloc(x->p->arena, to - from + 1, 1);
    for (size_t i = from; i < to;) {
        if (x->src[i] == '\\')
            i += 1 + unescape(x, x->src + i + 1, to - i - 1, out, &n);
        else
            out[n++] = x->src[i++];
    }
    emit(x, T_TEXT, 0, slice_of(out, n));
    advance_to(x, to + 1);
}

static bool is_name_byte(char c)
{
    return c == '_' || is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (unsigned char)c >= 0x80;
}

static void lex_operator(struct lexer *x, char *brackets, size_t *n_brackets)
{
    static const struct {
        char text[3], op;
    } two[] = {{"//", 'f'}, {"**", 'p'}, {"==", '='}, {"!=", '!'}, {"<=", 'l'}, {">=", 'g'}};
    char c = x->src[x->at];
    for (size_t i = 0; i < sizeof two / sizeof *two; i++) {
        if (starts(x, x->at, two[i].text)) {
            emit(x, T_OPERATOR, two[i].op, slice_of(x->src + x->at, 2));
            x->at += 2;
            return;
        }
    }
    if (c == 0 || !strchr("+-/*%~[](){}><=.:|,;", c)) {
        uint32_t code;
        size_t n = utf8_decode(x->src + x->at, x->len - x->at, &code);
        parse_fail(x->p, x->line, "unexpected char '%.*s' at %zu", (int)n, x->src + x->at, x->at);
    }
    if (c == '(' || c == '[' || c == '{') {
        if (*n_brackets == BRACKETS_MAX)
            parse_fail(x->p, x->line, "too many open brackets");
        brackets[(*n_brackets)++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (*n_brackets == 0)
            parse_fail(x->p, x->line, "unexpected '%c'", c);
        char expected = brackets[--*n_brackets];
        if (expected != c)
            parse_fail(x->p, x->line, "unexpected '%c', expected '%c'", c, expected);
    }
    emit(x, T_OPERATOR, c == '=' ? 'a' : c, slice_of(x->src + x->at, 1));
    x->at++;
}

// The inside of {{ }} or {% %}, from after its opening to after its end.
static void lex_tag(struct lexer *x, bool output)
{
    char brackets[BRACKETS_MAX];
    size_t n_brackets = 0;
    while (x->at < x->len) {
        size_t end = n_brackets ? x->at : tag_end(x, x->at, output ? "}}" : "%}", !output);
        if (end != x->at) {
            emit(x, output ? T_OUTPUT_END : T_BLOCK_END, 0, slice_of(NULL, 0));
            advance_to(x, end);
            return;
        }
        size_t after_space = skip_space(x, x->at);
        char c = x->src[x->at];
        if (after_space != x->at) {
            advance_to(x, after_space);
        } else if (is_digit(c)) {
            lex_number(x);
        } else if (is_name_byte(c)) {
            size_t from = x->at;
            while (x->at < x->len && is_name_byte(x->src[x->at]) && !space_at(x, x->at))
                x->at++;
            emit(x, T_NAME, 0, slice_of(x->src + from, x->at - from));
        } else if (c == '"' || c == '\'') {
            lex_string(x);
        } else {
            lex_operator(x, brackets, &n_brackets);
        }
    }
}

static size_t next_tag(const struct lexer *x, size_t i)
{
    for (; i + 1 < x->len; i++) {
        const char *brace = memchr(x->src + i, '{', x->len - i - 1);
        if (!brace)
            break;
        i = (size_t)(brace - x->src);
        if (brace[1] == '{' || brace[1] == '%' || brace[1] == '#')
            return i;
    }
    return x->len;
}

void lex(struct parse *p)
{
    struct lexer x = {p, p->source.ptr, p->source.len, 0, 1};
    while (x.at < x.len) {
        size_t from = x.at, tag = next_tag(&x, from), to = tag;
        bool output = tag < x.len && x.src[tag + 1] == '{';
        char sign = tag < x.len ? sign_at(&x, tag + 2) : 0;
        if (tag < x.len)
            to = strip_end(&x, from, tag, sign, output);
        if (to > from)
            emit(&x, T_DATA, 0, slice_of(x.src + from, to - from));
        advance_to(&x, tag);
        if (tag == x.len)
            break;
        if (x.src[tag + 1] == '#') {
            lex_comment(&x);
        } else if (output || !lex_raw(&x)) {
            emit(&x, output ? T_OUTPUT_BEGIN : T_BLOCK_BEGIN, 0, slice_of(NULL, 0));
            x.at += sign ? 3 : 2;
            lex_tag(&x, output);
        }
    }
    if (p->n_tokens)
        x.line = p->tokens[p->n_tokens - 1].line;  // as jinja2 counts
    emit(&x, T_END, 0, slice_of(NULL, 0));
}
