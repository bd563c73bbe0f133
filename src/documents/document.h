// document.h - files as text with structure: headings, paragraphs, list items, tables, code, each
// with the byte range of the source it came from.
//
// Readers: plain text, Markdown, HTML (by name and by content; encodings by declaration, BOM or
// ICU's detection). Nothing is trusted; nesting and sizes are bounded. Threads: a document is
// immutable after open.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct error;

enum block_kind {
    BLOCK_HEADING,
    BLOCK_PARAGRAPH,
    BLOCK_LIST_ITEM,
    BLOCK_QUOTE,
    BLOCK_CODE,
    BLOCK_TABLE
};
struct document_block {
    enum block_kind kind;
    int level;          // of a heading, 1..6; nesting of a list item
    struct slice text;  // UTF-8, white space folded except in code and tables
    size_t start, end;  // bytes of the source file
    int page;           // 1.. where the format has pages, else 0
};
struct document {
    const char *path;
    const char *format;  // "text", "markdown", "html"
    const char *title;   // "" if none
    struct document_block *blocks;
    size_t n_blocks;
    size_t n_characters;  // code points of all blocks
};

// "-" is standard input. NULL with err: ERR_UNSUPPORTED names the format and what would read it.
struct document *document_open(const char *path, struct error *err);
// The same from bytes, for tests and the server; `name` helps to tell the format.
struct document *document_read(struct slice bytes, const char *name, struct error *err);
// The same, where a media type ("text/html; charset=utf-8") may tell the format too; NULL: unknown.
struct document *document_read_typed(struct slice bytes, const char *name, const char *media_type,
                                     struct error *err);
void document_close(struct document *d);
