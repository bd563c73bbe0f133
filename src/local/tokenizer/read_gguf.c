// read_gguf.c - the tokenizer.ggml.* keys of a GGUF file.
//
// Source: github.com/ggml-org/ggml/blob/master/docs/gguf.md; the meaning of tokenizer.ggml.pre is
// that of the tokenizer.json files that the names stand for.
#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/formats/gguf.h"
#include "local/tokenizer/gguf_pre.h"
#include "local/tokenizer/internal.h"
#include "local/tokenizer/read_pipeline.h"

#define KEY(name) "tokenizer.ggml." name

static const struct gguf_value *list(const struct gguf *g, const char *key)
{
    const struct gguf_value *v = gguf_find(g, key);
    return v && v->type == GGUF_ARRAY ? v : NULL;
}

static bool flag(const struct gguf *g, const char *key, bool otherwise)
{
    bool value = otherwise;
    (void)gguf_get_bool(g, key, &value);
    return value;
}

// An id, -1 if the key is absent. False with err if it is no id.
static bool get_id(const struct gguf *g, const char *key, int32_t n, int32_t *id, struct error *err)
{
    int64_t value = -1;
    if (!gguf_get_i64(g, key, &value) || value == -1)
        return true;
    if (value < 0 || value >= n)
        return error_set(err, ERR_FORMAT, "%s: %lld is not an id (0 .. %d)", key, (long long)value,
                         (int)n - 1);
    *id = (int32_t)value;
    return true;
}

static bool read_scores(struct tokenizer *t, const struct gguf *g, struct error *err)
{
    const struct gguf_value *scores = list(g, KEY("scores"));
    struct vocab *v = &t->vocab;
    v->scores = memory_array(float, (size_t)v->n);
    if (!scores)
        return true;
    if (scores->n != (uint64_t)v->n)
        return error_set(err, ERR_FORMAT, KEY("scores") ": %llu of them for %d tokens",
                         (unsigned long long)scores->n, (int)v->n);
    for (int32_t i = 0; i < v->n; i++) {
        double score;
        if (!gguf_item_f64(scores, (uint64_t)i, &score) || !isfinite(score))
            return error_set(err, ERR_FORMAT, KEY("scores") "[%d]: not a finite number", (int)i);
        v->scores[i] = (float)score;
    }
    return true;
}

static bool read_tokens(struct tokenizer *t, const struct gguf *g, struct error *err)
{
    const struct gguf_value *tokens = list(g, KEY("tokens")), *types = list(g, KEY("token_type"));
    if (!tokens || tokens->item_type != GGUF_STRING)
        return error_set(err, ERR_FORMAT, KEY("tokens") ": not a list of strings");
    if (tokens->n == 0 || tokens->n > VOCAB_MAX)
        return error_set(err, ERR_FORMAT, KEY("tokens") ": %llu of them, not 1 .. %d",
                         (unsigned long long)tokens->n, VOCAB_MAX);
    if (types && types->n != tokens->n)
        return error_set(err, ERR_FORMAT, KEY("token_type") ": %llu of them for %llu tokens",
                         (unsigned long long)types->n, (unsigned long long)tokens->n);
    const unsigned char *cursor = tokens->data;
    for (uint64_t i = 0; i < tokens->n; i++) {
        struct slice piece;
        int64_t kind = TOKEN_NORMAL;
        if (!gguf_next_text(tokens, &cursor, &piece))
            return error_set(err, ERR_FORMAT, KEY("tokens") "[%llu]: not a string",
                             (unsigned long long)i);
        if (types && (!gguf_item_i64(types, i, &kind) || kind < 0 || kind > TOKEN_BYTE))
            return error_set(err, ERR_FORMAT, KEY("token_type") "[%llu]: not a type",
                             (unsigned long long)i);
        if (kind == 0)
            kind = TOKEN_NORMAL;
        if (!vocab_set(&t->vocab, (int64_t)i, piece, (enum token_kind)kind, KEY("tokens"), err))
            return false;
    }
    return true;
}

static bool read_ids(struct tokenizer *t, const struct gguf *g, struct error *err)
{
    int32_t n = t->vocab.n;
    return get_id(g, KEY("bos_token_id"), n, &t->bos, err) &&
           get_id(g, KEY("eos_token_id"), n, &t->eos, err) &&
           get_id(g, KEY("unknown_token_id"), n, &t->unk, err) &&
           get_id(g, KEY("padding_token_id"), n, &t->pad, err);
}

