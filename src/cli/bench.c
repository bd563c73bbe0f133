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

// "N,N" into list; zeros are left out.
static bool read_list(const char *option, const char *text, long max, int *list, int *n_list,
                      struct error *err)
{
    for (const char *p = text; *p;) {
        char *end;
        errno = 0;
        long n = strtol(p, &end, 10);
        if (end == p || (*end && *end != ',') || errno || n < 0 || n > max)
            return error_set(err, ERR_USAGE, "--%s: '%s' is not a list of numbers up to %ld",
                             option, text, max);
        if (*n_list == BENCH_LIST_MAX)
            return error_set(err, ERR_USAGE, "--%s: more than %d sizes", option, BENCH_LIST_MAX);
        if (n > 0)
            list[(*n_list)++] = (int)n;
        p = *end ? end + 1 : end;
    }
    return true;
}

static json_t *rate_json(const struct bench_rate *r, const char *what)
{
    json_t *o = json_object();
    json_object_set_new(o, what, json_integer(r->n));
    json_object_set_new(o, "tokens_per_s", json_real(r->tokens_per_s));
    json_object_set_new(o, "gbytes_per_s", json_real(r->gbytes_per_s));
    json_object_set_new(o, "tops", json_real(r->tops));
    return o;
}

static json_t *rates_json(const struct bench_rate *rates, int n, const char *what)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, rate_json(&rates[i], what));
    return list;
}

static json_t *result_json(const char *model, const struct bench_result *r)
{
    json_t *o = json_object(), *decode = rate_json(&r->decode, "tokens"), *machine = json_object();
    json_object_set_new(decode, "depth", json_integer(r->depth));
    json_object_set_new(machine, "read_gbytes_per_s", json_real(r->read_gbytes_per_s));
    json_object_set_new(machine, "int8_tops", json_real(r->int8_tops));
    json_object_set_new(o, "model", json_string(model));
    json_object_set_new(o, "threads", json_integer(r->threads));
    json_object_set_new(o, "prefill", rate_json(&r->prefill[0], "tokens"));  // zeros if none
    json_object_set_new(o, "prefills", rates_json(r->prefill, r->n_prefill, "tokens"));
    json_object_set_new(o, "decode", decode);
    json_object_set_new(o, "batch", rates_json(r->batch, r->n_batch, "sequences"));
    json_object_set_new(o, "machine", machine);
    return o;
}

static double percent(double reached, double possible)
{
    return possible > 0 ? 100 * reached / possible : 0;
}

static void print_rate(const char *what, int n, const struct bench_rate *rate,
                       const struct bench_result *r)
{
    (void)printf("%-10s %6d %10.1f %7.1f %7.0f %% %6.2f %6.0f %%\n", what, n, rate->tokens_per_s,
                 rate->gbytes_per_s, percent(rate->gbytes_per_s, r->read_gbytes_per_s), rate->tops,
                 percent(rate->tops, r->int8_tops));
}

static void print_table(const struct loaded *l, const struct bench_result *r)
{
    (void)printf("%s\n", l->backend->ops->describe(l->backend));
    (void)printf("machine: %.1f GB/s reads, %.2f TOPS int8\n", r->read_gbytes_per_s, r->int8_tops);
    (void)printf("%17s %10s %7s %9s %6s %8s\n", "", "tokens/s", "GB/s", "of reads", "TOPS",
                 "of int8");
    for (int i = 0; i < r->n_prefill; i++)
        print_rate("prefill", r->prefill[i].n, &r->prefill[i], r);
    if (r->decode.n)
        print_rate("decode at", r->depth, &r->decode, r);
    for (int i = 0; i < r->n_batch; i++)
        print_rate("batch", r->batch[i].n, &r->batch[i], r);
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
    struct bench_options o = {.decode = s->max_new >= 0 ? s->max_new : 64,
                              .depth = s->depth,
                              .repeats = s->repeats,
                              .threads = s->threads,
                              .kv_type = s->kv,
                              .progress = show_progress,
                              .progress_self = &l.progress};
    int most = 1;
    interrupt_catch();
    bool ok = read_list("prompt", s->prompt_sizes, 1 << 20, o.prefill, &o.n_prefill, &err) &&
              read_list("batch", s->batch_sizes, 256, o.batch, &o.n_batch, &err);
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
    .description = "Measures reading prompts (prefill), making tokens one by one (decode, behind "
                   "a context of --depth tokens that is really filled) and making them for several "
                   "sequences at once (batch), and prints medians of tokens a second. Beside them: "
                   "the bytes of weights, keys and values that are read a second, the "
                   "multiplications and additions of the weight matrices (TOPS, 1e12 a second), "
                   "and their shares of what this machine reads and of the 8-bit products it does "
                   "at best. Decoding is near its limit when the first share is near 100 %, a long "
                   "prompt when the second is.",
    .options = "prompt max-tokens depth sequences threads pin repeats isa kv quantize packed json",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
