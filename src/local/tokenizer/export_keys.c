#include "local/tokenizer/export_keys.h"

#include <assert.h>
#include <stdio.h>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "local/formats/gguf_write.h"
#include "local/formats/model_file.h"
#include "local/tokenizer/gguf_pre.h"
#include "local/tokenizer/internal.h"

#define KEY(name) "tokenizer.ggml." name
enum { TOKENIZER_JSON_MAX = 256 << 20, STEPS_MAX = 8 };

struct keys {
    const struct tokenizer *t;
    const struct model_file *folder;
    struct gguf_writer *w;
    int32_t n;  // tokens to be written
    struct error *err;
};

static bool is_byte_level(const struct tokenizer *t)
{
    bool found = t->model.raw_bytes;
    for (int i = 0; i < t->n_pre; i++)
        found |= t->pre[i].kind == PRE_BYTE_LEVEL;
    return found;
}

static enum token_kind kind_of(const struct tokenizer *t, int32_t id)
{
    const struct added_token *added = added_of(&t->added, id);
    if (id >= t->vocab.n || !t->vocab.pieces[id].ptr)
        return added ? added->special ? TOKEN_CONTROL : TOKEN_USER : TOKEN_UNUSED;
    if (id == t->unk && t->model.kind == MODEL_BPE && !is_byte_level(t))
        return TOKEN_UNKNOWN;
    if (added)
        return added->special ? TOKEN_CONTROL : TOKEN_USER;
    for (int b = 0; t->model.byte_fallback && b < 256; b++)
        if (t->model.byte_ids[b] == id)
            return TOKEN_BYTE;
    return t->vocab.kinds[id];
}

static void write_tokens(struct keys *k)
{
    struct arena names = {0};
    struct slice *pieces = memory_array(struct slice, (size_t)k->n);
    int32_t *kinds = memory_array(int32_t, (size_t)k->n);
    for (int32_t id = 0; id < k->n; id++) {
        const struct added_token *added = added_of(&k->t->added, id);
        if (id < k->t->vocab.n)
            pieces[id] = k->t->vocab.pieces[id];
        if (!pieces[id].ptr && added)
            pieces[id] = added->text;
        if (!pieces[id].ptr)
            pieces[id] = slice_str(arena_printf(&names, "[PAD%d]", (int)id));
        kinds[id] = (int32_t)kind_of(k->t, id);
    }
    gguf_write_texts(k->w, KEY("tokens"), pieces, (size_t)k->n);
    gguf_write_array(k->w, KEY("token_type"), GGUF_I32, kinds, (size_t)k->n);
    free(pieces);
    free(kinds);
    arena_release(&names);
}

// SentencePiece's scores; where a tokenizer.json has merges instead, the rank of the merge that
// makes a piece orders it in the same way.
static void write_scores(struct keys *k)
{
    const struct vocab *v = &k->t->vocab;
    const struct bpe_merges *m = &k->t->model.merges;
    float *scores = memory_array(float, (size_t)k->n);
    for (int32_t id = 0; id < k->n; id++)
        scores[id] = v->scores ? id < v->n ? v->scores[id] : 0 : -1e6f;
    for (size_t i = 0; !v->scores && i < m->n_slots; i++) {
        const struct bpe_merge *merge = &m->slots[i];
        if (merge->pair != UINT64_MAX && merge->result < k->n &&
            -(float)merge->rank > scores[merge->result])
            scores[merge->result] = -(float)merge->rank;
    }
    gguf_write_array(k->w, KEY("scores"), GGUF_F32, scores, (size_t)k->n);
    free(scores);
}

