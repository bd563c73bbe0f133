// gemini_client_read.c - chunks and whole answers of generateContent, and embeddings.
//
// A chunk has the shape of a whole answer. Thoughts are counted apart from what is said, and are
// added here; the usage of each chunk is of all so far. A call comes whole, its id may be missing.
// A signature belongs to the part that it stands in, and is pushed behind it. Code that the vendor
// ran is a blob for who has its words, else a text.
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "dialects/gemini_client.h"
#include "dialects/gemini_code.h"

static void read_usage(struct client_answer *a, const json_t *body)
{
    const json_t *u = json_object_get(body, "usageMetadata");
    if (!json_is_object(u))
        return;
    int64_t thoughts = client_tokens(u, "thoughtsTokenCount");
    a->has_usage = true;
    a->usage = (struct chat_usage){
        .prompt_tokens = client_tokens_sum(client_tokens(u, "promptTokenCount"),
                                           client_tokens(u, "toolUsePromptTokenCount")),
        .cached_tokens = client_count(u, "cachedContentTokenCount"),
        .completion_tokens = client_tokens_sum(client_tokens(u, "candidatesTokenCount"), thoughts),
        .reasoning_tokens = thoughts,
    };
}

// Whether the client speaks these words too: then it hears the vendor's own.
static bool is_own(const struct gemini_client_state *s)
{
    const char *wire = s->answer.req->wire;
    return wire && strcmp(wire, "gemini") == 0;
}

// What is neither an end of the model's own nor a filter's is an attempt that went wrong: an error
// to whoever has no word for it.
static void read_finish(struct gemini_client_state *s, struct client_choice *c,
                        const json_t *candidate)
{
    static const char *const failures[] = {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL",
                                           "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
                                           "MALFORMED_RESPONSE"};
    struct slice reason = client_text(candidate, "finishReason");
    bool failed = false;
    if (!reason.len || slice_is(reason, "FINISH_REASON_UNSPECIFIED"))
        return;
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        if (!slice_is(reason, failures[i]))
            continue;
        failed = true;
        if (!is_own(s))
            (void)snprintf(s->failed, sizeof s->failed, "%s", failures[i]);
    }
    if (slice_is(reason, "MAX_TOKENS"))
        c->finish = CHAT_LENGTH;
    else if (slice_is(reason, "STOP") || slice_is(reason, "OTHER") || failed)
        c->finish = CHAT_STOP;
    else
        c->finish = CHAT_FILTERED;
    client_keep_end(c, "gemini", reason, client_text(candidate, "finishMessage"));
}

static bool read_call(struct client_answer *a, struct chat_sink *sink, int choice,
                      const json_t *call, struct slice answer_id, struct error *err)
{
    const json_t *args = json_object_get(call, "args");
    struct slice name = client_text(call, "name");
    struct buf text = {0};
    if (!name.len)
        return client_malformed(err, "a call without a name");
    client_push_call(a, sink, choice, client_text(call, "id"), name, answer_id);
    if (json_is_object(args))
        json_write(&text, args, JSON_STYLE_COMPACT);
    else
        buf_text_add(&text, "{}");
    client_push_arguments(a, sink, choice, buf_view(&text));
    buf_release(&text);
    return true;
}

// An image or a sound, with what else the part says (its signature).
static void push_media(struct chat_sink *sink, int choice, const json_t *part,
                       const json_t *inlined)
{
    json_t *more = json_copy((json_t *)part);
    json_object_del(more, "inlineData");
    client_push_media(sink, choice, client_text(inlined, "mimeType"), client_text(inlined, "data"),
                      "gemini", more);
    json_decref(more);
}

// As it is for who has these words, else as a text.
static void push_code(const struct gemini_client_state *s, struct chat_sink *sink, int choice,
                      const json_t *part)
{
    struct buf text = {0};
    if (is_own(s)) {
        client_push_blob(sink, choice, "gemini", part);
        return;
    }
    gemini_code_text(part, &text);
    client_push_text(sink, CHAT_TEXT, choice, buf_view(&text));
    buf_release(&text);
}

static bool read_part(struct gemini_client_state *s, struct chat_sink *sink, int choice,
                      const json_t *part, struct slice answer_id, struct error *err)
{
    struct client_answer *a = &s->answer;
    const json_t *call = json_object_get(part, "functionCall");
    bool thought = json_is_true(json_object_get(part, "thought"));
    json_t *signature = json_object_get(part, "thoughtSignature");
    const json_t *inlined = json_object_get(part, "inlineData");
    if (client_text(inlined, "data").len) {
        push_media(sink, choice, part, inlined);
        return true;
    }
    if (gemini_is_code(part)) {
        push_code(s, sink, choice, part);
        return true;
    }
    if (json_is_object(call)) {
        if (!read_call(a, sink, choice, call, answer_id, err))
            return false;
    } else {
        client_push_text(sink, thought ? CHAT_REASONING : CHAT_TEXT, choice,
                         client_text(part, "text"));
    }
    if (json_is_string(signature) && json_string_length(signature) > 0) {
        json_t *value = json_object();
        if (thought)
            json_object_set_new(value, "thought", json_true());
        json_object_set(value, "thoughtSignature", signature);
        client_push_blob(sink, choice, "gemini", value);
        json_decref(value);
    }
    return true;
}

