#include "local/tokenizer/normalizer.h"

#include <assert.h>
#include <unicode/ubrk.h>
#include <unicode/ustring.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/tokenizer/unicode.h"
#include "local/tokenizer/vocab.h"

static const char META[] = "\xE2\x96\x81";  // U+2581

void normal_text_release(struct normal_text *t)
{
    buf_release(&t->text);
    free(t->tainted);
    *t = (struct normal_text){0};
}

void normal_text_clear(struct normal_text *t)
{
    buf_clear(&t->text);
    t->first = t->lead_gone = false;
}

void normal_text_add(struct normal_text *t, const struct normal_text *from, size_t a, size_t b,
                     struct slice bytes)
{
    size_t at = t->text.len;
    if (bytes.len == 0)
        return;
    if (at == 0 && a > 0)
        t->lead_gone = true;
    buf_slice(&t->text, bytes);
    if (!t->marked || t->text.len == at)
        return;
    memory_grow(t->tainted, t->taint_capacity, t->text.len);
    bool same = bytes.len == b - a;
    bool any = !same && b > a && memchr(from->tainted + a, 1, b - a);
    for (size_t i = 0; i < bytes.len; i++)
        t->tainted[at + i] = same ? from->tainted[a + i] : any;
}

struct step {
    const struct normalizer *n;
    struct matcher *m;
    const struct normal_text *from;
    struct normal_text *to;
    struct error *err;
};

static struct slice source(const struct step *s)
{
    return buf_view(&s->from->text);
}

static void keep(struct step *s, size_t a, size_t b)
{
    normal_text_add(s->to, s->from, a, b, slice_sub(source(s), a, b - a));
}

static void form(struct step *s, enum normal_form f)
{
    struct slice text = source(s);
    if (!s->to->marked) {
        normalize_form(f, text, s->m->classes, &s->to->text);
        return;
    }
    struct buf part = {0};
    for (size_t i = 0; i < text.len;) {
        struct slice rest = slice_sub(text, i, text.len);
        size_t n = normal_chunk(f, rest, s->m->classes);
        buf_clear(&part);
        normalize_form(f, slice_sub(rest, 0, n), s->m->classes, &part);
        normal_text_add(s->to, s->from, i, i + n, buf_view(&part));
        i += n;
    }
    buf_release(&part);
}

// One byte by some text, the most frequent rule (a space by U+2581), without a call a match.
static void replace_byte(struct step *s, char byte)
{
    struct slice text = source(s), by = slice_of(s->n->text, s->n->text_len);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == byte;
    size_t len = text.len - n + n * by.len;
    if (s->to->text.max_bytes && len > s->to->text.max_bytes) {
        s->to->text.overflow = true;
        return;
    }
    buf_reserve(&s->to->text, len);
    char *out = s->to->text.ptr;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != byte) {
            *out++ = text.ptr[i];
        } else {
            memcpy(out, by.ptr, by.len);
            out += by.len;
        }
    }
    *out = 0;
    s->to->text.len = len;
}

static bool replace(struct step *s)
{
    char byte;
    if (pattern_is_byte(s->n->pattern, &byte) && s->n->text_len && !s->to->marked) {
        replace_byte(s, byte);
        return true;
    }
    struct buf shadow = {0};
    struct slice text = pattern_text(s->n->pattern, s->m, source(s), &shadow);
    struct match found = {0};
    size_t done = 0, from = 0;
    int n;
    while ((n = pattern_next(s->n->pattern, s->m, text, from, &found, s->err)) > 0) {
        keep(s, done, found.start);
        normal_text_add(s->to, s->from, found.start, found.end,
                        slice_of(s->n->text, s->n->text_len));
        done = from = found.end;
        if (found.start == found.end) {  // an empty match: the next one is a character further
            uint32_t c;
            size_t step = from < text.len ? utf8_decode(text.ptr + from, text.len - from, &c) : 0;
            from += step ? step : 1;
        }
    }
    if (n == 0)
        keep(s, done, text.len);
    buf_release(&shadow);
    return n == 0;
}

static void strip(struct step *s)
{
    struct slice text = source(s);
    size_t a = 0, b = text.len;
    uint32_t c = 0;
    for (size_t n; s->n->left && a < b; a += n) {
        n = utf8_decode(text.ptr + a, b - a, &c);
        if (n == 0 || !(s->m->classes[c] & CHAR_SPACE))
            break;
    }
    while (s->n->right && b > a) {
        size_t start = b - 1;
        while (start > a && ((unsigned char)text.ptr[start] & 0xC0) == 0x80)
            start--;
        if (!utf8_decode(text.ptr + start, b - start, &c) || !(s->m->classes[c] & CHAR_SPACE))
            break;
        b = start;
    }
    keep(s, a, b);
}

