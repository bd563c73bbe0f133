// test_remote.c - answers of a vendor that works, and of one that does not, over a real connection.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../support/remote_help.h"

#define SSE "text/event-stream"
// One answer of a server of its own.
static void check(bool (*serve)(void *self, struct script_talk *t), void *self,
                  const struct remote_options *with, bool stream, const char *log,
                  enum error_code code, const char *text)
{
    static struct remote_scene s;
    remote_scene_open(&s, serve, self, with);
    assert_string_equal(remote_scene_answer(&s, stream), log);
    assert_int_equal(s.log.error.code, code);
    if (text)
        assert_non_null(strstr(s.log.error.text, text));
    remote_log_release(&s.log);
    remote_scene_close(&s);
}

static bool says_json(void *self, struct script_talk *t)
{
    return script_answer(t, 200, "application/json; charset=utf-8", "", self);
}

// Text for text what the head and the body are.
static bool says_bytes(void *self, struct script_talk *t)
{
    (void)script_bytewise(t, self);
    return false;
}

static void streams_and_whole_answers_are_read(void **state)
{
    struct remote_options o = remote_scene_options();
    (void)state;
    check(remote_follow_plan, &(struct remote_plan){0}, &o, true, REMOTE_WHOLE_LOG, ERR_NONE, NULL);
    check(says_json, "t:hello\nf\nu:7,3", &o, false, REMOTE_WHOLE_LOG, ERR_NONE, NULL);
    check(says_json, "t:hello\nf\nu:7,3", &o, true, REMOTE_WHOLE_LOG, ERR_NONE, NULL);
}

static void bytes_may_come_one_by_one(void **state)
{
    struct remote_options o = remote_scene_options();
    (void)state;
    check(says_bytes, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" REMOTE_WHOLE, &o,
          true, REMOTE_WHOLE_LOG, ERR_NONE, NULL);
    check(says_bytes,
          "HTTP/1.1 103 Early Hints\r\nContent-Type: text/html\r\n\r\n"
          "HTTP/1.1 200 OK\r\ncontent-type:text/event-stream;charset=utf-8\r\nTransfer-Encoding: "
          "chunked\r\n\r\n9\r\ndata: t:h\r\n4\r\nello\r\n4\r\n\r\n\r\n\r\n7\r\ndata: "
          "f\r\n8\r\n\r\n\r\ndata\r\n"
          "14\r\n: u:7,3\r\n\r\ndata: end\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n",
          &o, true, REMOTE_WHOLE_LOG, ERR_NONE, NULL);
}

struct heard {
    struct buf head, body;
};

static bool listens(void *self, struct script_talk *t)
{
    struct heard *h = self;
    buf_clear(&h->head);
    buf_clear(&h->body);
    buf_slice(&h->head, buf_view(&t->head));
    buf_slice(&h->body, buf_view(&t->body));
    return remote_follow_plan(&(struct remote_plan){0}, t);
}

static void a_request_has_its_headers_and_nothing_else(void **state)
{
    static struct remote_scene s;
    struct heard h = {0};
    struct remote_options o = remote_scene_options();
    (void)state;
    remote_scene_open(&s, listens, &h, &o);
    assert_string_equal(remote_scene_answer(&s, true), REMOTE_WHOLE_LOG);
    assert_int_equal(s.log.usage.bytes_sent, h.body.len);
    remote_log_release(&s.log);
    assert_string_equal(remote_scene_answer(&s, true), REMOTE_WHOLE_LOG);
    remote_log_release(&s.log);
    assert_int_equal(atomic_load(&s.server.n_connections), 1);  // it was kept
    assert_string_equal(buf_text(&h.body), "{\"text\":\"how are you\"}");
    struct buf want = {0};
    buf_printf(&want,
               "POST /ask/m HTTP/1.1\r\nHost: %s\r\nUser-Agent: hearth\r\nAccept: */*\r\n"
               "x-key: Bearer sk-acme-0123456789\r\nContent-Type: application/json\r\n"
               "Accept-Encoding: identity\r\nx-version: 1\r\nContent-Length: 22\r\n\r\n",
               s.server.url + 7);
    assert_string_equal(buf_text(&h.head), buf_text(&want));
    buf_release(&want);
    remote_scene_close(&s);
    buf_release(&h.head);
    buf_release(&h.body);
}