static int by_rank(const void *a, const void *b)
{
    const struct bpe_merge *x = a, *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

static void write_merges(struct keys *k)
{
    const struct bpe_merges *m = &k->t->model.merges;
    const struct slice *pieces = k->t->vocab.pieces;
    struct bpe_merge *sorted = memory_array(struct bpe_merge, m->n + 1);
    struct slice *texts = memory_array(struct slice, m->n + 1);
    struct arena arena = {0};
    size_t n = 0;
    for (size_t i = 0; i < m->n_slots && n < m->n; i++)
        if (m->slots[i].pair != UINT64_MAX)
            sorted[n++] = m->slots[i];
    qsort(sorted, n, sizeof *sorted, by_rank);
    for (size_t i = 0; i < n; i++) {
        struct slice a = pieces[sorted[i].pair >> 32], b = pieces[sorted[i].pair & UINT32_MAX];
        texts[i] =
            slice_str(arena_printf(&arena, "%.*s %.*s", (int)a.len, a.ptr, (int)b.len, b.ptr));
    }
    gguf_write_texts(k->w, KEY("merges"), texts, n);
    free(sorted);
    free(texts);
    arena_release(&arena);
}

// The expressions that a tokenizer.json splits by, in order; false if something else splits too.
static bool collect_steps(const json_t *pre, const char **steps, int *n)
{
    const char *type = json_get_text(pre, "type");
    const json_t *list = json_object_get(pre, "pretokenizers");
    const char *regex = json_get_text(json_object_get(pre, "pattern"), "Regex");
    bool use_regex = true, single = false, prefix_space = false;
    if (!type || *n >= STEPS_MAX)
        return !type;
    if (strcmp(type, "Sequence") == 0) {
        for (size_t i = 0; i < json_array_size(list); i++)
            if (!collect_steps(json_array_get(list, i), steps, n))
                return false;
        return true;
    }
    if (strcmp(type, "Split") == 0 && regex) {
        steps[(*n)++] = regex;
        return true;
    }
    (void)json_get_bool(pre, "individual_digits", &single);
    if (strcmp(type, "Digits") == 0 && single) {
        steps[(*n)++] = "\\p{N}";
        return true;
    }
    (void)json_get_bool(pre, "use_regex", &use_regex);
    (void)json_get_bool(pre, "add_prefix_space", &prefix_space);
    if (strcmp(type, "ByteLevel") != 0 || prefix_space)
        return false;
    if (use_regex)
        steps[(*n)++] = gguf_pre_gpt2;
    return true;
}

static bool write_pre(struct keys *k)
{
    const char *steps[STEPS_MAX] = {gguf_pre_gpt2};
    int n = 1;
    char path[4096];
    bool nfc = k->t->normalizers.n > 0 && k->t->normalizers.items[0].kind == NORMALIZE_NFC;
    json_t *json = NULL;
    bool ok = true;
    if (model_file_member(k->folder, "tokenizer.json", path, sizeof path)) {
        json = json_read_file(path, TOKENIZER_JSON_MAX, k->err);
        n = 0;
        ok = json && collect_steps(json_object_get(json, "pre_tokenizer"), steps, &n);
    }
    struct slice name = {0};
    if (ok)
        name = gguf_pre_name(steps, n, k->t->model.ignore_merges, nfc);
    if (name.len)
        gguf_write_text(k->w, KEY("pre"), name);
    json_decref(json);
    return name.len ? true
                    : error_set(k->err, ERR_UNSUPPORTED,
                                "tokenizer.json: no GGUF name for this pre_tokenizer");
}

static void write_id(struct keys *k, const char *key, int32_t id)
{
    if (id >= 0 && id < k->n)
        gguf_write_u32(k->w, key, (uint32_t)id);
}

// A tokenizer.json alone does not say which token begins a text, but what is put there.
static int32_t known_or_added(int32_t id, const struct tokens *added)
{
    return id < 0 && added->n == 1 ? added->ids[0] : id;
}

static bool is_added(const struct tokens *added, int32_t id)
{
    if (added->n > 1 || (added->n == 1 && added->ids[0] != id))
        log_warn("the tokenizer puts tokens around a text that GGUF keys cannot say");
    return added->n > 0 && added->ids[0] == id;
}

static void write_ids(struct keys *k)
{
    const struct tokenizer *t = k->t;
    int32_t bos = known_or_added(t->bos, &t->before), eos = known_or_added(t->eos, &t->after);
    write_id(k, KEY("bos_token_id"), bos);
    write_id(k, KEY("eos_token_id"), eos);
    write_id(k, KEY("unknown_token_id"), t->unk);
    write_id(k, KEY("padding_token_id"), t->pad);
    gguf_write_bool(k->w, KEY("add_bos_token"), is_added(&t->before, bos));
    gguf_write_bool(k->w, KEY("add_eos_token"), is_added(&t->after, eos));
}

// Does a text get a space in front? Asked of the tokenizer itself.
static bool adds_space(const struct tokenizer *t)
{
    struct tokens ids = {0};
    bool space = tokenizer_encode(t, slice_str("a"), TOKENIZE_PLAIN, &ids, NULL) && ids.n > 0 &&
                 slice_starts(tokenizer_piece(t, ids.ids[0]), slice_str("\xE2\x96\x81"));
    tokens_release(&ids);
    return space;
}

static bool write_all(struct keys *k)
{
    const struct tokenizer *t = k->t;
    bool byte_level = is_byte_level(t);
    if (t->model.kind != MODEL_BPE || (!byte_level && !t->model.byte_fallback))
        return error_set(k->err, ERR_UNSUPPORTED,
                         "the tokenizer is no byte-level BPE and no BPE with byte fallback, which "
                         "is what can be written");
    if (tokenizer_n_tokens(t) > k->n)
        return error_set(k->err, ERR_FORMAT, "the tokenizer has %d tokens, the embedding %d rows",
                         (int)tokenizer_n_tokens(t), (int)k->n);
    gguf_write_text(k->w, KEY("model"), slice_str(byte_level ? "gpt2" : "llama"));
    write_tokens(k);
    write_ids(k);
    if (!byte_level) {
        gguf_write_text(k->w, KEY("pre"), slice_str("default"));
        gguf_write_bool(k->w, KEY("add_space_prefix"), adds_space(t));
        const struct normalizer *first = &t->normalizers.items[0];
        if (t->normalizers.n > 0 && first->kind == NORMALIZE_SENTENCEPIECE && first->remove_extra)
            gguf_write_bool(k->w, KEY("remove_extra_whitespaces"), true);
        write_scores(k);
        return true;
    }
    write_merges(k);
    return write_pre(k);
}

bool tokenizer_export_keys(const struct model_file *folder, int n_vocab, struct gguf_writer *w,
                           struct error *err)
{
    struct error why = {0};
    struct tokenizer *t = tokenizer_open(folder, &why);
    if (!t && why.code == ERR_NOT_FOUND) {
        log_warn("%s: the file gets no tokenizer", why.text);
        return true;
    }
    if (!t) {
        if (err)
            *err = why;
        return false;
    }
    struct keys k = {.t = t, .folder = folder, .w = w, .n = n_vocab, .err = err};
    bool ok = write_all(&k);
    tokenizer_close(t);
    return ok ? true : error_wrap(err, "%s", model_file_path(folder));
}
