#include "providers/fit_remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/models/family.h"
#include "local/models/footprint.h"
#include "local/quantize/mix.h"
#include "providers/fit.h"

// A vocabulary of 150,000 tokens takes 6 MB of a header.
enum { START_BYTES = 1 << 20, START_BYTES_MAX = 64 << 20, CONFIG_BYTES_MAX = 4 << 20 };

struct remote {
    struct hub *hub;
    struct hub_repo repo;
    struct fit_answer *a;
    struct error *err;
};

// Fetches n_bytes of each part and reads them as headers; NULL with err.
static struct model_file *open_starts(const struct remote *r, const struct hub_choice *c,
                                      uint64_t n_bytes, struct buf *bytes, struct error *err)
{
    struct file_start *starts = memory_array(struct file_start, c->n_files);
    struct model_file *file = NULL;
    bool ok = true;
    for (size_t i = 0; ok && i < c->n_files; i++) {
        buf_clear(&bytes[i]);
        ok = hub_fetch_start(r->hub, &r->repo, c->files[i], n_bytes, &bytes[i], err);
        starts[i] = (struct file_start){bytes[i].ptr, bytes[i].len, c->files[i]->bytes};
    }
    if (ok)
        file = model_file_open_starts(c->files[0]->path, starts, c->n_files, err);
    free(starts);
    return file;
}

// A header that does not fit into what was fetched is asked for again with more, as long as there
// is more.
static bool read_header(const struct remote *r, const struct hub_choice *c)
{
    struct buf *bytes = memory_array(struct buf, c->n_files);
    struct model_file *file = NULL;
    for (uint64_t n = START_BYTES; !file && n <= START_BYTES_MAX; n *= 8) {
        error_clear(r->err);
        file = open_starts(r, c, n, bytes, r->err);
        if (!file && (r->err->code != ERR_FORMAT || n >= c->bytes))
            break;
    }
    bool ok = file && facts_read(file, &r->a->facts, r->err);
    model_file_close(file);
    for (size_t i = 0; i < c->n_files; i++)
        buf_release(&bytes[i]);
    free(bytes);
    return ok;
}

// Formats of less than four bits with tables of their own are not read here.
static bool is_readable(const char *quant)
{
    static const char *const others[] = {"iq1", "iq2", "iq3", "tq1", "tq2"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strncasecmp(quant, others[i], 3) == 0)
            return false;
    return true;
}

// The file's bytes are known, its layers' only as shares of them.
static void add_known(struct fit_answer *a, const char *quant, uint64_t bytes)
{
    struct footprint *p = memory_array(struct footprint, 1);
    const struct mix *mix = mix_find(quant);
    footprint_of_mix(&a->facts, mix ? mix : mix_find("q8_0"), p);
    footprint_scale(p, bytes);
    fit_add(a, quant[0] ? quant : "gguf", false, p);
    free(p);
}

static bool fit_gguf(const struct remote *r, const char *quant)
{
    struct hub_choice chosen = {0}, *all = NULL;
    bool ok = hub_choose(&r->repo, quant, &chosen, r->err) && read_header(r, &chosen);
    if (ok && quant[0]) {
        add_known(r->a, chosen.quant, chosen.bytes);
    } else if (ok) {
        size_t n = hub_choices(&r->repo, &all);
        for (size_t i = 0; i < n; i++)
            if (is_readable(all[i].quant))
                add_known(r->a, all[i].quant, all[i].bytes);
        hub_choices_free(all, n);
    }
    hub_choice_release(&chosen);
    return ok;
}

static bool has_end(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n > m && strcmp(path + n - m, end) == 0;
}

static bool read_config(const struct remote *r, const struct hub_choice *c, char dtype[16])
{
    const struct hub_file *config = NULL;
    struct buf text = {0};
    json_t *o = NULL;
    for (size_t i = 0; i < c->n_files; i++)
        if (strcmp(c->files[i]->path, "config.json") == 0)
            config = c->files[i];
    if (!config)
        return error_set(r->err, ERR_NOT_FOUND, "%s: config.json is missing", r->repo.repo);
    bool ok = hub_fetch_whole(r->hub, &r->repo, config, CONFIG_BYTES_MAX, &text, r->err) &&
              (o = json_parse(buf_view(&text), r->err)) != NULL &&
              facts_from_config(o, &r->a->facts, r->err);
    const char *type = json_get_text(o, "torch_dtype");
    type = type ? type : json_get_text(o, "dtype");
    (void)snprintf(dtype, 16, "%s", type ? type : "bfloat16");
    json_decref(o);
    buf_release(&text);
    return ok;
}

static bool fit_checkout(const struct remote *r, const char *quant)
{
    struct hub_choice c = {0};
    char dtype[16];
    bool ok = hub_choose(&r->repo, quant, &c, r->err) && read_config(r, &c, dtype);
    uint64_t bytes = 0;
    for (size_t i = 0; ok && i < c.n_files; i++)
        if (has_end(c.files[i]->path, ".safetensors"))
            bytes += c.files[i]->bytes;
    if (ok) {
        const char *own = strcmp(dtype, "float32") == 0   ? "f32"
                          : strcmp(dtype, "float16") == 0 ? "f16"
                                                          : "bf16";
        add_known(r->a, own, bytes);
        fit_add_mixes(r->a, own);
    }
    hub_choice_release(&c);
    return ok;
}

bool fit_repository(struct fit_answer *a, const char *reference, hub_go_on go_on, void *self,
                    struct error *err)
{
    struct hub_reference ref;
    struct error ignored = {0};
    struct remote r = {.a = a, .err = err ? err : &ignored};
    struct hub_choice *choices = NULL;
    bool ok = false;
    a->n_options = 0;
    r.hub = hub_open(go_on, self, r.err);
    if (!r.hub || !hub_reference_read(r.hub, reference, &ref, r.err))
        goto out;
    (void)snprintf(a->name, sizeof a->name, "%s", ref.repo);
    if (!hub_repo_resolve(r.hub, ref.repo, NULL, &r.repo, r.err))
        goto out;
    size_t n = hub_choices(&r.repo, &choices);
    hub_choices_free(choices, n);
    ok = n ? fit_gguf(&r, ref.quant) : fit_checkout(&r, ref.quant);
out:
    hub_repo_release(&r.repo);
    hub_close(r.hub);
    return ok;
}
