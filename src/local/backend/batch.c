#include "local/backend/batch.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"

static size_t n_ints(int max_rows, int max_seqs, int n_groups, int pages_max)
{
    return (size_t)max_rows * 4 + (size_t)max_seqs +
           (size_t)n_groups * (size_t)max_seqs * (size_t)pages_max;
}

size_t batch_bytes(int max_rows, int max_seqs, int n_groups, int pages_max)
{
    return sizeof(struct batch) + n_ints(max_rows, max_seqs, n_groups, pages_max) * sizeof(int32_t);
}

struct batch *batch_new(int max_rows, int max_seqs, int n_groups, int pages_max)
{
    assert(max_rows > 0 && max_seqs > 0 && pages_max > 0);
    assert(n_groups > 0 && n_groups <= BATCH_GROUPS_MAX);
    struct batch *b = memory_new(1, batch_bytes(max_rows, max_seqs, n_groups, pages_max));
    b->max_rows = max_rows;
    b->max_seqs = max_seqs;
    b->n_groups = n_groups;
    b->pages_max = pages_max;
    return b;
}

void batch_free(struct batch *b)
{
    free(b);
}

void batch_clear(struct batch *b)
{
    b->n_rows = b->n_seqs = 0;
}

int batch_add_seq(struct batch *b, int final_len)
{
    assert(b->n_seqs < b->max_seqs);
    int s = b->n_seqs++;
    batch_final_len(b)[s] = final_len;
    for (int g = 0; g < b->n_groups; g++)
        for (int i = 0; i < b->pages_max; i++)
            batch_pages(b, g, s)[i] = -1;
    return s;
}

int batch_add_row(struct batch *b, int seq, int32_t token, int32_t pos, enum row_want want)
{
    assert(b->n_rows < b->max_rows && seq >= 0 && seq < b->n_seqs);
    int r = b->n_rows++;
    batch_token(b)[r] = token;
    batch_pos(b)[r] = pos;
    batch_seq(b)[r] = seq;
    batch_want(b)[r] = (int32_t)want;
    return r;
}