// What Nmt makes of a character: 0 drops it.
static uint32_t nmt(uint32_t c)
{
    if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F ||
        c == 0x9F)
        return 0;
    bool space = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
                 (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                 c == 0xFEFF || c == 0xFFFD;
    return space ? ' ' : c;
}

static bool is_chinese(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B81F) ||
           (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0x2F800 && c <= 0x2FA1F);
}

// Appends what one character becomes.
static void rewrite(const struct step *s, uint32_t c, struct slice same, struct buf *out)
{
    unsigned classes = s->m->classes[c];
    switch (s->n->kind) {
    case NORMALIZE_LOWERCASE: char_to_lower(c, out); return;
    case NORMALIZE_STRIP_ACCENTS:
        if (!(classes & CHAR_COMBINING))
            buf_slice(out, same);
        return;
    case NORMALIZE_BERT_MARKS:
        if (!(classes & CHAR_BERT_MARK))
            buf_slice(out, same);
        return;
    case NORMALIZE_BERT_CLEAN:
        if (classes & CHAR_BERT_CONTROL)
            return;
        if (classes & CHAR_SPACE)
            buf_char(out, ' ');
        else
            buf_slice(out, same);
        return;
    case NORMALIZE_BERT_CHINESE:
        if (is_chinese(c))
            buf_printf(out, " %.*s ", (int)same.len, same.ptr);
        else
            buf_slice(out, same);
        return;
    case NORMALIZE_NMT:
        if (c == 0 || nmt(c))
            buf_utf8(out, nmt(c));
        return;
    case NORMALIZE_BYTE_LETTERS: byte_letters(same, out); return;
    default: assert(false);
    }
}

static void each_character(struct step *s)
{
    struct slice text = source(s);
    struct buf one = {0};
    for (size_t i = 0; i < text.len;) {
        uint32_t c = 0;
        size_t n = utf8_decode(text.ptr + i, text.len - i, &c);
        if (n == 0)
            n = 1;
        buf_clear(&one);
        rewrite(s, c, slice_sub(text, i, n), &one);
        normal_text_add(s->to, s->from, i, i + n, buf_view(&one));
        i += n;
    }
    buf_release(&one);
}

// A grapheme of less than 6 bytes is looked up whole, else its characters one by one; either way
// the shortest rule that its start has counts for all of it.
static void map_grapheme(struct step *s, size_t a, size_t b)
{
    struct slice text = source(s), to;
    if (b - a < 6 && charsmap_find(&s->n->map, slice_sub(text, a, b - a), false, &to)) {
        normal_text_add(s->to, s->from, a, b, to);
        return;
    }
    for (size_t n; a < b; a += n) {
        uint32_t c;
        n = utf8_decode(text.ptr + a, b - a, &c);
        if (n == 0)
            n = 1;
        if (charsmap_find(&s->n->map, slice_sub(text, a, n), false, &to))
            normal_text_add(s->to, s->from, a, a + n, to);
        else
            keep(s, a, a + n);
    }
}

// Graphemes of text[a, b) by ICU.
static void map_run(struct step *s, UBreakIterator *graphemes, size_t a, size_t b)
{
    struct slice text = source(s);
    UErrorCode status = U_ZERO_ERROR;
    UText *u = utext_openUTF8(NULL, text.ptr + a, (int64_t)(b - a), &status);
    ubrk_setUText(graphemes, u, &status);
    assert(U_SUCCESS(status));
    int32_t last = ubrk_first(graphemes);
    for (int32_t next; (next = ubrk_next(graphemes)) != UBRK_DONE; last = next)
        map_grapheme(s, a + (size_t)last, a + (size_t)next);
    (void)utext_close(u);
}

static bool charsmap(struct step *s)
{
    struct slice text = source(s);
    UErrorCode status = U_ZERO_ERROR;
    UBreakIterator *graphemes = NULL;
    for (size_t i = 0; i < text.len;) {
        // ASCII before ASCII is a grapheme by itself, but for CR LF.
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x80 && c != '\r' && (i + 1 == text.len || (unsigned char)text.ptr[i + 1] < 0x80)) {
            map_grapheme(s, i, i + 1);
            i++;
            continue;
        }
        size_t end = i + 1;
        while (end < text.len && end - i < 1 << 20 &&
               ((unsigned char)text.ptr[end] >= 0x80 || text.ptr[end] == '\n'))
            end++;
        while (end < text.len && ((unsigned char)text.ptr[end] & 0xC0) == 0x80)
            end++;
        if (!graphemes)
            graphemes = ubrk_open(UBRK_CHARACTER, "en", NULL, 0, &status);
        if (!graphemes || U_FAILURE(status))
            return error_set(s->err, ERR_INTERNAL, "ICU has no break rules for characters");
        map_run(s, graphemes, i, end);
        i = end;
    }
    ubrk_close(graphemes);
    return true;
}

