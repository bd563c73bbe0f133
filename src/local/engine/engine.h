// engine.h - many requests over one loaded model, batched continuously over paged KV.
//
// engine_new starts the engine's thread, which owns pages and sequences. Others submit and cancel
// through a queue and read events from an answer's own bounded queue, waiting for them, or told by
// `ready` that there are some. The engine never blocks on a reader: at the bound the sequence
// pauses. Failure is local: an error ends its sequence only.
// Threads: engine_* may be called from any thread; an answer is read by one.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "local/backend/backend.h"
#include "local/models/pooling.h"
#include "local/sampling/sampler.h"

struct engine;
struct engine_answer;
struct grammar;
struct model;
struct tokenizer;

struct engine_options {
    int max_rows;  // rows of a step; 0: 512
    int max_seqs;  // running at once; 0: 64
    int ctx;       // longest sequence; 0: the model's
    uint64_t
        kv_bytes;  // memory for pages; 0: what one sequence of ctx needs, or more if memory allows
    uint64_t room_bytes;  // memory that may be counted on, as if there were no more; 0: no bound
    enum dtype kv_dtype;  // DTYPE_COUNT: the model's default
    bool no_prefix_cache;
    int queue_max;  // requests that may wait; beyond, submitting is refused; 0: 8192
    // Guesses tokens for the model beside what the text itself suggests. It has the same tokens and
    // backend, and is borrowed. NULL: none.
    struct model *draft;
};

struct flow {             // opaque numbers from above: whose request this is
    uint64_t share_salt;  // prefix pages are shared only between equal salts
    uint64_t id;          // fairness
    int weight, priority;
    // clock_ns(); a request that has not ended by then ends with ERR_TIMEOUT, wherever it is. Of
    // one flow's prompts that with the earliest is read first; without one, in order. 0: none
    int64_t deadline_ns;
};

// Tokens that are guessed and verified several in a step change how fast a text comes, never the
// text (drafts.h).
enum { SPECULATE_OFF = -1, SPECULATE_AUTO = 0, SPECULATE_MOST = 32 };

struct shown_token {  // a token whose text is this, whatever the tokenizer says
    int32_t token;
    struct slice text;
};

struct engine_request {  // copied by engine_submit
    const int32_t *prompt;
    size_t n_prompt;
    // Not POOLING_NONE: no text is wanted but the embeddings of n_inputs texts, which stand in
    // prompt one after another, input_tokens[i] of its tokens each. Each is a choice of the answer,
    // with one ENGINE_EMBEDDING. Of the other members only flow is looked at.
    enum pooling pooling;
    const size_t *input_tokens;
    size_t n_inputs;
    int max_tokens;  // 0: only the prompt is computed (logprobs of what would come next)
    int min_tokens;  // of each choice before an end is drawn; `grammar` may end it sooner
    int n_choices;   // return sequences that share the prompt; 0: 1
    struct sampling sampling;
    const struct slice *stops;  // stop strings; may span tokens; not part of the text
    size_t n_stops;             // the stop that is complete first wins; of several, the longest
    const int32_t *ends;        // token ids that end the text
    size_t n_ends;
    int n_top;          // logprobs: how many alternatives; -1: none at all
    bool score_prompt;  // the prompt's tokens but the first get logprobs too (ENGINE_SCORED)
    int speculate;      // SPECULATE_AUTO: as it pays; SPECULATE_OFF; so many tokens at a time
    bool skip_special;  // control tokens give no text
    const struct shown_token *shown;  // but these do; borrowed while the engine lives
    size_t n_shown;
    // What the text of every choice must be; NULL: anything. Held by the request while it runs. An
    // end is drawn only where the text is whole; where it can only end, it ends without one.
    struct grammar *grammar;
    struct flow flow;
    // Called with each event that was pushed, for readers that do not wait: by the engine's thread,
    // with a lock of the answer held, so it only notes something and returns. Not after the reader
    // has read ENGINE_DONE. NULL: nobody needs to know.
    void (*ready)(void *self);
    void *ready_self;
};

