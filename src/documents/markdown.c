// markdown.c - Markdown's blocks, line by line: what CommonMark and GitHub's tables mean for a
// reader of the text, not a renderer.
//
// Lists, quotes and what they hold become flat blocks with a level. HTML in between loses its tags.
// One pass, linear. Source: spec.commonmark.org 0.31; github.github.com/gfm (tables).
#include <ctype.h>
#include <strings.h>

#include "documents/blocks.h"

struct reader {
    struct blocks *b;
    struct slice text;
    bool open;  // a block is being collected
    enum block_kind kind;
    int level, n_lines;
    size_t start, end;
    struct buf raw;  // its lines, marks still in
    bool in_list;
    int list_level;
    char fence;  // inside a fenced block: its character, length and indentation
    size_t fence_run, fence_indent;
    const char *skip_until;  // inside a comment, script or style
};

static size_t indent_of(struct slice s, size_t *bytes)
{
    size_t columns = 0, i = 0;
    for (; i < s.len && (s.ptr[i] == ' ' || s.ptr[i] == '\t'); i++)
        columns += s.ptr[i] == '\t' ? 4 - columns % 4 : 1;
    *bytes = i;
    return columns;
}

static void flush(struct reader *r)
{
    if (r->open && r->kind != BLOCK_CODE) {
        struct buf plain = {0};
        markdown_inline(&plain, buf_view(&r->raw));
        blocks_add(r->b, r->kind, r->level, buf_view(&plain), r->start, r->end);
        buf_release(&plain);
    } else if (r->open) {
        blocks_add(r->b, r->kind, r->level, buf_view(&r->raw), r->start, r->end);
    }
    buf_clear(&r->raw);
    r->open = false;
}

static void begin(struct reader *r, enum block_kind kind, int level, size_t start)
{
    flush(r);
    r->open = true;
    r->kind = kind;
    r->level = level;
    r->start = r->end = start;
    r->n_lines = 0;
}

static void take(struct reader *r, struct slice s, size_t end)
{
    if (r->n_lines++)
        buf_char(&r->raw, '\n');
    buf_slice(&r->raw, s);
    r->end = end;
}

static bool is_rule(struct slice s)
{
    char c = s.len ? s.ptr[0] : 0;
    size_t n = 0;
    if (c != '-' && c != '*' && c != '_')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != c && s.ptr[i] != ' ')
            return false;
        n += s.ptr[i] == c;
    }
    return n >= 3;
}

// "===" or "---" below a paragraph: the level, else 0.
static int setext_level(struct slice s)
{
    if (s.len < 2 || (s.ptr[0] != '=' && s.ptr[0] != '-'))
        return 0;
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] != s.ptr[0])
            return 0;
    }
    return s.ptr[0] == '=' ? 1 : 2;
}

static int atx_level(struct slice *s)
{
    size_t n = 0;
    while (n < s->len && s->ptr[n] == '#')
        n++;
    if (n == 0 || n > 6 || (n < s->len && s->ptr[n] != ' ' && s->ptr[n] != '\t'))
        return 0;
    struct slice t = text_trim(slice_sub(*s, n, s->len));
    size_t end = t.len;
    while (end > 0 && t.ptr[end - 1] == '#')
        end--;
    if (end == 0 || t.ptr[end - 1] == ' ')
        t.len = end;
    *s = text_trim(t);
    return (int)n;
}

// The row of a table that says how columns are aligned: | --- | :-: |
static bool is_delimiter_row(struct slice s)
{
    size_t dashes = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (!byte_of(s.ptr[i], "|:- \t"))
            return false;
        dashes += s.ptr[i] == '-';
    }
    return dashes >= 1 && memchr(s.ptr, '|', s.len);
}

