// test_speculation.c - guessing tokens ahead changes nothing that is said, bit for bit.
//
// Random models and the shipped one answer hundreds of random requests (greedy and sampled, with
// penalties, biases, stops, ends, several choices), one at a time and without guesses; then with
// guesses of all lengths and of the engine's own choosing, together, with prefixes shared, in small
// steps, with too few pages; and the same with another model to draft, or the model itself. Tokens,
// the bits of logprobs, texts and reasons must be equal, and the guesses must have been right and
// wrong often enough to mean something.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "local/engine/engine.h"
#include "local/formats/model_file.h"
#include "local/models/model.h"
#include "local/tokenizer/tokenizer.h"

#include "../support/tiny_model.h"

enum { CHOICES = 3, N_TOP = 1, PROMPT_MAX = 150, NEW_MAX = 80, CTX = 240, REQUESTS_MAX = 60 };
enum { FAVOURED = 9, STOPS = 3 };

// Sanitized kernels are some ten times slower, and look for other mistakes than wrong bits.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SHARE = 12, SANITIZED = 1 };
#else
enum { SHARE = 1, SANITIZED = 0 };
#endif

struct said {
    int n[CHOICES];
    enum finish_reason finish[CHOICES];
    int32_t tokens[CHOICES][NEW_MAX];
    float logprobs[CHOICES][NEW_MAX][1 + N_TOP];
    uint64_t text[CHOICES];  // hash
};

struct subject {
    const char *name;
    const struct model_file *file;
    const struct model_file *draft;  // NULL: none
    struct tokenizer *tokenizer;     // NULL: no texts
    int n_requests;
};

static uint64_t random_of(int i, int what)
{
    return hash_mix(hash_mix((uint64_t)i + 1) + (uint64_t)what);
}

// Few tokens, in phrases that come again.
static size_t make_prompt(int i, int n_vocab, int32_t *prompt)
{
    size_t n = 2 + (size_t)(random_of(i, 1) % (PROMPT_MAX - 2)), phrase = 3 + random_of(i, 2) % 20;
    uint64_t text = random_of(i % 5, 3);  // some share their beginnings
    for (size_t k = 0; k < n; k++) {
        bool own = k > n / 2 && random_of(i * 1000 + (int)k, 4) % 12 == 0;
        uint64_t r = hash_mix(text + k % phrase) + (own ? (uint64_t)i : 0);
        prompt[k] = (int32_t)(r % (uint64_t)n_vocab);
    }
    return n;
}

static void set_sampling(struct sampling *s, int i, struct logit_bias *bias, int n_vocab)
{
    sampling_defaults(s);
    s->temperature = i % 3 == 0 ? 0 : 0.3f * (float)(1 + random_of(i, 5) % 4);
    s->top_k = random_of(i, 6) % 3 ? 0 : 5;
    s->top_p = random_of(i, 7) % 2 ? 0.9f : 1;
    s->seed = random_of(i, 8);
    if (random_of(i, 9) % 3 == 0)
        s->repetition_penalty = 1.1f;
    if (random_of(i, 10) % 3 == 0)
        s->frequency_penalty = 0.1f;
    if (random_of(i, 11) % 3 == 0)
        s->presence_penalty = 0.2f;
    if (random_of(i, 12) % 2)
        s->penalty_last_n = 20;
    for (int k = 0; k < FAVOURED; k++)  // so that texts repeat themselves
        bias[k] = (struct logit_bias){(int32_t)(random_of(i % 7, 20 + k) % (uint64_t)n_vocab),
                                      random_of(i, 13) % 4 ? 6.0f : 0.5f};
    s->logit_bias = bias;
    s->n_logit_bias = i % 4 ? FAVOURED : 0;
}

static struct engine_answer *submit(struct engine *e, int i, int n_vocab, int speculate)
{
    static const char *const words[STOPS] = {"the ", ". ", "ing"};
    int32_t prompt[PROMPT_MAX], end = (int32_t)(random_of(i % 7, 21) % (uint64_t)n_vocab);
    struct logit_bias bias[FAVOURED];
    struct slice stops[STOPS];
    struct engine_request r = {.prompt = prompt, .n_top = N_TOP, .speculate = speculate};
    r.n_prompt = make_prompt(i, n_vocab, prompt);
    r.max_tokens = 1 + (int)(random_of(i, 14) % NEW_MAX);
    r.n_choices = random_of(i, 15) % 6 == 0 ? CHOICES : 1;
    for (int k = 0; k < STOPS; k++)
        stops[k] = slice_str(words[k]);
    r.stops = stops;
    r.n_stops = random_of(i, 16) % 4 == 0 ? STOPS : 0;
    r.ends = &end;
    r.n_ends = random_of(i, 17) % 4 == 0;
    set_sampling(&r.sampling, i, bias, n_vocab);
    struct error err;
    struct engine_answer *a = engine_submit(e, &r, &err);
    if (!a)
        fail_msg("%s", err.text);
    return a;
}

