// read_spm.c - tokenizer.model of SentencePiece: ModelProto, and what tokenizer_config.json adds.
//
// Source: github.com/google/sentencepiece, src/sentencepiece_model.proto.
#include <math.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/tokenizer/internal.h"
#include "local/tokenizer/protobuf.h"

struct spm {
    struct tokenizer *t;
    struct normalizer *n;
    struct error *err;
    int64_t type;  // 1 Unigram, 2 BPE, 3 word, 4 char
    bool byte_fallback;
    size_t capacity;
};

static bool broken(struct spm *s, const char *what)
{
    return error_set(s->err, ERR_FORMAT, "%s: broken or cut off", what);
}

static bool read_piece(struct spm *s, struct slice message)
{
    struct vocab *v = &s->t->vocab;
    struct protobuf_field f;
    struct slice piece = {0};
    float score = 0;
    uint64_t kind = TOKEN_NORMAL;
    int more;
    while ((more = protobuf_next(&message, &f)) > 0) {
        if (f.number == 1 && f.wire == PROTOBUF_BYTES)
            piece = f.bytes;
        else if (f.number == 2 && f.wire == PROTOBUF_FIXED32)
            score = protobuf_float(&f);
        else if (f.number == 3 && f.wire == PROTOBUF_VARINT)
            kind = f.value;
    }
    int32_t id = v->n;
    if (more < 0)
        return broken(s, "pieces");
    if (piece.len == 0 || kind < TOKEN_NORMAL || kind > TOKEN_BYTE || !isfinite(score))
        return error_set(s->err, ERR_FORMAT, "pieces[%d]: no text, or no valid score or type",
                         (int)id);
    if (kind == TOKEN_BYTE && byte_piece(piece) < 0)
        return error_set(s->err, ERR_FORMAT, "pieces[%d]: '%.20s' is no byte", (int)id,
                         piece.len == 6 ? "<0x..>" : "");
    if (vocab_find(v, piece) >= 0)
        return error_set(s->err, ERR_FORMAT, "pieces[%d]: the same as pieces[%d]", (int)id,
                         (int)vocab_find(v, piece));
    if (!vocab_set(v, id, piece, (enum token_kind)kind, "pieces", s->err))
        return false;
    memory_grow(v->scores, s->capacity, (size_t)v->n);
    v->scores[id] = score;
    return true;
}

static bool read_trainer(struct spm *s, struct slice message)
{
    struct protobuf_field f;
    int more;
    while ((more = protobuf_next(&message, &f)) > 0) {
        if (f.wire != PROTOBUF_VARINT)
            continue;
        int64_t value = (int64_t)f.value;
        int32_t id = value >= 0 && value < VOCAB_MAX ? (int32_t)value : -1;
        switch (f.number) {
        case 3: s->type = value; break;
        case 24: s->n->suffix = value != 0; break;
        case 35: s->byte_fallback = value != 0; break;
        case 40: s->t->unk = id; break;
        case 41: s->t->bos = id; break;
        case 42: s->t->eos = id; break;
        case 43: s->t->pad = id; break;
        default: break;
        }
    }
    return more == 0 || broken(s, "trainer_spec");
}

static bool read_normalizer(struct spm *s, struct slice message)
{
    struct protobuf_field f;
    int more;
    while ((more = protobuf_next(&message, &f)) > 0) {
        if (f.number == 2 && f.wire == PROTOBUF_BYTES) {
            free(s->n->blob);
            s->n->blob = memory_text_n(f.bytes.ptr, f.bytes.len);
            if (!charsmap_open(&s->n->map, slice_of(s->n->blob, f.bytes.len),
                               "normalizer_spec.precompiled_charsmap", s->err))
                return false;
        } else if (f.wire == PROTOBUF_VARINT) {
            if (f.number == 3)
                s->n->add_prefix = f.value != 0;
            else if (f.number == 4)
                s->n->remove_extra = f.value != 0;
            else if (f.number == 5)
                s->n->escape = f.value != 0;
        }
    }
    return more == 0 || broken(s, "normalizer_spec");
}

static bool read_proto(struct spm *s, struct slice message)
{
    struct protobuf_field f;
    int more;
    while ((more = protobuf_next(&message, &f)) > 0) {
        if (f.wire != PROTOBUF_BYTES)
            continue;
        if ((f.number == 1 && !read_piece(s, f.bytes)) ||
            (f.number == 2 && !read_trainer(s, f.bytes)) ||
            (f.number == 3 && !read_normalizer(s, f.bytes)))
            return false;
    }
    if (more < 0)
        return broken(s, "the model");
    return s->t->vocab.n > 0 || error_set(s->err, ERR_FORMAT, "pieces: there are none");
}

