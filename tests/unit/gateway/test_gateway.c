// test_gateway.c - what the gateway passes on, against a provider that does as it is told.
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "gateway/gateway.h"
#include "gateway/several.h"
#include "../../support/fake_provider.h"

static bool reply(void *self, int n, struct slice prompt, int max_tokens, struct buf *out,
                  enum chat_finish *finish, struct error *err)
{
    (void)n, (void)max_tokens;
    if (self)
        return error_set(err, ERR_NUMERIC, "NaN");
    buf_text_add(out, "You said: ");
    buf_slice(out, prompt);
    *finish = CHAT_LENGTH;
    return true;
}

static struct chat_request request(const char *text)
{
    struct chat_request r = {.input = INPUT_TEXT, .text = slice_str(text), .max_tokens = 10};
    chat_sampling_unset(&r.sampling);
    return r;
}

static void a_whole_answer_comes_with_finish_and_usage(void **state)
{
    (void)state;
    for (int inside = 0; inside < 2; inside++) {
        struct fake_provider f;
        struct error err = {0};
        struct buf text = {0};
        enum chat_finish finish;
        struct chat_usage usage;
        fake_provider_init(&f, 100);
        f.reply = reply;
        f.inside_start = inside;
        struct gateway *g = gateway_new(&f.provider);
        struct chat_request r = request("hello there");
        assert_true(gateway_ask(g, &r, &text, &finish, &usage, &err));
        assert_string_equal(buf_text(&text), "You said: hello there");
        assert_int_equal(finish, CHAT_LENGTH);
        assert_true(usage.completion_tokens > 0);
        buf_release(&text);
        gateway_free(g);
        fake_provider_release(&f);
    }
}

