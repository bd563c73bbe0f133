// finish.c - what follows from a vocabulary: byte tables, tries, merges by score, shortcuts.
#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/tokenizer/internal.h"

enum {
    SCANNED_TOTAL_MAX = 1 << 23,  // bytes of all pieces in tries
    MERGED_MAX_BYTES = 256,       // of a piece whose cuts are all tried
};

static void find_byte_pieces(struct tokenizer *t)
{
    for (int b = 0; b < 256; b++) {
        char name[8];
        (void)snprintf(name, sizeof name, "<0x%02X>", (unsigned)b);
        t->model.byte_ids[b] = vocab_find(&t->vocab, slice_str(name));
    }
}

static void find_byte_letters(struct tokenizer *t)
{
    for (int b = 0; b < 256; b++) {
        char letter[4];
        size_t n = utf8_encode(byte_letter((uint8_t)b), letter);
        t->model.byte_ids[b] = vocab_find(&t->vocab, slice_of(letter, n));
    }
}

static bool has_byte_level(const struct tokenizer *t)
{
    for (int i = 0; i < t->n_pre; i++)
        if (t->pre[i].kind == PRE_BYTE_LEVEL)
            return true;
    for (int i = 0; i < t->normalizers.n; i++)
        if (t->normalizers.items[i].kind == NORMALIZE_BYTE_LETTERS)
            return true;
    for (int i = 0; i < t->decoders.n; i++)
        if (t->decoders.items[i].kind == DECODE_BYTE_LEVEL)
            return true;
    return false;
}

// ByteLevel at the end needs no letters: the model starts from the bytes.
static bool use_raw_bytes(struct tokenizer *t, struct error *err)
{
    struct model *m = &t->model;
    struct pretokenizer *last = t->n_pre ? &t->pre[t->n_pre - 1] : NULL;
    if (m->kind != MODEL_BPE || m->prefix || m->suffix || m->byte_fallback || !last ||
        last->kind != PRE_BYTE_LEVEL)
        return true;
    for (int i = 0; i + 1 < t->n_pre; i++)
        if (t->pre[i].kind == PRE_BYTE_LEVEL)
            return true;
    last->raw = m->raw_bytes = m->raw.any_bytes = true;
    find_byte_letters(t);
    for (int32_t id = 0; m->ignore_merges && id < t->vocab.n; id++) {
        struct buf letters = {0};
        struct slice piece = t->vocab.pieces[id];
        if (!piece.ptr)
            continue;
        // Only a piece that is all letters can equal a word.
        byte_letters(t->vocab.bytes[id], &letters);
        bool whole = slice_eq(buf_view(&letters), piece);
        buf_release(&letters);
        if (whole && vocab_find(&t->vocab, piece) == id &&
            !vocab_set(&m->raw, id, t->vocab.bytes[id], TOKEN_NORMAL, "model.vocab", err))
            return false;
    }
    return true;
}

// True if no merge can reach over the border between something else and U+2581.
static bool meta_is_border(const struct tokenizer *t)
{
    static const char meta[] = "\xE2\x96\x81";
    if (vocab_find(&t->vocab, slice_str(meta)) < 0)
        return false;
    for (int32_t id = 0; id < t->vocab.n; id++) {
        struct slice p = t->vocab.pieces[id];
        bool before = true;
        for (size_t i = 0; i < p.len;) {
            bool is_meta = slice_starts(slice_sub(p, i, p.len), slice_str(meta));
            if (is_meta && !before)
                return false;
            before = is_meta;
            i += is_meta ? 3 : 1;
        }
    }
    return true;
}

static bool check_scanned(const struct tokenizer *t, struct error *err)
{
    size_t total = 0;
    for (int32_t id = 0; id < t->vocab.n; id++) {
        size_t len = t->vocab.pieces[id].len;
        total += len;
        if (len > SCANNED_MAX_BYTES)
            return error_set(err, ERR_LIMIT,
                             "model.vocab: the piece of id %d has %zu bytes, at "
                             "most %d",
                             (int)id, len, SCANNED_MAX_BYTES);
    }
    if (total > SCANNED_TOTAL_MAX)
        return error_set(err, ERR_LIMIT, "model.vocab: %zu bytes of pieces, at most %d", total,
                         SCANNED_TOTAL_MAX);
    return true;
}

