#include "local/engine/engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "local/engine/admission.h"
#include "local/engine/answer.h"
#include "local/engine/drafts.h"
#include "local/engine/job.h"

enum { QUEUE_USUAL = 8192 };

struct engine {
    struct engine_model model;
    // Shared, under the lock.
    pthread_mutex_t lock;
    pthread_cond_t woken;
    struct job *submitted_first, *submitted_last;
    struct admission admission;
    bool wake, stop;
    struct engine_stats stats;
    // The thread's own.
    pthread_t thread;
    struct job *jobs;
    struct scheduler *scheduler;
    struct batch *batch;
    float *logits;  // [max_wanted, n_vocab]
    float *row;     // [n_vocab] for choices that share a row
    float *hidden;  // [max_rows, n_embd] of rows that go into embeddings; NULL: there are none
    struct sampler_scratch *scratch;
    struct speculation speculation;
    struct draft_model draft_model;
    int64_t cached_tokens, prompt_tokens, completion_tokens, n_steps, n_rows, n_prompt_rows;
    int64_t drafted_tokens, accepted_tokens, n_expired, n_cancelled;
    int64_t next_deadline_ns;  // the earliest of all jobs; 0: none
    double busy_s, forward_s;
    double step_began_s;  // 0: no step is being made
};

void engine_wake(struct engine *e)
{
    pthread_mutex_lock(&e->lock);
    e->wake = true;
    pthread_cond_signal(&e->woken);
    pthread_mutex_unlock(&e->lock);
}

// Counters

static void publish_stats(struct engine *e)
{
    const struct scheduler *s = e->scheduler;
    struct engine_stats stats = {
        .steps = e->n_steps,
        .rows = e->n_rows,
        .prompt_rows = e->n_prompt_rows,
        .prompt_tokens = e->prompt_tokens,
        .cached_tokens = e->cached_tokens,
        .completion_tokens = e->completion_tokens,
        .preemptions = s->n_preemptions,
        .drafted_tokens = e->drafted_tokens,
        .accepted_tokens = e->accepted_tokens,
        .expired = e->n_expired,
        .cancelled = e->n_cancelled,
        .busy_s = e->busy_s + (e->step_began_s > 0 ? clock_s() - e->step_began_s : 0),
        .forward_s = e->forward_s,
        .running = s->n_running,
        .waiting = s->n_waiting,
        .kv_bytes = e->model.kv_bytes,
        .max_seqs = e->model.max_seqs,
        .max_rows = e->model.max_rows,
        .ctx = e->model.ctx,
    };
    for (int g = 0; g < s->o.n_groups; g++) {
        stats.pages_free += page_pool_available(&s->pool[g]);
        stats.pages_total += s->pool[g].n_pages;
    }
    pthread_mutex_lock(&e->lock);
    e->stats = stats;
    pthread_mutex_unlock(&e->lock);
}

// Jobs

static void enter_job(struct engine *e, struct job *j)
{
    j->next = e->jobs;
    j->prev = NULL;
    if (e->jobs)
        e->jobs->prev = j;
    e->jobs = j;
    for (int i = 0; i < (j->pooling ? j->n_choices : 1); i++) {
        choice_begin(j, i, e->scratch);
        scheduler_add(e->scheduler, &j->choices[i].seq);
    }
}

static void end_job(struct engine *e, struct job *j)
{
    e->prompt_tokens += (int64_t)j->n_prompt;
    e->cached_tokens += (int64_t)j->cached_tokens;
    publish_stats(e);  // whoever reads the end finds it counted
    pthread_mutex_lock(&e->lock);
    admission_leave(&e->admission, !j->started_ns);
    pthread_mutex_unlock(&e->lock);
    job_push_done(j);
    *(j->prev ? &j->prev->next : &e->jobs) = j->next;
    if (j->next)
        j->next->prev = j->prev;
    job_free(j);
}

// Ends a job before its time, wherever it is: its sequences leave queue and batch at once.
static void break_off(struct engine *e, struct job *j, enum finish_reason why,
                      const struct error *err)
{
    for (int i = 0; i < j->n_choices; i++) {
        struct choice *c = &j->choices[i];
        if (c->begun && !c->finished)
            scheduler_remove(e->scheduler, &c->seq);
        if (!c->finished)
            choice_finish(c, why, err, &e->model);
    }
    end_job(e, j);
}

static void cancel_job(struct engine *e, struct job *j)
{
    e->n_cancelled++;
    break_off(e, j, FINISH_CANCELLED, NULL);
}

static void expire_job(struct engine *e, struct job *j)
{
    struct error err;
    e->n_expired++;
    (void)error_set(&err, ERR_TIMEOUT, "the deadline came %s",
                    j->started_ns ? "first" : "before its turn");
    break_off(e, j, FINISH_ERROR, &err);
}

