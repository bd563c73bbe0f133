// bench_serve_engine.c - many streams at once over one engine, without a network.
//
//   bench_serve_engine MODEL [--streams 32] [--prompt 128] [--new 64] [--shared 0] [--threads N]
//                      [--apart S] [--greedy] [--speculate] [--csv FILE]
//
// All streams are submitted at once, or --apart seconds after each other. Tokens are random, but
// --shared first tokens of all prompts are the same; then the first stream is served alone before
// the others come, to say what they save. Reported by the clock: output tokens a second, times to
// the first token, the worst gap between two tokens of each stream; beside it CPU time, the
// machine's load, and how much of the engine's time was not the model's: scheduling, events, text
// and sampling, of which --greedy leaves little. --csv writes a line for
// each token: stream, number, seconds since the start.
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "local/backend/backend.h"
#include "local/engine/engine.h"
#include "local/formats/model_file.h"
#include "local/models/model.h"
#include "local/tokenizer/tokenizer.h"
#include "timing.h"

enum { STREAMS_MAX = 4096 };

struct setup {
    const char *path, *csv;
    int streams, prompt, new, shared, threads;
    double apart;
    bool speculate, greedy;
    struct model_file *file;
    struct tokenizer *tokenizer;
    struct backend *backend;
    struct model *model;
    struct engine *engine;
};

struct stream {
    const struct setup *setup;
    pthread_t thread;
    int index;
    double submitted, *at;  // [n_tokens] of each token
    int n_tokens;
    size_t cached;
    char error[256];
};

static void die(const char *what, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    exit(1);
}

static struct engine_answer *submit(const struct stream *st)
{
    const struct setup *s = st->setup;
    struct error err;
    int32_t *prompt = memory_array(int32_t, (size_t)s->prompt);
    for (int i = 0; i < s->prompt; i++) {
        uint64_t key = i < s->shared ? (uint64_t)i : (uint64_t)(st->index + 1) << 32 | (uint64_t)i;
        prompt[i] = (int32_t)(3 + hash_mix(key) % (uint64_t)(model_n_vocab(s->model) - 3));
    }
    struct engine_request r = {.prompt = prompt,
                               .n_prompt = (size_t)s->prompt,
                               .max_tokens = s->new,
                               .n_top = -1,
                               .skip_special = true,
                               .speculate = s->speculate ? SPECULATE_AUTO : SPECULATE_OFF,
                               .flow = {.id = 1 + (uint64_t)st->index, .weight = 1}};
    sampling_defaults(&r.sampling);
    r.sampling.seed = (uint64_t)st->index;
    if (s->greedy)
        r.sampling.temperature = 0;
    struct engine_answer *a = engine_submit(s->engine, &r, &err);
    if (!a)
        die("submit", &err);
    free(prompt);
    return a;
}

static void *read_stream(void *self)
{
    struct stream *st = self;
    st->submitted = clock_s();
    struct engine_answer *a = submit(st);
    struct engine_event ev;
    while (engine_next(a, &ev)) {
        if (ev.kind == ENGINE_TOKEN)
            st->at[st->n_tokens++] = clock_s();
        if (ev.kind == ENGINE_FINISH && ev.finish == FINISH_ERROR)
            (void)snprintf(st->error, sizeof st->error, "%s", ev.error.text);
        if (ev.kind == ENGINE_DONE)
            st->cached = ev.usage.cached_tokens;
    }
    engine_answer_free(a);
    return NULL;
}

static void start_streams(struct stream *streams, int from, int to)
{
    for (int i = from; i < to; i++) {
        if (pthread_create(&streams[i].thread, NULL, read_stream, &streams[i])) {
            fprintf(stderr, "no thread for stream %d\n", i);
            exit(1);
        }
        if (streams[i].setup->apart > 0)
            usleep((useconds_t)(streams[i].setup->apart * 1e6));
    }
    for (int i = from; i < to; i++)
        pthread_join(streams[i].thread, NULL);
}

static void show(const char *what, double *values, int n, double unit, const char *name)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    printf("  %-28s p50 %8.3f   p90 %8.3f   p99 %8.3f   worst %8.3f %s\n", what,
           values[n / 2] * unit, values[n * 9 / 10] * unit, values[n * 99 / 100] * unit,
           values[n - 1] * unit, name);
}

static double worst_gap(const struct stream *st)
{
    double worst = 0;
    for (int k = 1; k < st->n_tokens; k++) {
        double gap = st->at[k] - st->at[k - 1];
        worst = gap > worst ? gap : worst;
    }
    return worst;
}

struct counters {
    double clock, cpu;
    struct engine_stats engine;
};

static struct counters read_counters(const struct setup *s)
{
    struct counters c = {.clock = clock_s(), .cpu = timing_s(true)};
    engine_stats(s->engine, &c.engine);
    return c;
}

