// markdown_inline.c - Markdown's inline marks taken away: what is left is what a reader would see.
//
// Not a renderer: emphasis that CommonMark would leave as text may lose its marks. Linear: links
// look ahead a bounded way, and a search that failed once is not tried again.
#include <ctype.h>

#include "documents/blocks.h"

enum {
    OPEN_BRACKETS = 64,  // nested deeper, a bracket is just a bracket
    LINK_BYTES = 2048,   // of an address with its title
    TAG_BYTES = 1024,
    TICK_RUNS = 32,
};

struct inliner {
    struct buf *out;
    struct slice s;
    size_t at;
    size_t brackets[OPEN_BRACKETS];  // where in out a "[" stands
    int n_brackets;
    bool no_ticks[TICK_RUNS];  // no closing run of that length from here on
    bool no_comment_end;
};

static char peek(const struct inliner *n, size_t ahead)
{
    return n->at + ahead < n->s.len ? n->s.ptr[n->at + ahead] : 0;
}

static size_t run_of(const struct inliner *n, size_t from, char c)
{
    size_t i = from;
    while (i < n->s.len && n->s.ptr[i] == c)
        i++;
    return i - from;
}

static void code_span(struct inliner *n)
{
    size_t ticks = run_of(n, n->at, '`'), begin = n->at + ticks;
    if (ticks < TICK_RUNS && !n->no_ticks[ticks]) {
        for (size_t i = begin; i < n->s.len;) {
            const char *tick = memchr(n->s.ptr + i, '`', n->s.len - i);
            if (!tick)
                break;
            i = (size_t)(tick - n->s.ptr);
            size_t closing = run_of(n, i, '`');
            if (closing == ticks) {
                buf_add(n->out, n->s.ptr + begin, i - begin);
                n->at = i + closing;
                return;
            }
            i += closing;
        }
        n->no_ticks[ticks] = true;
    }
    buf_add(n->out, n->s.ptr + n->at, ticks);
    n->at = begin;
}

// Bytes of "(address "title")" or "[reference]" at the place, 0 if there is none.
static size_t link_target(const struct inliner *n)
{
    char open = peek(n, 0), close = open == '(' ? ')' : ']';
    if (open != '(' && open != '[')
        return 0;
    size_t limit = n->s.len - n->at < LINK_BYTES ? n->s.len - n->at : LINK_BYTES;
    for (size_t i = 1, depth = 1; i < limit; i++) {
        char c = n->s.ptr[n->at + i];
        if (c == '\\' && i + 1 < limit)
            i++;
        else if (c == open)
            depth++;
        else if (c == close && --depth == 0)
            return i + 1;
    }
    return 0;
}

static void close_bracket(struct inliner *n)
{
    n->at++;
    if (n->n_brackets == 0) {
        buf_char(n->out, ']');
        return;
    }
    size_t open = n->brackets[--n->n_brackets];
    size_t target = link_target(n);
    struct slice inside = slice_of(n->out->ptr + open + 1, n->out->len - open - 1);
    bool note = inside.len > 0 && inside.ptr[0] == '^' && !memchr(inside.ptr, ' ', inside.len);
    if (note) {
        n->out->len = open;  // a footnote's mark
    } else if (target) {
        memmove(n->out->ptr + open, n->out->ptr + open + 1, inside.len);
        n->out->len--;
    } else {
        buf_char(n->out, ']');
    }
    n->at += target;
}

static bool skip_comment(struct inliner *n)
{
    struct slice rest = slice_sub(n->s, n->at, n->s.len);
    if (n->no_comment_end || !slice_starts(rest, slice_str("<!--")))
        return false;
    const char *end = memmem(rest.ptr + 4, rest.len - 4, "-->", 3);
    if (!end) {
        n->no_comment_end = true;
        return false;
    }
    n->at += (size_t)(end - rest.ptr) + 3;
    return true;
}

// Tags go, addresses between angle brackets stay.
static bool skip_tag(struct inliner *n)
{
    char next = peek(n, 1);
    if (!isalpha((unsigned char)next) && next != '/' && next != '!' && next != '?')
        return false;
    size_t limit = n->s.len - n->at < TAG_BYTES ? n->s.len - n->at : TAG_BYTES;
    const char *end = memchr(n->s.ptr + n->at, '>', limit);
    if (!end)
        return false;
    struct slice inside = slice_of(n->s.ptr + n->at + 1, (size_t)(end - n->s.ptr) - n->at - 1);
    bool address =
        !memchr(inside.ptr, ' ', inside.len) && next != '/' && next != '!' &&
        (memmem(inside.ptr, inside.len, "://", 3) || memchr(inside.ptr, '@', inside.len));
    if (address)
        buf_slice(n->out, inside);
    else if (slice_starts(inside, slice_str("br")))
        buf_char(n->out, ' ');
    n->at += inside.len + 2;
    return true;
}

// {#anchor} and {:class}, as kramdown and Pandoc write them.
static bool skip_attributes(struct inliner *n)
{
    char next = peek(n, 1);
    size_t limit = n->s.len - n->at < TAG_BYTES ? n->s.len - n->at : TAG_BYTES;
    const char *end = next == '#' || next == ':' ? memchr(n->s.ptr + n->at, '}', limit) : NULL;
    if (!end)
        return false;
    n->at = (size_t)(end - n->s.ptr) + 1;
    return true;
}

// Whether a run of * or _ is a mark: it touches a word, and _ not on both sides.
static bool is_emphasis(const struct inliner *n, size_t run, char c)
{
    unsigned char before = n->at > 0 ? (unsigned char)n->s.ptr[n->at - 1] : ' ';
    unsigned char after = (unsigned char)peek(n, run);
    bool word_before = isalnum(before) || before >= 0x80,
         word_after = isalnum(after) || after >= 0x80;
    if (c == '_' && word_before && word_after)
        return false;
    if (c == '*' && isdigit(before) && isdigit(after))
        return false;
    return !isspace(before) || (after && !isspace(after));
}

static void step(struct inliner *n)
{
    char c = n->s.ptr[n->at];
    size_t run;
    switch (c) {
    case '\\':
        if (ispunct((unsigned char)peek(n, 1)))
            n->at++;
        break;
    case '`': code_span(n); return;
    case '!':
    case '[':
        if (c == '!' && peek(n, 1) != '[')
            break;
        n->at += c == '!';
        if (n->n_brackets < OPEN_BRACKETS)
            n->brackets[n->n_brackets++] = n->out->len;
        break;
    case ']': close_bracket(n); return;
    case '{':
        if (skip_attributes(n))
            return;
        break;
    case '<':
        if (skip_comment(n) || skip_tag(n))
            return;
        break;
    case '&':
        run = text_entity(n->out, slice_sub(n->s, n->at, n->s.len));
        n->at += run;
        if (run)
            return;
        break;
    case '*':
    case '_':
    case '~':
        run = run_of(n, n->at, c);
        if (c == '~' ? run != 2 : !is_emphasis(n, run, c))
            buf_add(n->out, n->s.ptr + n->at, run);
        n->at += run;
        return;
    default: break;
    }
    buf_char(n->out, n->s.ptr[n->at++]);
}

void markdown_inline(struct buf *out, struct slice text)
{
    struct inliner n = {.out = out, .s = text};
    buf_reserve(out, text.len);
    while (n.at < text.len)
        step(&n);
}
