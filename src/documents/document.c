#include "documents/document.h"

#include <ctype.h>
#include <stdint.h>
#include <strings.h>

#include "base/error.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "documents/blocks.h"
#include "documents/encoding.h"

enum { MAX_BYTES = 256 << 20 };

struct owned_document {
    struct document d;  // first: what callers see
    struct arena arena;
};

static const struct {
    const char *bytes;
    size_t len;
    const char *format;
} binaries[] = {
    {"%PDF-", 5, "PDF"},
    {"\xD0\xCF\x11\xE0", 4, "old Microsoft Office (OLE)"},
    {"{\\rtf", 5, "RTF"},
    {"\x1F\x8B", 2, "gzip"},
    {"BZh", 3, "bzip2"},
    {"\xFD"
     "7zXZ",
     5, "xz"},
    {"\x28\xB5\x2F\xFD", 4, "zstd"},
    {"\x89PNG", 4, "PNG image"},
    {"\xFF\xD8\xFF", 3, "JPEG image"},
    {"GIF8", 4, "GIF image"},
    {"GGUF", 4, "GGUF model"},
    {"\x7F"
     "ELF",
     4, "ELF program"},
    {"%!PS", 4, "PostScript"},
};

static bool holds(struct slice s, const char *word)
{
    return memmem(s.ptr, s.len, word, strlen(word)) != NULL;
}

static const char *zip_kind(struct slice bytes)
{
    struct slice head = slice_sub(bytes, 0, 64 * 1024);
    struct slice tail = slice_sub(bytes, bytes.len > 65536 ? bytes.len - 65536 : 0, bytes.len);
    if (holds(head, "application/epub+zip"))
        return "EPUB";
    if (holds(head, "application/vnd.oasis.opendocument.text"))
        return "ODT";
    if (holds(head, "word/") || holds(tail, "word/"))
        return "DOCX";
    if (holds(head, "xl/") || holds(tail, "xl/workbook"))
        return "XLSX";
    return "ZIP archive";
}

// Text has no zero bytes to speak of, unless it is UTF-16, which has them on one side.
static bool is_binary(struct slice bytes)
{
    struct slice head = slice_sub(bytes, 0, 64 * 1024);
    size_t zeros = 0, controls = 0;
    if (slice_starts(head, slice_of("\xFF\xFE", 2)) ||
        slice_starts(head, slice_of("\xFE\xFF", 2)) ||
        slice_starts(head, slice_of("\0\0\xFE\xFF", 4)))
        return false;
    size_t sides[2] = {0, 0};
    for (size_t i = 0; i < head.len; i++) {
        unsigned char c = (unsigned char)head.ptr[i];
        sides[i & 1] += c == 0;
        controls += c < ' ' && c != 0 && !isspace(c) && c != 27 && c != 8;
    }
    zeros = sides[0] + sides[1];
    bool wide = (sides[0] == 0 || sides[1] == 0) && zeros > head.len / 4;
    return controls > head.len / 16 || (zeros > head.len / 16 && !wide);
}

static bool check_readable(struct slice bytes, struct error *err)
{
    const char *format = NULL;
    if (slice_starts(bytes, slice_of("PK\3\4", 4)))
        format = zip_kind(bytes);
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries && !format; i++) {
        if (slice_starts(bytes, slice_of(binaries[i].bytes, binaries[i].len)))
            format = binaries[i].format;
    }
    if (format)
        return error_set(err, ERR_UNSUPPORTED,
                         "%s is not read yet; convert it to text, Markdown or HTML first", format);
    if (is_binary(bytes))
        return error_set(err, ERR_UNSUPPORTED,
                         "binary data of an unknown format; text, Markdown and HTML are read");
    return true;
}

static bool named(const char *name, const char *const *endings)
{
    const char *dot = name ? strrchr(name, '.') : NULL;
    for (; dot && *endings; endings++) {
        if (strcasecmp(dot + 1, *endings) == 0)
            return true;
    }
    return false;
}

static bool starts_html(struct slice s)
{
    s = text_trim(slice_sub(s, 0, 2048));
    if (s.len > 5 && strncasecmp(s.ptr, "<?xml", 5) == 0) {
        const char *end = memmem(s.ptr, s.len, "?>", 2);
        s = end ? text_trim(slice_sub(s, (size_t)(end - s.ptr) + 2, s.len)) : s;
    }
    return (s.len > 14 && strncasecmp(s.ptr, "<!doctype html", 14) == 0) ||
           (s.len > 5 && strncasecmp(s.ptr, "<html", 5) == 0);
}

// For standard input and unknown names: marks that plain text hardly has.
static bool looks_like_markdown(struct slice text)
{
    struct slice head = slice_sub(text, 0, 64 * 1024);
    struct text_line line;
    int marks = 0;
    for (size_t at = 0; text_next_line(head, &at, &line);) {
        struct slice s = slice_of(head.ptr + line.start, line.end - line.start);
        size_t hashes = 0;
        while (hashes < s.len && s.ptr[hashes] == '#')
            hashes++;
        marks += hashes > 0 && hashes <= 6 && hashes < s.len && s.ptr[hashes] == ' ';
        marks += slice_starts(s, slice_str("```"));
        marks += holds(s, "](http");
    }
    return marks >= 2;
}