static void report(const struct stream *streams, int n, struct counters a, struct counters b)
{
    double *values = memory_array(double, (size_t)n);
    const struct engine_stats *x = &a.engine, *y = &b.engine;
    int64_t tokens = y->completion_tokens - x->completion_tokens, steps = y->steps - x->steps;
    int64_t prompt = y->prompt_tokens - x->prompt_tokens,
            cached = y->cached_tokens - x->cached_tokens;
    double seconds = b.clock - a.clock, busy = y->busy_s - x->busy_s;
    double overhead = busy - (y->forward_s - x->forward_s);
    double load[1] = {0};
    (void)getloadavg(load, 1);
    printf("%d streams: %.1f output tokens/s, %.2f s, CPU %.2f s, load %.1f\n", n,
           (double)tokens / seconds, seconds, b.cpu - a.cpu, load[0]);
    for (int i = 0; i < n; i++)
        values[i] = streams[i].n_tokens ? streams[i].at[0] - streams[i].submitted : seconds;
    show("first token", values, n, 1, "s");
    for (int i = 0; i < n; i++)
        values[i] = worst_gap(&streams[i]);
    show("worst gap of each stream", values, n, 1, "s");
    printf("  prompts: %lld tokens, %lld computed; %lld steps of %.1f ms, %lld preemptions\n",
           (long long)prompt, (long long)(prompt - cached), (long long)steps,
           busy * 1e3 / (double)steps, (long long)(y->preemptions - x->preemptions));
    printf("  beside the model: %.1f us a token, %.2f %% of the time\n",
           overhead * 1e6 / (double)tokens, 100 * overhead / busy);
    for (int i = 0; i < n; i++)
        if (streams[i].error[0])
            printf("  stream %d: %s\n", i, streams[i].error);
    free(values);
}

static void write_csv(const char *path, const struct stream *streams, int n, double start)
{
    FILE *f = fopen(path, "w");
    if (!f) {
        perror(path);
        exit(1);
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < streams[i].n_tokens; k++)
            fprintf(f, "%d,%d,%.6f\n", i, k, streams[i].at[k] - start);
    if (fclose(f))
        perror(path);
}

static void load(struct setup *s)
{
    struct error err;
    struct cpu_options co = {.threads = s->threads};
    int ctx = s->prompt + s->new;
    struct model_options mo = {.ctx = ctx, .threads = s->threads};
    struct engine_options eo = {.ctx = ctx, .kv_dtype = DTYPE_COUNT, .queue_max = STREAMS_MAX};
    if (!(s->file = model_file_open(s->path, MODEL_ALL, &err)) ||
        !(s->tokenizer = tokenizer_open(s->file, &err)) ||
        !(s->backend = backend_cpu_new(&co, &err)) ||
        !(s->model = model_load(s->file, s->backend, &mo, &err)) ||
        !(s->engine = engine_new(s->model, s->tokenizer, &eo, &err)))
        die(s->path, &err);
    struct engine_stats stats;
    engine_stats(s->engine, &stats);
    printf("%s; %d sequences, %d pages of keys and values, %.1f MiB\n",
           s->backend->ops->describe(s->backend), stats.max_seqs, stats.pages_total,
           (double)stats.kv_bytes / (1 << 20));
}

static void serve(struct setup *s)
{
    struct stream *streams = memory_array(struct stream, (size_t)s->streams);
    for (int i = 0; i < s->streams; i++)
        streams[i] =
            (struct stream){.setup = s, .index = i, .at = memory_array(double, (size_t)s->new + 1)};
    int first = s->shared > 0;
    if (first) {
        struct counters a = read_counters(s);
        start_streams(streams, 0, 1);
        report(streams, 1, a, read_counters(s));
    }
    struct counters a = read_counters(s);
    start_streams(streams, first, s->streams);
    if (s->streams > first)
        report(streams + first, s->streams - first, a, read_counters(s));
    if (s->csv)
        write_csv(s->csv, streams, s->streams, a.clock);
    for (int i = 0; i < s->streams; i++)
        free(streams[i].at);
    free(streams);
}

static int number(const char *text, int least, int most)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end || n < least || n > most) {
        fprintf(stderr, "'%s' is not a whole number from %d to %d\n", text, least, most);
        exit(2);
    }
    return (int)n;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"streams", 1, NULL, 'n'}, {"prompt", 1, NULL, 'p'},
                                            {"new", 1, NULL, 'o'},     {"shared", 1, NULL, 's'},
                                            {"threads", 1, NULL, 't'}, {"apart", 1, NULL, 'a'},
                                            {"csv", 1, NULL, 'c'},     {"speculate", 0, NULL, 'g'},
                                            {"greedy", 0, NULL, 'y'},  {NULL, 0, NULL, 0}};
    struct setup s = {.streams = 32, .prompt = 128, .new = 64};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'n': s.streams = number(optarg, 1, STREAMS_MAX); break;
        case 'p': s.prompt = number(optarg, 1, 1 << 20); break;
        case 'o': s.new = number(optarg, 1, 1 << 20); break;
        case 's': s.shared = number(optarg, 0, 1 << 20); break;
        case 't': s.threads = number(optarg, 1, 1024); break;
        case 'a': s.apart = strtod(optarg, NULL); break;
        case 'c': s.csv = optarg; break;
        case 'g': s.speculate = true; break;
        case 'y': s.greedy = true; break;
        default: return 2;
        }
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "which model? (bench_serve_engine MODEL)\n");
        return 2;
    }
    s.path = argv[optind];
    s.prompt += s.shared;
    load(&s);
    serve(&s);
    engine_free(s.engine);
    model_free(s.model);
    s.backend->ops->free(s.backend);
    tokenizer_close(s.tokenizer);
    model_file_close(s.file);
    return 0;
}
