// unigram.c - the likeliest pieces of a text (Viterbi), and WordPiece's greedy longest ones.
//
// Both walk a trie of pieces, none longer than SCANNED_MAX_BYTES, so time is linear in the text.
// Source: Kudo, arXiv:1804.10959; the ties and roundings are those of tokenizers (doubles) and
// sentencepiece (floats).
#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/tokenizer/internal.h"

struct path_node {
    double score;
    int32_t id;
    uint32_t len;  // bytes back to where the piece starts; 0: not reached
};

static void reach(const struct model *m, struct path_node *node, double score, int32_t id,
                  size_t len)
{
    if (node->len && !(score > node->score))
        return;
    node->score = m->float_scores ? (double)(float)score : score;
    node->id = id;
    node->len = (uint32_t)len;
}

// All pieces that start at i, and the unknown one where no piece is just the character there.
static void walk(const struct encoder *e, struct path_node *path, struct slice word, size_t i)
{
    const struct model *m = &e->t->model;
    uint32_t c;
    size_t char_len = utf8_decode(word.ptr + i, word.len - i, &c);
    double base = path[i].score;
    bool single = false;
    int32_t node = 0;
    if (char_len == 0)
        char_len = 1;
    for (size_t k = i; k < word.len && m->pieces.n_nodes; k++) {
        node = trie_next(&m->pieces, node, (uint8_t)word.ptr[k]);
        if (node < 0)
            break;
        int32_t id = trie_value(&m->pieces, node);
        if (id < 0)
            continue;
        size_t len = k + 1 - i;
        double score = m->scores[id];
        if (m->float_scores && e->t->vocab.kinds[id] == TOKEN_USER)
            score = (double)((float)len * (float)m->max_score) - 0.1;
        double sum = score + base;
        reach(m, &path[k + 1], sum, id, len);
        single |= len == char_len;
    }
    if (!single) {
        double sum = m->unk_score + base;
        reach(m, &path[i + char_len], m->float_scores ? (double)(float)sum : sum, -1, char_len);
    }
}

static bool emit_unknown(struct encoder *e, struct slice run)
{
    const struct model *m = &e->t->model;
    bool all = m->byte_fallback;
    for (size_t i = 0; all && i < run.len; i++)
        all = m->byte_ids[(uint8_t)run.ptr[i]] >= 0;
    for (size_t i = 0; all && i < run.len; i++)
        tokens_add(e->out, m->byte_ids[(uint8_t)run.ptr[i]]);
    if (all)
        return true;
    if (m->unk < 0)
        return error_set(e->err, ERR_FORMAT,
                         "model.unk_id: a character is unknown and there is no unknown token");
    if (!(m->sentencepiece && e->after_unk))
        tokens_add(e->out, m->unk);
    e->after_unk = true;
    return true;
}

bool unigram_encode(struct encoder *e, struct slice word)
{
    const struct model *m = &e->t->model;
    if (e->path_capacity < word.len + 1)
        memory_grow(e->path, e->path_capacity, word.len + 1);
    struct path_node *path = e->path;
    memset(path, 0, (word.len + 1) * sizeof *path);
    for (size_t i = 0; i < word.len; i++)
        if (i == 0 || path[i].len)
            walk(e, path, word, i);
    // Backwards, turning each node's length so that it points forward.
    size_t n = 0;
    e->path_ids.n = 0;
    for (size_t end = word.len; end > 0; end -= path[end].len) {
        tokens_add(&e->path_ids, (int32_t)end);
        n++;
    }
    size_t start = 0, unknown = 0;
    e->after_unk = false;
    while (n-- > 0) {
        size_t end = (size_t)e->path_ids.ids[n];
        int32_t id = path[end].id == m->unk ? -1 : path[end].id;
        if (id < 0) {
            unknown += end - start;
        } else {
            if (unknown && !emit_unknown(e, slice_sub(word, start - unknown, unknown)))
                return false;
            unknown = 0;
            tokens_add(e->out, id);
            e->after_unk = false;
        }
        start = end;
    }
    return unknown == 0 || emit_unknown(e, slice_sub(word, start - unknown, unknown));
}

static size_t count_characters(struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return n;
}

bool wordpiece_encode(struct encoder *e, struct slice word)
{
    const struct model *m = &e->t->model;
    size_t n_before = e->out->n;
    bool bad = (int64_t)count_characters(word) > m->max_word_chars;
    for (size_t i = 0; !bad && i < word.len;) {
        int32_t id = -1;
        size_t n = trie_longest(i ? &m->later : &m->pieces, slice_sub(word, i, word.len), &id);
        bad = n == 0;
        if (!bad)
            tokens_add(e->out, id);
        i += n;
    }
    if (!bad)
        return true;
    e->out->n = n_before;
    if (m->unk < 0)
        return error_set(e->err, ERR_FORMAT,
                         "model.unk_token: a word is unknown and there is no unknown token");
    tokens_add(e->out, m->unk);
    return true;
}
