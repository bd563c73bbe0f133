#include "local/tokenizer/tokenizer.h"

#include <assert.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/formats/gguf.h"
#include "local/formats/model_file.h"
#include "local/tokenizer/ends.h"
#include "local/tokenizer/internal.h"
#include "local/tokenizer/unicode.h"

enum {
    TOKENIZER_FILE_MAX = 256 << 20,  // the largest known has 34 MB
    TEXT_MAX = 1 << 30,
};

void tokens_add(struct tokens *t, int32_t id)
{
    if (t->n == t->capacity)
        memory_grow(t->ids, t->capacity, t->n + 1);
    t->ids[t->n++] = id;
}

void tokens_release(struct tokens *t)
{
    free(t->ids);
    *t = (struct tokens){0};
}

void tokenizer_init(struct tokenizer *t)
{
    t->bos = t->eos = t->unk = t->pad = t->model.unk = -1;
    t->model.max_word_chars = 100;
    for (int i = 0; i < 256; i++)
        t->model.byte_ids[i] = -1;
    t->classes = char_classes_new();
}

void tokenizer_release(struct tokenizer *t)
{
    vocab_release(&t->vocab);
    added_release(&t->added);
    normalizers_release(&t->normalizers);
    for (int i = 0; i < t->n_pre; i++)
        pretokenizer_release(&t->pre[i]);
    model_release(&t->model);
    decoders_release(&t->decoders);
    tokens_release(&t->before);
    tokens_release(&t->after);
    tokens_release(&t->ends);
    free(t->classes);
    *t = (struct tokenizer){0};
}

void tokenizer_close(struct tokenizer *t)
{
    if (!t)
        return;
    tokenizer_release(t);
    free(t);
}

static bool read_json_member(struct tokenizer *t, const char *path, struct error *err)
{
    json_t *json = json_read_file(path, TOKENIZER_FILE_MAX, err);
    bool ok = json && read_tokenizer_json(t, json, err);
    if (json && !ok)
        error_wrap(err, "'%s'", path);
    json_decref(json);
    return ok;
}

static bool read_spm_member(struct tokenizer *t, const struct model_file *file, const char *path,
                            struct error *err)
{
    struct mapping map;
    if (!mapping_open(&map, path, err))
        return false;
    bool ok = read_tokenizer_spm(t, slice_of((const char *)map.ptr, map.len),
                                 model_file_tokenizer_config(file), err);
    if (!ok)
        error_wrap(err, "'%s'", path);
    mapping_close(&map);
    return ok;
}

static bool read_vocab_members(struct tokenizer *t, const struct model_file *file, const char *path,
                               const char *merges_path, struct error *err)
{
    struct buf merges = {0};
    json_t *vocab = json_read_file(path, TOKENIZER_FILE_MAX, err);
    bool ok = vocab && file_read(merges_path, TOKENIZER_FILE_MAX, &merges, err);
    if (ok &&
        !read_tokenizer_vocab(t, vocab, buf_view(&merges), model_file_tokenizer_config(file), err))
        ok = error_wrap(err, "'%s'", path);
    json_decref(vocab);
    buf_release(&merges);
    return ok;
}

static bool read_folder(struct tokenizer *t, const struct model_file *file, struct error *err)
{
    char path[4096], merges[4096];
    if (model_file_member(file, "tokenizer.json", path, sizeof path))
        return read_json_member(t, path, err);
    if (model_file_member(file, "tokenizer.model", path, sizeof path) ||
        model_file_member(file, "spiece.model", path, sizeof path))
        return read_spm_member(t, file, path, err);
    if (model_file_member(file, "vocab.json", path, sizeof path) &&
        model_file_member(file, "merges.txt", merges, sizeof merges))
        return read_vocab_members(t, file, path, merges, err);
    return error_set(err, ERR_NOT_FOUND,
                     "'%s' has no tokenizer.json, no tokenizer.model, and not both vocab.json and "
                     "merges.txt",
                     model_file_path(file));
}

static struct tokenizer *finished(struct tokenizer *t, bool ok, struct error *err)
{
    if (ok && tokenizer_finish(t, err))
        return t;
    tokenizer_close(t);
    return NULL;
}

static struct tokenizer *fresh(void)
{
    struct tokenizer *t = memory_array(struct tokenizer, 1);
    tokenizer_init(t);
    return t;
}

struct tokenizer *tokenizer_open_json(struct slice text, struct error *err)
{
    struct tokenizer *t = fresh();
    json_t *json = json_parse(text, err);
    bool ok = json && read_tokenizer_json(t, json, err);
    json_decref(json);
    return finished(t, ok, err);
}

struct tokenizer *tokenizer_open_spm(struct slice model, struct error *err)
{
    struct tokenizer *t = fresh();
    return finished(t, read_tokenizer_spm(t, model, NULL, err), err);
}

struct tokenizer *tokenizer_open_gguf(const struct gguf *g, struct error *err)
{
    struct tokenizer *t = fresh();
    return finished(t, read_tokenizer_gguf(t, g, err), err);
}