// The most events that a step without guesses may push for the job, and what cancelling it then
// pushes.
static size_t room_wanted(const struct job *j)
{
    return 2 * (size_t)j->n_unfinished + 3 + j->scores;
}

// Sequences of a reader that does not keep up pause until it does.
static void look_at_room(struct engine *e, struct job *j)
{
    size_t wanted = room_wanted(j), room = answer_room(j->answer, wanted);
    bool paused = room < wanted;
    j->spare_room = paused ? 0 : (int)(room - wanted);
    for (int i = 0; i < j->n_choices; i++) {
        struct choice *c = &j->choices[i];
        if (!c->begun || c->finished)
            continue;
        scheduler_pause(e->scheduler, &c->seq, paused);
        if (paused)
            lookup_release(&c->lookup);  // it is made again
    }
}

// What became of the jobs outside: cancelled, too late, or their readers do not keep up.
static void look_at_jobs(struct engine *e)
{
    int64_t now = clock_ns(), next_deadline = 0;
    for (struct job *j = e->jobs, *next; j; j = next) {
        next = j->next;
        int64_t deadline = j->flow.deadline_ns;
        if (atomic_load(&j->answer->cancelled))
            cancel_job(e, j);
        else if (deadline && deadline <= now)
            expire_job(e, j);
        else if (j->started_ns)  // else it has said nothing yet
            look_at_room(e, j);
        if (deadline > now && (!next_deadline || deadline < next_deadline))
            next_deadline = deadline;
    }
    e->next_deadline_ns = next_deadline;
}

