// perplexity.c - `hearth perplexity`: how well a model predicts a text, and how far two differ.
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "cli/commands.h"
#include "cli/loaded.h"
#include "local/eval/perplexity.h"
#include "local/formats/model_file.h"

enum { TEXT_MAX_BYTES = 1 << 30, DEFAULT_CTX = 512, SCORED_ROWS = 256 };

static bool show_progress(void *self, size_t done, size_t total)
{
    progress_show(self, "reading", (double)done, (double)total, "windows");
    return !interrupted();
}

// Tokens that were read, scored or not.
static double rate(const struct perplexity_result *r)
{
    return r->seconds > 0 ? (double)r->tokens_read / r->seconds : 0;
}

static void print_json(const struct perplexity_result *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "perplexity", json_real(r->perplexity));
    json_object_set_new(o, "standard_error", json_real(r->standard_error));
    json_object_set_new(o, "tokens", json_integer((json_int_t)r->tokens));
    json_object_set_new(o, "ctx", json_integer(r->ctx));
    json_object_set_new(o, "seconds", json_real(r->seconds));
    json_object_set_new(o, "tokens_read", json_integer((json_int_t)r->tokens_read));
    json_object_set_new(o, "tokens_per_s", json_real(rate(r)));
    if (r->compared) {
        json_object_set_new(o, "kl_mean", json_real(r->kl_mean));
        json_object_set_new(o, "kl_p99", json_real(r->kl_p99));
        json_object_set_new(o, "same_top", json_real(r->same_top));
        json_object_set_new(o, "their_perplexity", json_real(r->their_perplexity));
    }
    struct buf out = {0};
    json_write(&out, o, JSON_STYLE_SPACED);
    (void)puts(buf_text(&out));
    buf_release(&out);
    json_decref(o);
}

static void print_text(const struct perplexity_result *r)
{
    (void)printf(
        "perplexity %.4f +- %.4f (%zu tokens, context %d, %.1f s, %.0f tokens read a second)\n",
        r->perplexity, r->standard_error, r->tokens, r->ctx, r->seconds, rate(r));
    if (r->compared)
        (void)printf("against the saved predictions (perplexity %.4f): mean KL %.6f, 99th "
                     "percentile %.6f, same "
                     "likeliest token %.2f %%\n",
                     r->their_perplexity, r->kl_mean, r->kl_p99, 100 * r->same_top);
}

// What is read must not be written over.
static bool check_target(const struct settings *s, const struct loaded *l, struct error *err)
{
    const char *to = s->save_logits;
    const char *what = !to                                        ? NULL
                       : file_same(to, s->words_given.items[1])   ? "the text"
                       : s->against && file_same(to, s->against)  ? "the file of --against"
                       : l->file && model_file_is_at(l->file, to) ? "the model"
                                                                  : NULL;
    return !what ||
           error_set(err, ERR_USAGE, "--save-logits: '%.300s' would be written over %s", to, what);
}

static int run(struct settings *s)
{
    struct loaded l = {0};
    struct error err = {0};
    struct buf text = {0};
    struct perplexity_result result;
    int ctx = s->ctx ? s->ctx : DEFAULT_CTX;
    struct perplexity_options o = {.ctx = ctx,
                                   .threads = s->threads,
                                   .kv_type = s->kv,
                                   .save_logits = s->save_logits,
                                   .against = s->against,
                                   .progress = show_progress,
                                   .progress_self = &l.progress};
    struct model_options m = {.ctx = ctx, .max_wanted = SCORED_ROWS};
    interrupt_catch();
    bool ok = file_read(s->words_given.items[1], TEXT_MAX_BYTES, &text, &err) &&
              loaded_init(&l, s->words_given.items[0], s, m, true, &err) &&
              check_target(s, &l, &err) &&
              perplexity_text(l.model, l.tokenizer, buf_view(&text), &o, &result, &err);
    progress_clear(&l.progress);
    if (ok && s->json)
        print_json(&result);
    else if (ok)
        print_text(&result);
    int status = ok ? EXIT_DONE : fail_error(&err);
    loaded_release(&l);
    buf_release(&text);
    return status;
}

const struct command command_perplexity = {
    .name = "perplexity",
    .arguments = "MODEL FILE",
    .summary = "how well a model predicts a text",
    .description =
        "Cuts the text into windows of --ctx tokens (512), scores the second half of "
        "each, and prints the "
        "perplexity. With --save-logits the predictions are kept; with --against "
        "another model's are "
        "compared: mean KL divergence, and how often the likeliest token is the same. So "
        "the loss of a --quantize or a --kv can be told: save with f16, compare with it. "
        "Several windows are read at once, on all threads; neither changes a digit.",
    .options = "ctx save-logits against json threads pin isa kv quantize packed",
    .min_words = 2,
    .max_words = 2,
    .run = run,
};
