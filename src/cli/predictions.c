#include "cli/predictions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/loaded.h"
#include "local/eval/calibrate.h"
#include "local/eval/logits_file.h"
#include "local/eval/perplexity.h"

enum { NO_BOS = -1 };  // windows begin with it already where they should
enum { MOST_WINDOWS = 8, MOST_BYTES = 64 << 20 };

static bool show_comparing(void *self, size_t done, size_t total)
{
    progress_show(self, "comparing", (double)done, (double)total, "windows");
    return !interrupted();
}

// Reads the tokens with a model that is loaded, and can be interrupted.
static bool read_with(struct loaded *l, const struct predictions *p, struct perplexity_options o,
                      struct perplexity_result *out, struct error *err)
{
    o.ctx = p->ctx;
    o.progress = show_comparing;
    o.progress_self = &l->progress;
    bool ok =
        perplexity_tokens(l->model, p->tokens, p->n_windows * (size_t)p->ctx, NO_BOS, &o, out, err);
    progress_clear(&l->progress);
    return ok;
}

// As many windows as the predictions of do not take much of a disk.
static size_t windows_at_most(const struct loaded *l, int ctx)
{
    size_t row = (size_t)model_n_vocab(l->model) * sizeof(uint16_t) + sizeof(float);
    size_t n = MOST_BYTES / (row * (size_t)logits_rows(ctx));
    return n < 1 ? 1 : n > MOST_WINDOWS ? MOST_WINDOWS : n;
}

static bool make_place(char **path, struct error *err)
{
    const char *folder = getenv("TMPDIR");
    if (!folder || !*folder)
        folder = "/tmp";
    size_t size = strlen(folder) + sizeof "/hearth-predictions-XXXXXX";
    *path = memory_array(char, size);
    (void)snprintf(*path, size, "%s/hearth-predictions-XXXXXX", folder);
    int fd = mkstemp(*path);
    if (fd >= 0) {
        (void)close(fd);
        return true;
    }
    (void)error_set(err, ERR_IO, "cannot write into %s: %s", folder, strerror(errno));
    free(*path);
    *path = NULL;
    return false;
}

bool predictions_keep(struct predictions *p, struct loaded *l, const struct calibration *c,
                      const struct settings *s, struct error *err)
{
    struct perplexity_result result;
    *p = (struct predictions){0};
    if (!make_place(&p->path, err))
        return false;
    p->ctx = calibration_ctx(c);
    p->tokens = calibration_kept_out(c, windows_at_most(l, p->ctx), &p->n_windows);
    struct perplexity_options o = {.threads = s->threads, .save_logits = p->path};
    return read_with(l, p, o, &result, err);
}

bool predictions_compare(const struct predictions *p, const char *path, const struct settings *s,
                         struct perplexity_result *out, struct error *err)
{
    struct loaded l = {0};
    struct model_options m = {.ctx = p->ctx, .max_rows = p->ctx, .max_wanted = p->ctx};
    struct perplexity_options o = {.threads = s->threads, .against = p->path};
    bool ok = loaded_init(&l, path, s, m, false, err) && read_with(&l, p, o, out, err);
    loaded_release(&l);
    return ok;
}

void predictions_release(struct predictions *p)
{
    if (p->path)
        (void)unlink(p->path);
    free(p->path);
    free(p->tokens);
    *p = (struct predictions){0};
}