// A later piece of the same text wins, as in the library's map.
static void index_pieces(struct tokenizer *t)
{
    struct model *m = &t->model;
    struct slice prefix = slice_str(m->kind == MODEL_WORDPIECE ? m->prefix : "");
    for (int32_t id = 0; id < t->vocab.n; id++) {
        struct slice p = t->vocab.pieces[id];
        bool text = t->vocab.kinds[id] == TOKEN_NORMAL || t->vocab.kinds[id] == TOKEN_USER;
        if (m->sentencepiece ? !text : m->kind == MODEL_UNIGRAM && p.len == 0)
            continue;
        if (p.len == 0)
            continue;
        trie_add(&m->pieces, p, id);
        if (m->kind == MODEL_WORDPIECE && slice_starts(p, prefix) && p.len > prefix.len)
            trie_add(&m->later, slice_sub(p, prefix.len, p.len), id);
    }
}

bool model_finish(struct tokenizer *t, struct error *err)
{
    struct model *m = &t->model;
    if (m->byte_fallback)
        find_byte_pieces(t);
    if (has_byte_level(t))
        vocab_make_bytes(&t->vocab);
    for (int c = 0; c < 128; c++)
        m->ascii_ids[c] = model_symbol(t, slice_of(&(char){(char)c}, 1));
    if (m->kind == MODEL_BPE) {
        m->at_meta = !m->prefix && !m->suffix && !m->ignore_merges && meta_is_border(t);
        return use_raw_bytes(t, err);
    }
    if (m->kind == MODEL_WORDLEVEL)
        return true;
    if (!check_scanned(t, err))
        return false;
    index_pieces(t);
    return true;
}

static bool is_piece(const struct vocab *v, int32_t id)
{
    return id >= 0 && (v->kinds[id] == TOKEN_NORMAL || v->kinds[id] == TOKEN_USER ||
                       v->kinds[id] == TOKEN_UNUSED);
}

static size_t first_char(struct slice s)
{
    uint32_t c;
    size_t n = utf8_decode(s.ptr, s.len, &c);
    return n ? n : 1;
}

// The symbol of a part of a piece: a piece, or a single character that only merges know. -1.
static int32_t part_symbol(struct tokenizer *t, struct slice part)
{
    int32_t id = vocab_find(&t->vocab, part);
    if (is_piece(&t->vocab, id))
        return id;
    if (first_char(part) != part.len)
        return -1;
    id = vocab_find(&t->model.extra, part);
    if (id < 0) {
        id = t->model.extra.n;
        if (!vocab_set(&t->model.extra, id, part, TOKEN_NORMAL, "", NULL))
            return -1;
    }
    return t->vocab.n + id;
}

static int descending(const void *x, const void *y)
{
    float a = *(const float *)x, b = *(const float *)y;
    return (a < b) - (a > b);
}

static uint32_t rank_of(const float *scores, size_t n, float score)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (scores[middle] > score)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint32_t)low;
}

bool merges_from_scores(struct tokenizer *t, struct error *err)
{
    struct vocab *v = &t->vocab;
    if (!check_scanned(t, err))
        return false;
    float *sorted = memory_array(float, (size_t)v->n);
    memcpy(sorted, v->scores, (size_t)v->n * sizeof *sorted);
    qsort(sorted, (size_t)v->n, sizeof *sorted, descending);
    for (int32_t id = 0; id < v->n; id++) {
        struct slice p = v->pieces[id];
        if (!p.ptr || !is_piece(v, id) || vocab_find(v, p) != id || v->kinds[id] == TOKEN_USER)
            continue;
        if (p.len > MERGED_MAX_BYTES) {
            free(sorted);
            return error_set(err, ERR_LIMIT, "the piece of id %d has %zu bytes, at most %d",
                             (int)id, p.len, MERGED_MAX_BYTES);
        }
        uint32_t rank = rank_of(sorted, (size_t)v->n, v->scores[id]);
        for (size_t cut = first_char(p); cut < p.len; cut += first_char(slice_sub(p, cut, p.len))) {
            int32_t left = part_symbol(t, slice_sub(p, 0, cut));
            int32_t right = left < 0 ? -1 : part_symbol(t, slice_sub(p, cut, p.len));
            if (right >= 0)
                bpe_merges_add(&t->model.merges, left, right, rank, id);
        }
    }
    free(sorted);
    return true;
}

bool unigram_scores(struct tokenizer *t)
{
    struct model *m = &t->model;
    float least = INFINITY, most = -INFINITY;
    m->scores = memory_array(double, (size_t)t->vocab.n);
    for (int32_t id = 0; id < t->vocab.n; id++) {
        m->scores[id] = t->vocab.scores[id];
        if (t->vocab.kinds[id] != TOKEN_NORMAL)
            continue;
        least = fminf(least, t->vocab.scores[id]);
        most = fmaxf(most, t->vocab.scores[id]);
    }
    m->unk_score = isfinite(least) ? (double)(least - 10.0f) : -10.0;
    m->max_score = isfinite(most) ? (double)most : 0.0;
    return true;
}
