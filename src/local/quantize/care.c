#include "local/quantize/care.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "local/quantize/feedback.h"
#include "local/quantize/importance.h"
#include "local/quantize/linear.h"
#include "local/quantize/quantize.h"
#include "local/quantize/triangle.h"

// From much belief in the text to little; the first that is worse than the one before ends it.
static const double doubts[] = {0.02, 0.1, 0.5};
enum { N_DOUBTS = sizeof doubts / sizeof *doubts };
static const double doubt_alone = 0.1;  // of importance where there is no feedback

struct care {
    struct thread_pool *pool;
    struct importance known;    // of the matrix under way
    bool any;                   // there was one before
    float *h;                   // [n, n] both halves of the products of the input known.id
    struct feedback *feedback;  // of them; NULL: rows are too long
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
    free(c->h);
    free(c->weights);
    free(c);
}

static size_t bytes_of_row(const struct care *c, enum dtype type)
{
    uint64_t bytes = 0;
    (void)dtype_bytes(type, c->known.n, &bytes);
    return (size_t)bytes;
}

// error [n_rows]: how wrong the rows' products with the judging inputs are, squared and summed.
static void errors_of_rounded(const struct care *c, enum dtype type, const float *rows,
                              size_t n_rows, const void *rounded, double *error)
{
    enum { INPUTS = 32 };  // at once
    const struct importance *known = &c->known;
    size_t n = known->n;
    float *wrong = memory_array(float, n_rows *n);
    float *products = memory_array(float, n_rows *INPUTS);
    dtype_to_f32(type, rounded, wrong, n_rows * n);
    for (size_t i = 0; i < n_rows * n; i++)
        wrong[i] -= rows[i];
    for (size_t r = 0; r < n_rows; r++)
        error[r] = 0;
    for (size_t t = 0; t < known->n_held_out; t += INPUTS) {
        const float *inputs[INPUTS];
        size_t n_inputs = known->n_held_out - t < INPUTS ? known->n_held_out - t : INPUTS;
        for (size_t k = 0; k < n_inputs; k++)
            inputs[k] = known->held_out + (t + k) * n;
        linear_best()->dots(products, INPUTS, wrong, n, n_rows, inputs, n_inputs, n);
        for (size_t r = 0; r < n_rows; r++)
            for (size_t k = 0; k < n_inputs; k++)
                error[r] += (double)products[r * INPUTS + k] * (double)products[r * INPUTS + k];
    }
    free(products);
    free(wrong);
}

// Rows that one degree of doubt is tried on, some at once.
enum { TRIAL_ROWS = 8 };
struct trial {
    const struct care *c;
    enum dtype type;
    const float *rows;
    size_t n_rows;
    const struct feedback *feedback;
    double error[CARE_ROWS];
};

static void try_rows(void *self, int item, int worker)
{
    (void)worker;
    struct trial *t = self;
    size_t first = (size_t)item * TRIAL_ROWS, bad_row = 0;
    size_t n = t->n_rows - first < TRIAL_ROWS ? t->n_rows - first : TRIAL_ROWS;
    const float *rows = t->rows + first * t->c->known.n;
    struct error err = {0};
    unsigned char *rounded = memory_new(n, bytes_of_row(t->c, t->type));
    if (feedback_rows(t->feedback, t->type, rows, n, rounded, &bad_row, &err))
        errors_of_rounded(t->c, t->type, rows, n, rounded, t->error + first);
    else  // rows that cannot be rounded are told of when their turn comes
        memset(t->error + first, 0, n * sizeof *t->error);
    free(rounded);
}

static struct feedback *find_feedback(const struct care *c, enum dtype type, const float *rows,
                                      size_t n_rows)
{
    struct trial t = {.c = c, .type = type, .rows = rows, .n_rows = n_rows};
    struct feedback *found = NULL;
    double least = INFINITY;
    for (int i = 0; i < N_DOUBTS; i++) {
        struct feedback *f = feedback_new(c->h, c->known.n, doubts[i], c->pool);
        double error = 0;
        if (!f)
            return found;
        t.feedback = f;
        thread_pool_run(c->pool, try_rows, &t, (int)((n_rows + TRIAL_ROWS - 1) / TRIAL_ROWS));
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

static float *both_halves(const float *triangle, size_t n)
{
    float *h = memory_array(float, n *n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k <= i; k++)
            h[i * n + k] = h[k * n + i] = triangle[triangle_row(i) + k];
    return h;
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
    free(c->h);
    c->h = known->products ? both_halves(known->products, known->n) : NULL;
    c->feedback =
        c->h ? find_feedback(c, type, rows, n_rows < CARE_ROWS ? n_rows : CARE_ROWS) : NULL;
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
    size_t bytes = bytes_of_row(c, type);
    if (!round_rows(c, type, rows, n_rows, NULL, out, bad_row, err))
        return false;
    unsigned char *cared = memory_new(n_rows, bytes), *kept = out;
    double *plain = memory_array(double, n_rows), *with = memory_array(double, n_rows);
    bool ok = c->feedback ? feedback_rows(c->feedback, type, rows, n_rows, cared, bad_row, err)
                          : round_rows(c, type, rows, n_rows, c->weights, cared, bad_row, err);
    if (ok) {
        errors_of_rounded(c, type, rows, n_rows, kept, plain);
        errors_of_rounded(c, type, rows, n_rows, cared, with);
    }
    for (size_t r = 0; ok && r < n_rows; r++) {
        bool better = with[r] < plain[r];
        if (better)
            memcpy(kept + r * bytes, cared + r * bytes, bytes);
        tally->n_rows++;
        tally->n_cared += better;
        tally->plain += plain[r];
        tally->kept += better ? with[r] : plain[r];
    }
    free(plain);
    free(with);
    free(cared);
    return ok;
}
