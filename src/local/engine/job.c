#include "local/engine/job.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"
#include "local/engine/answer.h"

_Static_assert((int)DRAFT_MOST == (int)SPECULATE_MOST, "one bound");

enum { CHOICES_MAX = 1024, STOPS_MAX = 256, STOP_BYTES_MAX = 4096, INPUTS_MAX = 1 << 16 };

static bool check_counts(const struct engine_request *r, const struct engine_model *m,
                         struct error *err)
{
    if (!r->n_prompt)
        return error_set(err, ERR_USAGE, "the prompt has no tokens");
    if (r->max_tokens < 0)
        return error_set(err, ERR_USAGE, "max_tokens: %d is negative", r->max_tokens);
    if (r->n_choices < 0 || r->n_choices > CHOICES_MAX)
        return error_set(err, ERR_USAGE, "n: %d is not between 1 and %d", r->n_choices,
                         CHOICES_MAX);
    if (r->n_top < -1 || r->n_top > m->n_vocab)
        return error_set(err, ERR_USAGE, "logprobs: %d is not between 0 and %d", r->n_top,
                         m->n_vocab);
    if (r->speculate < SPECULATE_OFF || r->speculate > SPECULATE_MOST)
        return error_set(err, ERR_USAGE, "speculate: %d tokens are not between 0 and %d",
                         r->speculate, SPECULATE_MOST);
    uint64_t wanted = (uint64_t)r->n_prompt + (uint64_t)r->max_tokens;
    if (wanted > (uint64_t)m->ctx)
        return error_set(err, ERR_LIMIT,
                         "a prompt of %zu tokens and %d new ones are %" PRIu64
                         " tokens too many for a context of %d",
                         r->n_prompt, r->max_tokens, wanted - (uint64_t)m->ctx, m->ctx);
    return true;
}

static bool check_tokens(const struct engine_request *r, const struct engine_model *m,
                         struct error *err)
{
    for (size_t i = 0; i < r->n_prompt; i++)
        if (r->prompt[i] < 0 || r->prompt[i] >= m->n_vocab)
            return error_set(err, ERR_USAGE,
                             "prompt: %" PRId32 " is no token of this model (0..%d)", r->prompt[i],
                             m->n_vocab - 1);
    for (size_t i = 0; i < r->sampling.n_logit_bias; i++)
        if (r->sampling.logit_bias[i].token >= m->n_vocab)
            return error_set(err, ERR_USAGE,
                             "logit_bias: %" PRId32 " is no token of this model (0..%d)",
                             r->sampling.logit_bias[i].token, m->n_vocab - 1);
    return true;
}

static bool check_inputs(const struct engine_request *r, const struct engine_model *m,
                         struct error *err)
{
    size_t n = 0;
    if (!m->ops->hidden)
        return error_set(err, ERR_UNSUPPORTED, "this model gives no embeddings");
    if (r->n_inputs < 1 || r->n_inputs > INPUTS_MAX)
        return error_set(err, ERR_USAGE, "%zu inputs are not between 1 and %d", r->n_inputs,
                         INPUTS_MAX);
    for (size_t i = 0; i < r->n_inputs; i++) {
        if (r->input_tokens[i] == 0)
            return error_set(err, ERR_USAGE, "input %zu has no tokens", i);
        if (r->input_tokens[i] > (size_t)m->ctx)
            return error_set(err, ERR_CONTEXT,
                             "input %zu has %zu tokens, but the context of this model holds %d", i,
                             r->input_tokens[i], m->ctx);
        n += r->input_tokens[i];
    }
    assert(n == r->n_prompt);
    return check_tokens(r, m, err);
}

bool job_check(const struct engine_request *r, const struct engine_model *m, struct error *err)
{
    if (r->pooling)
        return check_inputs(r, m, err);
    if (!check_counts(r, m, err) || !sampling_check(&r->sampling, err) || !check_tokens(r, m, err))
        return false;
    if (r->n_stops > STOPS_MAX)
        return error_set(err, ERR_USAGE, "stop: %zu strings are more than %d", r->n_stops,
                         STOPS_MAX);
    for (size_t i = 0; i < r->n_stops; i++)
        if (!r->stops[i].len || r->stops[i].len > STOP_BYTES_MAX)
            return error_set(err, ERR_USAGE, "stop: a string of %zu bytes is not between 1 and %d",
                             r->stops[i].len, STOP_BYTES_MAX);
    return true;
}

static void *copy_of(const void *from, size_t n, size_t size)
{
    void *to = memory_new(n + 1, size);
    if (n)
        memcpy(to, from, n * size);
    return to;
}

