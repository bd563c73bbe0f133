#include "dialects/embeddings.h"

#include <math.h>

#include "base/buf.h"

struct chat_embed_input *embed_inputs_new(struct dialect_call *c, size_t n, const char *member,
                                          struct dialect_error *err)
{
    if (n < 1 || n > EMBED_INPUTS_MAX) {
        (void)dialect_refuse(err, PROBLEM_REQUEST, member, "'%s' has %zu entries, not from 1 to %d",
                             member, n, EMBED_INPUTS_MAX);
        return NULL;
    }
    struct chat_embed_input *inputs = arena_new(c->arena, struct chat_embed_input, n);
    c->request.input = INPUT_EMBED;
    c->request.inputs = inputs;
    c->request.n_inputs = n;
    c->request.max_tokens = 0;
    c->request.sampling.n_choices = (int)n;
    return inputs;
}

// Nine digits tell every float apart.
void embed_write_floats(const float *values, size_t n, struct buf *out)
{
    buf_char(out, '[');
    for (size_t i = 0; i < n; i++)
        buf_printf(out, i ? ",%.9g" : "%.9g", isfinite(values[i]) ? (double)values[i] : 0.0);
    buf_char(out, ']');
}
