// compare.c - `hearth compare`: the same job on several models, side by side.
//
// Each model is asked through the gateway as `hearth summarize` asks it; where one fails, the
// others go on. One after another unless --parallel: models on one machine share its cores.
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/stack.h"
#include "documents/document.h"
#include "gateway/gateway.h"
#include "gateway/prices.h"
#include "summarize/summarize.h"

enum { MODELS_MIN = 2, MODELS_MAX = 16 };

struct contest;
struct entrant {
    struct contest *contest;
    const char *model;
    struct summary *summary;  // NULL: it failed
    struct error error;
    int64_t bytes_sent;  // also of one that failed
};
struct contest {
    const struct settings *s;
    struct stack stack;
    struct document *document;
    struct entrant entrants[MODELS_MAX];
    size_t n;
    bool quiet;  // a bar belongs to one thread
};

static bool show_progress(void *self, int done, int total, const char *what)
{
    struct entrant *e = self;
    (void)what;
    if (!e->contest->quiet)
        progress_show(&e->contest->stack.progress, e->model, done, total, "parts");
    return !interrupted();
}

static void ask(struct entrant *e)
{
    struct contest *c = e->contest;
    struct gateway *g = c->stack.gateway;
    struct model_info info;
    struct summary_options o = {.model = e->model,
                                .words = c->s->words,
                                .ask = c->s->ask,
                                .language = c->s->language,
                                .progress = show_progress,
                                .progress_self = e,
                                .bytes_sent = &e->bytes_sent};
    if (interrupted()) {
        (void)error_set(&e->error, ERR_CANCELLED, "interrupted");
        return;
    }
    // What is asked first also loads the model, which is not part of its time.
    if (!gateway_describe(g, e->model, &info, &e->error))
        return;
    if (c->s->offline && !info.local)
        (void)error_set(&e->error, ERR_USAGE, "--offline: '%s' is not on this machine", e->model);
    else
        e->summary = summarize(g, &c->document, 1, &o, &e->error);
}

static void *ask_in_thread(void *self)
{
    ask(self);
    return NULL;
}

static void ask_all(struct contest *c)
{
    pthread_t threads[MODELS_MAX];
    bool begun[MODELS_MAX] = {false};
    c->quiet = c->s->parallel;
    if (c->quiet)
        c->stack.progress.shown = false;
    for (size_t i = 0; i < c->n; i++) {
        if (c->s->parallel)
            begun[i] = pthread_create(&threads[i], NULL, ask_in_thread, &c->entrants[i]) == 0;
        if (!begun[i])
            ask(&c->entrants[i]);
    }
    for (size_t i = 0; i < c->n; i++)
        if (begun[i])
            (void)pthread_join(threads[i], NULL);
    progress_clear(&c->stack.progress);
}

static json_t *seconds_json(double seconds)
{
    return seconds < 0 ? json_null() : json_real(seconds);
}

static json_t *entrant_json(const struct entrant *e)
{
    const struct summary *r = e->summary;
    json_t *o = json_object(), *usage = json_object();
    json_object_set_new(o, "model", json_string(e->model));
    json_object_set_new(o, "text", r ? json_string(r->text) : json_null());
    json_object_set_new(usage, "prompt_tokens", json_integer(r ? r->prompt_tokens : 0));
    json_object_set_new(usage, "completion_tokens", json_integer(r ? r->completion_tokens : 0));
    json_object_set_new(o, "usage", r ? usage : json_null());
    json_object_set_new(o, "seconds", r ? seconds_json(r->seconds) : json_null());
    json_object_set_new(o, "first_token_s", r ? seconds_json(r->first_token_s) : json_null());
    json_object_set_new(o, "cost_usd",
                        r && r->cost_picousd >= 0 ? json_real((double)r->cost_picousd / 1e12)
                                                  : json_null());
    json_object_set_new(o, "bytes_sent", json_integer(e->bytes_sent));
    json_object_set_new(o, "calls", r ? json_integer(r->plan.calls) : json_null());
    json_object_set_new(o, "skipped",
                        r ? json_integer((json_int_t)r->coverage.n_skipped) : json_null());
    json_object_set_new(o, "error", r ? json_null() : json_string(e->error.text));
    if (!r)
        json_decref(usage);
    return o;
}