// Until somebody wakes it, or the next deadline. Under the lock.
static void sleep_until_woken(struct engine *e)
{
    int64_t at = e->next_deadline_ns;
    struct timespec t = {.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
    while (!e->wake && !e->stop)
        if (!at)
            pthread_cond_wait(&e->woken, &e->lock);
        else if (pthread_cond_timedwait(&e->woken, &e->lock, &t) == ETIMEDOUT)
            return;
}

// Takes what was submitted; waits when there is nothing to do. False when the engine must stop.
static bool take_submitted(struct engine *e, bool idle)
{
    pthread_mutex_lock(&e->lock);
    if (idle)
        sleep_until_woken(e);
    e->wake = false;
    struct job *j = e->submitted_first;
    e->submitted_first = e->submitted_last = NULL;
    bool go_on = !e->stop;
    pthread_mutex_unlock(&e->lock);
    for (struct job *next; j; j = next) {
        next = j->next;
        enter_job(e, j);
    }
    return go_on;
}

// A step

// The choice's next token. True if it was guessed, so that the next logits are its own too.
static bool advance(struct engine *e, struct choice *c, float *logits)
{
    int32_t token;
    bool goes_on = choice_advance(c, logits, &e->model, &token);
    e->completion_tokens += c->job->max_tokens > 0;
    if (goes_on) {
        choice_reserve(c, 1);
        return scheduler_append(e->scheduler, &c->seq, token);
    }
    scheduler_remove(e->scheduler, &c->seq);
    return false;
}

// Tokens for all logits of a run, as far as they were guessed rightly.
static void advance_all(struct engine *e, struct choice *c, int n_logits, float *logits)
{
    int n_right = 0;
    while (advance(e, c, logits)) {
        logits += e->model.n_vocab;
        n_right++;
    }
    e->drafted_tokens += n_logits - 1;
    e->accepted_tokens += n_right;
    drafts_learn(&e->speculation, c, n_logits - 1, n_right);
}

// The prompt is computed: the other choices go on from it.
static void fork_choices(struct engine *e, struct job *j, const float *logits)
{
    j->forked = true;
    const struct sequence *first = &j->choices[0].seq;
    for (int i = 1; i < j->n_choices; i++) {
        struct choice *c = &j->choices[i];
        choice_begin(j, i, e->scratch);
        c->seq.arrival = first->arrival + (uint64_t)i;
        struct page_copy copies[BATCH_GROUPS_MAX];
        if (!scheduler_fork(e->scheduler, first, &c->seq, copies)) {
            scheduler_add(e->scheduler, &c->seq);  // its turn comes; the pages may still be cached
            continue;
        }
        for (int g = 0; g < e->model.n_groups; g++)
            if (copies[g].from >= 0)
                e->model.ops->copy_page(e->model.self, g, copies[g].from, copies[g].to);
        memcpy(e->row, logits, (size_t)e->model.n_vocab * sizeof *e->row);
        (void)advance(e, c, e->row);
    }
}

static void show_prefill(struct job *j, const struct sequence *seq)
{
    if (answer_room(j->answer, room_wanted(j)) < room_wanted(j) + 1)
        return;  // the bound is for what matters
    struct engine_event event = {
        .kind = ENGINE_PREFILL, .n_done = (size_t)seq->n_computed, .n_total = j->n_prompt};
    answer_push(j->answer, &event);
}

// What the step says of the prompt's known tokens. False if that ended the job.
static bool settle_scored(struct engine *e, const struct scheduler_row_run *run,
                          const float *logits)
{
    struct choice *c = run->seq->owner;
    struct sequence *seq = &c->seq;
    struct error err;
    if (run->n_scored && !choice_score(c, seq->n_scored, logits, run->n_scored, &e->model, &err)) {
        break_off(e, c->job, FINISH_ERROR, &err);
        return false;
    }
    seq->n_scored += run->n_scored;
    seq->scores = seq->n_scored + 1 < seq->n_tokens;
    return true;
}

static void settle_run(struct engine *e, const struct scheduler_row_run *run, float *logits)
{
    struct choice *c = run->seq->owner;
    struct job *j = c->job;
    if (run->seq->scores && !settle_scored(e, run, logits))
        return;
    logits += (size_t)run->n_scored * (size_t)e->model.n_vocab;
    if (run->n_logits == run->n_scored) {
        if (!j->forked)
            show_prefill(j, run->seq);
        return;
    }
    if (c->index == 0 && !j->forked) {
        j->cached_tokens = (size_t)c->seq.n_cached;
        fork_choices(e, j, logits);
    }
    advance_all(e, c, run->n_logits - run->n_scored, logits);
    if (!j->n_unfinished)
        end_job(e, j);
}

// What the step computed of a text that is to be embedded.
static void settle_embedding(struct engine *e, const struct scheduler_row_run *run,
                             const float *hidden)
{
    struct choice *c = run->seq->owner;
    struct job *j = c->job;
    int position = run->seq->n_computed - run->n_rows + run->first_hidden;
    bool last = run->seq->n_computed == run->seq->n_tokens;
    if (!choice_embed(c, position, hidden, run->n_hidden, last, &e->model))
        return;
    scheduler_remove(e->scheduler, &c->seq);
    if (!j->n_unfinished)
        end_job(e, j);
}

static void note_starts(struct engine *e)
{
    int64_t now = clock_ns();
    int n = 0;
    for (int i = 0; i < e->scheduler->n_runs; i++) {
        struct job *j = ((struct choice *)e->scheduler->runs[i].seq->owner)->job;
        if (j->started_ns)
            continue;
        j->started_ns = now;
        n++;
    }
    if (!n)
        return;
    pthread_mutex_lock(&e->lock);
    admission_start(&e->admission, n, now);
    pthread_mutex_unlock(&e->lock);
}

static void compute(struct engine *e, int n_rows)
{
    draft_model_guess(&e->draft_model, &e->speculation);
    scheduler_emit(e->scheduler, e->batch);
    note_starts(e);
    double start = clock_s();
    e->model.ops->forward(e->model.self, e->batch, e->logits);
    if (e->hidden)
        e->model.ops->hidden(e->model.self, e->batch, e->hidden);
    double seconds = clock_s() - start;
    e->forward_s += seconds;
    e->n_steps++;
    e->n_rows += n_rows;
    drafts_measure(&e->speculation, e->scheduler, n_rows, seconds);
}

static void settle(struct engine *e)
{
    scheduler_settle(e->scheduler);
    float *logits = e->logits, *hidden = e->hidden;
    for (int i = 0; i < e->scheduler->n_runs; i++) {
        struct scheduler_row_run run = e->scheduler->runs[i];
        e->n_prompt_rows += run.n_rows - run.n_logits + run.n_scored;
        if (run.seq->pooling)
            settle_embedding(e, &run, hidden);
        else
            settle_run(e, &run, logits);
        if (run.n_hidden)
            hidden += (size_t)run.n_hidden * (size_t)e->model.n_embd;
        logits += (size_t)run.n_logits * (size_t)e->model.n_vocab;
    }
}

// What a stream waits between two tokens is all that is done here, so all of it is measured.
static bool step(struct engine *e)
{
    e->step_began_s = clock_s();
    look_at_jobs(e);
    drafts_propose(&e->speculation, &e->draft_model, e->jobs);
    int n_rows = scheduler_plan(e->scheduler);
    if (n_rows) {
        compute(e, n_rows);
        settle(e);
        double seconds = clock_s() - e->step_began_s;
        scheduler_measured(e->scheduler, seconds);
        e->busy_s += seconds;
    }
    e->step_began_s = 0;
    publish_stats(e);
    return n_rows > 0;
}

static void *run_engine(void *self)
{
    struct engine *e = self;
    bool busy = false;
    while (take_submitted(e, !busy))
        busy = step(e);
    while (e->jobs)
        cancel_job(e, e->jobs);
    return NULL;
}

// Life

static struct scheduler *new_scheduler(const struct engine_model *m)
{
    struct scheduler_options o = {
        .n_groups = m->n_groups,
        .max_rows = m->max_rows,
        .max_seqs = m->max_seqs,
        .max_wanted = m->max_wanted,
        .ctx = m->ctx,
        .no_prefix_cache = m->no_prefix_cache,
    };
    memcpy(o.window, m->window, sizeof o.window);
    memcpy(o.n_pages, m->n_pages, sizeof o.n_pages);
    return scheduler_new(&o);
}

static size_t hidden_bytes(const struct engine_model *m)
{
    return m->ops->hidden ? (size_t)m->max_rows * (size_t)m->n_embd * sizeof(float) : 0;
}

static void release(struct engine *e)
{
    draft_model_release(&e->draft_model);
    scheduler_free(e->scheduler);
    batch_free(e->batch);
    memory_big_free(e->logits,
                    (size_t)e->model.max_wanted * (size_t)e->model.n_vocab * sizeof(float));
    memory_big_free(e->hidden, hidden_bytes(&e->model));
    free(e->row);
    sampler_scratch_free(e->scratch);
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->woken);
    free(e);
}