enum finish_reason {
    FINISH_NONE,
    FINISH_STOP,
    FINISH_LENGTH,
    FINISH_ERROR,
    FINISH_CANCELLED,
    FINISH_TOOL_CALLS
};

enum engine_event_kind {
    ENGINE_PREFILL,  // progress: n_done of n_total prompt tokens (few of these)
    // A token of a choice and the text that became certain with it (maybe none). The token that
    // ends the text is told too and counted, without text.
    ENGINE_TOKEN,
    // Tokens of the prompt as they were read, in order, from the second on: scored. Once, whatever
    // the number of choices, and before their first tokens.
    ENGINE_SCORED,
    ENGINE_FINISH,     // a choice ended: finish (and text that was held back)
    ENGINE_NEXT,       // max_tokens 0: top alternatives for the next position
    ENGINE_EMBEDDING,  // a choice's embedding, of length 1; its end comes next
    ENGINE_DONE,       // all choices ended: usage; last, once
};
struct engine_event {
    enum engine_event_kind kind;
    int choice;
    int32_t token;
    struct slice text;  // valid until the next event of this answer is read
    float logprob;
    const struct token_logprob *top;  // n_top of them, as long as text
    int n_top;
    // [n_scored, scored_width], as long as text: of each a token of the prompt, then the likeliest
    // in its place. Logprobs of the model itself, without bias and penalties.
    const struct token_logprob *scored;
    int n_scored, scored_width;
    const float *embedding;  // [n_embedding], as long as text
    int n_embedding;
    enum finish_reason finish;
    int stop;  // ENGINE_FINISH: which of the stops ended it; -1: none
    size_t n_done, n_total;
    struct {
        size_t prompt_tokens, cached_tokens, completion_tokens;
        size_t drafted_tokens, accepted_tokens;  // guessed; guessed rightly, a step saved each
        double queued_s, prefill_s, decode_s;
    } usage;
    struct error error;  // FINISH_ERROR: why
};

struct engine *engine_new(struct model *model, const struct tokenizer *tokenizer,
                          const struct engine_options *o, struct error *err);
void engine_free(struct engine *e);  // cancels what runs, waits for the thread

int engine_ctx(const struct engine *e);  // longest prompt + max_tokens, after memory was counted
// NULL with err: ERR_LIMIT (too long, says by how many tokens; ERR_CONTEXT for an input that is to
// be embedded), ERR_USAGE, or ERR_BUSY where the queue is full, with err->retry_after_s.
struct engine_answer *engine_submit(struct engine *e, const struct engine_request *r,
                                    struct error *err);
// Waits for the next event. False after ENGINE_DONE.
bool engine_next(struct engine_answer *a, struct engine_event *event);
// The same without waiting: false too while there is none.
bool engine_try_next(struct engine_answer *a, struct engine_event *event);
void engine_cancel(struct engine_answer *a);       // any thread, any time before engine_answer_free
void engine_answer_free(struct engine_answer *a);  // cancels if it still runs

struct engine_stats {
    int64_t steps, rows, prompt_tokens, cached_tokens, completion_tokens, preemptions;
    int64_t drafted_tokens, accepted_tokens;
    int64_t prompt_rows;                  // of rows: those that only read a prompt
    int64_t refused, expired, cancelled;  // requests: queue full, deadline, by the client
    double busy_s, forward_s;             // of the engine's thread, and of that in the model
    int running, waiting;                 // sequences
    int queued, queue_max;                // requests that have no row yet; the bound
    int retry_after_s;                    // what a refusal would say now
    int pages_free, pages_total;          // free: also those that are only remembered
    // The pool, as it was sized at the start.
    uint64_t kv_bytes;
    int max_seqs, max_rows, ctx;
};
void engine_stats(struct engine *e, struct engine_stats *out);