static uint64_t page_salt(const struct engine_request *r, const struct engine_model *m,
                          size_t n_prompt)
{
    if (!m->ops->length_class)
        return r->flow.share_salt;
    int final_len = (int)n_prompt + (r->pooling ? 0 : r->max_tokens);
    return hash_mix(hash_mix(r->flow.share_salt) + m->ops->length_class(m->self, final_len));
}

static int count_choices(const struct engine_request *r)
{
    if (r->pooling)
        return (int)r->n_inputs;
    // Without new tokens all choices are the same.
    return r->n_choices && r->max_tokens ? r->n_choices : 1;
}

static void make_choices(struct job *j, const struct engine_request *r,
                         const struct engine_model *m)
{
    const int32_t *prompt = j->prompt;
    uint64_t salt = page_salt(r, m, j->n_prompt);
    j->choices = memory_array(struct choice, (size_t)j->n_choices);
    for (int i = 0; i < j->n_choices; i++) {
        size_t n = j->pooling ? r->input_tokens[i] : j->n_prompt;
        j->choices[i] = (struct choice){.job = j,
                                        .index = i,
                                        .prompt = prompt,
                                        .n_prompt = n,
                                        .page_salt = j->pooling ? page_salt(r, m, n) : salt};
        prompt += j->pooling ? n : 0;
    }
    j->n_unfinished = j->n_choices;
    j->forked = j->pooling;
}

struct job *job_new(const struct engine_request *r, const struct engine_model *m,
                    struct engine_answer *answer)
{
    struct job *j = memory_new(1, sizeof *j);
    j->answer = answer;
    j->prompt = copy_of(r->prompt, r->n_prompt, sizeof *r->prompt);
    j->n_prompt = r->n_prompt;
    j->ends = copy_of(r->ends, r->n_ends, sizeof *r->ends);
    j->n_ends = r->n_ends;
    j->pooling = r->pooling;
    j->max_tokens = r->pooling ? 0 : r->max_tokens;
    j->min_tokens = r->min_tokens;
    j->n_choices = count_choices(r);
    j->logprobs = r->n_top >= 0;
    j->n_top = r->n_top > 0 ? r->n_top : 0;
    j->scores = r->score_prompt && !r->pooling;
    j->skip_special = r->skip_special;
    j->shown = r->shown;
    j->n_shown = r->n_shown;
    // The first token comes with the prompt, the last one is not computed: two leave none to guess.
    j->speculate = j->max_tokens > 2 ? r->speculate : SPECULATE_OFF;
    j->sampling = r->sampling;
    j->bias = copy_of(r->sampling.logit_bias, r->sampling.n_logit_bias, sizeof *j->bias);
    j->sampling.logit_bias = j->bias;
    stop_set_init(&j->stops, r->stops, r->n_stops);
    j->grammar = grammar_hold(r->grammar);
    j->flow = r->flow;
    make_choices(j, r, m);
    j->top = memory_array(struct token_logprob, (size_t)j->n_top + 1);
    j->submitted_ns = clock_ns();
    return j;
}

void job_free(struct job *j)
{
    for (int i = 0; i < j->n_choices; i++) {
        struct choice *c = &j->choices[i];
        free(c->seq.tokens);
        pooled_release(&c->pooled);
        sampler_free(c->sampler);
        constraint_release(&c->constraint);
        stop_matcher_release(&c->stops);
        buf_release(&c->text);
        lookup_release(&c->lookup);
    }
    grammar_release(j->grammar);
    free(j->prompt);
    free(j->ends);
    free(j->bias);
    stop_set_release(&j->stops);
    free(j->choices);
    free(j->top);
    free(j);
}

void choice_begin(struct job *j, int i, struct sampler_scratch *scratch)
{
    struct choice *c = &j->choices[i];
    c->begun = true;
    c->scratch = scratch;
    c->capacity = (int)c->n_prompt;
    c->seq = (struct sequence){
        .tokens = copy_of(c->prompt, c->n_prompt, sizeof *c->prompt),
        .n_tokens = (int)c->n_prompt,
        .final_len = (int)c->n_prompt + j->max_tokens,
        .pooling = j->pooling,
        .scores = j->scores && i == 0,
        .page_salt = c->page_salt,
        .flow_id = j->flow.id,
        .weight = j->flow.weight > 0 ? j->flow.weight : 1,
        .priority = j->flow.priority,
        .deadline = j->flow.deadline_ns,
        .owner = c,
    };
}

static void open_choice(struct choice *c, const struct engine_model *m)
{
    const struct job *j = c->job;
    c->sampler = sampler_new(&j->sampling, m->n_vocab, c->index);
    sampler_share_scratch(c->sampler, c->scratch);
    for (size_t k = 0; k < j->n_prompt; k++)
        sampler_accept(c->sampler, j->prompt[k], false);
    constraint_begin(&c->constraint, j->grammar, m->n_vocab);
    stop_matcher_init(&c->stops, &j->stops);
    m->ops->text_begin(m->self, &c->detokenizer, j->skip_special);
}

