// export_rows.c - how an exported matrix is read, converted and rounded, some rows at a time.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "local/formats/gguf_write.h"
#include "local/formats/model_file.h"
#include "local/models/export_impl.h"
#include "local/quantize/care.h"
#include "local/quantize/feedback.h"
#include "local/quantize/importance.h"
#include "local/quantize/quantize.h"

enum {
    CHUNK_BYTES = 16 << 20,  // of floats in memory at once, or one row if that is longer
    ITEM_VALUES = 8192,      // what makes an item of work worthwhile
    FEEDBACK_ROWS = 8,       // rows that are rounded together, so that what they share is read once
    LOSS_ROWS = 8,           // of so many rows one is asked what it lost
    LOSS_GROUP = 32,
};

static bool put_bytes(struct export *e, const struct piece *p, const void *bytes, uint64_t n)
{
    e->done += n;
    if (!gguf_writer_data(e->w, bytes, n, e->err))
        return error_wrap(e->err, "tensor '%s'", p->name);
    if (!e->o->progress || e->o->progress(e->o->progress_self, e->done, e->total))
        return true;
    return error_set(e->err, ERR_CANCELLED, "writing was cancelled");
}

bool export_copy(struct export *e, const struct piece *p, const struct model_tensor *t)
{
    for (uint64_t done = 0, n; done < t->bytes; done += n) {
        n = t->bytes - done < CHUNK_BYTES ? t->bytes - done : CHUNK_BYTES;
        if (!put_bytes(e, p, (const char *)t->data + done, n))
            return false;
        model_file_forget(e->file, t);
    }
    return true;
}

uint64_t export_bytes(enum dtype dtype, int64_t n)
{
    uint64_t bytes = 0;
    (void)dtype_bytes(dtype, (uint64_t)n, &bytes);
    return bytes;
}

// llama.cpp rotates neighbours (2i, 2i + 1), folders halves (i, i + d/2).
int64_t export_source_row(const struct piece *p, int64_t r)
{
    int64_t d = p->head_dim;
    return d ? r / d * d + r % 2 * (d / 2) + r % d / 2 : r;
}

// Groups of values that are not all zero, and those of them that hardly anything is left of.
struct lost {
    size_t n_groups, n_lost;
};

// Rows [from, from + n) of a tensor, on their way from file to file.
struct chunk {
    const struct piece *p;
    const struct tensor_view *v;  // NULL: `numbers` are given
    int64_t from, n, cols;
    int64_t rows_of_item;
    uint64_t row_bytes;          // written
    float *numbers;              // [n, cols]
    char *out;                   // [n, row_bytes]
    struct error *errors;        // [threads]; the code is 0 where nothing went wrong
    const struct care *care;     // NULL: nothing is known of the inputs
    struct care_tally *tallies;  // [threads]
    struct lost *lost;           // [threads]
};

static void read_rows(const struct chunk *c, int64_t from, int64_t to)
{
    for (int64_t i = from; c->v && i < to; i++)
        tensor_view_numbers(c->v, export_source_row(c->p, c->from + i), 1,
                            c->numbers + i * c->cols);
}

// A packed weight that already is of the type: nothing is rounded again.
static bool is_kept(const struct piece *p, const struct tensor_view *v)
{
    return v && !v->tensor && v->dtype == p->dtype;
}

static void keep_rows(const struct chunk *c, char *out, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++, out += c->row_bytes)
        tensor_view_read(c->v, export_source_row(c->p, c->from + i), 1, out);
}

// Only groups that share their block's scale can be lost beside larger ones.
static void count_lost(const struct chunk *c, int64_t from, int64_t to, struct lost *lost)
{
    enum dtype type = c->p->dtype;
    if (dtype_info(type)->block_len <= LOSS_GROUP)
        return;
    float *back = memory_array(float, (size_t)c->cols);
    for (int64_t r = from; r < to; r++) {
        const float *row = c->numbers + r * c->cols;
        if ((c->from + r) % LOSS_ROWS)
            continue;
        dtype_to_f32(type, c->out + c->row_bytes * (uint64_t)r, back, (size_t)c->cols);
        for (int64_t i = 0; i < c->cols; i += LOSS_GROUP) {
            float squares = 0, wrong = 0;
            for (int64_t k = i; k < i + LOSS_GROUP; k++) {
                squares += row[k] * row[k];
                wrong += (row[k] - back[k]) * (row[k] - back[k]);
            }
            lost->n_groups += squares > 0;
            lost->n_lost += squares > 0 && wrong > squares / 2;
        }
    }
    free(back);
}

static void tell_lost(const struct export *e, const struct chunk *c, int n_threads)
{
    struct lost sum = {0};
    for (int i = 0; i < n_threads; i++) {
        sum.n_groups += c->lost[i].n_groups;
        sum.n_lost += c->lost[i].n_lost;
    }
    double share = sum.n_groups ? (double)sum.n_lost / (double)sum.n_groups : 0;
    struct export_report *r = e->o->report;
    if (!r || !(share > r->lost_share))
        return;
    r->lost_share = share;
    memcpy(r->lost_most, c->p->name, sizeof r->lost_most);
}