static void print_json(const struct contest *c)
{
    json_t *list = json_array();
    struct buf out = {0};
    for (size_t i = 0; i < c->n; i++)
        json_array_append_new(list, entrant_json(&c->entrants[i]));
    json_write(&out, list, JSON_STYLE_SPACED);
    (void)puts(buf_text(&out));
    buf_release(&out);
    json_decref(list);
}

static void print_row(const struct entrant *e)
{
    const struct summary *r = e->summary;
    char cost[32], first[32] = "-";
    if (!r) {
        (void)printf("%-36s failed, %" PRId64 " bytes sent: %s\n", e->model, e->bytes_sent,
                     e->error.text);
        return;
    }
    if (r->first_token_s >= 0)
        (void)snprintf(first, sizeof first, "%.2f s", r->first_token_s);
    (void)printf("%-36s %9" PRId64 " %7" PRId64 " %9s %8.2f s %12s %10" PRId64 "\n", e->model,
                 r->prompt_tokens, r->completion_tokens, first, r->seconds,
                 r->local && r->cost_picousd == 0 ? "power" : price_text(r->cost_picousd, cost),
                 e->bytes_sent);
}

static void print_text(const struct contest *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct entrant *e = &c->entrants[i];
        (void)printf("== %s\n%s%s\n\n", e->model,
                     e->summary ? "" : "failed: ", e->summary ? e->summary->text : e->error.text);
    }
    (void)printf("%-36s %9s %7s %9s %10s %12s %10s\n", "", "tokens in", "out", "first", "total",
                 "cost", "bytes sent");
    for (size_t i = 0; i < c->n; i++)
        print_row(&c->entrants[i]);
}

// A part that is missing from an answer is told here, as `hearth summarize` tells it.
static int judge(const struct contest *c)
{
    int status = EXIT_DONE;
    for (size_t i = 0; i < c->n; i++) {
        const struct entrant *e = &c->entrants[i];
        size_t skipped = e->summary ? e->summary->coverage.n_skipped : 0;
        if (skipped)
            (void)fail_text(EXIT_FAILED,
                            "%s: incomplete in %zu places (hearth summarize -m %s "
                            "names them)",
                            e->model, skipped, e->model);
        if (!e->summary)
            (void)fail_text(EXIT_FAILED, "%s: %s", e->model, e->error.text);
        if (!e->summary || skipped)
            status = EXIT_FAILED;
    }
    return status;
}

static bool begin(struct contest *c, struct error *err)
{
    const struct text_list *models = &c->s->models;
    if (models->n < MODELS_MIN || models->n > MODELS_MAX)
        return error_set(err, ERR_USAGE,
                         "-m: from %d to %d models are compared, each with its own "
                         "-m",
                         MODELS_MIN, MODELS_MAX);
    for (size_t i = 0; i < models->n; i++)
        c->entrants[c->n++] = (struct entrant){.contest = c, .model = models->items[i]};
    return (c->document = document_open(c->s->words_given.items[0], err)) != NULL &&
           stack_open(&c->stack, c->s, models->items[0], err);
}

static int run(struct settings *s)
{
    struct contest *c = memory_array(struct contest, 1);
    struct error err = {0};
    int status;
    c->s = s;
    interrupt_catch();
    if (!begin(c, &err)) {
        status = fail_error(&err);
    } else {
        ask_all(c);
        if (s->json)
            print_json(c);
        else
            print_text(c);
        status = interrupted() ? fail_text(EXIT_INTERRUPTED, "interrupted") : judge(c);
    }
    for (size_t i = 0; i < c->n; i++)
        summary_free(c->entrants[i].summary);
    stack_close(&c->stack);
    document_close(c->document);
    free(c);
    return status;
}

const struct command command_compare = {
    .name = "compare",
    .arguments = "FILE -m MODEL -m MODEL...",
    .summary = "the same job on several models, side by side",
    .description = "Summarizes a document with each model (or answers a question about it, with "
                   "--ask) and prints what each wrote, then its tokens, the time until its answer "
                   "began and until it ended, its cost, and the bytes that left this machine. "
                   "Loading a model is not part of its time. A model that fails is told, and the "
                   "others go on; the exit status is then 1.\n\n"
                   "The models are asked one after another, so that those on this machine do not "
                   "slow each other down; --parallel asks all at once.",
    .options = "model words ask language json parallel config offline threads pin ctx isa kv "
               "quantize packed speculate",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