void choice_reserve(struct choice *c, int n)
{
    struct sequence *seq = &c->seq;
    int most = seq->final_len, need = most - seq->n_tokens < n ? most : seq->n_tokens + n;
    if (need <= c->capacity)
        return;
    int twice = c->capacity < most / 2 ? c->capacity * 2 : most;
    c->capacity = need > twice ? need : twice;
    seq->tokens = memory_resize(seq->tokens, (size_t)c->capacity, sizeof *seq->tokens);
}

bool choice_embed(struct choice *c, int position, const float *rows, int n_rows, bool last,
                  const struct engine_model *m)
{
    struct job *j = c->job;
    struct error err;
    for (int i = 0; i < n_rows; i++)
        pooled_add(&c->pooled, position + i, rows + (size_t)i * (size_t)m->n_embd, m->n_embd);
    if (!last)
        return false;
    if (!j->first_token_ns)
        j->first_token_ns = clock_ns();
    j->cached_tokens += (size_t)c->seq.n_cached;
    float *vector = memory_array(float, (size_t)m->n_embd);
    if (pooled_finish(&c->pooled, vector, m->n_embd)) {
        struct engine_event event = {.kind = ENGINE_EMBEDDING,
                                     .choice = c->index,
                                     .embedding = vector,
                                     .n_embedding = m->n_embd};
        answer_push(j->answer, &event);
        choice_finish(c, FINISH_STOP, NULL, m);
    } else {
        (void)error_set(&err, ERR_INTERNAL, "a hidden state is not a number");
        choice_finish(c, FINISH_ERROR, &err, m);
    }
    free(vector);
    pooled_release(&c->pooled);
    return true;
}

bool choice_score(struct choice *c, int position, const float *logits, int n,
                  const struct engine_model *m, struct error *err)
{
    struct job *j = c->job;
    size_t width = (size_t)j->n_top + 1;
    struct token_logprob *scored = memory_array(struct token_logprob, (size_t)n * width);
    bool ok = true;
    for (int i = 0; i < n && ok; i++) {
        struct token_logprob *row = scored + (size_t)i * width;
        row->token = j->prompt[position + i + 1];
        ok = token_logprobs(logits + (size_t)i * (size_t)m->n_vocab, m->n_vocab, row, row + 1,
                            j->n_top, err);
    }
    struct engine_event event = {.kind = ENGINE_SCORED,
                                 .choice = c->index,
                                 .scored = scored,
                                 .n_scored = n,
                                 .scored_width = (int)width};
    if (ok)
        answer_push(j->answer, &event);
    free(scored);
    return ok;
}

bool job_is_end(const struct job *j, int32_t token)
{
    for (size_t i = 0; i < j->n_ends; i++)
        if (j->ends[i] == token)
            return true;
    return false;
}

static int which_stop(const struct choice *c, struct slice text)
{
    const struct stop_set *stops = &c->job->stops;
    size_t i = 0;
    while (i + 1 < stops->n && !slice_eq(stops->patterns[i].text, text))
        i++;
    return (int)i;
}

// Lets the stop strings see the text after `from`. True if one is complete: the text is then cut.
static bool stopped_in(struct choice *c, size_t from)
{
    size_t end, length;
    struct slice more = slice_sub(buf_view(&c->text), from, c->text.len);
    if (!stop_matcher_read(&c->stops, more, &end, &length))
        return false;
    assert(from + end >= length);  // what was shown is no part of a stop
    c->text.len = from + end - length;
    c->stopped = true;
    c->stop = which_stop(c, slice_of(c->text.ptr + c->text.len, length));
    return true;
}

// A token that is shown with a text of its own ends what the tokenizer held back.
static void add_token_text(struct choice *c, int32_t token, const struct engine_model *m)
{
    const struct job *j = c->job;
    for (size_t i = 0; i < j->n_shown; i++) {
        if (j->shown[i].token != token)
            continue;
        m->ops->text_finish(m->self, &c->detokenizer, &c->text);
        buf_slice(&c->text, j->shown[i].text);
        return;
    }
    m->ops->text_push(m->self, &c->detokenizer, token, &c->text);
}

static void forget_shown(struct choice *c, size_t n)
{
    c->text.len -= n;
    memmove(c->text.ptr, c->text.ptr + n, c->text.len);
}