static bool says_status(void *self, struct script_talk *t)
{
    const int *status = self;
    return script_answer(t, *status, "application/json", "Retry-After: 60\r\n",
                         "no, sk-acme-0123456789");
}

static void refusals_are_told_without_the_key(void **state)
{
    struct remote_options o = remote_scene_options();
    (void)state;
    check(says_status, &(int){400}, &o, true, REMOTE_ERROR_LOG, ERR_USAGE, "acme: 400: no, ***");
    check(says_status, &(int){401}, &o, true, REMOTE_ERROR_LOG, ERR_KEY, "acme: 401: no, ***");
    check(says_status, &(int){302}, &o, true, REMOTE_ERROR_LOG, ERR_UPSTREAM, "redirects (302)");
    check(says_status, &(int){500}, &o, true, REMOTE_ERROR_LOG, ERR_UPSTREAM, "500");
}

static void what_a_vendor_asks_for_is_passed_on(void **state)
{
    static struct remote_scene s;
    struct remote_options o = remote_scene_options();
    (void)state;
    remote_scene_open(&s, says_status, &(int){429}, &o);
    assert_string_equal(remote_scene_answer(&s, true), REMOTE_ERROR_LOG);
    assert_int_equal(s.log.error.code, ERR_RATE);
    assert_int_equal(s.log.error.retry_after_s, 60);
    assert_int_equal(s.log.usage.bytes_sent, 22);
    remote_log_release(&s.log);
    remote_scene_close(&s);
}

#define OK_SSE "HTTP/1.1 200 OK\r\nContent-Type: " SSE "\r\n"

