#include "local/sampling/grammar/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/memory.h"
#include "local/tokenizer/tokenizer.h"

static int compare(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = memcmp(a.ptr, b.ptr, n);
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

struct token_text {
    struct slice text;
    int32_t id;
};

static int compare_tokens(const void *a, const void *b)
{
    const struct token_text *x = a, *y = b;
    int c = compare(x->text, y->text);
    return c ? c : (x->id > y->id) - (x->id < y->id);
}

static void close_nodes(struct vocab_tree *t, const uint32_t *path, size_t from, size_t to)
{
    for (size_t d = from; d <= to; d++)
        t->nodes[path[d]].skip = (uint32_t)t->n;
}

// Adds the nodes of one token after those of the smaller ones.
static void add_token(struct vocab_tree *t, size_t *capacity, uint32_t *path, struct slice before,
                      struct slice text)
{
    size_t common = 0;
    while (common < before.len && common < text.len && before.ptr[common] == text.ptr[common])
        common++;
    close_nodes(t, path, common + 1, before.len);
    for (size_t d = common + 1; d <= text.len; d++) {
        memory_grow(t->nodes, *capacity, t->n + 2);
        t->nodes[t->n] = (struct vocab_node){.parent = path[d - 1],
                                             .token = (uint32_t)t->n_tokens,
                                             .byte = (uint8_t)text.ptr[d - 1],
                                             .depth = (uint8_t)d};
        path[d] = (uint32_t)t->n++;
    }
}

static void build(struct vocab_tree *t, const char *bytes, const uint32_t *offsets, int32_t n)
{
    struct token_text *list = memory_array(struct token_text, (size_t)n + 1);
    size_t n_list = 0, capacity = 0;
    for (int32_t i = 0; i < n; i++)
        if (offsets[i + 1] > offsets[i])
            list[n_list++] =
                (struct token_text){slice_of(bytes + offsets[i], offsets[i + 1] - offsets[i]), i};
    qsort(list, n_list, sizeof *list, compare_tokens);
    uint32_t path[VOCAB_TOKEN_BYTES_MAX + 1] = {0};
    struct slice before = {"", 0};
    memory_grow(t->nodes, capacity, 2);
    t->nodes[0] = (struct vocab_node){0};
    t->n = 1;
    t->tokens = memory_array(int32_t, n_list + 1);
    for (size_t i = 0; i < n_list; i++) {
        add_token(t, &capacity, path, before, list[i].text);
        t->tokens[t->n_tokens++] = list[i].id;
        before = list[i].text;
    }
    close_nodes(t, path, 0, before.len);
    t->nodes[t->n] = (struct vocab_node){.token = (uint32_t)t->n_tokens, .skip = (uint32_t)t->n};
    free(list);
}

static void add_text(struct buf *all, uint32_t *offsets, int32_t id, struct slice text)
{
    offsets[id] = (uint32_t)all->len;
    if (text.len <= VOCAB_TOKEN_BYTES_MAX)
        buf_slice(all, text);
    offsets[id + 1] = (uint32_t)all->len;
}

static struct grammar_vocab *from_bytes(int32_t n, struct buf *all, uint32_t *offsets,
                                        struct buf *first, uint32_t *first_offsets)
{
    struct grammar_vocab *v = memory_new(1, sizeof *v);
    v->n_tokens = n;
    v->bytes = memory_text_n(buf_text(all), all->len);
    v->offsets = offsets;
    build(&v->tree, v->bytes, offsets, n);
    v->first_bytes = memory_text_n(buf_text(first), first->len);
    v->first_offsets = first_offsets;
    if (!slice_eq(buf_view(all), buf_view(first)))
        build(&v->first, v->first_bytes, first_offsets, n);
    for (int32_t i = 0; i < n; i++)
        if ((int)(offsets[i + 1] - offsets[i]) > v->longest)
            v->longest = (int)(offsets[i + 1] - offsets[i]);
    buf_release(all);
    buf_release(first);
    return v;
}

static bool is_mark(const struct grammar_mark *marks, size_t n, int32_t id, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (marks[i].token != id)
            continue;
        buf_char(out, (char)GRAMMAR_MARK);
        buf_char(out, (char)marks[i].number);
        return true;
    }
    return false;
}

// What a token adds to texts; nothing if no grammar may take it.
static void token_text(const struct tokenizer *t, const struct grammar_mark *marks, size_t n_marks,
                       int32_t id, struct buf *out)
{
    buf_clear(out);
    if (is_mark(marks, n_marks, id, out) || tokenizer_is_control(t, id) || id == tokenizer_unk(t))
        return;
    tokenizer_bytes(t, id, out);
    if (out->len && memchr(out->ptr, GRAMMAR_MARK, out->len))
        buf_clear(out);
}

struct grammar_vocab *grammar_vocab_new(const struct tokenizer *t, const struct grammar_mark *marks,
                                        size_t n_marks)
{
    int32_t n = tokenizer_n_tokens(t);
    struct buf all = {0}, first = {0}, one = {0};
    uint32_t *offsets = memory_array(uint32_t, (size_t)n + 1);
    uint32_t *first_offsets = memory_array(uint32_t, (size_t)n + 1);
    for (int32_t i = 0; i < n; i++) {
        token_text(t, marks, n_marks, i, &one);
        struct slice text = buf_view(&one);
        add_text(&all, offsets, i, text);
        // A fresh text shows what is lost at its beginning: a space that stands for none.
        struct detokenizer d;
        struct buf shown = {0};
        bool loses = false;
        if (text.len && text.ptr[0] == ' ') {
            detokenizer_init(&d, t, true);
            detokenizer_push(&d, i, &shown);
            detokenizer_finish(&d, &shown);
            loses = slice_eq(buf_view(&shown), slice_sub(text, 1, text.len));
            buf_release(&shown);
        }
        add_text(&first, first_offsets, i, loses ? slice_sub(text, 1, text.len) : text);
    }
    buf_release(&one);
    return from_bytes(n, &all, offsets, &first, first_offsets);
}

struct grammar_vocab *grammar_vocab_of(const struct slice *texts, const struct slice *first,
                                       int32_t n)
{
    struct buf all = {0}, at_first = {0};
    uint32_t *offsets = memory_array(uint32_t, (size_t)n + 1);
    uint32_t *first_offsets = memory_array(uint32_t, (size_t)n + 1);
    for (int32_t i = 0; i < n; i++) {
        add_text(&all, offsets, i, texts[i]);
        add_text(&at_first, first_offsets, i, first ? first[i] : texts[i]);
    }
    return from_bytes(n, &all, offsets, &at_first, first_offsets);
}

void grammar_vocab_free(struct grammar_vocab *v)
{
    if (!v)
        return;
    free(v->tree.nodes);
    free(v->tree.tokens);
    free(v->first.nodes);
    free(v->first.tokens);
    free(v->offsets);
    free(v->first_offsets);
    free(v->bytes);
    free(v->first_bytes);
    free(v);
}

size_t grammar_vocab_bytes(const struct grammar_vocab *v)
{
    return (v->tree.n + v->first.n) * sizeof *v->tree.nodes +
           (v->tree.n_tokens + v->first.n_tokens) * sizeof(int32_t) +
           2 * (size_t)v->n_tokens * sizeof(uint32_t) + v->offsets[v->n_tokens] +
           v->first_offsets[v->n_tokens];
}
