// test_remote_flow.c - limits of time, cancels, sinks that are full, and many answers at once.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/clock.h"
#include "../../support/remote_help.h"

static struct remote_scene scene;

// Goes silent at a place of its answer, until the other side leaves.
struct silence {
    const char *before;  // NULL: before the head
    atomic_int n_closed;
};

static bool goes_silent(void *self, struct script_talk *t)
{
    struct silence *s = self;
    if (s->before)
        (void)(script_begin(t, "text/event-stream") && script_chunk(t, s->before));
    atomic_fetch_add(&s->n_closed, script_wait_closed(t));
    return false;
}

static void stay_silent(const char *before, struct remote_options o, const char *log,
                        const char *text)
{
    struct silence s = {.before = before};
    remote_scene_open(&scene, goes_silent, &s, &o);
    assert_string_equal(remote_scene_answer(&scene, true), log);
    if (text)
        assert_non_null(strstr(scene.log.error.text, text));
    assert_int_equal(scene.log.usage.prompt_tokens, 7);  // it had the request
    remote_log_release(&scene.log);
    scene.remote->ops->free(scene.remote);
    remotes_free(scene.all);
    while (!atomic_load(&s.n_closed))
        script_pause(1);
    script_server_release(&scene.server);
}

static void silence_has_limits(void **state)
{
    struct remote_options o = remote_scene_options();
    (void)state;
    o.first_s = 0.2;
    stay_silent(NULL, o, REMOTE_ERROR_LOG, "acme: no answer began within 0.2 seconds");
    o.first_s = 20;
    o.between_s = 0.2;
    stay_silent("data: t:a\n\n", o, "text a\nusage 7 1 about\nerror\nclosed\n",
                "acme: nothing more came within 0.2 seconds");
    stay_silent(REMOTE_WHOLE, o, REMOTE_WHOLE_LOG, NULL);  // it had said all
    o.between_s = 20;
    o.total_s = 0.2;
    stay_silent("data: t:a\n\n", o, "text a\nusage 7 1 about\nerror\nclosed\n",
                "acme: the answer did not end within 0.2 seconds");
    stay_silent(NULL, o, REMOTE_ERROR_LOG, "acme: the answer did not end within 0.2 seconds");
}

static void a_deadline_ends_it(void **state)
{
    struct silence s = {.before = "data: t:a\n\n"};
    struct remote_options o = remote_scene_options();
    struct error err;
    struct provider_flow flow = {0};
    (void)state;
    remote_scene_open(&scene, goes_silent, &s, &o);
    remote_log_init(&scene.log);
    flow.deadline_ns = clock_ns() + 300000000;
    struct answer *a = scene.remote->ops->start(scene.remote, &scene.ask.req, flow,
                                                remote_log_sink(&scene.log), &err);
    remote_log_wait(&scene.log);
    scene.remote->ops->answer_free(a);
    assert_int_equal(scene.log.error.code, ERR_TIMEOUT);
    remote_log_release(&scene.log);
    remote_scene_close(&scene);
}

static void a_cancel_closes_the_connection(void **state)
{
    struct silence s = {.before = "data: t:hello\n\n"};
    struct remote_options o = remote_scene_options();
    struct error err;
    (void)state;
    remote_scene_open(&scene, goes_silent, &s, &o);
    for (int i = 0; i < 2; i++) {
        remote_log_init(&scene.log);
        struct answer *a = remote_scene_start(&scene, &scene.log, &err);
        assert_non_null(a);
        remote_log_wait_events(&scene.log, 1);
        if (i == 0) {
            scene.remote->ops->cancel(a);
            remote_log_wait(&scene.log);
        }
        scene.remote->ops->answer_free(a);  // cancels, too
        remote_log_wait(&scene.log);
        assert_string_equal(buf_text(&scene.log.text),
                            "text hello\ncancelled\nusage 7 2 about\ndone\nclosed\n");
        remote_log_release(&scene.log);
        while (atomic_load(&s.n_closed) <= i)
            script_pause(1);
    }
    remote_scene_close(&scene);
}

// Sends until it has sent all, and counts.
struct flood {
    atomic_int n_sent;
    int n;
};

