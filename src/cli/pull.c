// pull.c - `hearth pull`: a model of a hub into the local store.
#include <inttypes.h>
#include <stdio.h>

#include "base/shown_bytes.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "hub/pull.h"

struct pulling {
    const struct settings *s;
    struct progress progress;
    double started;
};

static bool goes_on(void *self)
{
    (void)self;
    return !interrupted();
}

static bool show_progress(void *self, const struct download_progress *now)
{
    struct pulling *p = self;
    switch (now->stage) {
    case DOWNLOAD_FETCHING:
        progress_bytes(&p->progress, "downloading", now->n_done, now->n_total);
        break;
    case DOWNLOAD_VERIFYING:
        progress_bytes(&p->progress, "verifying", now->n_done, now->n_total);
        break;
    case DOWNLOAD_WAITING:
        progress_wait(&p->progress, "waiting for another pull of the same files");
        break;
    }
    return !interrupted();
}

static void print_json(json_t *o)
{
    struct buf out = {0};
    json_write(&out, o, JSON_STYLE_SPACED);
    (void)puts(buf_text(&out));
    buf_release(&out);
    json_decref(o);
}

static void name_in_store(const struct pull *p, char shown[MANIFEST_SHOWN_BYTES])
{
    (void)snprintf(shown, MANIFEST_SHOWN_BYTES, "%s%s%s", p->name, p->choice.quant[0] ? ":" : "",
                   p->choice.quant);
}

static json_t *plan_json(const struct pull *p)
{
    char shown[MANIFEST_SHOWN_BYTES];
    json_t *o = json_object(), *files = json_array();
    name_in_store(p, shown);
    for (size_t i = 0; i < p->choice.n_files; i++) {
        json_t *file = json_object();
        json_object_set_new(file, "path", json_string(p->choice.files[i]->path));
        json_object_set_new(file, "bytes", json_integer((json_int_t)p->choice.files[i]->bytes));
        json_array_append_new(files, file);
    }
    json_object_set_new(o, "name", json_string(shown));
    json_object_set_new(o, "repo", json_string(p->repo.repo));
    json_object_set_new(o, "commit", json_string(p->repo.commit));
    json_object_set_new(o, "files", files);
    json_object_set_new(o, "bytes", json_integer((json_int_t)p->choice.bytes));
    json_object_set_new(o, "missing_bytes", json_integer((json_int_t)p->n_missing));
    return o;
}

static void print_plan(const struct pull *p, bool json)
{
    char shown[MANIFEST_SHOWN_BYTES];
    if (json) {
        print_json(plan_json(p));
        return;
    }
    name_in_store(p, shown);
    for (size_t i = 0; i < p->choice.n_files; i++)
        (void)printf("%12" PRIu64 "  %s\n", p->choice.files[i]->bytes, p->choice.files[i]->path);
    (void)printf("%12" PRIu64 "  bytes in %zu file%s for %s, %" PRIu64 " of them to download\n",
                 p->choice.bytes, p->choice.n_files, p->choice.n_files == 1 ? "" : "s", shown,
                 p->n_missing);
}

static void print_result(const struct pulling *g, const struct pull *p, const struct manifest *m,
                         const char *path)
{
    char shown[MANIFEST_SHOWN_BYTES];
    double seconds = clock_s() - g->started;
    manifest_shown(m, shown);
    if (!g->s->quiet)
        (void)fprintf(stderr, "%s: %zu file%s, %s, verified; %s downloaded in %.1f s\n", m->repo,
                      m->n_files, m->n_files == 1 ? "" : "s",
                      shown_bytes((double)manifest_bytes(m)).text,
                      shown_bytes((double)p->n_received).text, seconds);
    if (g->s->json) {
        json_t *o = json_object();
        json_object_set_new(o, "name", json_string(shown));
        json_object_set_new(o, "repo", json_string(m->repo));
        json_object_set_new(o, "commit", json_string(m->commit));
        json_object_set_new(o, "files", json_integer((json_int_t)m->n_files));
        json_object_set_new(o, "bytes", json_integer((json_int_t)manifest_bytes(m)));
        json_object_set_new(o, "downloaded_bytes", json_integer((json_int_t)p->n_received));
        json_object_set_new(o, "path", json_string(path));
        json_object_set_new(o, "seconds", json_real(seconds));
        print_json(o);
    } else {
        (void)puts(shown);
    }
}

static bool carry_out(struct pulling *g, struct pull *p, struct error *err)
{
    struct manifest m = {0};
    char path[STORE_PATH_BYTES];
    struct download_options o = {
        .n_connections = g->s->connections, .progress = show_progress, .progress_self = g};
    bool ok = pull_run(p, &o, &m, err) && store_model_path(p->store, &m, path, err);
    progress_clear(&g->progress);
    if (ok)
        print_result(g, p, &m, path);
    manifest_release(&m);
    return ok;
}

static int run(struct settings *s)
{
    struct pulling g = {.s = s, .started = clock_s()};
    struct error err = {0};
    struct store store;
    struct hub *hub = NULL;
    struct hub_reference reference;
    struct pull pull = {0};
    progress_init(&g.progress, s->quiet);
    interrupt_catch();
    bool ok = store_open(&store, &err) && (hub = hub_open(goes_on, NULL, &err)) != NULL &&
              hub_reference_read(hub, s->words_given.items[0], &reference, &err) &&
              pull_plan(&pull, hub, &store, &reference, s->revision, s->name, &err);
    if (ok && s->dry_run)
        print_plan(&pull, s->json);
    else if (ok)
        ok = carry_out(&g, &pull, &err);
    int status = EXIT_DONE;
    if (!ok && err.code == ERR_CANCELLED)
        status = fail_text(EXIT_INTERRUPTED,
                           "interrupted; what came is kept: pull again to go on from there");
    else if (!ok)
        status = fail_error(&err);
    pull_release(&pull);
    hub_close(hub);
    return status;
}

const struct command command_pull = {
    .name = "pull",
    .arguments = "REPO[:QUANT]",
    .summary = "a model from a Hugging Face hub into the local store",
    .description =
        "Downloads a model, verifies every file by the hash that the hub states for it, and prints "
        "the name by which it is known from then on. REPO is owner/name. Of a repository with GGUF "
        "files the one of QUANT is taken (default q4_k_m, else q4_0, q8_0, f16, bf16, else the "
        "only one); else all files of a safetensors checkout.\n\n"
        "Whatever cuts a download, the next pull goes on from there. HF_ENDPOINT names another "
        "hub, HF_TOKEN (else the file HF_TOKEN_PATH, else $HF_HOME/token) says who asks, and "
        "HF_HUB_OFFLINE forbids asking. Models are kept in $HEARTH_HOME/models, else "
        "$XDG_DATA_HOME/hearth/models, else ~/.local/share/hearth/models.",
    .options = "revision name connections dry-run json",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
