// text.c - plain text and reStructuredText: paragraphs between blank lines, headings by underline
// or by their looks, lists, literal blocks.
//
// Books as Project Gutenberg sets them are hard-wrapped, so lines of a paragraph are joined.
#include <ctype.h>
#include <strings.h>

#include "base/memory.h"
#include "documents/blocks.h"

enum {
    HEADING_BYTES = 90,    // a longer line is a sentence
    UNDERLINE_KINDS = 32,  // reStructuredText: levels in the order of first use
};

struct reader {
    struct blocks *b;
    struct slice text;
    bool restructured;
    struct text_line *lines;  // of the paragraph that is being read
    size_t n, capacity;
    bool literal;  // the last paragraph ended with "::"
    char underlines[UNDERLINE_KINDS];
    int n_underlines;
};

static struct slice line_text(const struct reader *r, size_t i)
{
    return slice_of(r->text.ptr + r->lines[i].start, r->lines[i].end - r->lines[i].start);
}

// The repeated punctuation character of "=====", else 0.
static char underline_of(struct slice s)
{
    while (s.len && isspace((unsigned char)s.ptr[s.len - 1]))
        s.len--;
    if (s.len < 3 || !ispunct((unsigned char)s.ptr[0]) || s.ptr[0] == '.')
        return 0;
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] != s.ptr[0])
            return 0;
    }
    return s.ptr[0];
}

static int underline_level(struct reader *r, char c, bool over)
{
    char key = (char)(over ? c | -128 : c);
    for (int i = 0; i < r->n_underlines; i++) {
        if (r->underlines[i] == key)
            return i < 6 ? i + 1 : 6;
    }
    if (r->n_underlines < UNDERLINE_KINDS)
        r->underlines[r->n_underlines++] = key;
    return r->n_underlines < 6 ? r->n_underlines : 6;
}

static bool is_roman(struct slice s)
{
    if (s.len && (s.ptr[s.len - 1] == '.' || s.ptr[s.len - 1] == ':'))
        s.len--;
    for (size_t i = 0; i < s.len; i++) {
        if (!byte_of(s.ptr[i], "IVXLC"))
            return false;
    }
    return s.len > 0 && s.len <= 8;
}

static bool is_number(struct slice s)
{
    size_t digits = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (isdigit((unsigned char)s.ptr[i]))
            digits++;
        else if (s.ptr[i] != '.' && s.ptr[i] != ':')
            return false;
    }
    return digits > 0 && digits <= 4;
}

static struct slice word(struct slice s, int index)
{
    for (;; index--) {
        s = text_trim(s);
        size_t n = 0;
        while (n < s.len && !isspace((unsigned char)s.ptr[n]))
            n++;
        if (index == 0)
            return slice_of(s.ptr, n);
        s = slice_sub(s, n, s.len);
    }
}

// "CHAPTER IV", "Book 2. The war", "Part One": the level of what the first word divides, 0 if none.
static int division_level(struct slice s)
{
    static const struct {
        const char *name;
        int level;
    } divisions[] = {{"volume", 1},  {"book", 1},  {"part", 1},     {"chapter", 2},
                     {"act", 2},     {"canto", 2}, {"letter", 2},   {"appendix", 2},
                     {"section", 3}, {"scene", 3}, {"capitolo", 2}, {"chapitre", 2},
                     {"kapitel", 2}, {"libro", 1}};
    static const char *const spelled[] = {"one",    "two",   "three", "four", "five", "six",
                                          "the",    "seven", "eight", "nine", "ten",  "first",
                                          "second", "third", "a",     "b",    "c"};
    struct slice first = word(s, 0), second = word(s, 1);
    if (second.len && byte_of(second.ptr[second.len - 1], ".:-"))
        second.len--;
    bool numbered = is_roman(second) || is_number(second);
    for (size_t i = 0; i < sizeof spelled / sizeof *spelled && !numbered; i++)
        numbered = second.len == strlen(spelled[i]) &&
                   strncasecmp(second.ptr, spelled[i], second.len) == 0;
    for (size_t i = 0; i < sizeof divisions / sizeof *divisions && numbered; i++) {
        if (first.len == strlen(divisions[i].name) &&
            strncasecmp(first.ptr, divisions[i].name, first.len) == 0)
            return divisions[i].level;
    }
    return 0;
}

static bool is_capitals(struct slice s)
{
    size_t letters = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (islower((unsigned char)s.ptr[i]))
            return false;
        letters += isupper((unsigned char)s.ptr[i]) != 0;
    }
    return letters >= 3 && letters * 2 > s.len;
}

// A paragraph of one short line that looks like a heading: its level, else 0.
static int looks_like_heading(struct slice s)
{
    if (s.len == 0 || s.len > HEADING_BYTES)
        return 0;
    int level = division_level(s);
    if (level)
        return level;
    if (is_roman(s) || (is_number(s) && s.ptr[s.len - 1] == '.'))
        return 2;
    return is_capitals(s) && !byte_of(s.ptr[s.len - 1], ",;") ? 2 : 0;
}

// Bytes of "- ", "* " or "12. " in front, with the indentation; 0 if there is none.
static size_t marker_bytes(struct slice s)
{
    size_t i = 0, digits = 0;
    while (i < s.len && s.ptr[i] == ' ')
        i++;
    if (i < s.len && byte_of(s.ptr[i], "-*+")) {
        i++;
    } else {
        while (i < s.len && isdigit((unsigned char)s.ptr[i]) && digits < 3) {
            i++;
            digits++;
        }
        if (!digits || i >= s.len || (s.ptr[i] != '.' && s.ptr[i] != ')'))
            return 0;
        i++;
    }
    return i < s.len && s.ptr[i] == ' ' ? i + 1 : 0;
}

