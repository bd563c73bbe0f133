// read_json.c - tokenizer.json of the `tokenizers` library: the whole pipeline it states.
#include <assert.h>
#include <math.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/tokenizer/internal.h"
#include "local/tokenizer/read_pipeline.h"
#include "local/tokenizer/unicode.h"

static bool get_flag(const json_t *object, const char *key)
{
    bool value = false;
    (void)json_get_bool(object, key, &value);
    return value;
}

static bool read_added(struct tokenizer *t, const json_t *list, struct error *err)
{
    if (json_array_size(list) > ADDED_MAX)
        return error_set(err, ERR_LIMIT, "added_tokens: more than %d", ADDED_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        const json_t *content = json_object_get(v, "content");
        int64_t id = -1;
        char field[48];
        (void)snprintf(field, sizeof field, "added_tokens[%zu]", i);
        if (!json_is_string(content))
            return error_set(err, ERR_FORMAT, "%s.content: not a string", field);
        int32_t known = vocab_find(&t->vocab, json_slice(content));
        if (!json_get_i64(v, "id", &id) || id < 0 || id >= VOCAB_MAX)
            return error_set(err, ERR_FORMAT, "%s.id: not in 0 .. %d", field, VOCAB_MAX - 1);
        struct added_token token = {
            .text = json_slice(content),
            .id = known >= 0 ? known : (int32_t)id,
            .special = get_flag(v, "special"),
            .lstrip = get_flag(v, "lstrip"),
            .rstrip = get_flag(v, "rstrip"),
            .single_word = get_flag(v, "single_word"),
            .normalized = get_flag(v, "normalized"),
        };
        if (!added_set(&t->added, token, field, err))
            return false;
    }
    return true;
}

static bool read_vocab(struct tokenizer *t, const json_t *map, struct error *err)
{
    const char *key;
    size_t len;
    json_t *value;
    if (!json_is_object(map))
        return error_set(err, ERR_FORMAT, "model.vocab: not an object");
    if (json_object_size(map) > VOCAB_MAX)
        return error_set(err, ERR_LIMIT, "model.vocab: more than %d pieces", VOCAB_MAX);
    json_object_keylen_foreach((json_t *)map, key, len, value)
    {
        if (!json_is_integer(value))
            return error_set(err, ERR_FORMAT, "model.vocab: the id of '%.40s' is not an integer",
                             key);
        if (!vocab_set(&t->vocab, json_integer_value(value), slice_of(key, len), TOKEN_NORMAL,
                       "model.vocab", err))
            return false;
    }
    return true;
}

// "a b" or ["a", "b"]. A string with more than one space is cut where both sides are pieces.
static bool merge_sides(const struct tokenizer *t, const json_t *merge, struct slice *a,
                        struct slice *b)
{
    if (json_is_array(merge) && json_array_size(merge) == 2) {
        *a = json_slice(json_array_get(merge, 0));
        *b = json_slice(json_array_get(merge, 1));
        return a->ptr && b->ptr;
    }
    if (!json_is_string(merge))
        return false;
    struct slice s = json_slice(merge);
    for (size_t i = 0; i < s.len && i < PIECE_MAX_BYTES; i++) {
        if (s.ptr[i] != ' ')
            continue;
        *a = slice_sub(s, 0, i);
        *b = slice_sub(s, i + 1, s.len);
        if (!memchr(b->ptr, ' ', b->len) ||
            (vocab_find(&t->vocab, *a) >= 0 && vocab_find(&t->vocab, *b) >= 0))
            return true;
    }
    return false;
}

static int shown(struct slice s)
{
    return (int)(s.len > 40 ? 40 : s.len);
}

bool add_merge(struct tokenizer *t, struct slice a, struct slice b, uint32_t rank,
               struct error *err)
{
    struct buf joined = {0};
    size_t prefix = t->model.prefix ? strlen(t->model.prefix) : 0;
    int32_t left = vocab_find(&t->vocab, a), right = vocab_find(&t->vocab, b), result;
    buf_slice(&joined, a);
    buf_slice(&joined, slice_sub(b, prefix, b.len));
    result = vocab_find(&t->vocab, buf_view(&joined));
    buf_release(&joined);
    if (left < 0 || right < 0 || result < 0)
        return error_set(err, ERR_FORMAT,
                         "merges[%u]: '%.*s' and '%.*s', or the two as one, are no pieces",
                         (unsigned)rank, shown(a), a.ptr, shown(b), b.ptr);
    bpe_merges_add(&t->model.merges, left, right, rank, result);
    return true;
}

static bool read_merges(struct tokenizer *t, const json_t *list, struct error *err)
{
    if (!json_is_array(list))
        return error_set(err, ERR_FORMAT, "model.merges: not a list");
    if (json_array_size(list) > 16 * VOCAB_MAX)
        return error_set(err, ERR_LIMIT, "model.merges: more than %d", 16 * VOCAB_MAX);
    uint32_t rank = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct slice a, b;
        const json_t *merge = json_array_get(list, i);
        if (json_is_string(merge) && strncmp(json_string_value(merge), "#version", 8) == 0)
            continue;
        if (!merge_sides(t, merge, &a, &b))
            return error_set(err, ERR_FORMAT, "model.merges[%zu]: not two pieces", i);
        if (!add_merge(t, a, b, rank++, err))
            return false;
    }
    return true;
}

static char *copy_text(const json_t *object, const char *key)
{
    const char *text = json_get_text(object, key);
    return text && *text ? memory_text(text) : NULL;
}

static bool read_unk_token(struct tokenizer *t, const json_t *model, struct error *err)
{
    const json_t *unk = json_object_get(model, "unk_token");
    if (!json_is_string(unk))
        return true;
    t->model.unk = vocab_find(&t->vocab, json_slice(unk));
    (void)err;
    return true;
}

