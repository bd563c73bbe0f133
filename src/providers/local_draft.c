#include "providers/local_impl.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/error.h"
#include "local/formats/model_file.h"
#include "local/models/model.h"
#include "providers/fit.h"

// Ids must mean the same to both: what one guesses, the other verifies.
static bool same_tokens(const struct tokenizer *a, const struct tokenizer *b, struct error *err)
{
    int32_t n = tokenizer_n_tokens(a), n_other = tokenizer_n_tokens(b);
    struct buf one = {0}, other = {0};
    int32_t i = 0;
    if (n != n_other)
        return error_set(err, ERR_USAGE,
                         "it has %" PRId32 " tokens and the model %" PRId32
                         ": a draft model needs the same tokenizer",
                         n_other, n);
    for (; i < n; i++) {
        buf_clear(&one);
        buf_clear(&other);
        tokenizer_bytes(a, i, &one);
        tokenizer_bytes(b, i, &other);
        if (!slice_eq(buf_view(&one), buf_view(&other)))
            break;
    }
    buf_release(&one);
    buf_release(&other);
    return i == n || error_set(err, ERR_USAGE,
                               "token %" PRId32
                               " is another one than the model's: a draft model needs the same "
                               "tokenizer",
                               i);
}

static bool check_tokens(const struct local_model *m, struct error *err)
{
    struct tokenizer *t = tokenizer_open(m->draft.file, err);
    bool ok = t && same_tokens(m->tokenizer, t, err);
    tokenizer_close(t);
    return ok;
}

static bool check_memory(const struct local_model *m, const struct model_options *o,
                         struct error *err)
{
    struct fit_machine machine;  // what is free beside the model, which is loaded already
    struct fit_wish wish = {.ctx = o->ctx, .kv_type = DTYPE_COUNT};
    fit_machine_read(&machine, false);
    return fit_check(m->draft.file, &wish, &machine, NULL, err);
}

bool local_draft_open(struct local_model *m, const struct local_options *o, struct error *err)
{
    char path[MODEL_REF_BYTES];
    struct model_options mo = {.ctx = o->ctx, .max_seqs = o->max_seqs};
    struct local_draft *d = &m->draft;
    if (model_ref_path(o->draft, path, err) && (d->file = model_file_open(path, MODEL_ALL, err)) &&
        check_tokens(m, err) && check_memory(m, &mo, err) &&
        packed_options_read(o->packed, &mo.packed, err) &&
        (d->model = model_load(d->file, m->backend, &mo, err)))
        return true;
    return error_wrap(err, "draft model '%s'", o->draft);
}

void local_draft_close(struct local_draft *d)
{
    model_free(d->model);
    model_file_close(d->file);
    *d = (struct local_draft){0};
}