static void errors_before_and_during_an_answer_are_told(void **state)
{
    (void)state;
    struct fake_provider f;
    struct error err = {0};
    struct buf text = {0};
    fake_provider_init(&f, 100);
    f.reply = reply;
    f.reply_self = &f;
    f.refuse_first = 1;
    struct gateway *g = gateway_new(&f.provider);
    struct chat_request r = request("hello");
    assert_false(gateway_ask(g, &r, &text, NULL, NULL, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_false(gateway_ask(g, &r, &text, NULL, NULL, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    struct model_info info;
    assert_false(gateway_describe(g, "nobody", &info, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    gateway_free(g);
    fake_provider_release(&f);
}

// What a sink was given for several prompts, each of at most N_TEXTS.
enum { N_TEXTS = 40 };
struct gathered {
    struct buf texts[N_TEXTS];
    int n_finished[N_TEXTS], n_usages, n_ends, n_after_end;
    struct chat_usage usage;
    struct error error;
    atomic_int inside;
    atomic_bool full;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int n_closed;  // under lock
};

static void gather(void *self, const struct chat_event *e)
{
    struct gathered *all = self;
    assert_int_equal(atomic_fetch_add(&all->inside, 1), 0);  // one thread at a time
    assert_in_range(e->choice, 0, N_TEXTS - 1);
    all->n_after_end += all->n_ends;
    if (e->kind == CHAT_TEXT)
        buf_slice(&all->texts[e->choice], e->text);
    all->n_finished[e->choice] += e->kind == CHAT_FINISH;
    all->n_usages += e->kind == CHAT_USAGE;
    all->n_ends += e->kind == CHAT_DONE || e->kind == CHAT_ERROR;
    if (e->kind == CHAT_USAGE)
        all->usage = e->usage;
    if (e->kind == CHAT_ERROR)
        all->error = e->error;
    atomic_fetch_sub(&all->inside, 1);
}

static bool is_full(void *self)
{
    return atomic_load(&((struct gathered *)self)->full);
}

static void count_closed(void *self)
{
    struct gathered *all = self;
    pthread_mutex_lock(&all->lock);
    all->n_closed++;
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->lock);
}

static void release_gathered(struct gathered *all)
{
    for (int i = 0; i < N_TEXTS; i++)
        buf_release(&all->texts[i]);
}

static struct chat_request several(struct chat_prompt *prompts, char (*texts)[32], size_t n)
{
    struct chat_request r = request("not this");
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "prompt %zu", i);
        prompts[i] = (struct chat_prompt){.input = INPUT_TEXT, .text = slice_str(texts[i])};
    }
    r.prompts = prompts;
    r.n_prompts = n;
    return r;
}

static void several_prompts_are_answered_each_in_its_place(void **state)
{
    (void)state;
    for (int inside = 0; inside < 2; inside++) {
        struct chat_prompt prompts[N_TEXTS];
        char texts[N_TEXTS][32], wanted[64];
        struct fake_provider f;
        struct error err = {0};
        struct gathered all = {0};
        fake_provider_init(&f, 100);
        f.reply = reply;
        f.inside_start = inside;
        struct gateway *g = gateway_new(&f.provider);
        struct chat_request r = several(prompts, texts, N_TEXTS);
        struct gateway_answer *a =
            gateway_start(g, &r, (struct chat_sink){.push = gather, .self = &all}, &err);
        assert_non_null(a);
        gateway_wait(a);
        gateway_answer_free(a);
        for (int i = 0; i < N_TEXTS; i++) {
            (void)snprintf(wanted, sizeof wanted, "You said: prompt %d", i);
            assert_string_equal(buf_text(&all.texts[i]), wanted);
            assert_int_equal(all.n_finished[i], 1);
        }
        assert_int_equal(f.n_started, N_TEXTS);
        assert_true(f.most_running <= SEVERAL_SEQUENCES);
        assert_true(all.n_usages == 1 && all.n_ends == 1 && !all.n_after_end && !all.error.code);
        assert_int_equal(all.usage.completion_tokens, 5 * N_TEXTS);
        release_gathered(&all);
        gateway_free(g);
        fake_provider_release(&f);
    }
}

// The choices of one prompt make fewer prompts run at once.
static void sequences_at_once_are_bounded(void **state)
{
    struct chat_prompt prompts[8];
    char texts[8][32];
    struct fake_provider f;
    struct error err = {0};
    struct gathered all = {0};
    (void)state;
    fake_provider_init(&f, 100);
    f.reply = reply;
    struct gateway *g = gateway_new(&f.provider);
    struct chat_request r = several(prompts, texts, 8);
    r.sampling.n_choices = 5;
    struct gateway_answer *a =
        gateway_start(g, &r, (struct chat_sink){.push = gather, .self = &all}, &err);
    assert_non_null(a);
    gateway_wait(a);
    gateway_answer_free(a);
    assert_true(f.most_running <= SEVERAL_SEQUENCES / 5);
    assert_string_equal(buf_text(&all.texts[35]), "You said: prompt 7");
    release_gathered(&all);
    gateway_free(g);
    fake_provider_release(&f);
}

static void a_prompt_that_does_not_fit_refuses_all(void **state)
{
    struct chat_prompt prompts[3];
    char texts[3][32];
    struct fake_provider f;
    struct error err = {0};
    struct gathered all = {0};
    (void)state;
    fake_provider_init(&f, 20);
    struct gateway *g = gateway_new(&f.provider);
    struct chat_request r = several(prompts, texts, 3);
    prompts[2].text = slice_str("one two three four five six seven eight nine ten eleven");
    assert_null(gateway_start(g, &r, (struct chat_sink){.push = gather, .self = &all}, &err));
    assert_int_equal(err.code, ERR_CONTEXT);
    assert_non_null(strstr(err.text, "prompt 2 has 11 tokens"));
    prompts[2].text = slice_str("");
    assert_null(gateway_start(g, &r, (struct chat_sink){.push = gather, .self = &all}, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_int_equal(f.n_started, 0);
    f.refuse_first = 1;
    r.n_prompts = 2;
    assert_null(gateway_start(g, &r, (struct chat_sink){.push = gather, .self = &all}, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(all.n_ends, 0);
    gateway_free(g);
    fake_provider_release(&f);
}

// Answers the first prompts, fails the fifth.
static bool reply_to_four(void *self, int n, struct slice prompt, int max_tokens, struct buf *out,
                          enum chat_finish *finish, struct error *err)
{
    (void)self, (void)prompt, (void)max_tokens;
    if (n == 4)
        return error_set(err, ERR_NUMERIC, "NaN");
    buf_text_add(out, "good");
    *finish = CHAT_STOP;
    return true;
}

static void the_first_that_fails_ends_all(void **state)
{
    (void)state;
    for (int inside = 0; inside < 2; inside++) {
        struct chat_prompt prompts[N_TEXTS];
        char texts[N_TEXTS][32];
        struct fake_provider f;
        struct error err = {0};
        struct gathered all = {0};
        fake_provider_init(&f, 100);
        f.reply = reply_to_four;
        f.inside_start = inside;
        struct gateway *g = gateway_new(&f.provider);
        struct chat_request r = several(prompts, texts, N_TEXTS);
        struct gateway_answer *a =
            gateway_start(g, &r, (struct chat_sink){.push = gather, .self = &all}, &err);
        assert_non_null(a);
        gateway_wait(a);
        gateway_answer_free(a);
        assert_true(all.n_ends == 1 && !all.n_after_end && all.n_usages == 1);
        assert_int_equal(all.error.code, ERR_NUMERIC);
        assert_string_equal(all.error.text, "prompt 4: NaN");
        assert_true(f.n_started >= 5 && f.n_running == 0);
        if (inside)
            assert_int_equal(f.n_started, 5);
        release_gathered(&all);
        gateway_free(g);
        fake_provider_release(&f);
    }
}

// Waits until it may go on.
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
};

static bool reply_later(void *self, int n, struct slice prompt, int max_tokens, struct buf *out,
                        enum chat_finish *finish, struct error *err)
{
    struct gate *gate = self;
    (void)n, (void)prompt, (void)max_tokens, (void)err;
    pthread_mutex_lock(&gate->lock);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    buf_text_add(out, "late");
    *finish = CHAT_CANCELLED;
    return true;
}

static void open_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void after_a_cancel_nothing_begins(void **state)
{
    struct chat_prompt prompts[N_TEXTS];
    char texts[N_TEXTS][32];
    struct fake_provider f;
    struct error err = {0};
    struct gathered all = {0};
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    (void)state;
    fake_provider_init(&f, 100);
    f.reply = reply_later;
    f.reply_self = &gate;
    struct gateway *g = gateway_new(&f.provider);
    struct chat_request r = several(prompts, texts, N_TEXTS);
    struct gateway_answer *a =
        gateway_start(g, &r, (struct chat_sink){.push = gather, .self = &all}, &err);
    assert_non_null(a);
    gateway_cancel(a);
    open_gate(&gate);
    gateway_wait(a);
    gateway_answer_free(a);
    assert_int_equal(f.n_started, SEVERAL_SEQUENCES);
    assert_true(all.n_ends == 1 && all.error.code == ERR_CANCELLED && !all.texts[0].len);
    gateway_free(g);
    fake_provider_release(&f);
}

// A provider that has room for two only: the others wait for these, and nobody is refused.
static void a_busy_provider_is_asked_again(void **state)
{
    struct chat_prompt prompts[9];
    char texts[9][32];
    struct fake_provider f;
    struct error err = {0};
    struct gathered all = {0};
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    (void)state;
    fake_provider_init(&f, 100);
    f.reply = reply_later;
    f.reply_self = &gate;
    f.most_allowed = 2;
    struct gateway *g = gateway_new(&f.provider);
    struct chat_request r = several(prompts, texts, 9);
    struct gateway_answer *a =
        gateway_start(g, &r, (struct chat_sink){.push = gather, .self = &all}, &err);
    assert_non_null(a);
    open_gate(&gate);
    gateway_wait(a);
    gateway_answer_free(a);
    assert_true(f.n_started == 9 && f.most_running == 2 && !all.error.code);
    for (int i = 0; i < 9; i++)
        assert_string_equal(buf_text(&all.texts[i]), "late");
    release_gathered(&all);
    gateway_free(g);
    fake_provider_release(&f);
}

// A sink that is told when all is over, and that is full until everything has come to a stand.
static void a_full_sink_pauses_all(void **state)
{
    struct chat_prompt prompts[N_TEXTS];
    char texts[N_TEXTS][32];
    struct fake_provider f;
    struct error err = {0};
    struct gathered all = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    (void)state;
    fake_provider_init(&f, 100);
    f.reply = reply;
    atomic_store(&all.full, true);
    struct gateway *g = gateway_new(&f.provider);
    struct chat_request r = several(prompts, texts, N_TEXTS);
    struct chat_sink sink = {gather, &all, is_full, count_closed};
    struct gateway_answer *a = gateway_start(g, &r, sink, &err);
    assert_non_null(a);
    for (int i = 0; i < 100; i++) {  // a resume of a sink that has no room is for nothing
        gateway_resume(a);
        assert_int_equal(all.texts[0].len, 0);
    }
    assert_int_equal(f.n_started, SEVERAL_SEQUENCES);
    atomic_store(&all.full, false);
    gateway_resume(a);
    pthread_mutex_lock(&all.lock);
    while (!all.n_closed)
        pthread_cond_wait(&all.changed, &all.lock);
    pthread_mutex_unlock(&all.lock);
    gateway_answer_free(a);
    assert_true(all.n_closed == 1 && all.n_ends == 1 && !all.error.code);
    for (int i = 0; i < N_TEXTS; i++)
        assert_int_equal(all.n_finished[i], 1);
    release_gathered(&all);
    gateway_free(g);
    fake_provider_release(&f);
}

// Freed before its end, a group is cancelled and waited for.
static void one_that_is_freed_ends_first(void **state)
{
    struct chat_prompt prompts[N_TEXTS];
    char texts[N_TEXTS][32];
    struct fake_provider f;
    struct error err = {0};
    struct gathered all = {0};
    (void)state;
    fake_provider_init(&f, 100);
    f.reply = reply;
    atomic_store(&all.full, true);
    struct gateway *g = gateway_new(&f.provider);
    struct chat_request r = several(prompts, texts, N_TEXTS);
    struct chat_sink sink = {.push = gather, .self = &all, .full = is_full};
    gateway_answer_free(gateway_start(g, &r, sink, &err));
    assert_true(all.n_ends == 1 && all.error.code == ERR_CANCELLED);
    gateway_free(g);
    fake_provider_release(&f);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_answer_comes_with_finish_and_usage),
        cmocka_unit_test(errors_before_and_during_an_answer_are_told),
        cmocka_unit_test(several_prompts_are_answered_each_in_its_place),
        cmocka_unit_test(sequences_at_once_are_bounded),
        cmocka_unit_test(a_prompt_that_does_not_fit_refuses_all),
        cmocka_unit_test(the_first_that_fails_ends_all),
        cmocka_unit_test(after_a_cancel_nothing_begins),
        cmocka_unit_test(a_busy_provider_is_asked_again),
        cmocka_unit_test(a_full_sink_pauses_all),
        cmocka_unit_test(one_that_is_freed_ends_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
