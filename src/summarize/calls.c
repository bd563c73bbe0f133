#include "summarize/calls.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "gateway/gateway.h"

enum { IN_FLIGHT = 16, ATTEMPTS = 2, LOOK_MS = 100 };

// A request and what it points to.
struct asked {
    struct buf text;
    struct chat_message message;
    struct chat_request request;
    json_t *extras;
};

static void ask_prepare(struct asked *a, const struct asker *c, const struct prompt *p)
{
    *a = (struct asked){0};
    prompt_write(&a->text, p);
    a->message = (struct chat_message){.role = ROLE_USER, .text = buf_view(&a->text)};
    // Models that can think first would spend the answer's room on it.
    a->extras = json_object();
    json_object_set_new(a->extras, "enable_thinking", json_false());
    a->request = (struct chat_request){.input = INPUT_MESSAGES,
                                       .model = c->model,
                                       .caller = c->who,
                                       .messages = &a->message,
                                       .n_messages = 1,
                                       .extras = a->extras,
                                       .stream = true,  // a vendor then tells when it begins
                                       .max_tokens = -1};
    chat_sampling_unset(&a->request.sampling);
    a->request.sampling.temperature = 0;
}

static void ask_release(struct asked *a)
{
    buf_release(&a->text);
    json_decref(a->extras);
}

// Nothing is counted while calls run, so that it may be waited for.
static bool wait_for_turn(const struct asker *c, struct error *err)
{
    return !c->turn || c->turn(c->turn_self, true, err);
}

bool count_prompt(const struct asker *c, const struct prompt *p, int64_t *n, struct error *err)
{
    struct asked a;
    bool exact;
    if (!wait_for_turn(c, err))
        return false;
    ask_prepare(&a, c, p);
    bool ok = gateway_count(c->gateway, &a.request, n, &exact, err);
    ask_release(&a);
    return ok;
}

static bool count_raw(const struct asker *c, struct slice text, int64_t *n, struct error *err)
{
    struct chat_request r = {.input = INPUT_TEXT, .model = c->model, .text = text};
    bool exact;
    chat_sampling_unset(&r.sampling);
    return wait_for_turn(c, err) && gateway_count(c->gateway, &r, n, &exact, err);
}

static bool count_message(const struct asker *c, struct slice text, int64_t *n, struct error *err)
{
    struct chat_message message = {.role = ROLE_USER, .text = text};
    struct chat_request r = {
        .input = INPUT_MESSAGES, .model = c->model, .messages = &message, .n_messages = 1};
    bool exact;
    chat_sampling_unset(&r.sampling);
    return wait_for_turn(c, err) && gateway_count(c->gateway, &r, n, &exact, err);
}

bool count_frame(struct asker *c, struct error *err)
{
    return count_message(c, slice_of("", 0), &c->frame_tokens, err);
}

bool count_text(const struct asker *c, struct slice text, int64_t *n, struct error *err)
{
    enum { LONG = 1 << 16 };
    size_t seen = text.len > LONG ? utf8_whole(text.ptr, LONG) : text.len;
    struct slice start = slice_sub(text, 0, seen);
    int64_t whole = 0, raw = 0;
    if (!count_message(c, start, n, err))
        return false;
    *n = *n > c->frame_tokens ? *n - c->frame_tokens : 0;
    if (start.len == text.len)
        return true;
    // No template need see a text of any length: what it adds to the start, it adds all along.
    if (!count_raw(c, start, &raw, err) || !count_raw(c, text, &whole, err))
        return false;
    double more = raw > 0 && *n > raw ? (double)*n / (double)raw : 1;
    *n = (int64_t)ceil((double)whole * more);
    return true;
}

struct round;
struct slot {
    struct round *round;
    struct call *call;  // NULL: free
    struct asked asked;
    struct gateway_answer *answer;
    bool ended;
    enum chat_finish finish;
    struct chat_usage usage;
    struct error error;
    struct buf text;
    int64_t first_ns;  // when the text began
    size_t n_told;     // bytes of text that went into the draft
};

struct round {
    struct asker *caller;
    struct call *calls;
    size_t n, next, n_ended;
    size_t *again;  // calls that get another attempt
    size_t n_again;
    pthread_mutex_t lock;  // of the slots' results
    pthread_cond_t changed;
    struct slot slots[IN_FLIGHT];
};

