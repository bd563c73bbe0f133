// bench.c - `hearth bench`: tokens a second, beside what the machine can do.
#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/loaded.h"
#include "local/eval/bench.h"

static bool show_progress(void *self, const char *what, int done, int total)
{
    progress_show(self, what, done, total, "measurements");
    return !interrupted();
}

static bool read_sizes(const char *text, struct bench_options *o, struct error *err)
{
    for (const char *p = text; *p;) {
        char *end;
        errno = 0;
        long n = strtol(p, &end, 10);
        if (end == p || (*end && *end != ',') || errno || n < 0 || n > 256)
            return error_set(err, ERR_USAGE, "--batch: '%s' is not a list of numbers up to 256",
                             text);
        if (o->n_batch == BENCH_BATCHES_MAX)
            return error_set(err, ERR_USAGE, "--batch: more than %d sizes", BENCH_BATCHES_MAX);
        if (n > 0)
            o->batch[o->n_batch++] = (int)n;
        p = *end ? end + 1 : end;
    }
    return true;
}

static json_t *result_json(const char *model, const struct bench_result *r)
{
    json_t *o = json_object(), *prefill = json_object(), *decode = json_object(),
           *batch = json_array(), *machine = json_object();
    json_object_set_new(prefill, "tokens", json_integer(r->prefill_tokens));
    json_object_set_new(prefill, "tokens_per_s", json_real(r->prefill_tokens_per_s));
    json_object_set_new(decode, "tokens", json_integer(r->decode_tokens));
    json_object_set_new(decode, "depth", json_integer(r->depth));
    json_object_set_new(decode, "tokens_per_s", json_real(r->decode_tokens_per_s));
    json_object_set_new(decode, "gbytes_per_s", json_real(r->decode_gbytes_per_s));
    for (int i = 0; i < r->n_batch; i++) {
        json_t *b = json_object();
        json_object_set_new(b, "sequences", json_integer(r->batch[i].sequences));
        json_object_set_new(b, "tokens_per_s", json_real(r->batch[i].tokens_per_s));
        json_array_append_new(batch, b);
    }
    json_object_set_new(machine, "read_gbytes_per_s", json_real(r->read_gbytes_per_s));
    json_object_set_new(machine, "int8_tops", json_real(r->int8_tops));
    json_object_set_new(o, "model", json_string(model));
    json_object_set_new(o, "threads", json_integer(r->threads));
    json_object_set_new(o, "prefill", prefill);
    json_object_set_new(o, "decode", decode);
    json_object_set_new(o, "batch", batch);
    json_object_set_new(o, "machine", machine);
    return o;
}

static void print_table(const struct loaded *l, const struct bench_result *r)
{
    (void)printf("%s\n", l->backend->ops->describe(l->backend));
    (void)printf("machine          %8.1f GB/s reads, %.2f TOPS int8\n", r->read_gbytes_per_s,
                 r->int8_tops);
    if (r->prefill_tokens)
        (void)printf("prefill %-8d %8.1f tokens/s\n", r->prefill_tokens, r->prefill_tokens_per_s);
    if (r->decode_tokens)
        (void)printf("decode  at %-5d %8.1f tokens/s, %.1f GB/s (%.0f %% of the machine's reads)\n",
                     r->depth, r->decode_tokens_per_s, r->decode_gbytes_per_s,
                     r->read_gbytes_per_s > 0 ? 100 * r->decode_gbytes_per_s / r->read_gbytes_per_s
                                              : 0);
    for (int i = 0; i < r->n_batch; i++)
        (void)printf("batch   %-8d %8.1f tokens/s\n", r->batch[i].sequences,
                     r->batch[i].tokens_per_s);
}

static int print(const struct settings *s, const struct loaded *l, const struct bench_result *r)
{
    if (!s->json) {
        print_table(l, r);
        return EXIT_DONE;
    }
    json_t *o = result_json(s->words_given.items[0], r);
    struct buf out = {0};
    json_write(&out, o, JSON_STYLE_SPACED);
    (void)puts(buf_text(&out));
    buf_release(&out);
    json_decref(o);
    return EXIT_DONE;
}

static int run(struct settings *s)
{
    struct loaded l = {0};
    struct error err = {0};
    struct bench_result result;
    struct bench_options o = {.prefill = s->prompt_tokens,
                              .decode = s->max_new >= 0 ? s->max_new : 64,
                              .depth = s->depth,
                              .repeats = s->repeats,
                              .threads = s->threads,
                              .kv_type = s->kv,
                              .progress = show_progress,
                              .progress_self = &l.progress};
    int most = 1;
    interrupt_catch();
    bool ok = read_sizes(s->batch_sizes, &o, &err);
    for (int i = 0; i < o.n_batch; i++)
        most = o.batch[i] > most ? o.batch[i] : most;
    struct model_options m = {.ctx = bench_ctx(&o), .max_seqs = most, .max_wanted = most};
    ok = ok && loaded_init(&l, s->words_given.items[0], s, m, false, &err) &&
         bench_run(l.model, &o, &result, &err);
    progress_clear(&l.progress);
    int status = ok ? print(s, &l, &result) : fail_error(&err);
    loaded_release(&l);
    return status;
}

const struct command command_bench = {
    .name = "bench",
    .arguments = "MODEL",
    .summary = "how fast a model runs here, beside what the machine can do",
    .description = "Measures reading a prompt (prefill), making tokens one by one (decode, behind "
                   "--depth tokens) and "
                   "making them for several sequences at once (batch), and prints medians of "
                   "tokens a second. The "
                   "machine's own rates of reading memory and of 8-bit products stand beside them.",
    .options = "prompt max-tokens depth sequences threads repeats isa kv quantize json",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
