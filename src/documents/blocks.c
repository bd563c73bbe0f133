#include "documents/blocks.h"

#include <libxml/HTMLparser.h>

#include "base/memory.h"
#include "base/utf8.h"

static bool is_space(char c)
{
    return (unsigned char)c <= ' ' || c == 127;
}

struct slice text_trim(struct slice s)
{
    while (s.len && is_space(s.ptr[0]))
        s = slice_sub(s, 1, s.len);
    while (s.len && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

void text_fold(struct buf *out, struct slice text)
{
    size_t begin = out->len;
    bool gap = false;
    buf_reserve(out, text.len);
    for (size_t i = 0; i < text.len; i++) {
        bool nbsp = text.ptr[i] == '\xC2' && i + 1 < text.len && text.ptr[i + 1] == '\xA0';
        if (nbsp || is_space(text.ptr[i])) {
            gap = true;
            i += nbsp;
            continue;
        }
        if (gap && out->len > begin)
            buf_char(out, ' ');
        gap = false;
        buf_char(out, text.ptr[i]);
    }
}

// Lines stay, with their indentation; other control characters become spaces, blank lines around
// and white space at line ends go.
static void keep_lines(struct buf *out, struct slice text)
{
    size_t begin = out->len;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\r')
            continue;
        if (c == '\n') {
            while (out->len > begin &&
                   (out->ptr[out->len - 1] == ' ' || out->ptr[out->len - 1] == '\t'))
                out->len--;
            if (out->len > begin)
                buf_char(out, '\n');
        } else {
            buf_char(out, c != '\t' && is_space(c) ? ' ' : c);
        }
    }
    while (out->len > begin && is_space(out->ptr[out->len - 1]))
        out->len--;
}

static size_t count_characters(struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += (s.ptr[i] & 0xC0) != 0x80;
    return n;
}

void blocks_add(struct blocks *b, enum block_kind kind, int level, struct slice text, size_t start,
                size_t end)
{
    struct buf out = {0};
    if (kind == BLOCK_CODE || kind == BLOCK_TABLE)
        keep_lines(&out, text);
    else
        text_fold(&out, text);
    if (text_trim(buf_view(&out)).len > 0) {
        memory_grow(b->blocks, b->capacity, b->n_blocks + 1);
        struct slice copy = slice_of(arena_text(&b->arena, buf_view(&out)), out.len);
        b->blocks[b->n_blocks++] = (struct document_block){
            .kind = kind, .level = level, .text = copy, .start = start, .end = end};
        b->n_characters += count_characters(copy);
    }
    buf_release(&out);
}

void blocks_title(struct blocks *b, struct slice text)
{
    struct buf out = {0};
    text_fold(&out, text);
    if (!b->title && out.len > 0)
        b->title = arena_text(&b->arena, buf_view(&out));
    buf_release(&out);
}

static uint32_t numeric_entity(const char *digits, size_t len)
{
    uint32_t code = 0, base = 10;
    if (len > 0 && (digits[0] == 'x' || digits[0] == 'X')) {
        base = 16;
        digits++;
        len--;
    }
    for (size_t i = 0; i < len; i++) {
        char c = digits[i];
        uint32_t d = c >= '0' && c <= '9'                 ? (uint32_t)(c - '0')
                     : (c | 32) >= 'a' && (c | 32) <= 'f' ? (uint32_t)((c | 32) - 'a' + 10)
                                                          : 99;
        if (d >= base || code > 0x10FFFF)
            return 0;
        code = code * base + d;
    }
    return len ? code : 0;
}

size_t text_entity(struct buf *out, struct slice text)
{
    char name[33];
    size_t n = 1;
    while (n < text.len && n < sizeof name && text.ptr[n] != ';' && !is_space(text.ptr[n]))
        n++;
    if (n >= text.len || n >= sizeof name || text.ptr[n] != ';' || n < 2)
        return 0;
    memcpy(name, text.ptr + 1, n - 1);
    name[n - 1] = 0;
    uint32_t code = 0;
    if (name[0] == '#') {
        code = numeric_entity(name + 1, n - 2);
    } else {
        const htmlEntityDesc *e = htmlEntityLookup((const xmlChar *)name);
        code = e ? e->value : 0;
    }
    if (!code)
        return 0;
    buf_utf8(out, code);
    return n + 1;
}

bool text_next_line(struct slice text, size_t *at, struct text_line *line)
{
    if (*at >= text.len)
        return false;
    const char *newline = memchr(text.ptr + *at, '\n', text.len - *at);
    line->start = *at;
    line->end = newline ? (size_t)(newline - text.ptr) : text.len;
    line->next = newline ? line->end + 1 : text.len;
    if (line->end > line->start && text.ptr[line->end - 1] == '\r')
        line->end--;
    *at = line->next;
    return true;
}