static bool floods(void *self, struct script_talk *t)
{
    struct flood *f = self;
    struct buf event = {0};
    buf_text_add(&event, "data: t:");
    for (int i = 0; i < 16384; i++)
        buf_char(&event, 'x');
    buf_text_add(&event, "\n\n");
    bool ok = script_begin(t, "text/event-stream");
    for (int i = 0; i < f->n && ok; i++) {
        ok = script_chunk(t, buf_text(&event));
        atomic_fetch_add(&f->n_sent, ok);
    }
    buf_release(&event);
    return ok && script_chunk(t, "data: f\n\ndata: u:7,3\n\ndata: end\n\n") && script_end(t);
}

static int n_events(struct remote_log *l)
{
    pthread_mutex_lock(&l->lock);
    int n = l->n_events;
    pthread_mutex_unlock(&l->lock);
    return n;
}

static void a_full_sink_holds_up_its_vendor(void **state)
{
    struct flood f = {.n = 2000};  // 32 MB
    struct remote_options o = remote_scene_options();
    struct error err;
    int before;
    (void)state;
    o.between_s = 0.3;  // must not count while nobody reads
    remote_scene_open(&scene, floods, &f, &o);
    remote_log_init(&scene.log);
    scene.log.fill = 10;
    struct answer *a = remote_scene_start(&scene, &scene.log, &err);
    remote_log_wait_events(&scene.log, 10);
    do {  // until the server is held up for longer than the limit
        before = atomic_load(&f.n_sent);
        script_pause(500);
    } while (atomic_load(&f.n_sent) != before);
    assert_true(before < 1500);
    assert_int_equal(n_events(&scene.log), 10);
    scene.remote->ops->resume(a);  // it is full still
    script_pause(10);
    assert_int_equal(n_events(&scene.log), 10);
    for (int want = 20; want <= 2000; want += 10) {
        remote_log_empty(&scene.log);
        scene.remote->ops->resume(a);
        remote_log_wait_events(&scene.log, want);
        assert_int_equal(n_events(&scene.log), want);
    }
    remote_log_empty(&scene.log);
    scene.remote->ops->resume(a);
    remote_log_wait(&scene.log);
    scene.remote->ops->answer_free(a);
    assert_int_equal(scene.log.n_events, 2003);
    assert_non_null(strstr(buf_text(&scene.log.text), "finish\nusage 7 3\ndone\nclosed\n"));
    remote_log_release(&scene.log);
    remote_scene_close(&scene);
}

static void an_end_waits_for_a_full_sink(void **state)
{
    struct remote_plan p = {0};
    struct remote_options o = remote_scene_options();
    struct error err;
    (void)state;
    for (int i = 0; i < 2; i++) {
        remote_scene_open(&scene, remote_follow_plan, &p, &o);
        remote_log_init(&scene.log);
        scene.log.fill = 1;
        struct answer *a = remote_scene_start(&scene, &scene.log, &err);
        remote_log_wait_events(&scene.log, 1);
        script_pause(20);
        if (i == 0) {
            remote_log_empty(&scene.log);
            scene.remote->ops->resume(a);
            remote_log_wait_events(&scene.log, 2);
            remote_log_empty(&scene.log);
            scene.remote->ops->resume(a);
        } else {
            scene.remote->ops->cancel(a);
        }
        remote_log_wait(&scene.log);
        scene.remote->ops->answer_free(a);
        assert_string_equal(buf_text(&scene.log.text),
                            i == 0 ? REMOTE_WHOLE_LOG
                                   : "text hello\ncancelled\nusage 7 2 about\ndone\nclosed\n");
        remote_log_release(&scene.log);
        remote_scene_close(&scene);
    }
}

// What a gateway does: from inside the events of one answer it starts another, and frees answers
// from inside closed.
struct chain {
    struct remote_log log;  // first
    struct remote_scene *scene;
    _Atomic(struct answer *) answer;
    atomic_int left;
};

static void chain_push(void *self, const struct chat_event *e);
static void chain_closed(void *self);