static void add(struct reader *r, enum block_kind kind, int level, size_t from, size_t to,
                size_t skip)
{
    size_t start = r->lines[from].start + skip, end = r->lines[to - 1].end;
    blocks_add(r->b, kind, level, slice_of(r->text.ptr + start, end - start), start, end);
}

// Title with a line below (and maybe above) it, at line i: lines it takes, 0 if it is none.
static size_t underlined_heading(struct reader *r, size_t i)
{
    bool over = i + 2 < r->n && underline_of(line_text(r, i)) &&
                underline_of(line_text(r, i)) == underline_of(line_text(r, i + 2));
    size_t title = over ? i + 1 : i;
    if (title + 1 >= r->n)
        return 0;
    struct slice text = text_trim(line_text(r, title)), below = line_text(r, title + 1);
    char c = underline_of(below);
    // A line much shorter than its title is a rule, and a rule is no title.
    if (!c || !text.len || text.len > HEADING_BYTES * 2 || underline_of(text) ||
        text_trim(below).len * 4 < text.len * 3)
        return 0;
    add(r, BLOCK_HEADING, underline_level(r, c, over), title, title + 1, 0);
    return over ? 3 : 2;
}

static bool is_table(const struct reader *r)
{
    struct slice first = text_trim(line_text(r, 0));
    if (r->n < 3 || first.len < 5)
        return false;
    bool grid = first.ptr[0] == '+' && (first.ptr[1] == '-' || first.ptr[1] == '=');
    bool simple = first.ptr[0] == '=' && memchr(first.ptr, ' ', first.len) && first.ptr[1] == '=';
    return grid || simple;
}

static void add_list(struct reader *r)
{
    size_t from = 0;
    for (size_t i = 1; i <= r->n; i++) {
        if (i < r->n && !marker_bytes(line_text(r, i)))
            continue;
        struct slice first = line_text(r, from);
        size_t indent = 0;
        while (indent < first.len && first.ptr[indent] == ' ')
            indent++;
        int level = 1 + (int)(indent < 16 ? indent / 2 : 8);
        add(r, BLOCK_LIST_ITEM, level, from, i, marker_bytes(first));
        from = i;
    }
}

static bool is_indented(const struct reader *r)
{
    struct slice s = line_text(r, 0);
    return s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t');
}

// reStructuredText: ".. code-block:: python" announces, ".. _label:" and comments say nothing.
static bool is_directive(const struct reader *r)
{
    return slice_starts(text_trim(line_text(r, 0)), slice_str(".. ")) && r->restructured;
}

static void end_paragraph(struct reader *r)
{
    size_t i = 0;
    if (!r->n)
        return;
    if (r->restructured && r->literal && is_indented(r)) {
        add(r, BLOCK_CODE, 0, 0, r->n, 0);
        r->n = 0;
        return;
    }
    r->literal = false;
    if (is_directive(r)) {
        struct slice s = text_trim(line_text(r, 0));
        r->literal = s.len > 2 && memcmp(s.ptr + s.len - 2, "::", 2) == 0;
        for (size_t k = 3; k + 4 < s.len && !r->literal; k++)
            r->literal = memcmp(s.ptr + k, "code", 4) == 0;
        // A note's or figure's own words stay; labels and comments are one line.
        if (r->n > 1)
            add(r, r->literal ? BLOCK_CODE : BLOCK_PARAGRAPH, 0, 1, r->n, 0);
        r->n = 0;
        return;
    }
    if (is_table(r)) {
        add(r, BLOCK_TABLE, 0, 0, r->n, 0);
        r->n = 0;
        return;
    }
    for (size_t taken; i < r->n && (taken = underlined_heading(r, i)) > 0;)
        i += taken;
    if (i > 0) {
        memmove(r->lines, r->lines + i, (r->n - i) * sizeof *r->lines);
        r->n -= i;
    }
    if (r->n == 1 && underline_of(line_text(r, 0)))
        r->n = 0;  // a rule between paragraphs
    if (!r->n)
        return;
    int level = r->n == 1 && !r->restructured ? looks_like_heading(text_trim(line_text(r, 0))) : 0;
    if (level)
        add(r, BLOCK_HEADING, level, 0, 1, 0);
    else if (marker_bytes(line_text(r, 0)))
        add_list(r);
    else
        add(r, BLOCK_PARAGRAPH, 0, 0, r->n, 0);
    struct slice last = text_trim(line_text(r, r->n - 1));
    r->literal = last.len >= 2 && memcmp(last.ptr + last.len - 2, "::", 2) == 0;
    r->n = 0;
}

bool read_text(struct blocks *b, struct slice text, bool restructured, struct error *err)
{
    (void)err;  // any text is a text
    enum { HEADER_BYTES = 4096 };
    struct reader r = {.b = b, .text = text, .restructured = restructured};
    struct text_line line;
    for (size_t at = 0; text_next_line(text, &at, &line);) {
        struct slice s = slice_of(text.ptr + line.start, line.end - line.start);
        if (text_trim(s).len == 0) {
            end_paragraph(&r);
            continue;
        }
        // The header of Project Gutenberg's books and of Python's proposals.
        if (line.start < HEADER_BYTES && slice_starts(s, slice_str("Title: ")))
            blocks_title(b, slice_sub(s, 7, s.len));
        memory_grow(r.lines, r.capacity, r.n + 1);
        r.lines[r.n++] = line;
    }
    end_paragraph(&r);
    free(r.lines);
    return true;
}
