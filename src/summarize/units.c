#include "summarize/units.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/memory.h"

enum { LEVELS = 6, PATH_LEVELS = 3, PATH_BYTES = 150 };

// The last few headings above a block, as a path.
static struct slice section_path(const struct slice *headings, struct slice title, struct arena *a)
{
    struct buf path = {0};
    int first = LEVELS, n = 0;
    while (first > 0 && n < PATH_LEVELS)
        n += headings[--first].len > 0;
    for (int i = first; i < LEVELS; i++) {
        if (!headings[i].len || slice_eq(headings[i], title))
            continue;
        if (path.len)
            buf_text_add(&path, " > ");
        buf_slice(&path, headings[i]);
    }
    struct slice s = slice_of(arena_text(a, buf_view(&path)), path.len);
    buf_release(&path);
    return s;
}

void units_add_document(struct units *u, const struct document *d, int index, struct arena *a)
{
    struct slice headings[LEVELS] = {{0}}, title = slice_str(d->title), path = {"", 0};
    for (size_t i = 0; i < d->n_blocks; i++) {
        const struct document_block *b = &d->blocks[i];
        int level = b->level < 1 ? 1 : b->level > LEVELS ? LEVELS : b->level;
        if (b->kind == BLOCK_HEADING) {  // it stands under those above it
            for (int k = level - 1; k < LEVELS; k++)
                headings[k] = slice_of("", 0);
            path = section_path(headings, title, a);
        }
        memory_grow(u->items, u->capacity, u->n + 1);
        u->items[u->n++] = (struct unit){.document = index,
                                         .kind = b->kind,
                                         .level = b->level,
                                         .text = b->text,
                                         .section = path,
                                         .start = b->start,
                                         .end = b->end};
        if (b->kind == BLOCK_HEADING) {
            headings[level - 1] = slice_sub(b->text, 0, PATH_BYTES);
            path = section_path(headings, title, a);
        }
    }
}

void units_write(const struct units *u, size_t from, size_t to, struct buf *out)
{
    for (size_t i = from; i < to; i++) {
        const struct unit *unit = &u->items[i];
        bool item = unit->kind == BLOCK_LIST_ITEM;
        if (i > from && unit->continues)
            buf_char(out, unit->kind == BLOCK_CODE || unit->kind == BLOCK_TABLE ? '\n' : ' ');
        else if (i > from)
            buf_text_add(out, item && unit[-1].kind == BLOCK_LIST_ITEM ? "\n" : "\n\n");
        if (item && !unit->continues)
            buf_text_add(out, "- ");
        buf_slice(out, unit->text);
    }
}

int64_t count_words(struct slice text)
{
    int64_t n = 0;
    size_t letters = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool space = (unsigned char)text.ptr[i] <= ' ';
        n += !space && (i == 0 || (unsigned char)text.ptr[i - 1] <= ' ');
        letters += !space && (text.ptr[i] & 0xC0) != 0x80;
    }
    // Scripts without spaces (Chinese, Japanese, Thai): about two letters make a word.
    int64_t dense = (int64_t)(letters / 2);
    return n > 0 && (int64_t)letters / n > 20 ? dense : n;
}