static void listen(struct engine_answer *a, struct said *s)
{
    struct engine_event ev;
    memset(s, 0, sizeof *s);
    while (engine_next(a, &ev)) {
        if (ev.kind == ENGINE_FINISH)
            s->finish[ev.choice] = ev.finish;
        for (size_t i = 0; i < ev.text.len; i++)
            s->text[ev.choice] = hash_mix(s->text[ev.choice] ^ (unsigned char)ev.text.ptr[i]);
        if (ev.kind != ENGINE_TOKEN)
            continue;
        int at = s->n[ev.choice]++;
        s->tokens[ev.choice][at] = ev.token;
        s->logprobs[ev.choice][at][0] = ev.logprob;
        s->logprobs[ev.choice][at][1] = ev.top[0].logprob;
    }
    engine_answer_free(a);
}

struct way {
    const char *name;
    int speculate;  // 99: another length for each request
    bool together;
    int threads, max_rows, max_seqs, n_pages;  // of each group; 0: as many as are wanted
    bool no_prefix_cache;
};

static int speculate_of(const struct way *w, int i)
{
    int n = (int)(random_of(i, 18) % (SPECULATE_MOST + 1));  // 0 is SPECULATE_AUTO
    return w->speculate == 99 ? n : w->speculate;
}

static uint64_t pages_bytes(const struct model *m, int n_pages)
{
    uint64_t bytes = 0;
    for (int g = 0; g < model_n_groups(m); g++) {
        const struct kv_group *group = model_group(m, g);
        struct kv_shape shape = {.n_layers = group->n_layers,
                                 .n_kv_heads = group->n_kv_heads,
                                 .head_dim = group->head_dim,
                                 .n_pages = n_pages,
                                 .dtype = model_kv_default(m)};
        bytes += (uint64_t)n_pages * kv_page_bytes(&shape);
    }
    return bytes;
}

static struct model *load(const struct model_file *file, struct backend *cpu, const struct way *w)
{
    struct error err;
    struct model_options mo = {.ctx = CTX, .max_rows = w->max_rows, .max_seqs = w->max_seqs};
    struct model *m = model_load(file, cpu, &mo, &err);
    if (!m)
        fail_msg("%s", err.text);
    return m;
}

static void ask_all(struct engine *e, const struct subject *s, const struct way *w, int n_vocab,
                    struct said *said)
{
    static struct engine_answer *answers[REQUESTS_MAX];
    for (int i = 0; i < s->n_requests; i++) {
        answers[i] = submit(e, i, n_vocab, speculate_of(w, i));
        if (!w->together)
            listen(answers[i], &said[i]);
    }
    for (int i = 0; w->together && i < s->n_requests; i++)
        listen(answers[i], &said[i]);
}

static struct engine_stats serve(const struct subject *s, const struct way *w, struct said *said)
{
    struct error err;
    struct backend *cpu = backend_cpu_new(&(struct cpu_options){.threads = w->threads}, &err);
    struct model *m = load(s->file, cpu, w);
    struct model *draft = s->draft ? load(s->draft, cpu, w) : NULL;
    struct engine_options o = {
        .ctx = CTX,
        .kv_dtype = DTYPE_COUNT,
        .no_prefix_cache = w->no_prefix_cache,
        .draft = draft,
        .kv_bytes = pages_bytes(m, w->n_pages) + (draft ? pages_bytes(draft, w->n_pages) : 0),
    };
    struct engine *e = engine_new(m, s->tokenizer, &o, &err);
    if (!e)
        fail_msg("%s", err.text);
    ask_all(e, s, w, model_n_vocab(m), said);
    struct engine_stats stats;
    engine_stats(e, &stats);
    assert_int_equal(stats.pages_free, stats.pages_total);  // whatever was guessed is given back
    engine_free(e);
    model_free(draft);
    model_free(m);
    backend_free(cpu);
    return stats;
}

