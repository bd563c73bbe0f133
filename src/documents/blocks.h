// blocks.h - collects the blocks that a reader finds; what all readers share.
//
// A reader gives positions in the UTF-8 text that it read; document.c maps them to bytes of the
// source once, when all blocks are there. Blocks come in ascending order. Threads: one at a time.
#pragma once
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "documents/document.h"

struct error;

struct blocks {
    struct arena arena;  // everything the document points to
    struct document_block *blocks;
    size_t n_blocks, capacity;
    size_t n_characters;
    const char *title;  // NULL: the first heading will do
};

// Adds a block unless its text is empty or white space. Code and tables keep their lines, other
// kinds are folded to single spaces.
void blocks_add(struct blocks *b, enum block_kind kind, int level, struct slice text, size_t start,
                size_t end);
void blocks_title(struct blocks *b, struct slice text);  // the first one stays

// Appends text with every run of white space and control characters as one space, none in front.
void text_fold(struct buf *out, struct slice text);
struct slice text_trim(struct slice text);
// Appends the character that an entity stands for ("&amp;", "&#8212;"): the bytes it took, or 0.
size_t text_entity(struct buf *out, struct slice text);

// A line of text without its end; `next` is where the following one starts.
struct text_line {
    size_t start, end, next;
};
bool text_next_line(struct slice text, size_t *at, struct text_line *line);

// One reader per format. False with err.
bool read_text(struct blocks *b, struct slice text, bool restructured, struct error *err);
bool read_markdown(struct blocks *b, struct slice text, struct error *err);
bool read_html(struct blocks *b, struct slice text, struct error *err);
// Inline marks of Markdown taken away: emphasis, links, code ticks, tags, entities.
void markdown_inline(struct buf *out, struct slice text);
