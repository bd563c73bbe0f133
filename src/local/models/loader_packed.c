// loader_packed.c - the loader's part in keeping packed weights on disk (packed.h).
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/models/convert.h"
#include "local/models/loader_impl.h"
#include "local/quantize/quantize.h"

enum {
    READING = 1,  // to be raised when other numbers are read from the same bytes of a file
    PIECE_BYTES = 8 << 20,
};
// Less is packed in a tenth of a second: not worth the disk (docs/performance/starting.md).
static const uint64_t min_bytes_default = (uint64_t)128 << 20;

static struct weight_source source_of(const struct matrix *x, enum weight_use use, const void *data)
{
    return (struct weight_source){
        .use = use, .dtype = x->type, .rows = x->view.rows, .cols = x->view.cols, .data = data};
}

// Bytes of the matrix that can be kept; 0: it is used where it lies in the model's file.
static uint64_t bytes_of(const struct loader *l, const struct matrix *x, enum weight_use use)
{
    const struct backend *b = l->m->backend;
    struct weight_source s = source_of(x, use, NULL);
    if (!b->ops->pack)
        return 0;
    return use == WEIGHT_EMBED ? (x->direct ? 0 : x->bytes) : b->ops->packed_bytes(b, &s);
}

// What rounding to a type makes of a pattern: another number when the rounding changes.
static uint64_t rounding_of(struct loader *l, enum dtype type)
{
    enum { VALUES = 1024 };
    float values[VALUES];
    uint64_t bytes = 0;
    struct error ignored;
    if (l->rounding[type])
        return l->rounding[type];
    for (int i = 0; i < VALUES; i++)
        values[i] = (float)(int32_t)(hash_mix((uint64_t)i) >> 40) * 0x1p-24f - 0.5f;
    l->rounding[type] = 1;
    if (dtype_bytes(type, VALUES, &bytes)) {
        void *out = memory_new(1, bytes);
        if (quantize_row(type, values, NULL, out, VALUES, &ignored))
            l->rounding[type] = hash_bytes(out, bytes, 1);
        free(out);
    }
    return l->rounding[type];
}

void loader_plan(struct loader *l, const struct matrix *x, enum weight_use use)
{
    const struct tensor_view *v = &x->view;
    const char *name = tensor_view_name(v);
    uint64_t bytes = bytes_of(l, x, use);
    uint64_t facts[] = {READING,
                        use,
                        x->type,
                        v->dtype,
                        (uint64_t)v->rows,
                        (uint64_t)v->cols,
                        (uint64_t)v->first_row,
                        (uint64_t)v->file_rows,
                        (uint64_t)v->expert,
                        v->stacked,
                        v->transposed,
                        x->type == v->dtype ? 0 : rounding_of(l, x->type)};
    if (bytes)
        packed_plan_add(&l->plan,
                        hash_bytes(facts, sizeof facts, hash_bytes(name, strlen(name), 0)), bytes);
}

static bool stop_keeping(struct loader *l)
{
    l->not_kept = true;
    return false;
}

static bool write_rows(struct loader *l, const struct matrix *x, const void *rows)
{
    void *room = packed_writer_room(l->writer, x->bytes);
    if (!room) {
        (void)error_set(l->err, ERR_MEMORY, "no memory to write them");
        return stop_keeping(l);
    }
    memcpy(room, rows, x->bytes);
    return packed_writer_add(l->writer, x->bytes, l->err) || stop_keeping(l);
}

static bool write_packed(struct loader *l, const struct matrix *x, const void *rows)
{
    struct backend *b = l->m->backend;
    struct weight_source s = source_of(x, WEIGHT_MATMUL, rows), piece = s;
    int64_t row_bytes = (int64_t)(x->bytes / (uint64_t)s.rows);
    int64_t step = (PIECE_BYTES / row_bytes / PACK_ROWS + 1) * PACK_ROWS;
    for (int64_t row = 0; row < s.rows; row += step) {
        piece.rows = s.rows - row < step ? s.rows - row : step;
        size_t bytes = b->ops->packed_bytes(b, &piece);
        void *room = packed_writer_room(l->writer, bytes);
        if (!room) {
            (void)error_set(l->err, ERR_MEMORY, "no memory to pack them");
            return stop_keeping(l);
        }
        b->ops->pack(b, &s, row, piece.rows, room);
        if (!packed_writer_add(l->writer, bytes, l->err))
            return stop_keeping(l);
    }
    return true;
}

bool loader_keep(struct loader *l, const struct matrix *x, enum weight_use use)
{
    void *copy = NULL;
    bool kept = bytes_of(l, x, use) > 0, ok = true;
    if (!x->direct && !(copy = loader_read_rows(l, x)))
        return false;
    const void *rows = copy ? copy : tensor_view_file_data(&x->view);
    if (!loader_finite(l, x, rows))
        ok = false;
    else if (kept)
        ok = (packed_writer_align(l->writer, l->err) || stop_keeping(l)) &&
             (use == WEIGHT_EMBED ? write_rows(l, x, rows) : write_packed(l, x, rows));
    memory_big_free(copy, x->bytes);
    tensor_view_forget(l->file, &x->view);
    return ok && loader_advance(l, x->bytes);
}

const void *loader_kept(struct loader *l, const struct matrix *x, enum weight_use use)
{
    if (!l->m->packed || !bytes_of(l, x, use))
        return NULL;
    return packed_at(l->m->packed, l->plan.offsets[l->n_packed++]);
}

static void tell(struct loader *l, const struct error *err)
{
    log_debug("%s: packed weights are not kept: %s", model_file_path(l->file), err->text);
}

static bool write_all(struct loader *l, struct error *why)
{
    struct error *err = l->err;
    l->pass = LOAD_KEEP;
    l->total *= 2;  // all of it is loaded after
    l->err = why;
    bool ok = loader_visit_all(l);
    l->err = err;
    if (!ok && !l->not_kept && err)
        *err = *why;
    return ok;
}

static bool make_packed(struct loader *l)
{
    struct error why = {0};
    l->writer = packed_writer_new(&l->o->packed, &l->plan, &why);
    if (!l->writer) {
        tell(l, &why);
        return true;
    }
    if (write_all(l, &why)) {
        l->m->packed = packed_writer_end(l->writer, l->file, loader_pool(l), &why);
    } else {
        packed_writer_drop(l->writer);
        if (!l->not_kept)
            return false;
    }
    if (!l->m->packed)
        tell(l, &why);
    return true;
}

bool loader_find_packed(struct loader *l)
{
    const struct packed_options *o = &l->o->packed;
    uint64_t least = o->min_bytes ? o->min_bytes : min_bytes_default;
    const struct backend *b = l->m->backend;
    struct error why = {0};
    if (!o->folder[0] || !b->ops->pack || l->plan.shape.data_bytes < least)
        return true;
    uint64_t layout = b->ops->layout(b);
    if (layout == 0 || !packed_plan_end(&l->plan, l->file, layout))
        return true;
    l->m->packed = packed_open(o, &l->plan, loader_pool(l), &why);
    if (l->m->packed)
        return true;
    if (why.code != ERR_NOT_FOUND)
        log_debug("%s", why.text);
    return make_packed(l);
}
