// model.c - the ids of a word by byte pair encoding, with a cache of words; entry to the others.
#include <assert.h>
#include <math.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/tokenizer/internal.h"

enum { CACHE_SLOTS = 1 << 14, CACHE_WORD_MAX = 48, CACHE_BYTES = 1 << 20 };

// Words seen in this call. When its memory is full it starts anew.
struct word_cache {
    struct cached_word {
        uint64_t hash;
        uint32_t text, len, ids, n_ids;
    } slots[CACHE_SLOTS];
    struct buf text;
    struct tokens ids;
};

void word_cache_free(struct word_cache *c)
{
    if (!c)
        return;
    buf_release(&c->text);
    tokens_release(&c->ids);
    free(c);
}

static void emit(struct encoder *e, int32_t id)
{
    tokens_add(e->out, id);
}

// Id of one symbol as it is written, -1 if there is none.
int32_t model_symbol(const struct tokenizer *t, struct slice s)
{
    const struct vocab *v = &t->vocab;
    int32_t id = vocab_find(v, s);
    bool normal = id >= 0 && (v->kinds[id] == TOKEN_NORMAL || v->kinds[id] == TOKEN_USER ||
                              v->kinds[id] == TOKEN_UNUSED);
    if (normal || !t->model.sentencepiece)
        return id;
    id = vocab_find(&t->model.extra, s);
    return id < 0 ? -1 : v->n + id;
}

static int32_t symbol_id(struct encoder *e, struct slice s, bool first, bool last)
{
    const struct model *m = &e->t->model;
    const struct vocab *v = &e->t->vocab;
    bool prefix = m->prefix && !first, suffix = m->suffix && last;
    if (!prefix && !suffix)
        return s.len == 1 && (unsigned char)s.ptr[0] < 0x80 ? m->ascii_ids[(unsigned char)s.ptr[0]]
                                                            : model_symbol(e->t, s);
    buf_clear(&e->symbol);
    if (prefix)
        buf_text_add(&e->symbol, m->prefix);
    buf_slice(&e->symbol, s);
    if (suffix)
        buf_text_add(&e->symbol, m->suffix);
    return vocab_find(v, buf_view(&e->symbol));
}

// Adds the bytes of an unknown symbol as tokens; false unless all of them are known.
static bool add_bytes(struct encoder *e, struct slice s, uint32_t start)
{
    const struct model *m = &e->t->model;
    for (size_t i = 0; i < s.len; i++)
        if (m->byte_ids[(uint8_t)s.ptr[i]] < 0)
            return false;
    for (size_t i = 0; i < s.len; i++)
        bpe_work_add(&e->bpe, m->byte_ids[(uint8_t)s.ptr[i]], start + (uint32_t)i, 1, false);
    return true;
}

// The symbols of a word in the way of `tokenizers`: an unknown one becomes bytes, or waits to be
// joined by the next unknown ones.
static void start_symbols(struct encoder *e, struct slice word)
{
    const struct model *m = &e->t->model;
    uint32_t unk_start = 0, unk_len = 0;
    for (size_t i = 0, n; i < word.len; i += n) {
        uint32_t c;
        n = utf8_decode(word.ptr + i, word.len - i, &c);
        if (n == 0)
            n = 1;
        struct slice s = slice_sub(word, i, n);
        int32_t id = symbol_id(e, s, i == 0, i + n == word.len);
        if (id >= 0) {
            if (unk_len)
                bpe_work_add(&e->bpe, m->unk, unk_start, unk_len, false);
            unk_len = 0;
            bpe_work_add(&e->bpe, id, (uint32_t)i, (uint32_t)n, false);
            continue;
        }
        struct slice bytes = s;
        if (m->prefix || m->suffix) {  // the library takes the bytes of the whole symbol
            bytes = i == 0 && i + n < word.len ? s : buf_view(&e->symbol);
        }
        if ((m->byte_fallback && add_bytes(e, bytes, (uint32_t)i)) || m->unk < 0)
            continue;
        if (unk_len && !m->fuse_unk) {
            bpe_work_add(&e->bpe, m->unk, unk_start, unk_len, false);
            unk_len = 0;
        }
        if (unk_len == 0)
            unk_start = (uint32_t)i;
        unk_len += (uint32_t)n;
    }
    if (unk_len)
        bpe_work_add(&e->bpe, m->unk, unk_start, unk_len, false);
}

static void start_bytes(struct encoder *e, struct slice word)
{
    const struct model *m = &e->t->model;
    uint32_t unk_start = 0, unk_len = 0;
    for (uint32_t i = 0; i < word.len; i++) {
        int32_t id = m->byte_ids[(uint8_t)word.ptr[i]];
        if (unk_len && (id >= 0 || !m->fuse_unk)) {
            bpe_work_add(&e->bpe, m->unk, unk_start, unk_len, false);
            unk_len = 0;
        }
        if (id >= 0) {
            bpe_work_add(&e->bpe, id, i, 1, false);
        } else if (m->unk >= 0) {
            unk_start = unk_len ? unk_start : i;
            unk_len++;
        }
    }
    if (unk_len)
        bpe_work_add(&e->bpe, m->unk, unk_start, unk_len, false);
}

static void start_sentencepiece(struct encoder *e, struct slice word)
{
    const struct model *m = &e->t->model;
    for (size_t i = 0, n; i < word.len; i += n) {
        int32_t id = -1;
        uint32_t c;
        n = m->user.from_root[(uint8_t)word.ptr[i]]
                ? trie_longest(&m->user, slice_sub(word, i, word.len), &id)
                : 0;
        bool frozen = n > 0;
        if (!frozen) {
            n = utf8_decode(word.ptr + i, word.len - i, &c);
            if (n == 0)
                n = 1;
            id = symbol_id(e, slice_sub(word, i, n), false, false);
        }
        bpe_work_add(&e->bpe, id, (uint32_t)i, (uint32_t)n, frozen);
    }
}

