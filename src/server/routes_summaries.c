// routes_summaries.c - POST /v1/summaries: documents to a summary, whole or with its progress.
//
// The summarizer is a client of the same gateway as everybody, so its calls are computed in the
// steps of the others. It runs on a patient worker's thread; a client that left is noticed between
// two looks at its calls, which are then cancelled. Shapes of request and events: docs/server.md.
#include <math.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "dialects/members.h"
#include "documents/document.h"
#include "gateway/gateway.h"
#include "server/impl.h"
#include "summarize/summarize.h"
#include "summarize/summary_json.h"

enum { DOCUMENTS_MAX = 64, NAME_BYTES_MAX = 255, WORDS_MIN = 5, WORDS_MAX = 20000 };

struct job {
    struct exchange *x;
    struct summary_options options;
    bool stream;
    struct document *documents[DOCUMENTS_MAX];
    size_t n_documents;
    int done, total;  // as told last
    const char *what;
    int64_t first_ns;      // when the draft began
    struct caller caller;  // of its calls, each of which is a request of the ledger's
    atomic_int n_calls;
};

// Reading

static bool is_plain_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 127)
            return false;
    return name.len > 0 && name.len <= NAME_BYTES_MAX;
}

static bool read_bytes(const json_t *o, const char *at, struct slice *bytes, struct buf *decoded,
                       struct dialect_error *err)
{
    struct slice content = {0};
    struct member_path path = member_path(at, "content", -1);
    if (!member_text(o, at, "text", bytes, err) || !member_text(o, at, "content", &content, err))
        return false;
    if (!bytes->ptr == !content.ptr)
        return dialect_refuse(err, PROBLEM_REQUEST, at, "'%s' must have either 'text' or 'content'",
                              at);
    if (bytes->ptr)
        return true;
    if (!base64_decode(decoded, content))
        return dialect_refuse(err, PROBLEM_REQUEST, path.text, "'%s' is not base64", path.text);
    *bytes = buf_view(decoded);
    return true;
}

static bool add_document(struct job *j, struct slice bytes, const char *name,
                         const char *media_type, const char *at, struct dialect_error *err)
{
    struct error why = {0};
    struct document *d = document_read_typed(bytes, name, media_type, &why);
    if (!d) {
        (void)dialect_refuse_error(err, &why);
        (void)snprintf(err->member, sizeof err->member, "%s", at);
        return false;
    }
    j->documents[j->n_documents++] = d;
    return true;
}

static bool read_document(struct job *j, const json_t *o, struct dialect_error *err)
{
    struct member_path at = member_path("documents", "", (int)j->n_documents);
    struct slice name = {0}, type = {0}, bytes = {0};
    struct buf decoded = {0};
    (void)snprintf(at.text, sizeof at.text, "documents[%zu]", j->n_documents);
    if (!json_is_object(o))
        return dialect_refuse(err, PROBLEM_REQUEST, at.text, "'%s' must be an object, not %s",
                              at.text, member_type(o));
    const char *numbered = arena_printf(&j->x->arena, "document %zu", j->n_documents + 1);
    bool ok = member_text(o, at.text, "name", &name, err) &&
              member_text(o, at.text, "media_type", &type, err);
    if (ok && name.ptr && !is_plain_name(name))
        ok = dialect_refuse(err, PROBLEM_REQUEST, at.text,
                            "'%s.name' is not a name of 1 to %d bytes", at.text, NAME_BYTES_MAX);
    ok = ok && read_bytes(o, at.text, &bytes, &decoded, err) &&
         add_document(j, bytes, name.ptr ? name.ptr : numbered, type.ptr, at.text, err);
    buf_release(&decoded);
    return ok;
}

static bool read_documents(struct job *j, const json_t *o, struct dialect_error *err)
{
    const json_t *list = NULL;
    struct slice text = {0};
    if (!member_array(o, "", "documents", &list, err) || !member_text(o, "", "text", &text, err))
        return false;
    if (!list == !text.ptr)
        return dialect_refuse(err, PROBLEM_REQUEST, "documents",
                              "either 'documents' or 'text' must be there");
    if (text.ptr)
        return add_document(j, text, "document 1", NULL, "text", err);
    size_t n = json_array_size(list);
    if (n < 1 || n > DOCUMENTS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, "documents",
                              "'documents' has %zu entries, not from 1 to %d", n, DOCUMENTS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!read_document(j, json_array_get(list, i), err))
            return false;
    return true;
}

static bool read_options(struct job *j, const json_t *o, struct dialect_error *err)
{
    struct slice model = {0}, style = slice_str("paragraph"), ask = {0}, language = {0};
    struct summary_options *options = &j->options;
    struct error why = {0};
    if (!member_text(o, "", "model", &model, err) ||
        !member_int(o, "", "words", WORDS_MIN, WORDS_MAX, &options->words, err) ||
        !member_text(o, "", "style", &style, err) || !member_text(o, "", "ask", &ask, err) ||
        !member_text(o, "", "language", &language, err) ||
        !member_bool(o, "", "stream", &j->stream, err))
        return false;
    if (!summary_style_named(style, &options->style))
        return dialect_refuse(err, PROBLEM_REQUEST, "style",
                              "'style' is not paragraph, bullets or outline");
    options->ask = ask.len ? ask.ptr : NULL;
    options->language = language.len ? language.ptr : NULL;
    options->model = work_model(j->x, model.ptr, &why);
    j->x->call.model = options->model;
    j->x->call.request.stream = j->stream;
    return options->model || dialect_refuse_error(err, &why);
}