enum format { FORMAT_TEXT, FORMAT_RST, FORMAT_MARKDOWN, FORMAT_HTML };

// A name whose ending says what the media type says; NULL where that says nothing.
static const char *name_of_type(const char *media_type)
{
    static const struct {
        const char *type, *name;
    } types[] = {{"text/html", ".html"},   {"application/xhtml+xml", ".xhtml"},
                 {"text/markdown", ".md"}, {"text/x-markdown", ".md"},
                 {"text/x-rst", ".rst"},   {"text/prs.fallenstein.rst", ".rst"}};
    size_t n = media_type ? strcspn(media_type, "; ") : 0;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (n == strlen(types[i].type) && strncasecmp(media_type, types[i].type, n) == 0)
            return types[i].name;
    return NULL;
}

static enum format format_of(const char *name, struct slice bytes)
{
    static const char *const html[] = {"html", "htm", "xhtml", "xht", NULL};
    static const char *const markdown[] = {"md", "markdown", "mdown", "mkd", "mdx", NULL};
    static const char *const rst[] = {"rst", "rest", NULL};
    static const char *const text[] = {"txt", "text", "log", NULL};
    if (starts_html(bytes) || named(name, html))
        return FORMAT_HTML;
    if (named(name, markdown))
        return FORMAT_MARKDOWN;
    if (named(name, rst))
        return FORMAT_RST;
    if (named(name, text))
        return FORMAT_TEXT;
    return looks_like_markdown(bytes) ? FORMAT_MARKDOWN : FORMAT_TEXT;
}

// Positions in the UTF-8 text become offsets in the file. Starts and ends ascend each by itself.
static void map_spans(struct blocks *b, struct slice bytes, const struct decoded *decoded)
{
    size_t **places = memory_array(size_t *, b->n_blocks + 1);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < b->n_blocks; i++)
            places[i] = side ? &b->blocks[i].end : &b->blocks[i].start;
        encoding_map(bytes, decoded, places, b->n_blocks);
    }
    free(places);
}

// The first heading near the top, unless it is the first of many alike ("CHAPTER I").
static const char *title_of(const struct blocks *b, enum format format)
{
    enum { NEAR_TOP = 20, ALIKE_BYTES = 4 };
    const struct document_block *first = NULL;
    if (b->title)
        return b->title;
    for (size_t i = 0; i < b->n_blocks; i++) {
        const struct document_block *block = &b->blocks[i];
        if (block->kind != BLOCK_HEADING)
            continue;
        if (first)
            return strncmp(first->text.ptr, block->text.ptr, ALIKE_BYTES) ? first->text.ptr : "";
        if (i >= NEAR_TOP || (block->level > 1 && format != FORMAT_TEXT))
            return "";
        first = block;
    }
    return first ? first->text.ptr : "";  // terminated: a copy in the arena
}

struct document *document_read(struct slice bytes, const char *name, struct error *err)
{
    return document_read_typed(bytes, name, NULL, err);
}

struct document *document_read_typed(struct slice bytes, const char *name, const char *media_type,
                                     struct error *err)
{
    static const char *const formats[] = {"text", "text", "markdown", "html"};
    struct decoded decoded;
    struct blocks b = {0};
    bool ok = false;
    if (bytes.len > MAX_BYTES) {
        (void)error_set(err, ERR_LIMIT, "%s: larger than %d MiB", name, MAX_BYTES >> 20);
        return NULL;
    }
    const char *typed = name_of_type(media_type) ? name_of_type(media_type) : name;
    enum format format = FORMAT_TEXT;
    if (check_readable(bytes, err) &&
        encoding_decode(bytes, starts_html(bytes) || format_of(typed, bytes) == FORMAT_HTML,
                        &decoded, err)) {
        format = format_of(typed, decoded.text);
        if (format == FORMAT_HTML)
            ok = read_html(&b, decoded.text, err);
        else if (format == FORMAT_MARKDOWN)
            ok = read_markdown(&b, decoded.text, err);
        else
            ok = read_text(&b, decoded.text, format == FORMAT_RST, err);
        map_spans(&b, bytes, &decoded);
        encoding_release(&decoded);
    }
    if (!ok) {
        (void)error_wrap(err, "%s", name);
        free(b.blocks);
        arena_release(&b.arena);
        return NULL;
    }
    struct owned_document *o = memory_array(struct owned_document, 1);
    o->d = (struct document){.path = arena_text(&b.arena, slice_str(name)),
                             .format = formats[format],
                             .title = title_of(&b, format),
                             .blocks = b.blocks,
                             .n_blocks = b.n_blocks,
                             .n_characters = b.n_characters};
    o->arena = b.arena;
    return &o->d;
}

struct document *document_open(const char *path, struct error *err)
{
    struct buf bytes = {0};
    struct document *d = NULL;
    if (file_read(path, MAX_BYTES, &bytes, err))
        d = document_read(buf_view(&bytes), path, err);
    buf_release(&bytes);
    return d;
}

void document_close(struct document *d)
{
    if (!d)
        return;
    struct owned_document *o = (struct owned_document *)d;
    free(d->blocks);
    arena_release(&o->arena);
    free(o);
}
