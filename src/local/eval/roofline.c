#include "local/eval/roofline.h"

#include <math.h>

#include "local/models/facts.h"
#include "local/models/model.h"

// Numbers in the matrices: the head's, the layers' without experts, one expert's of each layer.
struct matrices {
    double head, layers, expert;
    int n_mixed;  // layers with experts
};

static struct matrices count(const struct model_facts *f)
{
    double embd = f->n_embd, heads = f->n_heads + f->n_kv_heads, parts = f->gated ? 3 : 2;
    struct matrices n = {.head = (double)f->n_vocab * embd,
                         .expert = parts * embd * f->n_expert_ff};
    n.layers = f->n_layers * 2 * embd * heads * f->head_dim;
    for (int i = 0; i < f->n_layers; i++)
        if (f->n_experts && !f->dense[i])
            n.n_mixed++;
        else
            n.layers += parts * embd * f->n_ff;
    return n;
}

static double kv_bytes(const struct model *m, const struct step_shape *s)
{
    double bytes = 0;
    for (int g = 0; g < model_n_groups(m); g++) {
        const struct kv_group *group = model_group(m, g);
        struct kv_shape shape = {.n_layers = group->n_layers,
                                 .n_kv_heads = group->n_kv_heads,
                                 .head_dim = group->head_dim,
                                 .n_pages = 1,
                                 .dtype = s->kv_type};
        int kept = group->window && group->window < s->seen ? group->window : s->seen;
        bytes += (double)kv_page_bytes(&shape) / PAGE_TOKENS * kept;
    }
    return bytes;
}

double step_bytes(const struct model *m, const struct step_shape *s)
{
    const struct model_facts *f = model_facts(m);
    struct matrices n = count(f);
    double all = n.head + n.layers + n.n_mixed * n.expert * f->n_experts;
    double read = n.layers + (s->wanted ? n.head : 0);
    if (n.n_mixed)
        read += n.n_mixed * n.expert * f->n_experts *
                (1 - pow(1 - (double)f->n_experts_used / f->n_experts, s->rows));
    return (double)model_weight_bytes(m) * read / all + s->sequences * kv_bytes(m, s);
}

// Numbers that a row meets in the last layer only if something is wanted of it: all but its keys'
// and values; its query is made beside others' queries (decoder.c).
static double last_for_wanted(const struct model_facts *f, const struct matrices *n, int wanted)
{
    int last = f->n_layers - 1;
    bool mixed = f->n_experts && !f->dense[last];
    double square = (double)f->n_embd * f->n_heads * f->head_dim;
    return (wanted ? 1 : 2) * square +
           (mixed ? n->expert * f->n_experts_used : (f->gated ? 3.0 : 2.0) * f->n_embd * f->n_ff);
}

double step_operations(const struct model *m, const struct step_shape *s)
{
    const struct model_facts *f = model_facts(m);
    struct matrices n = count(f);
    return 2 * (s->rows * (n.layers + n.n_mixed * n.expert * f->n_experts_used) +
                s->wanted * n.head - (s->rows - s->wanted) * last_for_wanted(f, &n, s->wanted));
}
