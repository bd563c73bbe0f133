// bench.h - tokens a second of a loaded model, beside what the machine can do.
//
// Forward passes are timed, nothing else: no sampling, no text. Tokens are random. Prefill computes
// a prompt from nothing, in steps of the model's max_rows, with logits of its last token. Decode
// computes one token after another behind a context of `depth` tokens that a real prefill filled.
// A batch decodes one token of each sequence in every step behind prompts of 32 tokens. Each is
// repeated, after warming up (model_warm_up), and the median told, with the bytes and operations a
// second that it comes to (roofline.h).
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct error;
struct model;

enum { BENCH_LIST_MAX = 16, BENCH_BATCH_STEPS = 16, BENCH_BATCH_PROMPT = 32 };

struct bench_options {
    int prefill[BENCH_LIST_MAX];  // tokens of each prompt
    int n_prefill;
    int decode;                 // tokens; 0: not measured
    int depth;                  // tokens before the decoded ones
    int repeats;                // 0: 3
    int threads;                // of the machine's probes; 0: the cores this process may use
    const char *kv_type;        // of keys and values; NULL: the model's own
    int batch[BENCH_LIST_MAX];  // sequences
    int n_batch;
    // Called before each measurement with its name and share of all; false cancels.
    bool (*progress)(void *self, const char *what, int done, int total);
    void *progress_self;
};
struct bench_rate {
    int n;  // tokens of the prompt, tokens decoded, or sequences
    double tokens_per_s;
    double gbytes_per_s;  // weights, keys and values, 1e9
    double tops;          // products of the weight matrices, 1e12
};
struct bench_result {
    int threads, depth;
    struct bench_rate prefill[BENCH_LIST_MAX], decode, batch[BENCH_LIST_MAX];
    int n_prefill, n_batch;
    double read_gbytes_per_s, int8_tops;  // of the machine, measured before and after; the better
};
// What the model must be loaded for: ctx >= bench_ctx, max_seqs and max_wanted >= the largest
// batch.
int bench_ctx(const struct bench_options *o);
bool bench_run(struct model *m, const struct bench_options *o, struct bench_result *out,
               struct error *err);
