// fuzz_clients.c - any bytes as what a vendor answers: as the events of a stream (one a line, a
// name before the first tab), as a whole answer, and as the body of an error.
//
// What comes out keeps the order that chat.h promises, however wrong what comes in.
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHOICES = 2 };
struct seen {
    int n_calls[CHOICES], n_finish[CHOICES], n_usage;
};

static void check(bool good)
{
    if (!good)
        abort();
}

static void push(void *self, const struct chat_event *e)
{
    struct seen *s = self;
    json_t *blob = NULL;
    check(e->choice >= 0 && e->choice < CHOICES && s->n_usage == 0);
    check(e->kind == CHAT_USAGE || s->n_finish[e->choice] == 0);
    switch (e->kind) {
    case CHAT_TEXT: check(e->text.len || e->n_tokens); break;
    case CHAT_REASONING: check(e->text.len); break;
    case CHAT_TOOL_CALL:
        check(e->tool_index == s->n_calls[e->choice]++ && *e->tool_id && *e->tool_name);
        break;
    case CHAT_TOOL_ARGUMENTS:
        check(s->n_calls[e->choice] > 0 && e->tool_index == s->n_calls[e->choice] - 1);
        break;
    case CHAT_BLOB:
        blob = json_parse(e->blob, NULL);
        check(json_is_object(blob) && e->blob_vendor);
        json_decref(blob);
        break;
    case CHAT_MEDIA:
        blob = e->blob_vendor ? json_parse(e->blob, NULL) : NULL;
        check(e->media.len && (blob ? json_is_object(blob) : !e->blob_vendor));
        json_decref(blob);
        break;
    case CHAT_EMBEDDING: check(e->n_embedding > 0); break;
    case CHAT_FINISH:
        check(e->finish != CHAT_NOT_FINISHED && e->finish != CHAT_CANCELLED);
        s->n_finish[e->choice]++;
        break;
    case CHAT_USAGE:
        check(e->usage.prompt_tokens >= 0 && e->usage.completion_tokens >= 0);
        s->n_usage++;
        break;
    default: abort();
    }
}

// Events are lines; the last is not told apart from a cut one.
static bool feed(const struct dialect_client *c, void *state, struct slice text,
                 struct chat_sink *sink, struct error *err)
{
    while (text.len) {
        const char *end = memchr(text.ptr, '\n', text.len);
        struct slice line = slice_of(text.ptr, end ? (size_t)(end - text.ptr) : text.len);
        const char *tab = memchr(line.ptr, '\t', line.len);
        size_t named = tab ? (size_t)(tab - line.ptr) : 0;
        struct slice data = slice_sub(line, tab ? named + 1 : 0, line.len);
        if (!c->read_event(state, slice_sub(line, 0, named), data, sink, err))
            return false;
        text = slice_sub(text, line.len + 1, text.len);
    }
    return c->end(state, sink, err);
}

static void answer(const struct dialect_client *c, struct slice text, bool stream, bool embed)
{
    struct chat_request req = {.input = embed ? INPUT_EMBED : INPUT_MESSAGES};
    struct seen seen = {0};
    struct chat_sink sink = {.push = push, .self = &seen};
    struct error err = {0};
    void *state = calloc(1, c->state_size);
    check(state != NULL);
    chat_sampling_unset(&req.sampling);
    if (embed)
        req.n_inputs = CHOICES;
    else
        req.sampling.n_choices = CHOICES;
    req.sampling.n_logprobs = 1;
    c->begin(state, &req);
    bool ok =
        stream ? feed(c, state, text, &sink, &err) : c->read_response(state, text, &sink, &err);
    check(ok == (err.code == ERR_NONE) && ok == (err.text[0] == 0));
    int n_finished = seen.n_finish[0] + seen.n_finish[1];  // a vendor may answer with fewer
    check(!ok || n_finished == CHOICES || (!embed && n_finished > 0));
    if (c->release)
        c->release(state);
    free(state);
}

static void fail(const struct dialect_client *c, struct slice text)
{
    struct error err = {0};
    bool again = false;
    c->read_error(429, text, &err, &again);
    check(err.code == ERR_RATE || err.code == ERR_KEY || err.code == ERR_CONTEXT);
    check(err.text[0] != 0 && !strpbrk(err.text, "\r\n\t\x1b"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct dialect_client *const clients[] = {&client_openai, &client_gemini};
    struct slice text = slice_of((const char *)data, size);
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
        answer(clients[i], text, true, false);
        answer(clients[i], text, false, false);
        answer(clients[i], text, false, true);
        fail(clients[i], text);
    }
    answer(&client_anthropic, text, true, false);
    answer(&client_anthropic, text, false, false);
    fail(&client_anthropic, text);
    return 0;
}
