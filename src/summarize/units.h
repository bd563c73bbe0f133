// units.h - the smallest pieces that parts are packed from.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "documents/document.h"

struct arena;

struct unit {
    int document;
    enum block_kind kind;
    int level;
    struct slice text;     // borrowed from the document
    struct slice section;  // headings above it: "Book 2 > Chapter 3"
    size_t start, end;     // bytes of the source: its block's
    int64_t tokens;
    bool continues;  // a further piece of the same block
};

struct units {
    struct unit *items;
    size_t n, capacity;
};

// Appends the blocks of a document; sections live in the arena.
void units_add_document(struct units *u, const struct document *d, int index, struct arena *a);
// Appends the text of units[from..to) as a model reads it.
struct buf;
void units_write(const struct units *u, size_t from, size_t to, struct buf *out);
int64_t count_words(struct slice text);