static void push_token(struct choice *c, int32_t token, size_t n_shown,
                       const struct token_logprob *chosen)
{
    struct job *j = c->job;
    struct engine_event event = {
        .kind = ENGINE_TOKEN,
        .choice = c->index,
        .token = token,
        .text = slice_sub(buf_view(&c->text), 0, n_shown),
        .logprob = j->logprobs ? chosen->logprob : 0,
        .top = j->top,
        .n_top = j->n_top,
    };
    answer_push(j->answer, &event);
    if (n_shown)
        forget_shown(c, n_shown);
}

static void push_next(struct choice *c)
{
    struct job *j = c->job;
    struct engine_event event = {.kind = ENGINE_NEXT, .top = j->top, .n_top = j->n_top};
    answer_push(j->answer, &event);
}

static void forbid_ends(const struct job *j, float *logits, const struct engine_model *m)
{
    for (size_t i = 0; i < j->n_ends; i++)
        if (j->ends[i] >= 0 && j->ends[i] < m->n_vocab)
            logits[j->ends[i]] = -INFINITY;
}

bool choice_advance(struct choice *c, float *logits, const struct engine_model *m, int32_t *next)
{
    struct job *j = c->job;
    struct error err;
    struct token_logprob chosen = {0};
    const uint32_t *mask;
    int32_t token = -1;
    if (!c->sampler)
        open_choice(c, m);
    bool ready = constraint_mask(&c->constraint, j->ends, j->n_ends, &mask, &err);
    if (ready && !mask && j->max_tokens && c->n_generated < j->min_tokens)
        forbid_ends(j, logits, m);
    if (ready)
        token = sampler_pick(c->sampler, logits, c->seq.n_tokens, mask,
                             j->logprobs ? &chosen : NULL, j->top, j->n_top, &err);
    if (token >= 0 && j->max_tokens && !job_is_end(j, token) &&
        !constraint_accept(&c->constraint, token, &err))
        token = -1;
    if (token < 0) {
        choice_finish(c, FINISH_ERROR, &err, m);
        return false;
    }
    if (!j->first_token_ns)
        j->first_token_ns = clock_ns();
    if (!j->max_tokens) {
        push_next(c);
        choice_finish(c, FINISH_LENGTH, NULL, m);
        return false;
    }
    c->n_generated++;
    j->completion_tokens++;
    sampler_accept(c->sampler, token, true);
    if (job_is_end(j, token)) {
        push_token(c, token, 0, &chosen);
        choice_finish(c, FINISH_STOP, NULL, m);
        return false;
    }
    size_t before = c->text.len;
    add_token_text(c, token, m);
    if (stopped_in(c, before)) {
        push_token(c, token, c->text.len, &chosen);
        choice_finish(c, FINISH_STOP, NULL, m);
        return false;
    }
    push_token(c, token, c->text.len - stop_matcher_held(&c->stops), &chosen);
    if (constraint_must_end(&c->constraint)) {
        choice_finish(c, FINISH_STOP, NULL, m);
        return false;
    }
    if (c->n_generated == j->max_tokens) {
        choice_finish(c, FINISH_LENGTH, NULL, m);
        return false;
    }
    *next = token;
    return true;
}

void choice_finish(struct choice *c, enum finish_reason reason, const struct error *err,
                   const struct engine_model *m)
{
    struct job *j = c->job;
    if (c->n_generated && !c->stopped) {  // the last bytes may yet complete a stop
        size_t before = c->text.len;
        m->ops->text_finish(m->self, &c->detokenizer, &c->text);
        if (stopped_in(c, before) && reason == FINISH_LENGTH)
            reason = FINISH_STOP;
    }
    struct engine_event event = {
        .kind = ENGINE_FINISH,
        .choice = c->index,
        .finish = reason,
        .stop = c->stopped ? c->stop : -1,
        .text = buf_view(&c->text),
    };
    if (err)
        event.error = *err;
    answer_push(j->answer, &event);
    c->finished = true;
    j->n_unfinished--;
}

static double seconds(int64_t from, int64_t to)
{
    return from && to > from ? (double)(to - from) * 1e-9 : 0;
}

void job_push_done(struct job *j)
{
    int64_t now = clock_ns(), started = j->started_ns ? j->started_ns : now;
    int64_t first = j->first_token_ns ? j->first_token_ns : now;
    struct engine_event event = {
        .kind = ENGINE_DONE,
        .usage = {.prompt_tokens = j->n_prompt,
                  .cached_tokens = j->cached_tokens,
                  .completion_tokens = j->completion_tokens,
                  .drafted_tokens = j->drafted_tokens,
                  .accepted_tokens = j->accepted_tokens,
                  .queued_s = seconds(j->submitted_ns, started),
                  .prefill_s = seconds(j->started_ns, first),
                  .decode_s = seconds(j->first_token_ns, now)},
    };
    answer_push(j->answer, &event);
    j->answer = NULL;
}