// Phi 3's files do not say that its special tokens take the white space behind them.
static bool takes_space_behind(const struct gguf *g, struct slice piece)
{
    struct slice name = {0};
    if (!gguf_get_text(g, "general.name", &name))
        return false;
    bool phi3 = (memmem(name.ptr, name.len, "Phi3", 4) || memmem(name.ptr, name.len, "phi3", 4) ||
                 memmem(name.ptr, name.len, "Phi-3", 5) || memmem(name.ptr, name.len, "phi-3", 5));
    return phi3 && !slice_is(piece, "<unk>") && !slice_is(piece, "<s>") &&
           !slice_is(piece, "<|endoftext|>");
}

// Control and user-defined pieces are sought in the text before anything else.
static bool add_special(struct tokenizer *t, const struct gguf *g, struct error *err)
{
    for (int32_t id = 0; id < t->vocab.n; id++) {
        enum token_kind kind = t->vocab.kinds[id];
        if (kind != TOKEN_CONTROL && kind != TOKEN_USER && kind != TOKEN_UNKNOWN)
            continue;
        struct added_token token = {
            .text = t->vocab.pieces[id],
            .id = id,
            .special = kind != TOKEN_USER,
            .rstrip = takes_space_behind(g, t->vocab.pieces[id]),
        };
        if (!added_set(&t->added, token, KEY("tokens"), err))
            return false;
    }
    return true;
}

static bool read_merges(struct tokenizer *t, const struct gguf *g, struct error *err)
{
    const struct gguf_value *merges = list(g, KEY("merges"));
    if (!merges || merges->item_type != GGUF_STRING)
        return error_set(err, ERR_FORMAT, KEY("merges") ": not a list of strings");
    if (merges->n > 16 * VOCAB_MAX)
        return error_set(err, ERR_LIMIT, KEY("merges") ": %llu of them",
                         (unsigned long long)merges->n);
    const unsigned char *cursor = merges->data;
    for (uint64_t i = 0; i < merges->n; i++) {
        struct slice merge;
        const char *space = NULL;
        if (gguf_next_text(merges, &cursor, &merge) && merge.len > 2)
            space = memchr(merge.ptr + 1, ' ', merge.len - 1);
        if (!space)
            return error_set(err, ERR_FORMAT, KEY("merges") "[%llu]: not two pieces",
                             (unsigned long long)i);
        size_t cut = (size_t)(space - merge.ptr);
        if (!add_merge(t, slice_sub(merge, 0, cut), slice_sub(merge, cut + 1, merge.len),
                       (uint32_t)i, err))
            return false;
    }
    return true;
}

static bool read_byte_level(struct tokenizer *t, const struct gguf *g, bool *add_bos,
                            struct error *err)
{
    struct slice pre = slice_str("default");
    (void)gguf_get_text(g, KEY("pre"), &pre);
    t->model.kind = MODEL_BPE;
    t->model.unk = -1;
    t->decoders.items[0].kind = DECODE_BYTE_LEVEL;
    t->decoders.n = 1;
    return gguf_pretokenizer(t, pre, add_bos, err) && read_merges(t, g, err) &&
           model_finish(t, err);
}

static struct normalizer *spm_normalizer(struct tokenizer *t, const struct gguf *g)
{
    struct normalizer *n = &t->normalizers.items[t->normalizers.n++];
    n->kind = NORMALIZE_SENTENCEPIECE;
    n->escape = true;
    n->add_prefix = flag(g, KEY("add_space_prefix"), true);
    n->remove_extra = flag(g, KEY("remove_extra_whitespaces"), false);
    t->decoders.sentencepiece = true;
    t->decoders.strip_prefix = n->add_prefix;
    t->decoders.strip_all = n->remove_extra;
    return n;
}

static bool read_sentencepiece(struct tokenizer *t, const struct gguf *g, struct error *err)
{
    struct model *m = &t->model;
    (void)spm_normalizer(t, g);
    m->kind = MODEL_BPE;
    m->sentencepiece = true;
    m->unk = t->unk;
    for (int32_t id = 0; id < t->vocab.n; id++)
        m->byte_fallback |= t->vocab.kinds[id] == TOKEN_BYTE;
    return read_scores(t, g, err) && merges_from_scores(t, err) && model_finish(t, err);
}

static bool read_unigram(struct tokenizer *t, const struct gguf *g, struct error *err)
{
    struct model *m = &t->model;
    struct normalizer *n = spm_normalizer(t, g);
    const struct gguf_value *map = list(g, KEY("precompiled_charsmap"));
    if (map && map->n > 0) {
        bool bytes = map->item_type == GGUF_U8 || map->item_type == GGUF_I8;
        if (!bytes || map->n > 64 << 20)
            return error_set(err, ERR_FORMAT, KEY("precompiled_charsmap") ": not a list of bytes");
        n->blob = memory_text_n((const char *)map->data, map->n);
        if (!charsmap_open(&n->map, slice_of(n->blob, map->n), KEY("precompiled_charsmap"), err))
            return false;
    }
    m->kind = MODEL_UNIGRAM;
    m->sentencepiece = m->float_scores = true;
    m->unk = t->unk;
    for (int32_t id = 0; id < t->vocab.n; id++)
        m->byte_fallback |= t->vocab.kinds[id] == TOKEN_BYTE;
    return read_scores(t, g, err) && unigram_scores(t) && model_finish(t, err);
}

