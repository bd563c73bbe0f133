// job.h - a request inside the engine: its copy of what was asked, and its choices.
//
// Made by the submitting thread, then the engine's alone. A choice is one return sequence: tokens,
// sampler, text not shown yet. The first choice computes the prompt; the others fork from it.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "local/engine/constraint.h"
#include "local/engine/engine.h"
#include "local/engine/engine_model.h"
#include "local/engine/lookup.h"
#include "local/engine/pooled.h"
#include "local/engine/scheduler.h"
#include "local/engine/speculation.h"
#include "local/engine/stops.h"

struct engine_answer;
struct job;

struct choice {
    struct sequence seq;  // seq.owner is the choice
    struct job *job;
    const int32_t *prompt;  // of the job's
    size_t n_prompt;
    uint64_t page_salt;
    struct pooled pooled;  // of embeddings
    int index, n_generated;
    bool begun, finished;
    bool stopped;  // by a stop string
    int stop;      // which
    int capacity;  // of seq.tokens, which grows as the text does
    struct sampler_scratch *scratch;
    // Made with the first token, since thousands may wait for theirs; sampler NULL: not yet.
    struct sampler *sampler;
    struct constraint constraint;
    struct detokenizer detokenizer;
    struct stop_matcher stops;
    struct buf text;  // generated and not shown yet
    // What guesses are made from, unless the job does not want any.
    struct lookup lookup;
    struct pace pace;
    enum guess_kind guess_kind;  // of the last guess
    bool draft_model_lost;       // there is a token that the draft model does not have
};

struct job {
    struct job *prev, *next;
    struct engine_answer *answer;
    int32_t *prompt, *ends;
    size_t n_prompt, n_ends;
    enum pooling pooling;  // POOLING_NONE: text is wanted
    int max_tokens, min_tokens, n_choices, n_top;
    bool skip_special, logprobs, scores;
    const struct shown_token *shown;
    size_t n_shown;
    int speculate;
    int spare_room;  // events that the answer has room for beyond those of a step without guesses
    struct sampling sampling;
    struct logit_bias *bias;
    struct stop_set stops;
    struct grammar *grammar;
    struct flow flow;
    struct choice *choices;  // [n_choices]
    struct token_logprob *top;
    int n_unfinished;  // choices
    bool forked;       // the choices after the first have begun
    size_t completion_tokens, cached_tokens, shown_prefill;
    size_t drafted_tokens, accepted_tokens;
    int64_t submitted_ns, started_ns, first_token_ns;  // 0: not yet
};

// Checks what a request may ask of this model; names the member that is wrong.
bool job_check(const struct engine_request *r, const struct engine_model *m, struct error *err);
struct job *job_new(const struct engine_request *r, const struct engine_model *m,
                    struct engine_answer *answer);
void job_free(struct job *j);

// Makes choice i ready to be scheduled: its prompt. The rest is made with its first token.
void choice_begin(struct job *j, int i, struct sampler_scratch *scratch);
void choice_reserve(struct choice *c, int n);  // room for n more tokens, as far as it may get them
bool job_is_end(const struct job *j, int32_t token);  // it ends the text
// Takes the hidden states of its rows from `position` on; after the last one pushes the embedding
// and the choice's end. True if that came.
bool choice_embed(struct choice *c, int position, const float *rows, int n_rows, bool last,
                  const struct engine_model *m);
// Pushes what n rows of logits, the first that of the token at `position`, say of the prompt's
// tokens behind them. False with err: there is no number to go by.
bool choice_score(struct choice *c, int position, const float *logits, int n,
                  const struct engine_model *m, struct error *err);
// Takes the next token from logits (which are changed) and pushes its events. False when the
// choice ended with it; else the sequence must go on with it.
bool choice_advance(struct choice *c, float *logits, const struct engine_model *m, int32_t *next);
// Pushes the end. Text that was held back is shown with it.
void choice_finish(struct choice *c, enum finish_reason reason, const struct error *err,
                   const struct engine_model *m);
void job_push_done(struct job *j);  // all choices are finished; the answer is handed over