static bool read_candidate(struct gemini_client_state *s, struct chat_sink *sink,
                           const json_t *candidate, struct slice answer_id, struct error *err)
{
    int64_t index = 0;
    (void)json_get_i64(candidate, "index", &index);
    struct client_choice *c = client_choice_of(&s->answer, index);
    const json_t *parts = json_object_get(json_object_get(candidate, "content"), "parts");
    if (!c)
        return true;
    for (size_t i = 0; i < json_array_size(parts); i++) {
        if (!read_part(s, sink, (int)index, json_array_get(parts, i), answer_id, err))
            return false;
    }
    read_finish(s, c, candidate);
    return true;
}

// A prompt that is not answered: each choice ends filtered, and who has the vendor's words hears
// all of what it says.
static void read_feedback(struct gemini_client_state *s, struct chat_sink *sink,
                          const json_t *feedback)
{
    if (s->blocked || !client_text(feedback, "blockReason").len)
        return;
    s->blocked = true;
    json_t *value = json_object();
    json_object_set(value, "promptFeedback", (json_t *)feedback);
    client_push_blob(sink, 0, "gemini", value);
    json_decref(value);
}

static bool read_chunk(struct gemini_client_state *s, struct chat_sink *sink, const json_t *body,
                       struct error *err)
{
    const json_t *list = json_object_get(body, "candidates");
    read_usage(&s->answer, body);  // first: it is paid for, whatever went wrong
    if (json_object_get(body, "error"))
        return gemini_client_fail(body, 0, err, NULL);
    read_feedback(s, sink, json_object_get(body, "promptFeedback"));
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!read_candidate(s, sink, json_array_get(list, i), client_text(body, "responseId"), err))
            return false;
    }
    return true;
}

bool gemini_client_read_event(void *state, struct slice event, struct slice data,
                              struct chat_sink *sink, struct error *err)
{
    (void)event;
    if (data.len == 0)
        return true;
    json_t *body = client_parse(data, err);
    bool ok = body && read_chunk(state, sink, body, err);
    json_decref(body);
    return ok;
}

// What was used is told even of an attempt that went wrong, since it is paid for.
bool gemini_client_end(void *state, struct chat_sink *sink, struct error *err)
{
    struct gemini_client_state *s = state;
    for (size_t i = 0; s->blocked && i < s->answer.n_choices; i++) {
        struct client_choice *c = client_choice_of(&s->answer, (int64_t)i);
        if (c->finish == CHAT_NOT_FINISHED)
            c->finish = CHAT_FILTERED;
    }
    if (s->failed[0]) {
        if (s->answer.has_usage && !s->answer.told)
            sink->push(sink->self,
                       &(struct chat_event){.kind = CHAT_USAGE, .usage = s->answer.usage});
        s->answer.told = true;
        (void)error_set(err, ERR_UPSTREAM, "the vendor's answer failed: %s", s->failed);
        if (err && client_all_finished(&s->answer))
            err->status = 200;  // it is the model that failed, not who serves it
        return false;
    }
    if (!client_all_finished(&s->answer))
        return client_cut(&s->answer, sink, err);
    client_push_end(&s->answer, sink);
    return true;
}

static bool read_embeddings(struct client_answer *a, struct chat_sink *sink, const json_t *body,
                            struct error *err)
{
    const json_t *list = json_object_get(body, "embeddings");
    size_t n = json_array_size(list);
    if (json_object_get(body, "error"))
        return gemini_client_fail(body, 0, err, NULL);
    if (n != a->n_choices)
        return client_malformed(err, "not one embedding for each text");
    for (size_t i = 0; i < n; i++) {
        const json_t *values = json_object_get(json_array_get(list, i), "values");
        if (!client_push_embedding(sink, (int)i, values, err))
            return false;
    }
    read_usage(a, body);
    client_push_end(a, sink);
    return true;
}

bool gemini_client_read_response(void *state, struct slice body, struct chat_sink *sink,
                                 struct error *err)
{
    struct gemini_client_state *s = state;
    json_t *value = client_parse(body, err);
    bool ok = value != NULL;
    if (ok && s->answer.req->input == INPUT_EMBED)
        ok = read_embeddings(&s->answer, sink, value, err);
    else if (ok)
        ok = read_chunk(s, sink, value, err) && gemini_client_end(state, sink, err);
    json_decref(value);
    return ok;
}
