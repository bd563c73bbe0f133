#include "local/tokenizer/regex_dialect.h"

#include "base/buf.h"
#include "base/error.h"

struct translation {
    struct slice in;
    size_t i;
    struct buf *out;
    const char *field;
    struct error *err;
};

static bool refuse(struct translation *t, const char *what)
{
    return error_set(t->err, ERR_UNSUPPORTED, "%s: %s at byte %zu of the expression", t->field,
                     what, t->i);
}

static char peek(const struct translation *t, size_t ahead)
{
    return t->i + ahead < t->in.len ? t->in.ptr[t->i + ahead] : 0;
}

// \s is exactly White_Space and \w has only decimal digits there; PCRE2's are a little wider.
static bool escape(struct translation *t, bool in_class)
{
    char c = peek(t, 1);
    if (t->i + 1 >= t->in.len)
        return refuse(t, "a lone backslash");
    t->i += 2;
    switch (c) {
    case 's': buf_text_add(t->out, "\\p{White_Space}"); return true;
    case 'S': buf_text_add(t->out, "\\P{White_Space}"); return true;
    case 'h': buf_text_add(t->out, in_class ? "0-9A-Fa-f" : "[0-9A-Fa-f]"); return true;
    case 'w':
        buf_text_add(t->out,
                     in_class ? "\\p{L}\\p{M}\\p{Nd}\\p{Pc}" : "[\\p{L}\\p{M}\\p{Nd}\\p{Pc}]");
        return true;
    case 'W':
        if (in_class)
            return refuse(t, "\\W inside a class");
        buf_text_add(t->out, "[^\\p{L}\\p{M}\\p{Nd}\\p{Pc}]");
        return true;
    case 'u':
        if (t->in.len - t->i < 4)
            return refuse(t, "\\u without four digits");
        buf_printf(t->out, "\\x{%.4s}", t->in.ptr + t->i);
        t->i += 4;
        return true;
    case 'C':  // PCRE2's single byte would cut characters
        return refuse(t, "\\C");
    default:
        buf_char(t->out, '\\');
        buf_char(t->out, c);
        return true;
    }
}

// A class, with plain classes nested in it taken apart: [^a[bc]] is [^abc].
static bool class(struct translation *t)
{
    int depth = 0;
    do {
        char c = t->in.ptr[t->i];
        if (c == '\\') {
            if (!escape(t, true))
                return false;
            continue;
        }
        if (c == '[' && depth > 0 && peek(t, 1) == ':') {
            buf_char(t->out, c);
        } else if (c == '[') {
            bool negated = peek(t, 1) == '^';
            if (depth > 0 && negated)
                return refuse(t, "a negated class inside a class");
            if (depth++ == 0)
                buf_char(t->out, '[');
            if (negated) {
                buf_char(t->out, '^');
                t->i++;
            }
            if (peek(t, 1) == ']') {
                buf_text_add(t->out, "\\]");
                t->i++;
            }
        } else if (c == ']' && t->i > 0 && t->in.ptr[t->i - 1] == ':' && depth > 0 &&
                   t->out->len > 1) {
            // The end of [:alpha:]; a plain class that ends in ':' closes all the same.
            const char *open = memrchr(t->in.ptr, '[', t->i);
            if (open && open[1] == ':' && open + 2 < t->in.ptr + t->i) {
                buf_char(t->out, ']');
                t->i++;
                continue;
            }
            if (--depth == 0)
                buf_char(t->out, ']');
        } else if (c == ']') {
            if (--depth == 0)
                buf_char(t->out, ']');
        } else if (c == '&' && peek(t, 1) == '&') {
            return refuse(t, "an intersection of classes");
        } else {
            buf_char(t->out, c);
        }
        t->i++;
    } while (depth > 0 && t->i < t->in.len);
    return depth == 0 ? true : refuse(t, "a class without its end");
}

// Ruby's (?m) lets the dot match line breaks, which is (?s) here; ^ and $ are always per line.
static void group_flags(struct translation *t)
{
    buf_text_add(t->out, "(?");
    t->i += 2;
    size_t n = 0;
    while (peek(t, n) && strchr("imx-", peek(t, n)))
        n++;
    bool flags = n > 0 && (peek(t, n) == ':' || peek(t, n) == ')');
    for (; flags && n > 0; n--) {
        buf_char(t->out, t->in.ptr[t->i] == 'm' ? 's' : t->in.ptr[t->i]);
        t->i++;
    }
}

bool regex_translate(struct slice source, const char *field, struct buf *out, struct error *err)
{
    struct translation t = {source, 0, out, field, err};
    while (t.i < source.len) {
        char c = source.ptr[t.i];
        if (c == '\\') {
            if (!escape(&t, false))
                return false;
        } else if (c == '[') {
            if (!class(&t))
                return false;
        } else if (c == '(' && peek(&t, 1) == '?') {
            group_flags(&t);
        } else if (c == '(' && peek(&t, 1) == '*') {
            return refuse(&t, "a verb");  // PCRE2's (*NO_JIT) and the like are no part of it
        } else {
            buf_char(out, c);
            t.i++;
        }
    }
    return true;
}