static void what_is_no_answer_is_an_error(void **state)
{
    struct remote_options o = remote_scene_options();
    static const struct {
        const char *bytes, *log, *text;
    } cases[] = {
        {OK_SSE "\r\ndata: t:a\n\n", "text a\nusage 7 1 about\nerror\nclosed\n", "cut"},
        {OK_SSE "Content-Length: 999\r\n\r\ndata: t:a\n\n",
         "text a\nusage 7 1 about\nerror\nclosed\n", "acme: Transferred a partial file"},
        {OK_SSE "\r\ndata: t:a\n\ndata: u:9,0\n\n", "text a\nusage 9 1 about\nerror\nclosed\n",
         "cut"},
        {OK_SSE "\r\ndata: t:a\n\ndata: rubbish\n\n", "text a\nusage 7 1 about\nerror\nclosed\n",
         "acme: not a word"},
        {OK_SSE "\r\ndata: rubbish\n\n", REMOTE_ERROR_LOG, "acme: not a word"},
        {OK_SSE "\r\ndata: e:bad\n\n", REMOTE_ERROR_LOG, "e:bad"},
        {OK_SSE "\r\n", REMOTE_ERROR_LOG, "cut"},
        {OK_SSE "Content-Encoding: gzip\r\n\r\nabcdef", REMOTE_ERROR_LOG, "compressed"},
        {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>hello", REMOTE_ERROR_LOG,
         "'text/html'"},
        {"HTTP/1.1 200 OK\r\n\r\ndata: t:a\n\n", REMOTE_ERROR_LOG, "answers with ''"},
        {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"error\":1}", REMOTE_ERROR_LOG,
         "not a word"},
        {"SSH-2.0-OpenSSH_9.2\r\n", REMOTE_ERROR_LOG, "acme: "},
        {"", REMOTE_ERROR_LOG, "acme: "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(says_bytes, (void *)cases[i].bytes, &o, true, cases[i].log, ERR_UPSTREAM,
              cases[i].text);
}

static void usage_is_told_once_and_counted_where_it_is_missing(void **state)
{
    struct remote_options o = remote_scene_options();
    (void)state;
    check(says_bytes, OK_SSE "\r\ndata: t:hello you\n\ndata: f\n\ndata: end\n\n", &o, true,
          "text hello you\nfinish\nusage 7 3 about\ndone\nclosed\n", ERR_NONE, NULL);
    check(says_bytes, OK_SSE "\r\ndata: u:1,1\n\ndata: t:a\n\ndata: u:7,2\n\ndata: end\n\n", &o,
          true, "text a\nusage 7 2\ndone\nclosed\n", ERR_NONE, NULL);
    check(says_bytes, OK_SSE "Content-Length: 999\r\n\r\n" REMOTE_WHOLE, &o, true, REMOTE_WHOLE_LOG,
          ERR_NONE, NULL);
}

static void usage_that_cannot_be_is_counted_here(void **state)
{
    static const struct {
        const char *usage;
        int prompt, completion;
        bool estimated;
    } cases[] = {{"-10,3", 7, 3, true},         {"9223372036854775807,3", 7, 3, true},
                 {"1100000,3", 7, 3, true},     {"900000,3", 900000, 3, false},
                 {"0,0", 7, 2, true},           {"7,0", 7, 2, true},
                 {"7,-1", 7, 2, true},          {"7,1100000", 7, 2, true},
                 {"7,900000", 7, 900000, false}};
    struct remote_options o = remote_scene_options();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[100], log[100];
        (void)snprintf(body, sizeof body, "t:hello\nf\nu:%s", cases[i].usage);
        (void)snprintf(log, sizeof log, "text hello\nfinish\nusage %d %d%s\ndone\nclosed\n",
                       cases[i].prompt, cases[i].completion, cases[i].estimated ? " about" : "");
        check(says_json, body, &o, false, log, ERR_NONE, NULL);
    }
}

// Nothing was said, and yet it may have to be paid: the usage is in the error.
static void an_error_tells_what_it_cost(void **state)
{
    static const char refused[] = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
                      json[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
                      page[] = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>hello";
    static const struct {
        const char *head, *body;
        int64_t prompt, completion;
        bool estimated;
    } cases[] = {
        {OK_SSE "\r\n", "", 7, 0, true},  // cut while it was at work
        {"", "", 7, 0, true},
        {OK_SSE "\r\n", "data: u:9,4\n\n", 9, 4, true},
        {OK_SSE "\r\n", "data: u:9,4\n\ndata: e:bad\n\n", 9, 4, true},
        {json, "u:9,4\ne:bad", 9, 4, false},  // all that there is to be told
        {json, "e:bad", 0, 0, true},
        {OK_SSE "\r\n", "data: rubbish\n\n", 0, 0, true},
        {page, "", 0, 0, true},
        {refused, "", 0, 0, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct remote_scene s;
        struct remote_options o = remote_scene_options();
        struct buf bytes = {0};
        buf_printf(&bytes, "%s%s", cases[i].head, cases[i].body);
        remote_scene_open(&s, says_bytes, (void *)buf_text(&bytes), &o);
        assert_string_equal(remote_scene_answer(&s, true), REMOTE_ERROR_LOG);
        assert_int_equal(s.log.usage.prompt_tokens, cases[i].prompt);
        assert_int_equal(s.log.usage.completion_tokens, cases[i].completion);
        assert_int_equal(s.log.usage.estimated, cases[i].estimated);
        assert_int_equal(s.log.usage.bytes_sent, 22);
        remote_log_release(&s.log);
        remote_scene_close(&s);
        buf_release(&bytes);
    }
}

static bool sends_endless_line(void *self, struct script_talk *t)
{
    struct buf piece = {0};
    for (int i = 0; i < 1 << 20; i++)
        buf_char(&piece, 'x');
    bool ok = script_text(t, self);
    for (int i = 0; i < 300 && ok; i++)
        ok = script_send(t, piece.ptr, piece.len);
    buf_release(&piece);
    return false;
}

static void endless_lines_and_headers_are_given_up(void **state)
{
    struct remote_options o = remote_scene_options();
    (void)state;
    check(sends_endless_line, OK_SSE "\r\ndata: t:a\n\ndata: ", &o, true,
          "text a\nusage 7 1 about\nerror\nclosed\n", ERR_UPSTREAM, "more than 8388608 bytes");
    check(sends_endless_line, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", &o, true,
          REMOTE_ERROR_LOG, ERR_UPSTREAM, "more than 134217728 bytes");
    check(sends_endless_line, "HTTP/1.1 400 No\r\n\r\n", &o, true, REMOTE_ERROR_LOG, ERR_USAGE,
          "400: xxx");
    check(sends_endless_line, OK_SSE "X: ", &o, true, REMOTE_ERROR_LOG, ERR_UPSTREAM, "acme: ");
}

static bool sends_many_headers(void *self, struct script_talk *t)
{
    (void)self;
    bool ok = script_text(t, OK_SSE);
    for (int i = 0; i < 3000 && ok; i++)
        ok = script_text(t, "X-Many: 0123456789012345678901234567890123456789\r\n");
    return false;
}

static void many_headers_are_given_up(void **state)
{
    struct remote_options o = remote_scene_options();
    (void)state;
    check(sends_many_headers, NULL, &o, true, REMOTE_ERROR_LOG, ERR_UPSTREAM,
          "more than 65536 bytes of headers");
}

static void what_cannot_be_asked_does_not_start(void **state)
{
    static struct remote_scene s;
    struct remote_options o = remote_scene_options();
    struct remote_ask ask;
    struct error err = {0};
    struct remote_log log;
    (void)state;
    remote_log_init(&log);
    remote_scene_open(&s, remote_follow_plan, &(struct remote_plan){0}, &o);
    remote_ask_init(&ask, "impossible");
    assert_null(s.remote->ops->start(s.remote, &ask.req, (struct provider_flow){0},
                                     remote_log_sink(&log), &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    remote_ask_init(&ask, "x");
    ask.req.model = "m HTTP/1.1\r\nx: y";
    assert_null(s.remote->ops->start(s.remote, &ask.req, (struct provider_flow){0},
                                     remote_log_sink(&log), &err));
    assert_int_equal(err.code, ERR_USAGE);
    ask.req.model = NULL;
    assert_null(s.remote->ops->start(s.remote, &ask.req, (struct provider_flow){0},
                                     remote_log_sink(&log), &err));
    assert_int_equal(log.n_events, 0);
    remote_scene_close(&s);
    remote_log_release(&log);
}

static void keys_go_only_where_nobody_listens(void **state)
{
    static const struct {
        const char *url, *key, *text;
    } bad[] = {{"http://api.example/v1", "sk-1", "clear text"},
               {"http://127.0.0.1.example", "sk-1", "clear text"},
               {"http://localhost.example", "sk-1", "clear text"},
               {"https://a.example/?k=v", "sk-1", "query"},
               {"ftp://a.example", NULL, "base URL"},
               {"https://user:secret@a.example", NULL, "base URL"},
               {"https://a.example", "a\nb", "character"}};
    static const struct {
        const char *url, *key;
    } good[] = {{"http://api.example/v1/", NULL},   {"http://127.0.0.1:9/", "sk-1"},
                {"http://localhost:9", "sk-1"},     {"http://[::1]:9", "sk-1"},
                {"https://api.example/v1", "sk-1"}, {NULL, "sk-1"}};
    struct error err = {0};
    struct remotes *all = remotes_new(&err);
    struct remote_options o = remote_scene_options();
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.base_url = bad[i].url;
        o.key = bad[i].key;
        assert_null(provider_remote_new(all, &o, &err));
        assert_non_null(strstr(err.text, bad[i].text));
        assert_null(strstr(err.text, "secret"));
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        o.base_url = good[i].url;
        o.key = good[i].key;
        struct provider *p = provider_remote_new(all, &o, &err);
        assert_non_null(p);
        p->ops->free(p);
    }
    remotes_free(all);
}

static void proxies_are_of_others_only(void **state)
{
    static struct remote_scene s, own;
    struct heard h = {0};
    struct remote_options o = remote_scene_options();
    struct error err;
    (void)state;
    remote_scene_open(&s, listens, &h, &o);
    assert_int_equal(setenv("http_proxy", s.server.url, 1), 0);
    remote_scene_open(&own, remote_follow_plan, &(struct remote_plan){0}, &o);
    assert_string_equal(remote_scene_answer(&own, true), REMOTE_WHOLE_LOG);
    assert_int_equal(h.head.len, 0);
    remote_log_release(&own.log);
    own.remote->ops->free(own.remote);
    o.base_url = "http://vendor.example/v1";
    o.key = NULL;
    own.remote = provider_remote_new(own.all, &o, &err);
    assert_string_equal(remote_scene_answer(&own, true), REMOTE_WHOLE_LOG);
    assert_int_equal(strncmp(buf_text(&h.head), "POST http://vendor.example/v1/ask/m HTTP/1.1", 44),
                     0);
    assert_int_equal(unsetenv("http_proxy"), 0);
    remote_log_release(&own.log);
    remote_scene_close(&own);
    remote_scene_close(&s);
    buf_release(&h.head);
    buf_release(&h.body);
}

static void what_is_not_known_is_said(void **state)
{
    struct error err = {0};
    struct remotes *all = remotes_new(&err);
    struct remote_options o = remote_scene_options();
    struct provider *p = provider_remote_new(all, &o, &err);
    struct model_info info;
    struct provider_load load;
    struct remote_ask ask;
    int32_t *ids;
    size_t n;
    int64_t tokens;
    bool exact = true;
    (void)state;
    remote_ask_init(&ask, "how are you");
    assert_true(p->ops->describe(p, "m", &info, &err));
    assert_true(!info.local && info.context == 0 && info.max_output == 0 && !info.tools);
    assert_string_equal(info.name, "m");
    assert_true(p->ops->count(p, &ask.req, &tokens, &exact, &err));
    assert_true(!exact && tokens == 11 + 16 + 32);
    assert_false(p->ops->tokenize(p, &ask.req, false, &ids, &n, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_false(p->ops->detokenize(p, "m", ids, n, NULL, &err));
    assert_true(p->ops->ready(p, "m", false));
    assert_false(p->ops->load(p, 0, &load));
    p->ops->free(p);
    remotes_free(all);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_and_whole_answers_are_read),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(a_request_has_its_headers_and_nothing_else),
        cmocka_unit_test(refusals_are_told_without_the_key),
        cmocka_unit_test(what_a_vendor_asks_for_is_passed_on),
        cmocka_unit_test(what_is_no_answer_is_an_error),
        cmocka_unit_test(usage_is_told_once_and_counted_where_it_is_missing),
        cmocka_unit_test(usage_that_cannot_be_is_counted_here),
        cmocka_unit_test(an_error_tells_what_it_cost),
        cmocka_unit_test(endless_lines_and_headers_are_given_up),
        cmocka_unit_test(many_headers_are_given_up),
        cmocka_unit_test(what_cannot_be_asked_does_not_start),
        cmocka_unit_test(keys_go_only_where_nobody_listens),
        cmocka_unit_test(proxies_are_of_others_only),
        cmocka_unit_test(what_is_not_known_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
