// local_embed.c - embeddings: how a model makes them, and asking its engine for them.
#include <math.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "local/models/model.h"
#include "providers/local_impl.h"

void local_embed_choose(struct local_model *m, enum pooling wanted)
{
    m->pooling = wanted;
    if (wanted == POOLING_NONE && !pooling_of(m->file, &m->pooling, &m->no_embeddings))
        (void)error_wrap(&m->no_embeddings, "%s gives no embeddings (--pooling overrides)",
                         m->name);
    if (m->pooling == POOLING_NONE)
        m->pooling = POOLING_MEAN;
}

// A raw text is read as a prompt is: with the special tokens that the model wants around it.
bool local_embed_tokens(const struct local_model *m, const struct chat_request *req,
                        struct tokens *out, size_t *lengths, struct error *err)
{
    for (size_t i = 0; i < req->n_inputs; i++) {
        const struct chat_embed_input *in = &req->inputs[i];
        size_t before = out->n;
        bool ok = in->tokens
                      ? local_given_tokens(m, in->tokens, in->n_tokens, out, err)
                      : tokenizer_encode(m->tokenizer, in->text,
                                         TOKENIZE_ADD_SPECIAL | TOKENIZE_PARSE_SPECIAL, out, err);
        if (!ok)
            return error_wrap(err, "input %zu", i);
        if (lengths)
            lengths[i] = out->n - before;
    }
    return true;
}

struct engine_answer *local_embed_submit(const struct local_model *m,
                                         const struct chat_request *req, struct flow flow,
                                         struct answer *reader, struct error *err)
{
    struct tokens tokens = {0};
    struct engine_answer *a = NULL;
    if (m->no_embeddings.code) {
        *err = m->no_embeddings;
        return NULL;
    }
    if (req->dimensions > model_n_embd(m->model)) {
        (void)error_set(err, ERR_USAGE, "dimensions: %d are more than the %d of this model",
                        req->dimensions, model_n_embd(m->model));
        return NULL;
    }
    size_t *lengths = memory_array(size_t, req->n_inputs + 1);
    if (local_embed_tokens(m, req, &tokens, lengths, err)) {
        struct engine_request r = {.prompt = tokens.ids,
                                   .n_prompt = tokens.n,
                                   .pooling = m->pooling,
                                   .input_tokens = lengths,
                                   .n_inputs = req->n_inputs,
                                   .flow = flow,
                                   .ready = local_answer_ready,
                                   .ready_self = reader};
        a = engine_submit(m->engine, &r, err);
    }
    tokens_release(&tokens);
    free(lengths);
    return a;
}

void local_embed_push(const struct engine_event *e, int dimensions, struct chat_sink sink)
{
    size_t n = (size_t)(dimensions ? dimensions : e->n_embedding);
    struct chat_event event = {
        .kind = CHAT_EMBEDDING, .choice = e->choice, .embedding = e->embedding, .n_embedding = n};
    double squares = 0;
    if (n == (size_t)e->n_embedding) {
        sink.push(sink.self, &event);
        return;
    }
    float *cut = memory_array(float, n);
    for (size_t i = 0; i < n; i++)
        squares += (double)e->embedding[i] * (double)e->embedding[i];
    for (size_t i = 0; i < n; i++)
        cut[i] = squares > 0 ? (float)((double)e->embedding[i] / sqrt(squares)) : 0;
    event.embedding = cut;
    sink.push(sink.self, &event);
    free(cut);
}