// An unknown symbol of SentencePiece: its bytes, or one token for the whole run.
static void emit_unknown(struct encoder *e, struct slice s)
{
    const struct model *m = &e->t->model;
    if (m->byte_fallback) {
        for (size_t i = 0; i < s.len; i++) {
            int32_t id = m->byte_ids[(uint8_t)s.ptr[i]];
            emit(e, id >= 0 ? id : m->unk);
        }
    } else if (m->unk >= 0 && !e->after_unk) {
        emit(e, m->unk);
        e->after_unk = true;
    }
}

static void emit_symbols(struct encoder *e, struct slice word)
{
    const struct model *m = &e->t->model;
    for (int32_t i = e->bpe.n_symbols ? 0 : -1; i >= 0; i = e->bpe.symbols[i].next) {
        const struct bpe_symbol *s = &e->bpe.symbols[i];
        if (m->sentencepiece && (s->id < 0 || s->id >= e->t->vocab.n)) {
            emit_unknown(e, slice_sub(word, s->start, s->len));
        } else if (s->id >= 0) {
            emit(e, s->id);
            e->after_unk = false;
        }
    }
}

static void bpe_word(struct encoder *e, struct slice word)
{
    const struct model *m = &e->t->model;
    if (m->ignore_merges) {
        int32_t id = vocab_find(m->raw_bytes ? &m->raw : &e->t->vocab, word);
        if (id >= 0) {
            emit(e, id);
            return;
        }
    }
    e->bpe.n_symbols = 0;
    if (m->raw_bytes)
        start_bytes(e, word);
    else if (m->sentencepiece)
        start_sentencepiece(e, word);
    else
        start_symbols(e, word);
    bpe_merge_all(&m->merges, &e->bpe);
    emit_symbols(e, word);
}

static void cache_word(struct word_cache *c, struct cached_word *slot, uint64_t hash,
                       struct slice word, const int32_t *ids, size_t n)
{
    if (c->text.len > CACHE_BYTES) {
        memset(c->slots, 0, sizeof c->slots);
        buf_clear(&c->text);
        c->ids.n = 0;
    }
    *slot = (struct cached_word){hash, (uint32_t)c->text.len, (uint32_t)word.len,
                                 (uint32_t)c->ids.n, (uint32_t)n};
    buf_slice(&c->text, word);
    for (size_t i = 0; i < n; i++)
        tokens_add(&c->ids, ids[i]);
}

static void bpe_cached(struct encoder *e, struct slice word)
{
    if (word.len > CACHE_WORD_MAX || (word.len < 2 && !e->t->model.sentencepiece)) {
        bpe_word(e, word);
        return;
    }
    if (!e->cache)
        e->cache = memory_array(struct word_cache, 1);
    uint64_t hash = hash_bytes(word.ptr, word.len, 3);
    struct cached_word *slot = &e->cache->slots[hash % CACHE_SLOTS];
    if (slot->hash == hash && slot->len == word.len &&
        memcmp(e->cache->text.ptr + slot->text, word.ptr, word.len) == 0) {
        for (uint32_t i = 0; i < slot->n_ids; i++)
            emit(e, e->cache->ids.ids[slot->ids + i]);
        e->after_unk = false;
        return;
    }
    size_t n_before = e->out->n;
    bool after_unk = e->after_unk;
    bpe_word(e, word);
    if (!after_unk && !e->after_unk && e->out->n > n_before)
        cache_word(e->cache, slot, hash, word, e->out->ids + n_before, e->out->n - n_before);
}

// Cuts before each U+2581 that follows something else: no piece reaches over that place.
static void bpe_by_meta(struct encoder *e, struct slice word)
{
    size_t start = 0;
    bool meta_before = true;
    for (size_t i = 0; i < word.len;) {
        bool meta = word.ptr[i] == '\xE2' && word.len - i >= 3 &&
                    memcmp(word.ptr + i, "\xE2\x96\x81", 3) == 0;
        if (meta && !meta_before) {
            bpe_cached(e, slice_sub(word, start, i - start));
            start = i;
        }
        meta_before = meta;
        i += meta ? 3 : 1;
    }
    bpe_cached(e, slice_sub(word, start, word.len - start));
}

bool model_encode(struct encoder *e, struct slice word)
{
    const struct model *m = &e->t->model;
    if (word.len > INT32_MAX / 2)
        return error_set(e->err, ERR_LIMIT, "a word of %zu bytes", word.len);
    switch (m->kind) {
    case MODEL_BPE:
        if (m->at_meta)
            bpe_by_meta(e, word);
        else
            bpe_cached(e, word);
        return true;
    case MODEL_UNIGRAM: return unigram_encode(e, word);
    case MODEL_WORDPIECE: return wordpiece_encode(e, word);
    case MODEL_WORDLEVEL: break;
    }
    int32_t id = vocab_find(&e->t->vocab, word);
    if (id < 0)
        id = m->unk;
    if (id < 0)
        return error_set(e->err, ERR_FORMAT,
                         "model.unk_token: a word is unknown and there is no unknown token");
    emit(e, id);
    return true;
}

void model_release(struct model *m)
{
    bpe_merges_release(&m->merges);
    vocab_release(&m->raw);
    vocab_release(&m->extra);
    trie_release(&m->user);
    trie_release(&m->pieces);
    trie_release(&m->later);
    free(m->prefix);
    free(m->suffix);
    free(m->scores);
}