static void chain_start(struct chain *c)
{
    struct error err;
    struct chat_sink sink = {.push = chain_push, .self = c, .closed = chain_closed};
    struct answer *a = c->scene->remote->ops->start(c->scene->remote, &c->scene->ask.req,
                                                    (struct provider_flow){0}, sink, &err);
    assert_non_null(a);
    atomic_store(&c->answer, a);
}

// The first answer may come before its start has returned.
static struct answer *chain_answer(struct chain *c)
{
    while (!atomic_load(&c->answer))
        script_pause(1);
    return atomic_load(&c->answer);
}

static void chain_push(void *self, const struct chat_event *e)
{
    struct chain *c = self;
    struct chat_sink sink = remote_log_sink(&c->log);
    if (e->kind == CHAT_ERROR && atomic_fetch_sub(&c->left, 1) > 0) {
        c->scene->remote->ops->resume(chain_answer(c));
        return;
    }
    sink.push(sink.self, e);
}

static void chain_closed(void *self)
{
    struct chain *c = self;
    struct chat_sink sink = remote_log_sink(&c->log);
    c->scene->remote->ops->answer_free(chain_answer(c));
    if (c->log.n_events == 0)
        chain_start(c);
    else
        sink.closed(sink.self);
}

static void answers_are_freed_and_started_from_inside(void **state)
{
    struct remote_plan p = {.n = 3, .status = 400};
    struct remote_options o = remote_scene_options();
    struct chain c = {.scene = &scene};
    (void)state;
    remote_scene_open(&scene, remote_follow_plan, &p, &o);
    remote_log_init(&c.log);
    atomic_init(&c.left, 3);
    chain_start(&c);
    remote_log_wait(&c.log);
    assert_string_equal(buf_text(&c.log.text), REMOTE_WHOLE_LOG);
    remote_log_release(&c.log);
    remote_scene_close(&scene);
}

// Streams a few events with pauses between.
static bool drips(void *self, struct script_talk *t)
{
    char event[64];
    bool ok = script_begin(t, "text/event-stream");
    (void)self;
    for (int i = 0; i < 20 && ok; i++) {
        (void)snprintf(event, sizeof event, "data: t:%d\n\n", i);
        ok = script_chunk(t, event);
        script_pause(1);
    }
    return ok && script_chunk(t, "data: f\n\ndata: u:7,20\n\ndata: end\n\n") && script_end(t);
}

static void hundreds_are_answered_at_once(void **state)
{
    enum { N = 300 };
    static struct remote_log logs[N];
    struct answer *answers[N];
    struct remote_options o = remote_scene_options();
    struct remote_load load;
    struct error err;
    (void)state;
    o.max_connections = 200;  // so that some wait
    remote_scene_open(&scene, drips, NULL, &o);
    for (int i = 0; i < N; i++) {
        remote_log_init(&logs[i]);
        answers[i] = remote_scene_start(&scene, &logs[i], &err);
        assert_non_null(answers[i]);
    }
    for (int i = 0; i < N; i++) {
        if (i % 10 == 0)
            scene.remote->ops->cancel(answers[i]);
        remote_log_wait(&logs[i]);
        scene.remote->ops->answer_free(answers[i]);
        if (i % 10) {
            assert_int_equal(logs[i].n_events, 23);
            assert_int_equal(logs[i].usage.completion_tokens, 20);
            assert_non_null(strstr(buf_text(&logs[i].text), "text 18\ntext 19\nfinish\n"));
        }
        remote_log_release(&logs[i]);
    }
    assert_true(atomic_load(&scene.server.n_connections) <= 200 + N / 10);
    provider_remote_load(scene.remote, &load);
    assert_int_equal(load.running, 0);
    remote_scene_close(&scene);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_has_limits),
        cmocka_unit_test(a_deadline_ends_it),
        cmocka_unit_test(a_cancel_closes_the_connection),
        cmocka_unit_test(a_full_sink_holds_up_its_vendor),
        cmocka_unit_test(an_end_waits_for_a_full_sink),
        cmocka_unit_test(answers_are_freed_and_started_from_inside),
        cmocka_unit_test(hundreds_are_answered_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