static void check_subject(const struct subject *s)
{
    static const struct way ways[] = {
        {"alone, without guesses", SPECULATE_OFF, false, 1, 512, 1, 0, true},
        {"alone, as it pays", SPECULATE_AUTO, false, 1, 512, 1, 0, true},
        {"alone, 32 at a time", SPECULATE_MOST, false, 1, 512, 1, 0, true},
        {"together, of all lengths", 99, true, 1, 512, 12, 0, true},
        {"prefixes shared, one at a time", 99, false, 1, 512, 16, 0, false},
        {"small steps", 5, true, 2, 13, 8, 0, false},
        {"few pages", 99, true, 1, 64, 8, 5, false},
    };
    static struct said want[REQUESTS_MAX], got[REQUESTS_MAX];
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        struct engine_stats stats = serve(s, &ways[w], w ? got : want);
        for (int i = 0; w && i < s->n_requests; i++)
            if (memcmp(&got[i], &want[i], sizeof got[i]) != 0)
                fail_msg("%s, %s: request %d says something else", s->name, ways[w].name, i);
        print_message("%s, %s: %lld steps, %lld rows, %lld tokens, %lld of %lld guesses right\n",
                      s->name, ways[w].name, (long long)stats.steps, (long long)stats.rows,
                      (long long)stats.completion_tokens, (long long)stats.accepted_tokens,
                      (long long)stats.drafted_tokens);
        assert_true(stats.drafted_tokens == 0 || ways[w].speculate != SPECULATE_OFF);
        if (SANITIZED)
            continue;  // too few requests for all of this to happen to them
        assert_int_equal(stats.drafted_tokens > 0, ways[w].speculate != SPECULATE_OFF);
        if (ways[w].speculate == SPECULATE_MOST || ways[w].speculate == 99) {
            assert_true(stats.accepted_tokens >= s->n_requests);
            assert_true(stats.drafted_tokens - stats.accepted_tokens >= s->n_requests);
        }
        assert_true(!ways[w].n_pages || stats.preemptions > 0);
    }
}

struct tiny {
    char *folder;
    struct model_file *file;
};

static struct tiny open_tiny(const char *name)
{
    struct tiny t = {.folder = temp_folder()};
    json_t *golden = tiny_golden(name);
    struct error err;
    tiny_model_write(golden, t.folder, &(struct tiny_options){0});
    t.file = model_file_open(t.folder, MODEL_ALL, &err);
    if (!t.file)
        fail_msg("%s", err.text);
    json_decref(golden);
    return t;
}

static void close_tiny(struct tiny *t)
{
    model_file_close(t->file);
    temp_folder_remove(t->folder);
}

static void check(const char *name, int n_requests)
{
    struct tiny t = open_tiny(name);
    check_subject(&(struct subject){name, t.file, NULL, NULL, n_requests / SHARE});
    close_tiny(&t);
}

static void check_with_draft(const char *name, const char *draft)
{
    struct tiny t = open_tiny(name), d = open_tiny(draft);
    check_subject(&(struct subject){name, t.file, d.file, NULL, 45 / SHARE});
    close_tiny(&d);
    close_tiny(&t);
}

static void attention_over_everything(void **state)
{
    (void)state;
    check("llama-grouped", 60);
}

static void sliding_windows(void **state)
{
    (void)state;
    check("mistral-window-page", 50);
    check("gemma2", 50);
}

static void rope_that_depends_on_the_length(void **state)
{
    (void)state;
    check("phi3-longrope", 50);
}

static void experts(void **state)
{
    (void)state;
    check("mixtral", 50);
}

static void a_trained_model_with_texts_and_stops(void **state)
{
    (void)state;
    struct error err;
    struct model_file *file = model_file_open("models/hearth-small.gguf", MODEL_ALL, &err);
    struct tokenizer *t = file ? tokenizer_open(file, &err) : NULL;
    if (!t)
        fail_msg("%s", err.text);
    check_subject(&(struct subject){"hearth-small", file, NULL, t, 36 / SHARE});
    tokenizer_close(t);
    model_file_close(file);
}

// With windows and without, other lengths of context, other numbers of tokens.
static void another_model_drafts(void **state)
{
    (void)state;
    check_with_draft("gemma2", "gemma3-linear");
    check_with_draft("phi3-longrope", "llama-dynamic");
    check_with_draft("llama-grouped", "gpt2");
    check_with_draft("qwen3", "llama-odd");
}

// It says what it would say itself: all guesses are right, drawn ones too.
static void a_model_drafts_for_itself(void **state)
{
    (void)state;
    struct tiny t = open_tiny("llama-grouped");
    struct subject s = {"llama-grouped", t.file, t.file, NULL, 40 / SHARE};
    check_subject(&s);
    static struct said said[REQUESTS_MAX];
    static const struct way alone = {"", 4, false, 1, 512, 4, 0, true};
    struct engine_stats with = serve(&s, &alone, said);
    s.draft = NULL;
    struct engine_stats without = serve(&s, &alone, said);
    print_message("%lld of %lld right, %lld steps; without %lld\n", (long long)with.accepted_tokens,
                  (long long)with.drafted_tokens, (long long)with.steps, (long long)without.steps);
    assert_true(with.accepted_tokens * 10 > with.drafted_tokens * 8);
    assert_true(with.steps * 2 < without.steps);
    close_tiny(&t);
}

