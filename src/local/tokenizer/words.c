#include "local/tokenizer/words.h"

#include "base/utf8.h"
#include "local/tokenizer/unicode.h"

#define GPT2_TAIL "| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define CL100K_TAIL "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CL100K_HEAD "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"

static const struct {
    const char *regex;
    struct word_rules rules;
} known[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d" GPT2_TAIL, {.contractions = true}},
    {"'(?:[sdmt]|ll|ve|re)" GPT2_TAIL, {.contractions = true}},
    {CL100K_HEAD "\\p{N}{1,3}" CL100K_TAIL,
     {.cl100k = true, .contractions = true, .any_case = true, .max_digits = 3}},
    {CL100K_HEAD "\\p{N}" CL100K_TAIL,
     {.cl100k = true, .contractions = true, .any_case = true, .max_digits = 1}},
    {"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
     "\\p{N}" CL100K_TAIL,
     {.cl100k = true, .contractions = true, .any_case = true, .max_digits = 1}},
    {"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
     "\\p{N}{1,3}" CL100K_TAIL,
     {.cl100k = true, .contractions = true, .any_case = true, .max_digits = 3}},
};

bool word_rules_find(struct slice regex, struct word_rules *rules)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (slice_is(regex, known[i].regex)) {
            *rules = known[i].rules;
            return true;
        }
    }
    return false;
}

struct reader {
    const uint16_t *classes;
    struct slice text;
};

// Class and length of the character at i; class 0 and length 0 at the end.
static unsigned at(const struct reader *r, size_t i, size_t *len)
{
    if (i >= r->text.len) {
        *len = 0;
        return 0;
    }
    unsigned char b = (unsigned char)r->text.ptr[i];
    if (b < 0x80) {
        *len = 1;
        return r->classes[b];
    }
    uint32_t c = 0;
    *len = utf8_decode(r->text.ptr + i, r->text.len - i, &c);
    if (*len == 0)
        *len = 1;
    return r->classes[c];
}

// End of the run of characters that have (or, for `without`, have not) one of the classes.
static size_t run(const struct reader *r, size_t i, unsigned classes, bool with)
{
    size_t len;
    while (i < r->text.len) {
        unsigned c = at(r, i, &len);
        if (((c & classes) != 0) != with)
            break;
        i += len;
    }
    return i;
}

// U+017F, the long s, is an s whatever its case.
static size_t contraction(const struct reader *r, size_t i, bool any_case)
{
    struct slice s = slice_sub(r->text, i + 1, 2);
    if (any_case && s.len == 2 && memcmp(s.ptr, "\xC5\xBF", 2) == 0)
        return i + 3;
    char a = s.len > 0 ? s.ptr[0] : 0, b = s.len > 1 ? s.ptr[1] : 0;
    if (any_case) {
        a = (char)(a >= 'A' && a <= 'Z' ? a + 32 : a);
        b = (char)(b >= 'A' && b <= 'Z' ? b + 32 : b);
    }
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return i + 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l'))
        return i + 3;
    return i;
}

// A run of white space: up to its last line break where those are apart; else all of it at the
// end of the text; else without its last character, which belongs to the next word.
static size_t spaces_end(const struct reader *r, size_t from, bool breaks_apart)
{
    size_t i = from, last = from, after_break = from, len;
    while (i < r->text.len && (at(r, i, &len) & CHAR_SPACE)) {
        last = i;
        char c = r->text.ptr[i];
        i += len;
        if (c == '\r' || c == '\n')
            after_break = i;
    }
    if (breaks_apart && after_break > from)
        return after_break;
    return i == r->text.len || last == from ? i : last;
}

static size_t cl100k_end(const struct word_rules *rules, const struct reader *r, size_t i)
{
    const unsigned word = CHAR_LETTER | CHAR_NUMBER;
    size_t len, next_len;
    unsigned c = at(r, i, &len);
    char b = r->text.ptr[i];
    if (c & CHAR_LETTER)
        return run(r, i, CHAR_LETTER, true);
    unsigned next = at(r, i + len, &next_len);
    if (!(c & CHAR_NUMBER) && b != '\r' && b != '\n' && (next & CHAR_LETTER))
        return run(r, i + len, CHAR_LETTER, true);
    if (c & CHAR_NUMBER) {
        size_t end = i;
        for (int n = 0; n < rules->max_digits && (at(r, end, &len) & CHAR_NUMBER); n++)
            end += len;
        return end;
    }
    size_t other = b == ' ' ? i + 1 : i;
    unsigned o = at(r, other, &next_len);
    if (next_len && !(o & (word | CHAR_SPACE))) {
        size_t end = run(r, other, word | CHAR_SPACE, false);
        while (end < r->text.len && (r->text.ptr[end] == '\r' || r->text.ptr[end] == '\n'))
            end++;
        return end;
    }
    return spaces_end(r, i, true);
}

static size_t gpt2_end(const struct reader *r, size_t i)
{
    size_t len, start = r->text.ptr[i] == ' ' ? i + 1 : i;
    unsigned c = at(r, start, &len);
    if (len == 0 || (c & CHAR_SPACE))
        return spaces_end(r, i, false);
    if (c & CHAR_LETTER)
        return run(r, start, CHAR_LETTER, true);
    if (c & CHAR_NUMBER)
        return run(r, start, CHAR_NUMBER, true);
    return run(r, start, CHAR_LETTER | CHAR_NUMBER | CHAR_SPACE, false);
}

size_t word_end(const struct word_rules *rules, const uint16_t *classes, struct slice text,
                size_t from)
{
    struct reader r = {classes, text};
    if (rules->contractions && text.ptr[from] == '\'') {
        size_t end = contraction(&r, from, rules->any_case);
        if (end > from)
            return end;
    }
    return rules->cl100k ? cl100k_end(rules, &r, from) : gpt2_end(&r, from);
}

bool trailing_spaces(const uint16_t *classes, struct slice text, size_t from, size_t *start,
                     size_t *end)
{
    struct reader r = {classes, text};
    size_t len;
    while (from < text.len) {
        from = run(&r, from, CHAR_SPACE, false);
        size_t stop = from, i = from;
        while (i < text.len && (at(&r, i, &len) & CHAR_SPACE)) {
            if (text.ptr[i] == '\n' && i > from)
                stop = i;  // $ also holds before a line break
            i += len;
        }
        if (i == text.len)
            stop = i;
        if (stop > from) {
            *start = from;
            *end = stop;
            return true;
        }
        from = i;
    }
    return false;
}