static void on_event(void *self, const struct chat_event *event)
{
    struct slot *s = self;
    pthread_mutex_lock(&s->round->lock);
    switch (event->kind) {
    case CHAT_TEXT:  // and no thoughts of models that think in spite of being asked not to
        if (event->choice == 0)
            buf_slice(&s->text, event->text);
        if (!s->first_ns)
            s->first_ns = clock_ns();
        break;
    case CHAT_FINISH: s->finish = event->finish; break;
    case CHAT_USAGE: s->usage = event->usage; break;
    case CHAT_ERROR:
        s->usage = event->usage;
        s->error = event->error;
        s->ended = true;
        break;
    case CHAT_DONE: s->ended = true; break;
    default: break;
    }
    pthread_cond_signal(&s->round->changed);
    pthread_mutex_unlock(&s->round->lock);
}

static struct slice trimmed(struct slice s)
{
    while (s.len && (unsigned char)s.ptr[0] <= ' ')
        s = slice_sub(s, 1, s.len);
    while (s.len && (unsigned char)s.ptr[s.len - 1] <= ' ')
        s.len--;
    return s;
}

static void start(struct round *r, struct slot *s, struct call *call)
{
    struct gateway *g = r->caller->gateway;
    *s = (struct slot){.round = r, .call = call, .usage = {.cost_picousd = -1}};
    ask_prepare(&s->asked, r->caller, &call->prompt);
    s->asked.request.max_tokens =
        call->attempts > 0 && call->cut ? call->max_room : call->max_tokens;
    // What goes wrong with an answer is mostly a model that repeats itself. Only generated tokens
    // count, since a summary should use the words of its text.
    if (call->attempts > 0)
        s->asked.request.sampling.frequency_penalty = 0.5f;
    struct asker *c = r->caller;
    if (c->drafting && c->drafted)
        c->draft(c->draft_self, slice_of("", 0), true);
    c->drafted = false;
    call->attempts++;
    s->answer = gateway_start(g, &s->asked.request, (struct chat_sink){.push = on_event, .self = s},
                              &s->error);
    if (!s->answer)
        s->ended = true;
}

// Where a word begins that has no end: letters or digits that come over and over ("izeizeize").
// Rules of dashes and dots are no words.
static size_t stutter_start(struct slice s)
{
    enum { PERIOD = 12, TIMES = 6, LEAST = 24 };
    size_t same[PERIOD + 1] = {0}, word = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= ' ') {
            word = i + 1;
            memset(same, 0, sizeof same);
            continue;
        }
        for (size_t p = 1; p <= PERIOD && p <= i - word; p++) {
            bool letter = ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9');
            bool equal = s.ptr[i] == s.ptr[i - p] && (letter || same[p] > 0);
            same[p] = equal ? same[p] + 1 : 0;
            if (same[p] >= LEAST && same[p] >= p * (TIMES - 1))
                return word;
        }
    }
    return s.len;
}

// Where a text falls into saying the same words over and over: a run of up to PERIOD words that
// comes several times without anything between. The text's length if it does not.
static size_t loop_start(struct slice s)
{
    enum { WORDS = 1024, PERIOD = 24, TIMES = 4, LEAST = 12 };
    uint64_t words[WORDS];
    size_t begins[WORDS], n = 0, same[PERIOD + 1] = {0};
    for (size_t i = 0; i < s.len && n < WORDS; n++) {
        begins[n] = i;
        while (i < s.len && (unsigned char)s.ptr[i] > ' ')
            i++;
        words[n] = hash_bytes(s.ptr + begins[n], i - begins[n], 1);
        for (size_t p = 1; p <= PERIOD && p <= n; p++) {
            same[p] = words[n] == words[n - p] ? same[p] + 1 : 0;
            if (same[p] >= LEAST && same[p] >= p * (TIMES - 1))
                return begins[n + 1 - same[p] - p];
        }
        while (i < s.len && (unsigned char)s.ptr[i] <= ' ')
            i++;
    }
    return s.len;
}

// Keeps an answer, unless it is a worse one than the attempt before gave.
static void keep_answer(struct call *call, struct slice text, bool cut, bool looped)
{
    bool better = call->text.len == 0 || !cut || (call->cut && text.len >= call->text.len);
    if (!better)
        return;
    buf_clear(&call->text);
    buf_slice(&call->text, text);
    call->cut = cut;
    call->looped = looped;
}

// What the attempt means for its call. True if the call should be tried again.
static bool judge(struct slot *s)
{
    struct call *call = s->call;
    struct slice text = trimmed(buf_view(&s->text));
    bool may_retry = call->attempts < ATTEMPTS && s->error.code != ERR_CANCELLED;
    size_t whole = loop_start(slice_sub(text, 0, stutter_start(text)));
    bool looped = whole < text.len, cut = looped || s->finish == CHAT_LENGTH;
    text = trimmed(slice_sub(text, 0, whole));
    if (!s->error.code && text.len == 0)
        (void)error_set(&s->error, ERR_FORMAT, "the model %s",
                        looped ? "repeated itself instead of answering" : "answered nothing");
    if (s->error.code) {
        if (!may_retry && call->text.len == 0)
            call->error = s->error;  // else the first attempt's answer, though cut, is kept
        return may_retry;
    }
    keep_answer(call, text, cut, looped);
    return cut && may_retry && (looped || call->max_room > call->max_tokens);
}