// Random tokens, drawn with nothing that looks back, so that only the draft model guesses; common
// beginnings and several choices.
static struct engine_answer *submit_random(struct engine *e, int i, int n_vocab)
{
    int32_t prompt[PROMPT_MAX];
    struct engine_request r = {.prompt = prompt, .n_top = N_TOP, .max_tokens = 60, .speculate = 7};
    r.n_prompt = 3 + (size_t)(random_of(i, 30) % (PROMPT_MAX - 3));
    for (size_t k = 0; k < r.n_prompt; k++) {
        uint64_t text = k < r.n_prompt * 2 / 3 ? (uint64_t)(i % 3) : 100 + (uint64_t)i;
        prompt[k] = (int32_t)(hash_mix(text * 1000 + k) % (uint64_t)n_vocab);
    }
    r.n_choices = 1 + i % CHOICES;
    sampling_defaults(&r.sampling);
    r.sampling.temperature = 1.5f;
    r.sampling.top_p = 1;
    r.sampling.seed = (uint64_t)i;
    struct error err;
    struct engine_answer *a = engine_submit(e, &r, &err);
    if (!a)
        fail_msg("%s", err.text);
    return a;
}

// A page of which the draft model knows less than is said, or something else, shows: then it would
// not think as the model does.
static void what_a_draft_model_knows_of_pages_is_true(void **state)
{
    (void)state;
    enum { N = 60 / SHARE };
    static const struct way ways[] = {
        {"prefixes shared", 7, false, 1, 512, 16, 0, false},
        {"together", 7, true, 1, 64, 12, 0, false},
        {"few pages", 7, true, 2, 64, 8, 9, false},
        {"no prefix cache", 7, true, 1, 64, 8, 0, true},
    };
    struct tiny t = open_tiny("llama-grouped");
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        struct error err;
        struct backend *cpu = backend_cpu_new(&(struct cpu_options){.threads = 1}, &err);
        struct model *m = load(t.file, cpu, &ways[w]), *draft = load(t.file, cpu, &ways[w]);
        struct engine_options o = {.ctx = CTX,
                                   .kv_dtype = DTYPE_COUNT,
                                   .no_prefix_cache = ways[w].no_prefix_cache,
                                   .draft = draft,
                                   .kv_bytes = 2 * pages_bytes(m, ways[w].n_pages)};
        struct engine *e = engine_new(m, NULL, &o, &err);
        if (!e)
            fail_msg("%s", err.text);
        static struct said said;
        struct engine_answer *answers[N];
        for (int i = 0; i < N; i++) {
            answers[i] = submit_random(e, i, model_n_vocab(m));
            if (!ways[w].together)
                listen(answers[i], &said);
        }
        for (int i = 0; ways[w].together && i < N; i++)
            listen(answers[i], &said);
        struct engine_stats stats;
        engine_stats(e, &stats);
        print_message("%s: %lld of %lld guesses right, %lld preemptions, %lld cached tokens\n",
                      ways[w].name, (long long)stats.accepted_tokens,
                      (long long)stats.drafted_tokens, (long long)stats.preemptions,
                      (long long)stats.cached_tokens);
        assert_true(stats.drafted_tokens > 1000 / SHARE);
        assert_int_equal(stats.accepted_tokens, stats.drafted_tokens);
        assert_true(SANITIZED || !ways[w].n_pages || stats.preemptions > 0);
        engine_free(e);
        model_free(draft);
        model_free(m);
        backend_free(cpu);
    }
    close_tiny(&t);
}

static void a_model_with_windows_only_takes_no_draft(void **state)
{
    (void)state;
    struct tiny t = open_tiny("mistral-window-page");
    struct error err;
    static const struct way w = {"", 0, false, 1, 64, 2, 0, true};
    struct backend *cpu = backend_cpu_new(&(struct cpu_options){.threads = 1}, &err);
    struct model *m = load(t.file, cpu, &w), *draft = load(t.file, cpu, &w);
    struct engine_options o = {.kv_dtype = DTYPE_COUNT, .draft = draft};
    assert_null(engine_new(m, NULL, &o, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "window of 70 tokens"));
    model_free(draft);
    model_free(m);
    backend_free(cpu);
    close_tiny(&t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_over_everything),
        cmocka_unit_test(sliding_windows),
        cmocka_unit_test(rope_that_depends_on_the_length),
        cmocka_unit_test(experts),
        cmocka_unit_test(another_model_drafts),
        cmocka_unit_test(a_model_drafts_for_itself),
        cmocka_unit_test(what_a_draft_model_knows_of_pages_is_true),
        cmocka_unit_test(a_model_with_windows_only_takes_no_draft),
        cmocka_unit_test(a_trained_model_with_texts_and_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