// Events

static void send_event(struct job *j, const char *kind, const json_t *value, bool last)
{
    struct buf out = {0};
    buf_printf(&out, "event: %s\ndata: ", kind);
    json_write(&out, value, JSON_STYLE_COMPACT);
    buf_text_add(&out, "\n\n");
    exchange_send(j->x, buf_view(&out), last);
    buf_release(&out);
}

static bool on_progress(void *self, int done, int total, const char *what)
{
    struct job *j = self;
    bool news = done != j->done || total != j->total || what != j->what;
    if (j->stream && news) {
        json_t *o = json_object();
        json_object_set_new(o, "what", json_string(what));
        json_object_set_new(o, "done", json_integer(done));
        json_object_set_new(o, "total", json_integer(total));
        send_event(j, "progress", o, false);
        json_decref(o);
    }
    j->done = done;
    j->total = total;
    j->what = what;
    return !exchange_is_gone(j->x);
}

static bool on_turn(void *self, bool wait, struct error *err)
{
    const struct job *j = self;
    if (gateway_ready(j->x->server->gateway, j->options.model, false))
        return true;
    return wait && loading_wait(j->x, j->options.model, err);
}

static void on_draft(void *self, struct slice more, bool restart)
{
    struct job *j = self;
    json_t *o = json_object();
    if (!restart)
        json_object_set_new(o, "delta", json_stringn(more.ptr, more.len));
    if (!j->first_ns)
        j->first_ns = clock_ns();
    send_event(j, restart ? "restart" : "text", o, false);
    json_decref(o);
}

static void reply_error(struct job *j, struct dialect_error *err)
{
    struct buf body = {0}, out = {0};
    if (!j->x->head_ready) {  // nobody else sets it before this one has
        exchange_refuse(j->x, err);
        return;
    }
    (void)dialect_openai_chat.write_error(err, &body);
    buf_text_add(&out, "event: error\ndata: ");
    buf_slice(&out, buf_view(&body));
    buf_text_add(&out, "\n\n");
    exchange_send(j->x, buf_view(&out), true);
    buf_release(&body);
    buf_release(&out);
}

static void reply(struct job *j, const struct summary *s)
{
    json_t *o = summary_json(s, j->documents);
    if (j->stream) {
        send_event(j, "summary", o, true);
    } else {
        struct buf out = {0};
        json_write(&out, o, JSON_STYLE_COMPACT);
        exchange_reply(j->x, 200, "application/json", buf_view(&out));
        buf_release(&out);
    }
    json_decref(o);
}

// The counters of a request: its calls' tokens together.
static void count(struct job *j, const struct summary *s)
{
    struct exchange *x = j->x;
    x->finish = CHAT_STOP;
    x->first_ns = j->first_ns;
    x->usage = (struct chat_usage){.prompt_tokens = s->prompt_tokens,
                                   .completion_tokens = s->completion_tokens,
                                   .drafted_tokens = s->drafted_tokens,
                                   .accepted_tokens = s->accepted_tokens,
                                   .bytes_sent = s->bytes_sent,
                                   .cost_picousd = s->cost_picousd};
    metrics_end(&x->server->metrics, x->call.model, x->listed, x->finish, &x->usage,
                clock_ns() - x->begun_ns, -1);
}

static void work(struct job *j)
{
    struct dialect_error err = {0};
    struct error why = {0};
    j->caller = j->x->caller;
    j->caller.n_parts = &j->n_calls;
    j->caller.told = NULL;
    j->options.caller = &j->caller;
    j->options.progress = on_progress;
    j->options.progress_self = j;
    j->options.turn = on_turn;
    j->options.turn_self = j;
    j->options.draft = j->stream ? on_draft : NULL;
    j->options.draft_self = j;
    struct summary *s =
        summarize(j->x->server->gateway, j->documents, j->n_documents, &j->options, &why);
    if (s) {
        count(j, s);
        reply(j, s);
    } else {
        (void)dialect_refuse_error(&err, &why);
        reply_error(j, &err);
    }
    summary_free(s);
}

void routes_summaries(struct exchange *x)
{
    struct job j = {.x = x, .done = -1};
    struct dialect_error err = {0};
    if (!read_options(&j, x->json, &err) || !read_documents(&j, x->json, &err))
        exchange_refuse(x, &err);
    else if (loading_ready(x, j.options.model))  // else it comes again, and x is not ours any more
        work(&j);
    for (size_t i = 0; i < j.n_documents; i++)
        document_close(j.documents[i]);
}