// Which ids are what, checked against the pieces.
static bool check_ids(struct spm *s)
{
    struct tokenizer *t = s->t;
    int32_t *const ids[] = {&t->bos, &t->eos, &t->pad};
    t->model.unk = -1;
    for (int32_t id = 0; id < t->vocab.n && t->model.unk < 0; id++)
        if (t->vocab.kinds[id] == TOKEN_UNKNOWN)
            t->model.unk = id;
    if (t->model.unk < 0)
        return error_set(s->err, ERR_FORMAT, "pieces: none is the unknown one");
    t->unk = t->model.unk;
    for (int i = 0; i < 3; i++)
        if (*ids[i] >= t->vocab.n || (*ids[i] >= 0 && t->vocab.kinds[*ids[i]] != TOKEN_CONTROL))
            *ids[i] = -1;
    return true;
}

static bool add_special(struct spm *s)
{
    struct tokenizer *t = s->t;
    size_t user_bytes = 0;
    for (int32_t id = 0; id < t->vocab.n; id++) {
        enum token_kind kind = t->vocab.kinds[id];
        struct slice piece = t->vocab.pieces[id];
        if (kind == TOKEN_USER) {
            user_bytes += piece.len;
            if (piece.len > SCANNED_MAX_BYTES || user_bytes > 1 << 22)
                return error_set(s->err, ERR_LIMIT, "pieces[%d]: user-defined text too long",
                                 (int)id);
            trie_add(&s->n->kept, piece, id);
            trie_add(&t->model.user, piece, id);
        } else if (kind == TOKEN_CONTROL || kind == TOKEN_UNKNOWN) {
            struct added_token token = {.text = piece, .id = id, .special = true};
            if (!added_set(&t->added, token, "pieces", s->err))
                return false;
        }
    }
    return true;
}

// What the class of the Hugging Face tokenizer puts around a text.
static void read_frame(struct spm *s, const json_t *config)
{
    struct tokenizer *t = s->t;
    const char *class = json_get_text(config, "tokenizer_class");
    bool t5 = class && strncmp(class, "T5", 2) == 0;
    bool bos = !t5, eos = t5, legacy = true;
    (void)json_get_bool(config, "add_bos_token", &bos);
    (void)json_get_bool(config, "add_eos_token", &eos);
    (void)json_get_bool(config, "legacy", &legacy);
    (void)json_get_bool(config, "add_prefix_space", &s->n->add_prefix);
    s->n->prefix_first_only = !legacy;
    t->frame_decided = true;
    if (bos && t->bos >= 0)
        tokens_add(&t->before, t->bos);
    if (eos && t->eos >= 0)
        tokens_add(&t->after, t->eos);
}

bool read_tokenizer_spm(struct tokenizer *t, struct slice file, const json_t *config,
                        struct error *err)
{
    struct spm s = {.t = t, .err = err, .type = 1};
    struct model *m = &t->model;
    s.n = &t->normalizers.items[t->normalizers.n++];
    s.n->kind = NORMALIZE_SENTENCEPIECE;
    s.n->add_prefix = s.n->remove_extra = s.n->escape = true;
    t->unk = 0;
    t->bos = 1;
    t->eos = 2;
    if (!read_proto(&s, file) || !check_ids(&s))
        return false;
    if (s.type != 1 && s.type != 2)
        return error_set(err, ERR_UNSUPPORTED,
                         "trainer_spec.model_type: %lld, only Unigram (1) and "
                         "BPE (2)",
                         (long long)s.type);
    m->sentencepiece = true;
    m->byte_fallback = s.byte_fallback;
    t->decoders.sentencepiece = true;
    t->decoders.strip_prefix = s.n->add_prefix;
    t->decoders.strip_all = s.n->remove_extra;
    if (!add_special(&s))
        return false;
    read_frame(&s, config);
    if (s.type == 2) {
        m->kind = MODEL_BPE;
        return merges_from_scores(t, err) && model_finish(t, err);
    }
    m->kind = MODEL_UNIGRAM;
    m->float_scores = true;
    return unigram_scores(t) && model_finish(t, err);
}