static void count_usage(struct asker *c, const struct slot *s)
{
    c->prompt_tokens += s->usage.prompt_tokens;
    c->completion_tokens += s->usage.completion_tokens;
    c->drafted_tokens += s->usage.drafted_tokens;
    c->accepted_tokens += s->usage.accepted_tokens;
    c->bytes_sent += s->usage.bytes_sent;
    c->first_ns = s->first_ns;
    if (s->usage.cost_picousd < 0 || c->cost_picousd < 0)
        c->cost_picousd = -1;
    else
        c->cost_picousd += s->usage.cost_picousd;
}

static void end(struct round *r, struct slot *s)
{
    if (s->answer) {
        gateway_wait(s->answer);
        gateway_answer_free(s->answer);
        count_usage(r->caller, s);
    }
    if (judge(s)) {
        r->again[r->n_again++] = (size_t)(s->call - r->calls);
    } else {
        r->n_ended++;
        r->caller->done++;
    }
    ask_release(&s->asked);
    buf_release(&s->text);
    s->call = NULL;
}

// Whether calls may begin now; others' turn may be first. False with err: it does not come.
static bool find_turn(const struct round *r, bool *now, struct error *err)
{
    const struct asker *c = r->caller;
    bool running = false;
    for (int i = 0; i < IN_FLIGHT; i++)
        running = running || r->slots[i].call;
    *now = !c->turn || c->turn(c->turn_self, false, NULL);
    if (*now || running)
        return true;
    return *now = wait_for_turn(c, err);
}

static void fill_slots(struct round *r)
{
    for (int i = 0; i < IN_FLIGHT; i++) {
        struct slot *s = &r->slots[i];
        if (s->call)
            continue;
        if (r->next < r->n)
            start(r, s, &r->calls[r->next++]);
        else if (r->n_again > 0)
            start(r, s, &r->calls[r->again[--r->n_again]]);
    }
}

// Waits until a slot ended, or a short while, so that a cancellation is seen.
static void wait_for_change(struct round *r)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_mutex_lock(&r->lock);
    for (int waited = 0; waited != ETIMEDOUT;) {
        for (int i = 0; i < IN_FLIGHT; i++) {
            if (r->slots[i].call && r->slots[i].ended)
                waited = ETIMEDOUT;
        }
        if (waited == 0)
            waited = pthread_cond_timedwait(&r->changed, &r->lock, &until);
    }
    pthread_mutex_unlock(&r->lock);
}

// What was written since the last look.
static void tell_draft(struct asker *c, struct slot *s)
{
    struct buf more = {0};
    pthread_mutex_lock(&s->round->lock);
    buf_slice(&more, slice_sub(buf_view(&s->text), s->n_told, s->text.len));
    s->n_told = s->text.len;
    pthread_mutex_unlock(&s->round->lock);
    if (more.len) {
        c->draft(c->draft_self, buf_view(&more), false);
        c->drafted = true;
    }
    buf_release(&more);
}

static void reap(struct round *r)
{
    for (int i = 0; i < IN_FLIGHT; i++) {
        struct slot *s = &r->slots[i];
        pthread_mutex_lock(&r->lock);
        bool ended = s->call && s->ended;
        pthread_mutex_unlock(&r->lock);
        if (s->call && r->caller->drafting)
            tell_draft(r->caller, s);
        if (ended)
            end(r, s);
    }
}

static void cancel_all(struct round *r)
{
    for (int i = 0; i < IN_FLIGHT; i++) {
        struct slot *s = &r->slots[i];
        if (s->call && s->answer)
            gateway_cancel(s->answer);
    }
    for (int i = 0; i < IN_FLIGHT; i++) {
        struct slot *s = &r->slots[i];
        if (s->call)
            end(r, s);
    }
}

bool calls_run(struct asker *c, struct call *calls, size_t n, struct error *err)
{
    struct round *r = memory_array(struct round, 1);
    bool cancelled = false, now = false, ok = true;
    *r = (struct round){.caller = c, .calls = calls, .n = n};
    r->again = memory_array(size_t, n + 1);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    while (r->n_ended < n && !cancelled && (ok = find_turn(r, &now, err))) {
        if (now)
            fill_slots(r);
        wait_for_change(r);
        reap(r);
        cancelled = c->progress && !c->progress(c->progress_self, c->done, c->total, c->what);
    }
    cancel_all(r);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->changed);
    free(r->again);
    free(r);
    return ok && (!cancelled || error_set(err, ERR_CANCELLED, "stopped"));
}
