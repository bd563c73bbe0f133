// test_summary_draft.c - what is told of a summary while it is made: the last call's text as a
// draft, begun anew when the call is; and the summary as JSON.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "documents/document.h"
#include "gateway/gateway.h"
#include "summarize/summarize.h"
#include "summarize/summary_json.h"
#include "../../support/fake_provider.h"

struct draft {
    struct buf text;
    int n_restarts;
};

static void on_draft(void *self, struct slice more, bool restart)
{
    struct draft *d = self;
    if (restart) {
        buf_clear(&d->text);
        d->n_restarts++;
    }
    buf_slice(&d->text, more);
}

// n paragraphs; the answers are as fake_provider gives them, or those of `reply`.
static struct summary *make(struct fake_provider *fake, int context, int n, struct draft *draft,
                            struct document **document)
{
    struct error err = {0};
    struct buf text = {0};
    struct gateway *g = gateway_new(&fake->provider);
    fake->context = context;
    for (int i = 0; i < n; i++)
        buf_printf(&text, "Fact number %d was found by a traveller near the sea in year %d.\n\n", i,
                   1000 + i);
    *document = document_read(buf_view(&text), "facts.txt", &err);
    struct summary_options o = {.words = 40, .draft = on_draft, .draft_self = draft};
    struct summary *s = summarize(g, document, 1, &o, &err);
    if (!s)
        fail_msg("%s", err.text);
    buf_release(&text);
    gateway_free(g);
    return s;
}

static void release(struct fake_provider *fake, struct summary *s, struct document *document,
                    struct draft *draft)
{
    summary_free(s);
    document_close(document);
    fake_provider_release(fake);
    buf_release(&draft->text);
}

static void the_draft_is_the_last_calls_text(void **state)
{
    (void)state;
    static const int sizes[] = {5, 300};
    for (int i = 0; i < 2; i++) {
        struct fake_provider fake;
        struct draft draft = {0};
        struct document *document;
        fake_provider_init(&fake, 0);
        struct summary *s = make(&fake, i ? 700 : 4096, sizes[i], &draft, &document);
        assert_int_equal(s->plan.levels > 1, i);
        assert_int_equal(draft.n_restarts, 0);
        assert_true(draft.text.len > 20);
        assert_memory_equal(draft.text.ptr, s->text, 20);
        assert_true(s->first_token_s > 0 && s->first_token_s <= s->seconds);
        release(&fake, s, document, &draft);
    }
}

static bool loop_first(void *self, int n, struct slice prompt, int max_tokens, struct buf *out,
                       enum chat_finish *finish, struct error *err)
{
    (void)self, (void)prompt, (void)max_tokens, (void)err;
    for (int i = 0; n == 0 && i < 30; i++)
        buf_text_add(out, "again and again and ");
    if (n > 0)
        buf_text_add(out, "A traveller found five facts.");
    *finish = CHAT_STOP;
    return true;
}

static void a_call_that_is_asked_again_restarts_the_draft(void **state)
{
    (void)state;
    struct fake_provider fake;
    struct draft draft = {0};
    struct document *document;
    fake_provider_init(&fake, 0);
    fake.reply = loop_first;
    struct summary *s = make(&fake, 4096, 5, &draft, &document);
    assert_int_equal(draft.n_restarts, 1);
    assert_string_equal(buf_text(&draft.text), "A traveller found five facts.");
    assert_string_equal(s->text, "A traveller found five facts.");
    release(&fake, s, document, &draft);
}

static void the_json_has_what_the_interface_says(void **state)
{
    (void)state;
    static const char *const members[] = {"summary",    "model",    "documents", "plan",
                                          "sentences",  "coverage", "usage",     "cost_usd",
                                          "bytes_sent", "seconds",  "mended",    "first_token_s"};
    struct fake_provider fake;
    struct draft draft = {0};
    struct document *document;
    fake_provider_init(&fake, 0);
    struct summary *s = make(&fake, 4096, 5, &draft, &document);
    json_t *o = summary_json(s, &document), *first;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        assert_non_null(json_object_get(o, members[i]));
    double first_token = json_real_value(json_object_get(o, "first_token_s"));
    assert_true(first_token > 0 && first_token <= s->seconds);
    first = json_array_get(json_object_get(o, "documents"), 0);
    assert_string_equal(json_get_text(first, "path"), "facts.txt");
    json_decref(o);
    release(&fake, s, document, &draft);
}

static void a_media_type_tells_the_format(void **state)
{
    (void)state;
    struct error err = {0};
    static const struct {
        const char *name, *type, *format;
    } cases[] = {{"a", "text/html; charset=utf-8", "html"},
                 {"a.txt", "Text/Markdown", "markdown"},
                 {"a.md", "text/plain", "markdown"},
                 {"a", "application/octet-stream", "text"},
                 {"a.html", NULL, "html"},
                 {"a", "", "text"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct document *d =
            document_read_typed(slice_str("one line"), cases[i].name, cases[i].type, &err);
        assert_non_null(d);
        assert_string_equal(d->format, cases[i].format);
        assert_string_equal(d->path, cases[i].name);
        document_close(d);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_draft_is_the_last_calls_text),
        cmocka_unit_test(a_call_that_is_asked_again_restarts_the_draft),
        cmocka_unit_test(the_json_has_what_the_interface_says),
        cmocka_unit_test(a_media_type_tells_the_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
