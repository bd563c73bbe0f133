// summarize.c - `hearth summarize`: documents of any length to a faithful summary.
#include <inttypes.h>
#include <stdio.h>

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
#include "summarize/summary_json.h"

struct job {
    struct settings *s;
    struct stack stack;
    struct document **documents;
    size_t n_documents;
};

static bool show_progress(void *self, int done, int total, const char *what)
{
    struct job *j = self;
    progress_show(&j->stack.progress, what, done, total, "parts");
    return !interrupted();
}

static bool read_style(const char *name, enum summary_style *style, struct error *err)
{
    if (summary_style_named(slice_str(name), style))
        return true;
    return error_set(err, ERR_USAGE, "--style: '%s' is not paragraph, bullets or outline", name);
}

// A plan calls nothing, so that nobody tells what it would have cost.
static void price_plan(const struct job *j, struct summary *r)
{
    const struct prices *all = j->stack.prices;
    const char *named = model_option(j->s);
    const struct price *p = all && named ? prices_named(all, named) : NULL;
    p = all && !p ? prices_named(all, r->model) : p;
    if (all && r->local)
        p = p ? p : prices_local(all, r->model);
    if (j->s->dry_run && p)
        r->cost_picousd =
            price_of_calls(p, r->plan.calls, r->plan.prompt_tokens, r->plan.completion_tokens);
}

static void print_plan(const struct job *j, const struct summary *r)
{
    char cost[32];
    for (size_t i = 0; i < j->n_documents; i++) {
        (void)printf("%s: %zu characters, %" PRId64 " tokens (%s)\n", j->documents[i]->path,
                     j->documents[i]->n_characters, r->documents[i].tokens,
                     j->documents[i]->format);
    }
    (void)printf("model: %s, %s\n", r->model,
                 r->local ? "on this machine; nothing is sent" : "a vendor's");
    (void)printf("plan: %d calls, %d parts, %d levels; about %" PRId64 " tokens in, %" PRId64
                 " out\n",
                 r->plan.calls, r->plan.parts, r->plan.levels, r->plan.prompt_tokens,
                 r->plan.completion_tokens);
    if (!r->local || r->cost_picousd > 0)
        (void)printf("cost: about %s\n", price_text(r->cost_picousd, cost));
}

// A local model's as the configuration charges for it, or not.
static const char *cost_text(const struct summary *r, char out[64])
{
    char cost[32];
    if (r->local && r->cost_picousd == 0)
        return "nothing but power";
    (void)snprintf(out, 64, "%s%s", price_text(r->cost_picousd, cost),
                   r->local ? " of this machine" : "");
    return out;
}

// What a reader should know beside the summary: how long, what it cost, what left the machine, and
// what is missing from it.
static void print_account(const struct job *j, const struct summary *r)
{
    char cost[64];
    const size_t shown = 6;  // a long list hides the summary; --json and --verbose have it whole
    size_t n = r->coverage.n_skipped;
    for (size_t i = 0; i < n && (i < shown || n == shown + 1 || j->s->verbose); i++)
        (void)fail_text(EXIT_FAILED, "incomplete: %s: %s", r->coverage.skipped[i].where,
                        r->coverage.skipped[i].why);
    if (n > shown + 1 && !j->s->verbose)
        (void)fail_text(EXIT_FAILED, "incomplete: %zu more places (--verbose names them all)",
                        n - shown);
    if (j->s->quiet)
        return;
    (void)fprintf(stderr,
                  "%s: %d of %d parts used, %" PRId64 " tokens in, %" PRId64
                  " out, %.1f s; cost %s; sent %" PRId64 " bytes off this machine\n",
                  r->model, r->coverage.used, r->coverage.parts, r->prompt_tokens,
                  r->completion_tokens, r->seconds, cost_text(r, cost), r->bytes_sent);
    if (j->s->verbose)
        (void)fprintf(stderr,
                      "speculation: %" PRId64 " tokens guessed ahead, %" PRId64 " rightly\n",
                      r->drafted_tokens, r->accepted_tokens);
}

static int print(const struct job *j, const struct summary *r)
{
    if (j->s->json) {
        json_t *o = j->s->dry_run ? summary_plan_json(r) : summary_json(r, j->documents);
        struct buf out = {0};
        json_write(&out, o, JSON_STYLE_SPACED);
        (void)puts(buf_text(&out));
        buf_release(&out);
        json_decref(o);
    } else if (j->s->dry_run) {
        print_plan(j, r);
    } else {
        (void)puts(r->text);
    }
    if (!j->s->dry_run)
        print_account(j, r);
    return r->coverage.n_skipped && !j->s->dry_run ? EXIT_FAILED : EXIT_DONE;
}

static bool open_documents(struct job *j, struct error *err)
{
    const struct text_list *paths = &j->s->words_given;
    j->documents = memory_array(struct document *, paths->n);
    for (size_t i = 0; i < paths->n; i++) {
        struct document *d = document_open(paths->items[i], err);
        if (!d)
            return false;
        j->documents[j->n_documents++] = d;
    }
    return true;
}

static int run(struct settings *s)
{
    struct job j = {.s = s};
    struct error err = {0};
    struct summary_options o = {.model = model_option(s),
                                .words = s->words,
                                .ask = s->ask,
                                .language = s->language,
                                .dry_run = s->dry_run,
                                .progress = show_progress,
                                .progress_self = &j};
    struct model_info info;
    struct summary *r = NULL;
    interrupt_catch();
    bool ok = read_style(s->style, &o.style, &err) && open_documents(&j, &err) &&
              stack_open(&j.stack, s, o.model, &err) &&
              gateway_describe(j.stack.gateway, o.model, &info, &err);
    if (ok && s->offline && !info.local)
        ok = error_set(&err, ERR_USAGE, "--offline: '%s' is not on this machine", info.name);
    if (ok)
        ok = (r = summarize(j.stack.gateway, j.documents, j.n_documents, &o, &err)) != NULL;
    progress_clear(&j.stack.progress);
    if (ok)
        price_plan(&j, r);
    int status = ok ? print(&j, r) : fail_error(&err);
    summary_free(r);
    stack_close(&j.stack);
    for (size_t i = 0; i < j.n_documents; i++)
        document_close(j.documents[i]);
    free(j.documents);
    return status;
}

const struct command command_summarize = {
    .name = "summarize",
    .arguments = "FILE...",
    .summary = "a faithful summary of documents of any length",
    .description = "Summarizes one or several documents (text, Markdown, HTML; - is standard "
                   "input). What fits the model's "
                   "context is summarized in one go; longer documents are split on their "
                   "structure, the parts summarized "
                   "and the summaries merged. Nothing is cut silently: a part that failed or did "
                   "not fit is named, and the "
                   "exit status is 1.\n\n"
                   "The summary goes to standard output; tokens, time, cost and the bytes that "
                   "left this machine go to "
                   "standard error, or all of it as one value with --json. --dry-run prints the "
                   "plan and calls nothing.",
    .options = "model words style ask language json dry-run config offline threads pin ctx isa kv "
               "quantize packed "
               "speculate draft",
    .min_words = 1,
    .max_words = -1,
    .run = run,
};