// What SentencePiece makes of the start of the text: its length, and the text instead.
static size_t spm_prefix(const struct normalizer *n, struct slice text, struct slice *to)
{
    int32_t value;
    size_t len = trie_longest(&n->kept, text, &value);
    if (len == 0) {
        uint32_t c;
        len = charsmap_find(&n->map, text, true, to);
        if (len)
            return len;
        len = utf8_decode(text.ptr, text.len, &c);
        if (len == 0)
            len = 1;
    }
    *to = slice_sub(text, 0, len);
    return len;
}

static void spm_add(struct step *s, size_t a, size_t b, struct slice part)
{
    const char *space;
    while (s->n->escape && (space = memchr(part.ptr, ' ', part.len))) {
        size_t n = (size_t)(space - part.ptr);
        normal_text_add(s->to, s->from, a, b, slice_sub(part, 0, n));
        normal_text_add(s->to, s->from, a, b, slice_of(META, 3));
        part = slice_sub(part, n + 1, part.len);
    }
    normal_text_add(s->to, s->from, a, b, part);
}

// End of the run from i that passes unchanged: no rule, kept piece or space begins in it.
static size_t plain_run(const struct normalizer *n, struct slice text, size_t i)
{
    while (n->map.n_units == 0 && i < text.len && text.ptr[i] != ' ' &&
           !n->kept.from_root[(uint8_t)text.ptr[i]])
        i++;
    return i;
}

static void sentencepiece(struct step *s)
{
    const struct normalizer *n = s->n;
    struct slice text = source(s), part, space = n->escape ? slice_of(META, 3) : slice_str(" ");
    bool prefix = n->add_prefix && (s->from->first || !n->prefix_first_only);
    size_t i = 0;
    while (n->remove_extra && i < text.len) {
        size_t step = spm_prefix(n, slice_sub(text, i, text.len), &part);
        if (!slice_is(part, " "))
            break;
        i += step;
    }
    if (i == text.len)
        return;
    if (prefix && !n->suffix)
        normal_text_add(s->to, s->from, i, i, space);
    bool after_space = n->remove_extra;
    while (i < text.len) {
        size_t plain = plain_run(n, text, i);
        if (plain > i) {
            keep(s, i, plain);
            after_space = false;
            i = plain;
            continue;
        }
        size_t step = spm_prefix(n, slice_sub(text, i, text.len), &part);
        while (after_space && part.len && part.ptr[0] == ' ')
            part = slice_sub(part, 1, part.len);
        if (part.len) {
            spm_add(s, i, i + step, part);
            after_space = n->remove_extra && part.ptr[part.len - 1] == ' ';
        }
        i += step;
    }
    struct buf *out = &s->to->text;
    while (n->remove_extra && out->len >= space.len &&
           memcmp(out->ptr + out->len - space.len, space.ptr, space.len) == 0)
        out->len -= space.len;
    if (prefix && n->suffix)
        normal_text_add(s->to, s->from, text.len, text.len, space);
}

static bool run_step(struct step *s)
{
    switch (s->n->kind) {
    case NORMALIZE_NFC: form(s, FORM_NFC); break;
    case NORMALIZE_NFD: form(s, FORM_NFD); break;
    case NORMALIZE_NFKC: form(s, FORM_NFKC); break;
    case NORMALIZE_NFKD: form(s, FORM_NFKD); break;
    case NORMALIZE_REPLACE: return replace(s);
    case NORMALIZE_PREPEND:
        if (s->from->text.len)
            normal_text_add(s->to, s->from, 0, 0, slice_of(s->n->text, s->n->text_len));
        keep(s, 0, s->from->text.len);
        break;
    case NORMALIZE_STRIP: strip(s); break;
    case NORMALIZE_CHARSMAP: return charsmap(s);
    case NORMALIZE_SENTENCEPIECE: sentencepiece(s); break;
    default: each_character(s); break;
    }
    return true;
}

bool normalizers_run(const struct normalizers *n, struct matcher *m, struct normal_text *text,
                     struct normal_text *other, struct normal_text **result, struct error *err)
{
    for (int i = 0; i < n->n; i++) {
        normal_text_clear(other);
        other->first = text->first;
        other->lead_gone = text->lead_gone;
        other->marked = text->marked;
        other->text.max_bytes = text->text.max_bytes;
        struct step s = {&n->items[i], m, text, other, err};
        if (!run_step(&s))
            return false;
        if (other->text.overflow)
            return error_set(err, ERR_LIMIT, "normalizer: more than %zu bytes come out",
                             text->text.max_bytes);
        struct normal_text *swap = text;
        text = other;
        other = swap;
    }
    *result = text;
    return true;
}

void normalizers_release(struct normalizers *n)
{
    for (int i = 0; i < n->n; i++) {
        pattern_free(n->items[i].pattern);
        free(n->items[i].text);
        free(n->items[i].blob);
        trie_release(&n->items[i].kept);
    }
    n->n = 0;
}