static bool read_bpe(struct tokenizer *t, const json_t *json, struct error *err)
{
    struct model *m = &t->model;
    double dropout = 0;
    m->kind = MODEL_BPE;
    m->prefix = copy_text(json, "continuing_subword_prefix");
    m->suffix = copy_text(json, "end_of_word_suffix");
    m->fuse_unk = get_flag(json, "fuse_unk");
    m->byte_fallback = get_flag(json, "byte_fallback");
    m->ignore_merges = get_flag(json, "ignore_merges");
    if ((m->prefix && strlen(m->prefix) > 64) || (m->suffix && strlen(m->suffix) > 64))
        return error_set(err, ERR_LIMIT, "model: a prefix or suffix of more than 64 bytes");
    if (json_get_f64(json, "dropout", &dropout) && dropout != 0)
        return error_set(err, ERR_UNSUPPORTED, "model.dropout: only none is supported");
    return read_vocab(t, json_object_get(json, "vocab"), err) && read_unk_token(t, json, err) &&
           read_merges(t, json_object_get(json, "merges"), err);
}

static bool read_unigram(struct tokenizer *t, const json_t *json, struct error *err)
{
    struct model *m = &t->model;
    const json_t *list = json_object_get(json, "vocab");
    size_t n = json_array_size(list);
    int64_t unk = -1;
    double least = INFINITY;
    m->kind = MODEL_UNIGRAM;
    m->fuse_unk = true;
    m->byte_fallback = get_flag(json, "byte_fallback");
    if (n == 0 || n > VOCAB_MAX)
        return error_set(err, ERR_FORMAT, "model.vocab: %zu pieces, not 1 .. %d", n, VOCAB_MAX);
    m->scores = memory_array(double, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(list, i), *piece = json_array_get(row, 0);
        const json_t *score = json_array_get(row, 1);
        if (!json_is_string(piece) || !json_is_number(score))
            return error_set(err, ERR_FORMAT, "model.vocab[%zu]: not a piece and a score", i);
        m->scores[i] = json_number_value(score);
        if (!isfinite(m->scores[i]))
            return error_set(err, ERR_FORMAT, "model.vocab[%zu]: the score is not finite", i);
        least = fmin(least, m->scores[i]);
        if (!vocab_set(&t->vocab, (int64_t)i, json_slice(piece), TOKEN_NORMAL, "model.vocab", err))
            return false;
    }
    m->unk_score = least - 10.0;
    if (json_get_i64(json, "unk_id", &unk)) {
        if (unk < 0 || unk >= t->vocab.n)
            return error_set(err, ERR_FORMAT, "model.unk_id: %lld is not an id", (long long)unk);
        m->unk = (int32_t)unk;
    }
    return true;
}

static bool read_words(struct tokenizer *t, const json_t *json, bool pieces, struct error *err)
{
    struct model *m = &t->model;
    m->kind = pieces ? MODEL_WORDPIECE : MODEL_WORDLEVEL;
    m->max_word_chars = 100;
    if (pieces) {
        const char *prefix = json_get_text(json, "continuing_subword_prefix");
        m->prefix = memory_text(prefix ? prefix : "##");
        (void)json_get_i64(json, "max_input_chars_per_word", &m->max_word_chars);
    }
    return read_vocab(t, json_object_get(json, "vocab"), err) && read_unk_token(t, json, err);
}

static bool read_model(struct tokenizer *t, const json_t *json, struct error *err)
{
    const char *type = json_get_text(json, "type");
    if (!json_is_object(json))
        return error_set(err, ERR_FORMAT, "model: not an object");
    if (!type)  // older files leave it to the members
        type = json_object_get(json, "merges")                      ? "BPE"
               : json_object_get(json, "unk_id")                    ? "Unigram"
               : json_object_get(json, "continuing_subword_prefix") ? "WordPiece"
                                                                    : "WordLevel";
    if (strcmp(type, "BPE") == 0)
        return read_bpe(t, json, err);
    if (strcmp(type, "Unigram") == 0)
        return read_unigram(t, json, err);
    if (strcmp(type, "WordPiece") == 0 || strcmp(type, "WordLevel") == 0)
        return read_words(t, json, type[4] == 'P', err);
    return error_set(err, ERR_UNSUPPORTED, "model.type: '%.40s'", type);
}

static void mark_special(struct tokenizer *t)
{
    for (size_t i = 0; i < t->added.n; i++)
        if (t->added.items[i].special && t->added.items[i].id < t->vocab.n)
            t->vocab.kinds[t->added.items[i].id] = TOKEN_CONTROL;
}

bool read_tokenizer_json(struct tokenizer *t, const json_t *json, struct error *err)
{
    if (!json_is_object(json))
        return error_set(err, ERR_FORMAT, "not a JSON object");
    if (!read_model(t, json_object_get(json, "model"), err) ||
        !read_added(t, json_object_get(json, "added_tokens"), err) ||
        !read_normalizer(t, json_object_get(json, "normalizer"), "normalizer", 0, err) ||
        !read_pretokenizer(t, json_object_get(json, "pre_tokenizer"), "pre_tokenizer", 0, err) ||
        !read_decoder(t, json_object_get(json, "decoder"), "decoder", 0, err) ||
        !read_postprocessor(t, json_object_get(json, "post_processor"), "post_processor", 0, err))
        return false;
    t->decoders.none = t->decoders.n == 0;
    t->frame_decided = json_is_object(json_object_get(json, "post_processor"));
    t->unk = t->model.unk;
    mark_special(t);
    return model_finish(t, err);
}