struct tokenizer *tokenizer_open(const struct model_file *file, struct error *err)
{
    struct tokenizer *t = fresh();
    const struct gguf *g = model_file_gguf(file);
    bool ok = g ? read_tokenizer_gguf(t, g, err) : read_folder(t, file, err);
    if (ok && !g)
        ok = read_folder_extras(t, file, err);
    bool named = !ok && !g;  // the readers of folders name their file
    if (ok)
        ok = tokenizer_finish(t, err);
    if (!ok) {
        if (!named)
            error_wrap(err, "'%s'", model_file_path(file));
        tokenizer_close(t);
        return NULL;
    }
    find_ends(t, file);
    return t;
}

// The normalized form of added tokens that want it.
static bool normalize_added(struct tokenizer *t, struct error *err)
{
    struct matcher m = {.classes = t->classes};
    struct normal_text a = {0}, b = {0}, *result;
    bool ok = true;
    for (size_t i = 0; ok && t->normalizers.n && i < t->added.n; i++) {
        struct added_token *token = &t->added.items[i];
        if (!token->normalized)
            continue;
        normal_text_clear(&a);
        a.first = true;
        a.text.max_bytes = PIECE_MAX_BYTES;
        buf_slice(&a.text, token->text);
        ok = normalizers_run(&t->normalizers, &m, &a, &b, &result, err);
        if (ok)
            token->sought =
                slice_of(arena_text(&t->added.text, buf_view(&result->text)), result->text.len);
    }
    normal_text_release(&a);
    normal_text_release(&b);
    matcher_release(&m);
    return ok;
}

bool tokenizer_finish(struct tokenizer *t, struct error *err)
{
    added_sort(&t->added);
    for (size_t i = 0; i < t->added.n; i++)
        if (t->added.items[i].id >= t->vocab.n)
            vocab_reserve(&t->vocab, t->added.items[i].id + 1);
    if (t->vocab.n == 0)
        return error_set(err, ERR_FORMAT, "the vocabulary is empty");
    for (size_t i = 0; i < t->before.n + t->after.n; i++) {
        int32_t id = i < t->before.n ? t->before.ids[i] : t->after.ids[i - t->before.n];
        if (id >= t->vocab.n)
            return error_set(err, ERR_FORMAT, "post_processor: id %d is not in 0 .. %d", (int)id,
                             (int)t->vocab.n - 1);
    }
    if (!normalize_added(t, err))
        return false;
    added_index(&t->added);
    return true;
}

// What encode makes of a run of text between added tokens.
struct run {
    struct encoder *e;
    unsigned flags;
    const uint8_t *tainted;  // of the whole text; NULL if all is trusted
    struct slice text;       // the whole
    struct normal_text a, b;
};

static bool encode_normal(struct run *r, const struct normal_text *normal)
{
    const struct tokenizer *t = r->e->t;
    struct slice text = buf_view(&normal->text);
    struct added_filter filter = {r->flags & TOKENIZE_PARSE_SPECIAL,
                                  normal->marked && text.len ? normal->tainted : NULL, t->classes};
    struct added_match m;
    size_t done = 0, from = 0;
    bool first = normal->first && !normal->lead_gone;
    while (added_next(&t->added, &t->added.normalized, text, &filter, &from, done, &m)) {
        if (m.start > done &&
            !pretokenize(r->e, 0, slice_sub(text, done, m.start - done), first && done == 0))
            return false;
        tokens_add(r->e->out, m.token->id);
        r->e->after_unk = false;
        done = m.end;
    }
    return done >= text.len ||
           pretokenize(r->e, 0, slice_sub(text, done, text.len), first && done == 0);
}

static bool encode_run(struct run *r, size_t start, size_t end)
{
    const struct tokenizer *t = r->e->t;
    if (start == end)
        return true;
    r->e->after_unk = false;
    if (t->normalizers.n == 0 && t->added.normalized.n_nodes == 0)
        return pretokenize(r->e, 0, slice_sub(r->text, start, end - start), start == 0);
    struct normal_text *result;
    normal_text_clear(&r->a);
    r->a.first = start == 0;
    r->a.marked = r->tainted != NULL;
    buf_add(&r->a.text, r->text.ptr + start, end - start);
    if (r->a.marked) {
        memory_grow(r->a.tainted, r->a.taint_capacity, end - start);
        memcpy(r->a.tainted, r->tainted + start, end - start);
    }
    return normalizers_run(&t->normalizers, &r->e->matcher, &r->a, &r->b, &result, r->e->err) &&
           encode_normal(r, result);
}

