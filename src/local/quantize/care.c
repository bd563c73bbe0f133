#include "local/quantize/care.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "local/quantize/feedback.h"
#include "local/quantize/importance.h"
#include "local/quantize/quantize.h"

// From much belief in the text to little; the first that is worse than the one before ends it.
static const double doubts[] = {0.02, 0.1, 0.5};
enum { N_DOUBTS = sizeof doubts / sizeof *doubts };
static const double doubt_alone = 0.1;  // of importance where there is no feedback

struct care {
    struct thread_pool *pool;
    struct importance known;    // of the matrix under way
    bool any;                   // there was one before
    struct feedback *feedback;  // of the input known.id; NULL: rows are too long
    float *weights;             // [n] its importance, with doubt
};

struct care *care_new(struct thread_pool *pool)
{
    struct care *c = memory_array(struct care, 1);
    c->pool = pool;
    return c;
}

void care_free(struct care *c)
{
    if (!c)
        return;
    feedback_free(c->feedback);
    free(c->weights);
    free(c);
}

// Of the products with the judging inputs, for a row that is wrong by that much.
static double error_of(const struct importance *known, const float *wrong)
{
    enum { LANES = 8 };
    double sum = 0;
    for (size_t t = 0; t < known->n_held_out; t++) {
        const float *x = known->held_out + t * known->n;
        float part[LANES] = {0};
        size_t i = 0;
        for (; i + LANES <= known->n; i += LANES)
            for (size_t k = 0; k < LANES; k++)
                part[k] += x[i + k] * wrong[i + k];
        for (; i < known->n; i++)
            part[0] += x[i] * wrong[i];
        double y = 0;
        for (size_t k = 0; k < LANES; k++)
            y += (double)part[k];
        sum += y * y;
    }
    return sum;
}

static double error_of_rounded(const struct care *c, enum dtype type, const float *row,
                               const void *rounded, float *scratch)
{
    dtype_to_f32(type, rounded, scratch, c->known.n);
    for (size_t i = 0; i < c->known.n; i++)
        scratch[i] -= row[i];
    return error_of(&c->known, scratch);
}

static size_t bytes_of_row(const struct care *c, enum dtype type)
{
    uint64_t bytes = 0;
    (void)dtype_bytes(type, c->known.n, &bytes);
    return (size_t)bytes;
}

// Rows that one degree of doubt is tried on.
struct trial {
    const struct care *c;
    enum dtype type;
    const float *rows;
    const struct feedback *feedback;
    double error[CARE_ROWS];
};

static void try_row(void *self, int item, int worker)
{
    (void)worker;
    struct trial *t = self;
    size_t n = t->c->known.n, bad_row = 0;
    const float *row = t->rows + (size_t)item * n;
    struct error err = {0};
    unsigned char *rounded = memory_new(bytes_of_row(t->c, t->type), 1);
    float *scratch = memory_array(float, n);
    t->error[item] = 0;  // where a row cannot be rounded: that is told when its turn comes
    if (feedback_rows(t->feedback, t->type, row, 1, rounded, &bad_row, &err))
        t->error[item] = error_of_rounded(t->c, t->type, row, rounded, scratch);
    free(scratch);
    free(rounded);
}

static struct feedback *find_feedback(const struct care *c, enum dtype type, const float *rows,
                                      size_t n_rows)
{
    struct trial t = {.c = c, .type = type, .rows = rows};
    struct feedback *found = NULL;
    double least = INFINITY;
    for (int i = 0; i < N_DOUBTS; i++) {
        struct feedback *f = feedback_new(c->known.products, c->known.n, doubts[i], c->pool);
        double error = 0;
        if (!f)
            return found;
        t.feedback = f;
        thread_pool_run(c->pool, try_row, &t, (int)n_rows);
        for (size_t r = 0; r < n_rows; r++)
            error += t.error[r];
        feedback_free(error > least ? f : found);
        if (error > least)
            return found;
        least = error;
        found = f;
    }
    return found;
}

void care_begin(struct care *c, const struct importance *known, enum dtype type, const float *rows,
                size_t n_rows)
{
    bool same = c->any && c->known.id == known->id;
    double mean = 0;
    c->known = *known;
    c->any = true;
    if (same)
        return;
    feedback_free(c->feedback);
    c->feedback = known->products
                      ? find_feedback(c, type, rows, n_rows < CARE_ROWS ? n_rows : CARE_ROWS)
                      : NULL;
    free(c->weights);
    c->weights = memory_array(float, known->n);
    for (size_t i = 0; i < known->n; i++)
        mean += (double)known->squares[i] / (double)known->n;
    for (size_t i = 0; i < known->n; i++)
        c->weights[i] = (float)((double)known->squares[i] + doubt_alone * mean);
}

static bool round_rows(const struct care *c, enum dtype type, const float *rows, size_t n_rows,
                       const float *weights, unsigned char *out, size_t *bad_row, struct error *err)
{
    size_t n = c->known.n, bytes = bytes_of_row(c, type);
    for (size_t r = 0; r < n_rows; r++) {
        *bad_row = r;
        if (!quantize_row(type, rows + r * n, weights, out + r * bytes, n, err))
            return false;
    }
    return true;
}

bool care_rows(const struct care *c, enum dtype type, const float *rows, size_t n_rows, void *out,
               struct care_tally *tally, size_t *bad_row, struct error *err)
{
    size_t n = c->known.n, bytes = bytes_of_row(c, type);
    if (!round_rows(c, type, rows, n_rows, NULL, out, bad_row, err))
        return false;
    unsigned char *cared = memory_new(n_rows, bytes), *kept = out;
    float *scratch = memory_array(float, n);
    bool ok = c->feedback ? feedback_rows(c->feedback, type, rows, n_rows, cared, bad_row, err)
                          : round_rows(c, type, rows, n_rows, c->weights, cared, bad_row, err);
    for (size_t r = 0; ok && r < n_rows; r++) {
        const float *row = rows + r * n;
        double plain = error_of_rounded(c, type, row, kept + r * bytes, scratch);
        double with = error_of_rounded(c, type, row, cared + r * bytes, scratch);
        bool better = with < plain;
        if (better)
            memcpy(kept + r * bytes, cared + r * bytes, bytes);
        tally->n_rows++;
        tally->n_cared += better;
        tally->plain += plain;
        tally->kept += better ? with : plain;
    }
    free(scratch);
    free(cared);
    return ok;
}