// Bytes of a list marker with the space behind it, 0 if none. Only "1." may stop a paragraph.
static size_t marker_bytes(struct slice s, bool in_paragraph)
{
    size_t i = 0;
    if (s.len && byte_of(s.ptr[0], "-*+")) {
        i = 1;
    } else {
        while (i < s.len && i < 9 && isdigit((unsigned char)s.ptr[i]))
            i++;
        if (i == 0 || i >= s.len || (s.ptr[i] != '.' && s.ptr[i] != ')'))
            return 0;
        if (in_paragraph && !(i == 1 && s.ptr[0] == '1'))
            return 0;
        i++;
    }
    if (i == s.len)
        return in_paragraph ? 0 : i;
    return s.ptr[i] == ' ' || s.ptr[i] == '\t' ? i + 1 : 0;
}

static bool is_reference(struct slice s)  // [label]: address
{
    const char *close =
        s.len > 3 && s.ptr[0] == '[' && s.ptr[1] != '^' ? memmem(s.ptr, s.len, "]:", 2) : NULL;
    return close && close > s.ptr + 1;
}

static bool contains(struct slice s, const char *word)
{
    return memmem(s.ptr, s.len, word, strlen(word)) != NULL;
}

// A comment, script or style that does not end on its line hides the lines up to its end.
static bool starts_hidden(struct reader *r, struct slice s)
{
    static const char *const pairs[][2] = {
        {"<!--", "-->"}, {"<script", "</script>"}, {"<style", "</style>"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (s.len < strlen(pairs[i][0]) ||
            strncasecmp(s.ptr, pairs[i][0], strlen(pairs[i][0])) != 0)
            continue;
        if (contains(s, pairs[i][1]))
            return i > 0;  // a comment on one line is left to the inline reader
        flush(r);
        r->skip_until = pairs[i][1];
        return true;
    }
    return false;
}

static bool starts_fence(struct reader *r, struct slice s, size_t indent, size_t start)
{
    size_t n = 0;
    if (!s.len || (s.ptr[0] != '`' && s.ptr[0] != '~'))
        return false;
    while (n < s.len && s.ptr[n] == s.ptr[0])
        n++;
    if (n < 3 || (s.ptr[0] == '`' && memchr(s.ptr + n, '`', s.len - n)))
        return false;
    begin(r, BLOCK_CODE, 0, start);
    r->fence = s.ptr[0];
    r->fence_run = n;
    r->fence_indent = indent;
    return true;
}

static void fence_line(struct reader *r, struct slice line, size_t end)
{
    size_t bytes, n = 0;
    size_t indent = indent_of(line, &bytes);
    struct slice s = slice_sub(line, bytes, line.len);
    while (n < s.len && s.ptr[n] == r->fence)
        n++;
    if (n >= r->fence_run && text_trim(slice_sub(s, n, s.len)).len == 0) {
        r->end = end;
        r->fence = 0;
        flush(r);
        return;
    }
    take(r, slice_sub(line, indent < r->fence_indent ? bytes : r->fence_indent, line.len), end);
}

static struct slice strip_quote(struct slice s)
{
    while (s.len && s.ptr[0] == '>')
        s = text_trim(slice_sub(s, 1, s.len));
    return s;
}

static void quote_line(struct reader *r, struct slice s, const struct text_line *line)
{
    s = strip_quote(s);
    if (!r->open || r->kind != BLOCK_QUOTE)
        begin(r, BLOCK_QUOTE, 0, line->start);
    if (s.len)
        take(r, s, line->end);
    else
        flush(r);
}

// Lines that stand for themselves, whatever is open. True if the line was used.
static bool marked_line(struct reader *r, struct slice s, size_t indent,
                        const struct text_line *line)
{
    bool in_paragraph = r->open && r->kind == BLOCK_PARAGRAPH;
    struct slice heading = s;
    int level = atx_level(&heading);
    if (level) {
        begin(r, BLOCK_HEADING, level, line->start);
        take(r, heading, line->end);
        flush(r);
        r->in_list = false;
        return true;
    }
    if (in_paragraph && (level = setext_level(s)) > 0 && indent < 4) {
        r->kind = BLOCK_HEADING;
        r->level = level;
        r->end = line->end;
        flush(r);
        return true;
    }
    if (is_rule(s)) {
        flush(r);
        r->in_list = false;
        return true;
    }
    size_t marker = marker_bytes(s, in_paragraph);
    if (marker) {
        int depth = 1 + (int)(indent < 16 ? indent / 2 : 8);
        begin(r, BLOCK_LIST_ITEM, depth, line->start);
        take(r, text_trim(slice_sub(s, marker, s.len)), line->end);
        r->in_list = true;
        r->list_level = depth;
        return true;
    }
    return false;
}

static bool table_line(struct reader *r, struct slice s, const struct text_line *line)
{
    if (r->open && r->kind == BLOCK_TABLE) {
        if (memchr(s.ptr, '|', s.len)) {
            take(r, s, line->end);
            return true;
        }
        flush(r);
        return false;
    }
    if (r->open && r->kind == BLOCK_PARAGRAPH && r->n_lines == 1 && is_delimiter_row(s) &&
        memchr(r->raw.ptr, '|', r->raw.len)) {
        r->kind = BLOCK_TABLE;
        r->end = line->end;
        return true;
    }
    return false;
}

static void blank_line(struct reader *r)
{
    if (r->open && r->kind == BLOCK_CODE)
        buf_char(&r->raw, '\n');
    else
        flush(r);
}

static void read_line(struct reader *r, const struct text_line *line)
{
    struct slice whole = slice_of(r->text.ptr + line->start, line->end - line->start);
    if (r->fence) {
        fence_line(r, whole, line->end);
        return;
    }
    if (r->skip_until) {
        if (contains(whole, r->skip_until))
            r->skip_until = NULL;
        return;
    }
    size_t bytes, indent = indent_of(whole, &bytes);
    struct slice s = text_trim(whole);
    if (s.len == 0) {
        blank_line(r);
        return;
    }
    if (indent >= 4 && !r->in_list && (!r->open || r->kind == BLOCK_CODE)) {
        if (!r->open)
            begin(r, BLOCK_CODE, 0, line->start);
        take(r, slice_sub(whole, bytes < 4 ? bytes : 4, whole.len), line->end);
        return;
    }
    if (r->open && r->kind == BLOCK_CODE)
        flush(r);
    if (starts_hidden(r, s) || starts_fence(r, s, indent, line->start))
        return;
    if (s.ptr[0] == '>') {
        quote_line(r, s, line);
        return;
    }
    if (table_line(r, s, line) || marked_line(r, s, indent, line))
        return;
    if (!r->open && is_reference(s))
        return;
    if (!r->open) {
        r->in_list = r->in_list && indent >= 2;
        begin(r, r->in_list ? BLOCK_LIST_ITEM : BLOCK_PARAGRAPH, r->in_list ? r->list_level : 0,
              line->start);
    }
    take(r, s, line->end);
}

// YAML between "---" lines at the top: only its title is for the reader.
static size_t front_matter(struct reader *r)
{
    size_t at = 0, begin_at = 0;
    struct text_line line;
    if (!text_next_line(r->text, &at, &line) || line.end != 3 || memcmp(r->text.ptr, "---", 3) != 0)
        return 0;
    begin_at = at;
    struct slice title = {0};
    while (text_next_line(r->text, &at, &line)) {
        struct slice s = slice_of(r->text.ptr + line.start, line.end - line.start);
        if (slice_is(s, "---") || slice_is(s, "...")) {
            if (title.len)
                blocks_title(r->b, title);
            return at;
        }
        if (slice_starts(s, slice_str("title:"))) {
            title = text_trim(slice_sub(s, 6, s.len));
            char quote = title.len >= 2 ? title.ptr[0] : 0;
            if ((quote == '"' || quote == '\'') && title.ptr[title.len - 1] == quote)
                title = slice_sub(title, 1, title.len - 2);
        }
        if (line.start - begin_at > 64 * 1024 || text_trim(s).len == 0)
            break;  // a rule, and then a text
    }
    return 0;
}

bool read_markdown(struct blocks *b, struct slice text, struct error *err)
{
    (void)err;  // any text is Markdown
    struct reader r = {.b = b, .text = text};
    struct text_line line;
    for (size_t at = front_matter(&r); text_next_line(text, &at, &line);)
        read_line(&r, &line);
    flush(&r);
    buf_release(&r.raw);
    return true;
}