static bool encode_valid(struct encoder *e, struct slice text, unsigned flags,
                         const uint8_t *tainted)
{
    const struct tokenizer *t = e->t;
    struct run r = {.e = e, .flags = flags, .tainted = tainted, .text = text};
    struct added_filter filter = {flags & TOKENIZE_PARSE_SPECIAL, tainted, t->classes};
    struct added_match m;
    size_t done = 0, from = 0;
    bool ok = true;
    r.a.text.max_bytes = ((size_t)64 << 10) + text.len * 64;  // what normalizing may make of it
    while (ok && added_next(&t->added, &t->added.raw, text, &filter, &from, done, &m)) {
        ok = m.start <= done || encode_run(&r, done, m.start);
        if (ok)
            tokens_add(e->out, m.token->id);
        done = m.end;
    }
    if (ok && done < text.len)
        ok = encode_run(&r, done, text.len);
    normal_text_release(&r.a);
    normal_text_release(&r.b);
    return ok;
}

static void encoder_release(struct encoder *e)
{
    matcher_release(&e->matcher);
    bpe_work_release(&e->bpe);
    for (int i = 0; i < PRETOKENIZERS_MAX; i++)
        buf_release(&e->stage[i]);
    buf_release(&e->symbol);
    word_cache_free(e->cache);
    free(e->path);
    tokens_release(&e->path_ids);
}

// Copies text with U+FFFD for what is broken, and marks the bytes that came from untrusted spans.
static void copy_marked(struct slice text, const struct text_span *untrusted, size_t n,
                        struct buf *out, uint8_t **tainted)
{
    size_t span = 0, capacity = 0;
    for (size_t i = 0, step; i < text.len; i += step) {
        uint32_t c;
        size_t at = out->len;
        step = utf8_decode(text.ptr + i, text.len - i, &c);
        if (step) {
            buf_add(out, text.ptr + i, step);
        } else {
            step = utf8_broken(text.ptr + i, text.len - i);
            buf_utf8(out, 0xFFFD);
        }
        while (span < n && untrusted[span].end <= i)
            span++;
        bool mark = span < n && untrusted[span].start < i + step &&
                    untrusted[span].start < untrusted[span].end;
        if (n) {
            memory_grow(*tainted, capacity, out->len);
            memset(*tainted + at, mark, out->len - at);
        }
    }
}

bool tokenizer_encode_marked(const struct tokenizer *t, struct slice text, unsigned flags,
                             const struct text_span *untrusted, size_t n_untrusted,
                             struct tokens *out, struct error *err)
{
    struct encoder e = {.t = t, .out = out, .err = err, .matcher = {.classes = t->classes}};
    struct buf copy = {0};
    uint8_t *tainted = NULL;
    if (text.len > TEXT_MAX)
        return error_set(err, ERR_LIMIT, "a text of %zu bytes, at most %d", text.len, TEXT_MAX);
    if (n_untrusted || !utf8_valid(text.ptr, text.len)) {
        copy_marked(text, untrusted, n_untrusted, &copy, &tainted);
        text = buf_view(&copy);
    }
    size_t n_before = out->n;
    if (flags & TOKENIZE_ADD_SPECIAL)
        for (size_t i = 0; i < t->before.n; i++)
            tokens_add(out, t->before.ids[i]);
    bool ok = encode_valid(&e, text, flags, tainted);
    if (flags & TOKENIZE_ADD_SPECIAL)
        for (size_t i = 0; i < t->after.n; i++)
            tokens_add(out, t->after.ids[i]);
    if (!ok)
        out->n = n_before;
    encoder_release(&e);
    buf_release(&copy);
    free(tainted);
    return ok;
}

bool tokenizer_encode(const struct tokenizer *t, struct slice text, unsigned flags,
                      struct tokens *out, struct error *err)
{
    return tokenizer_encode_marked(t, text, flags, NULL, 0, out, err);
}

int32_t tokenizer_n_tokens(const struct tokenizer *t)
{
    return t->vocab.n;
}

struct slice tokenizer_piece(const struct tokenizer *t, int32_t id)
{
    if (id < 0 || id >= t->vocab.n)
        return slice_of("", 0);
    const struct added_token *added = added_of(&t->added, id);
    struct slice piece = added ? added->text : t->vocab.pieces[id];
    return piece.ptr ? piece : slice_of("", 0);
}

int32_t tokenizer_find(const struct tokenizer *t, struct slice piece)
{
    const struct added_token *added = added_find(&t->added, piece);
    return added ? added->id : vocab_find(&t->vocab, piece);
}

bool tokenizer_is_control(const struct tokenizer *t, int32_t id)
{
    if (id < 0 || id >= t->vocab.n)
        return false;
    const struct added_token *added = added_of(&t->added, id);
    return added ? added->special
                 : t->vocab.kinds[id] == TOKEN_CONTROL || t->vocab.kinds[id] == TOKEN_UNKNOWN;
}

int32_t tokenizer_bos(const struct tokenizer *t)
{
    return t->bos;
}

int32_t tokenizer_eos(const struct tokenizer *t)
{
    return t->eos;
}

int32_t tokenizer_unk(const struct tokenizer *t)
{
    return t->unk;
}

int32_t tokenizer_pad(const struct tokenizer *t)
{
    return t->pad;
}

const int32_t *tokenizer_ends(const struct tokenizer *t, size_t *n)
{
    *n = t->ends.n;
    return t->ends.ids;
}
