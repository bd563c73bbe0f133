#include "local/engine/kv_plan.h"

#include "base/error.h"
#include "local/engine/scheduler.h"

// Without a wish, room for max_seqs conversations of this length, if half of memory has it.
enum { USUAL_TOKENS = 2048, LEAST_CTX = 256 };
static const double MiB = 1 << 20;

static struct kv_shape shape_of(const struct kv_facts *f, int g, int n_pages)
{
    const struct kv_group *group = &f->groups[g];
    return (struct kv_shape){.n_layers = group->n_layers,
                             .n_kv_heads = group->n_kv_heads,
                             .head_dim = group->head_dim,
                             .n_pages = n_pages,
                             .dtype = f->dtype};
}

uint64_t kv_plan_bytes(const struct kv_facts *f, const int *n_pages)
{
    uint64_t bytes = 0;
    for (int g = 0; g < f->n_groups; g++) {
        struct kv_shape shape = shape_of(f, g, n_pages[g]);
        bytes += (uint64_t)n_pages[g] * (kv_page_bytes(&shape) + f->page_bytes_more[g]);
    }
    return bytes;
}

// Pages for one sequence of ctx tokens, or n_seqs of length, whichever is more; and their bytes.
static uint64_t count(const struct kv_facts *f, int ctx, int n_seqs, int length, int *n_pages)
{
    for (int g = 0; g < f->n_groups; g++) {
        int window = f->groups[g].window;
        int one = scheduler_pages_needed(ctx, window, f->max_rows);
        int all = n_seqs * scheduler_pages_needed(length, window, f->max_rows);
        n_pages[g] = one > all ? one : all;
    }
    return kv_plan_bytes(f, n_pages);
}

static bool find_ctx(const struct kv_facts *f, uint64_t budget, struct kv_plan *p,
                     struct error *err)
{
    p->ctx = f->ctx;
    p->least_bytes = count(f, p->ctx, 1, 1, p->least_pages);
    if (p->least_bytes <= budget)
        return true;
    double need = (double)p->least_bytes / MiB;
    int least = f->ctx < LEAST_CTX || f->ctx_asked ? f->ctx : LEAST_CTX;
    while (p->ctx > least && p->least_bytes > budget) {
        int ctx = (p->ctx - 1) / PAGE_TOKENS * PAGE_TOKENS;
        p->ctx = ctx > least ? ctx : least;
        p->least_bytes = count(f, p->ctx, 1, 1, p->least_pages);
    }
    if (p->least_bytes <= budget)
        return true;
    return error_set(err, ERR_MEMORY,
                     "keys and values of %d tokens need %.1f MiB, %.1f MiB are %s: ask for a "
                     "shorter context or smaller numbers",
                     f->ctx, need, (double)budget / MiB, f->kv_bytes ? "allowed" : "free");
}

bool kv_plan_make(const struct kv_facts *f, struct kv_plan *p, struct error *err)
{
    // A tenth of free memory, and all beyond one sequence half of it, stay for others.
    uint64_t budget = f->kv_bytes ? f->kv_bytes : f->available - f->available / 10;
    if (!find_ctx(f, budget, p, err))
        return false;
    uint64_t wish = f->kv_bytes ? f->kv_bytes : f->available / 2;
    int length = p->ctx < USUAL_TOKENS ? p->ctx : USUAL_TOKENS, n_seqs = f->max_seqs;
    p->bytes = count(f, p->ctx, n_seqs, length, p->n_pages);
    while (n_seqs > 1 && p->bytes > wish)
        p->bytes = count(f, p->ctx, --n_seqs, length, p->n_pages);
    // Memory that was asked for is used, as far as max_seqs full contexts could use it.
    for (int longer = length * 2; f->kv_bytes && longer <= p->ctx; longer *= 2) {
        int n_pages[BATCH_GROUPS_MAX];
        uint64_t bytes = count(f, p->ctx, n_seqs, longer, n_pages);
        if (bytes > wish)
            break;
        p->bytes = bytes;
        for (int g = 0; g < f->n_groups; g++)
            p->n_pages[g] = n_pages[g];
    }
    if (n_seqs == 1 && p->bytes > budget) {
        p->bytes = p->least_bytes;
        for (int g = 0; g < f->n_groups; g++)
            p->n_pages[g] = p->least_pages[g];
    }
    return true;
}