static void convert_rows(void *self, int item, int worker)
{
    struct chunk *c = self;
    struct error *err = &c->errors[worker];
    int64_t from = item * c->rows_of_item, to = from + c->rows_of_item, bad = from;
    enum dtype type = c->p->dtype;
    bool ok = !err->code;
    to = to < c->n ? to : c->n;
    if (!ok)
        return;
    char *out = c->out + c->row_bytes * (uint64_t)from;
    if (is_kept(c->p, c->v)) {
        keep_rows(c, out, from, to);
        return;
    }
    read_rows(c, from, to);
    float *row = c->numbers + from * c->cols;
    if (c->care) {
        size_t bad_row = 0;
        ok = care_rows(c->care, type, row, (size_t)(to - from), out, &c->tallies[worker], &bad_row,
                       err);
        bad += (int64_t)bad_row;
    }
    for (int64_t i = from; !c->care && ok && i < to; i++) {
        bad = i;
        ok = quantize_row(type, row, NULL, out, (size_t)c->cols, err);
        row += c->cols;
        out += c->row_bytes;
    }
    if (ok)
        count_lost(c, from, to, &c->lost[worker]);
    else
        error_wrap(err, "tensor '%s': row %" PRId64, c->p->name, c->from + bad);
}

static bool put_chunk(struct export *e, struct chunk *c)
{
    int n_threads = thread_pool_size(e->pool);
    int64_t n_items = (c->n + c->rows_of_item - 1) / c->rows_of_item;
    for (int i = 0; i < n_threads; i++)
        c->errors[i] = (struct error){0};
    thread_pool_run(e->pool, convert_rows, c, (int)n_items);
    for (int i = 0; i < n_threads; i++)
        if (c->errors[i].code) {
            *e->err = c->errors[i];
            return false;
        }
    return put_bytes(e, c->p, c->out, c->row_bytes * (uint64_t)c->n);
}

// Rows spread over the matrix, as many as it takes to judge.
static float *sample_rows(const struct chunk *c, const float *numbers, int64_t rows, size_t *n)
{
    int64_t taken = rows < CARE_ROWS ? rows : CARE_ROWS;
    float *sample = memory_array(float, (size_t)(taken * c->cols));
    for (int64_t i = 0; i < taken; i++) {
        int64_t r = i * rows / taken;
        if (c->v)
            tensor_view_numbers(c->v, export_source_row(c->p, r), 1, sample + i * c->cols);
        else
            memcpy(sample + i * c->cols, numbers + r * c->cols, (size_t)c->cols * sizeof *sample);
    }
    *n = (size_t)taken;
    return sample;
}

// What calibration knows of the piece's inputs.
static bool find_care(struct export *e, struct chunk *c, const float *numbers, int64_t rows)
{
    struct importance known;
    bool found = false;
    if (!e->o->importance || !feedback_can(c->p->dtype))
        return true;
    if (!e->o->importance(e->o->importance_self, c->p->name, &known, &found, e->err))
        return error_wrap(e->err, "tensor '%s'", c->p->name);
    if (!found || known.n != (size_t)c->cols)
        return true;
    if (!e->care)
        e->care = care_new(e->pool);
    size_t n = 0;
    float *sample = sample_rows(c, numbers, rows, &n);
    care_begin(e->care, &known, c->p->dtype, sample, n);
    free(sample);
    c->care = e->care;
    return true;
}

static bool convert(struct export *e, struct chunk *c, const float *numbers, int64_t rows,
                    int64_t most)
{
    for (c->from = 0; c->from < rows; c->from += most) {
        c->n = rows - c->from < most ? rows - c->from : most;
        if (numbers)
            memcpy(c->numbers, numbers + c->from * c->cols,
                   (size_t)(c->n * c->cols) * sizeof *numbers);
        if (!put_chunk(e, c))
            return false;
        if (c->v)
            tensor_view_forget(e->file, c->v);  // a tensor may be larger than the memory
    }
    return true;
}

static void add_tally(struct export *e, const struct care_tally *t)
{
    struct care_tally *sum = e->o->tally;
    if (!sum)
        return;
    sum->n_rows += t->n_rows;
    sum->n_cared += t->n_cared;
    sum->plain += t->plain;
    sum->kept += t->kept;
}

bool export_rows(struct export *e, const struct piece *p, const struct tensor_view *v,
                 const float *numbers, int64_t rows, int64_t cols)
{
    int64_t most = CHUNK_BYTES / 4 / cols;
    most = most < 1 ? 1 : most > rows ? rows : most;
    size_t n_threads = (size_t)thread_pool_size(e->pool);
    struct chunk c = {.p = p, .v = v, .cols = cols, .row_bytes = export_bytes(p->dtype, cols)};
    if (!is_kept(p, v) && !find_care(e, &c, numbers, rows))
        return false;
    c.rows_of_item = c.care ? FEEDBACK_ROWS : 1 + ITEM_VALUES / cols;
    c.numbers = memory_resize(NULL, (size_t)most * (size_t)cols, sizeof *c.numbers);
    c.out = memory_resize(NULL, (size_t)most, c.row_bytes);
    c.errors = memory_array(struct error, n_threads);
    c.tallies = memory_array(struct care_tally, n_threads);
    c.lost = memory_array(struct lost, n_threads);
    bool ok = convert(e, &c, numbers, rows, most);
    free(c.numbers);
    free(c.out);
    for (size_t i = 0; c.care && i < n_threads; i++)
        add_tally(e, &c.tallies[i]);
    tell_lost(e, &c, (int)n_threads);
    free(c.lost);
    free(c.tallies);
    free(c.errors);
    return ok;
}