// WordPiece pieces carry U+2581 in front where they begin a word, instead of ## where they do not.
static bool read_wordpiece(struct tokenizer *t, struct error *err)
{
    static const enum normalizer_kind steps[] = {NORMALIZE_BERT_CLEAN, NORMALIZE_BERT_CHINESE,
                                                 NORMALIZE_NFD, NORMALIZE_BERT_MARKS,
                                                 NORMALIZE_LOWERCASE};
    struct vocab with_hashes = {0};
    struct buf piece = {0};
    bool ok = true;
    for (int32_t id = 0; ok && id < t->vocab.n; id++) {
        struct slice p = t->vocab.pieces[id];
        bool plain = t->vocab.kinds[id] != TOKEN_NORMAL ||
                     (p.len > 2 && p.ptr[0] == '[' && p.ptr[p.len - 1] == ']');
        bool starts = slice_starts(p, slice_str("\xE2\x96\x81"));
        buf_clear(&piece);
        if (!plain && !starts)
            buf_text_add(&piece, "##");
        buf_slice(&piece, starts ? slice_sub(p, 3, p.len) : p);
        ok = vocab_set(&with_hashes, id, buf_view(&piece), t->vocab.kinds[id], KEY("tokens"), err);
    }
    buf_release(&piece);
    vocab_release(&t->vocab);
    t->vocab = with_hashes;
    t->model.kind = MODEL_WORDPIECE;
    t->model.prefix = memory_text("##");
    t->model.unk = t->unk >= 0 ? t->unk : vocab_find(&t->vocab, slice_str("[UNK]"));
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        t->normalizers.items[t->normalizers.n++].kind = steps[i];
    t->decoders.items[0] = (struct decoder){
        .kind = DECODE_WORDPIECE, .text = memory_text("##"), .text_len = 2, .cleanup = true};
    t->decoders.n = 1;
    return ok && bert_pretokenizer(t, err) && model_finish(t, err);
}

// What begins and ends a text: the keys decide, else what is usual for the kind.
static void read_frame(struct tokenizer *t, const struct gguf *g, bool bos, bool eos)
{
    int32_t begin = t->bos, end = t->eos;
    if (t->model.kind == MODEL_WORDPIECE) {
        int64_t id;
        if (gguf_get_i64(g, KEY("cls_token_id"), &id) && id >= 0 && id < t->vocab.n)
            begin = (int32_t)id;
        if ((gguf_get_i64(g, KEY("seperator_token_id"), &id) ||
             gguf_get_i64(g, KEY("separator_token_id"), &id)) &&
            id >= 0 && id < t->vocab.n)
            end = (int32_t)id;
    }
    if (flag(g, KEY("add_bos_token"), bos) && begin >= 0)
        tokens_add(&t->before, begin);
    if (flag(g, KEY("add_eos_token"), eos) && end >= 0)
        tokens_add(&t->after, end);
}

bool read_tokenizer_gguf(struct tokenizer *t, const struct gguf *g, struct error *err)
{
    struct slice model;
    bool bos = false, eos = false, ok;
    if (!gguf_get_text(g, KEY("model"), &model))
        return error_set(err, ERR_NOT_FOUND, "no " KEY("model") ", so there is no tokenizer");
    if (!read_tokens(t, g, err) || !read_ids(t, g, err))
        return false;
    if (slice_is(model, "llama") || slice_is(model, "t5")) {
        if (t->unk < 0 && slice_is(model, "llama"))
            t->unk = t->vocab.n ? 0 : -1;
        if (slice_is(model, "t5"))
            ok = read_unigram(t, g, err);
        else
            ok = read_sentencepiece(t, g, err);
        bos = slice_is(model, "llama");
        eos = slice_is(model, "t5");
    } else if (slice_is(model, "gpt2")) {
        ok = read_byte_level(t, g, &bos, err);
    } else if (slice_is(model, "bert")) {
        ok = read_wordpiece(t, err);
        bos = eos = true;
    } else {
        return error_set(err, ERR_UNSUPPORTED, KEY("model") ": '%.*s'",
                         (int)(model.len > 40 ? 40 : model.len), model.ptr);
    }
    if (!ok || !add_special(t, g, err))
        return false;
    read_frame(t, g, bos, eos);
    return true;
}