static void init_lock(struct engine *e)
{
    pthread_condattr_t by_clock_ns;
    pthread_mutex_init(&e->lock, NULL);
    pthread_condattr_init(&by_clock_ns);
    pthread_condattr_setclock(&by_clock_ns, CLOCK_MONOTONIC);
    pthread_cond_init(&e->woken, &by_clock_ns);
    pthread_condattr_destroy(&by_clock_ns);
}

static bool make_outputs(struct engine *e, struct error *err)
{
    const struct engine_model *m = &e->model;
    size_t n_logits = (size_t)m->max_wanted * (size_t)m->n_vocab;
    e->logits = memory_big_new(n_logits * sizeof *e->logits);
    if (!e->logits)
        return error_set(err, ERR_MEMORY, "no memory for %zu logits", n_logits);
    e->hidden = m->ops->hidden ? memory_big_new(hidden_bytes(m)) : NULL;
    return !m->ops->hidden || e->hidden ||
           error_set(err, ERR_MEMORY, "no memory for %d hidden states", m->max_rows);
}

struct engine *engine_start(const struct engine_model *m, struct error *err)
{
    struct engine *e = memory_new(1, sizeof *e);
    e->model = *m;
    init_lock(e);
    admission_init(&e->admission, m->queue_max ? m->queue_max : QUEUE_USUAL, m->max_seqs);
    if (!make_outputs(e, err)) {
        release(e);
        return NULL;
    }
    e->row = memory_array(float, (size_t)m->n_vocab);
    e->scratch = sampler_scratch_new();
    e->scheduler = new_scheduler(m);
    draft_model_init(&e->draft_model, &e->model, e->scheduler);
    e->batch = batch_new(m->max_rows, m->max_seqs, m->n_groups, e->scheduler->pages_max);
    publish_stats(e);
    int code = pthread_create(&e->thread, NULL, run_engine, e);
    if (code) {
        error_set(err, ERR_IO, "start the engine's thread: %s", strerror(code));
        release(e);
        return NULL;
    }
    return e;
}

void engine_free(struct engine *e)
{
    if (!e)
        return;
    pthread_mutex_lock(&e->lock);
    e->stop = true;
    pthread_cond_signal(&e->woken);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->thread, NULL);
    e->model.ops->free(e->model.self);
    release(e);
}

int engine_ctx(const struct engine *e)
{
    return e->model.ctx;
}

static bool submit(struct engine *e, struct job *j, struct error *err)
{
    pthread_mutex_lock(&e->lock);
    bool room = admission_enter(&e->admission, j->submitted_ns, err);
    if (room) {
        *(e->submitted_last ? &e->submitted_last->next : &e->submitted_first) = j;
        e->submitted_last = j;
        e->wake = true;
        pthread_cond_signal(&e->woken);
    }
    pthread_mutex_unlock(&e->lock);
    return room;
}

struct engine_answer *engine_submit(struct engine *e, const struct engine_request *r,
                                    struct error *err)
{
    if (!job_check(r, &e->model, err))
        return NULL;
    struct engine_answer *a = answer_new(e, r);
    struct job *j = job_new(r, &e->model, a);
    if (submit(e, j, err))
        return a;
    job_free(j);
    answer_discard(a);
    return NULL;
}

void engine_stats(struct engine *e, struct engine_stats *out)
{
    pthread_mutex_lock(&e->lock);
    *out = e->stats;
    out->refused = e->admission.refused;
    out->queued = e->admission.n_waiting;
    out->queue_max = e->admission.most;
    out->retry_after_s = admission_retry_after(&e->admission, clock_ns());
    pthread_mutex_unlock(&e->lock);
}
