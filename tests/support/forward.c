#include "forward.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

void forward_open(struct forward *f, struct model *m, enum dtype kv, int n_seqs, int n_tokens)
{
    struct backend *b = model_backend(m);
    struct error err;
    *f = (struct forward){.model = m, .n_seqs = n_seqs, .n_tokens = n_tokens, .want_every = 1};
    f->pages_per_seq = (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS;
    for (int g = 0; g < model_n_groups(m); g++) {
        const struct kv_group *group = model_group(m, g);
        struct kv_shape shape = {.n_layers = group->n_layers,
                                 .n_kv_heads = group->n_kv_heads,
                                 .head_dim = group->head_dim,
                                 .n_pages = f->pages_per_seq * n_seqs,
                                 .dtype = kv};
        f->kv[g] = b->ops->kv_new(b, &shape, &err);
        assert(f->kv[g]);
    }
    f->batch = batch_new(n_seqs * n_tokens, n_seqs, model_n_groups(m), f->pages_per_seq);
}

void forward_close(struct forward *f)
{
    struct backend *b = model_backend(f->model);
    for (int g = 0; g < model_n_groups(f->model); g++)
        b->ops->kv_free(b, f->kv[g]);
    batch_free(f->batch);
}

bool forward_wants(const struct forward *f, int i)
{
    return i >= f->want_after && i % f->want_every == 0;
}

static void add_chunk(struct forward *f, int s, const int32_t *tokens, int from, int n,
                      int final_len)
{
    int seq = batch_add_seq(f->batch, final_len);
    for (int g = 0; g < model_n_groups(f->model); g++)
        for (int i = 0; i < f->pages_per_seq; i++)
            batch_pages(f->batch, g, seq)[i] = s * f->pages_per_seq + i;
    for (int i = from; i < from + n; i++)
        (void)batch_add_row(f->batch, seq, tokens[i], i,
                            forward_wants(f, i) ? WANT_LOGITS : WANT_NOTHING);
}

void forward_texts(struct forward *f, int n_seqs, const int32_t *const *tokens, int n,
                   int final_len, int chunk, float *out)
{
    size_t width = (size_t)model_n_vocab(f->model);
    float *rows = memory_array(float, (size_t)n_seqs *(size_t)chunk *width);
    assert(n <= f->n_tokens && n_seqs <= f->n_seqs);
    for (int from = 0; from < n; from += chunk) {
        int step = n - from < chunk ? n - from : chunk;
        batch_clear(f->batch);
        for (int s = 0; s < n_seqs; s++)
            add_chunk(f, s, tokens[s], from, step, final_len);
        model_forward(f->model, f->kv, f->batch, rows);
        const float *row = rows;
        for (int s = 0; s < n_seqs; s++)
            for (int i = from; i < from + step; i++)
                if (forward_wants(f, i)) {
                    memcpy(out + ((size_t)s * (size_t)n + (size_t)i) * width, row,
                           width * sizeof *out);
                    row += width;
                }
    }
    free(rows);
}

void forward_text(struct forward *f, const int32_t *tokens, int n, int final_len, int chunk,
                  float *out)
{
    forward_texts(f, 1, &tokens, n, final_len, chunk, out);
}

int argmax(const float *row, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (row[i] > row[best])
            best = i;
    return best;
}

void forward_greedy(struct forward *f, int32_t *tokens, int n_prompt, int n, int chunk)
{
    int width = model_n_vocab(f->model), at = 0;
    float *rows =
        memory_array(float, (size_t)(n_prompt > chunk ? chunk : n_prompt) * (size_t)width);
    for (int have = n_prompt; have < n;) {
        int left = have - at, step = left < chunk ? left : chunk;
        batch_clear(f->batch);
        add_chunk(f, 0, tokens, at, step, n);
        model_forward(f->model, f->kv, f->batch, rows);
        at += step;
        if (at == have)
            tokens[have++] = argmax(rows + (size_t)(step - 1) * (size_t)width, width);
    }
    free(rows);
}
