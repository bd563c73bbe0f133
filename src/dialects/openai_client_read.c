// openai_client_read.c - chunks and whole answers of a chat completion, and embeddings.
//
// Thoughts are in reasoning_content (DeepSeek, vLLM, Hearth) or reasoning (OpenRouter, Ollama). A
// call's pieces are told apart by their index; servers that give all calls of an answer the same
// one send a new id with each. Usage may stand in any chunk, and in several: the last counts.
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/memory.h"
#include "dialects/openai_client.h"

static void read_usage(struct client_answer *a, const json_t *body)
{
    const json_t *u = json_object_get(body, "usage");
    if (!json_is_object(u))
        return;
    const json_t *in = json_object_get(u, "prompt_tokens_details"),
                 *out = json_object_get(u, "completion_tokens_details");
    a->has_usage = true;
    a->usage = (struct chat_usage){
        .prompt_tokens = client_tokens(u, "prompt_tokens"),
        .cached_tokens = client_count(in, "cached_tokens"),
        .cache_write_5m_tokens = client_count(in, "cache_write_tokens"),
        .completion_tokens = client_tokens(u, "completion_tokens"),
        .reasoning_tokens = client_count(out, "reasoning_tokens"),
        .service = chat_service_of(client_text(body, "service_tier")),
    };
    if (!in)  // as DeepSeek writes it
        a->usage.cached_tokens = client_count(u, "prompt_cache_hit_tokens");
}

static enum chat_finish finish_of(struct slice reason)
{
    if (slice_is(reason, "length"))
        return CHAT_LENGTH;
    if (slice_is(reason, "tool_calls") || slice_is(reason, "function_call"))
        return CHAT_TOOL_CALLS;
    return slice_is(reason, "content_filter") ? CHAT_FILTERED : CHAT_STOP;
}

static struct chat_token token_of(struct arena *arena, const json_t *t)
{
    const json_t *bytes = json_object_get(t, "bytes");
    size_t n = json_array_size(bytes);
    double logprob = json_number_value(json_object_get(t, "logprob"));
    struct chat_token token = {.id = -1, .logprob = (float)logprob};
    if (!json_is_array(bytes)) {
        struct slice text = client_text(t, "token");
        token.bytes = slice_of(arena_text(arena, text), text.len);
        return token;
    }
    char *copy = arena_new(arena, char, n + 1);
    for (size_t i = 0; i < n; i++)
        copy[i] = (char)json_integer_value(json_array_get(bytes, i));
    token.bytes = slice_of(copy, n);
    return token;
}

static struct chat_token *tokens_of(struct arena *arena, const json_t *list, size_t *n)
{
    *n = json_array_size(list);
    struct chat_token *tokens = arena_new(arena, struct chat_token, *n + 1);
    for (size_t i = 0; i < *n; i++) {
        const json_t *t = json_array_get(list, i), *tops = json_object_get(t, "top_logprobs");
        size_t n_top = json_array_size(tops);
        struct chat_token *top = arena_new(arena, struct chat_token, n_top + 1);
        for (size_t k = 0; k < n_top; k++)
            top[k] = token_of(arena, json_array_get(tops, k));
        tokens[i] = token_of(arena, t);
        tokens[i].top = top;
        tokens[i].n_top = n_top;
    }
    return tokens;
}

static void push_content(struct client_answer *a, struct chat_sink *sink, int choice,
                         struct slice text, const json_t *logprobs)
{
    struct arena arena = {0};
    const json_t *list = json_object_get(logprobs, "content");
    struct chat_event e = {.kind = CHAT_TEXT, .choice = choice, .text = text};
    if (a->req->sampling.n_logprobs >= 0 && json_array_size(list) > 0)
        e.tokens = tokens_of(&arena, list, &e.n_tokens);
    if (text.len || e.n_tokens)
        sink->push(sink->self, &e);
    arena_release(&arena);
}

// A text, or parts of texts (Mistral's thoughts and texts).
static void read_content(struct client_answer *a, struct chat_sink *sink, int choice,
                         const json_t *content, const json_t *logprobs)
{
    if (!json_is_array(content)) {
        push_content(a, sink, choice, json_is_string(content) ? json_slice(content) : slice_str(""),
                     logprobs);
        return;
    }
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i), *inner = json_object_get(part, "thinking");
        for (size_t k = 0; k < json_array_size(inner); k++)
            client_push_text(sink, CHAT_REASONING, choice,
                             client_text(json_array_get(inner, k), "text"));
        client_push_text(sink, CHAT_TEXT, choice, client_text(part, "text"));
    }
}

// As OpenRouter sends images; ones at an address are passed over.
static void read_images(struct chat_sink *sink, int choice, const json_t *images)
{
    for (size_t i = 0; i < json_array_size(images); i++) {
        struct slice type, data;
        const json_t *image = json_object_get(json_array_get(images, i), "image_url");
        if (client_data_url(client_text(image, "url"), &type, &data))
            client_push_media(sink, choice, type, data, NULL, NULL);
    }
}

static void read_said(struct client_answer *a, struct chat_sink *sink, int choice,
                      const json_t *delta, const json_t *logprobs)
{
    struct slice thoughts = client_text(delta, "reasoning_content");
    if (!thoughts.len)
        thoughts = client_text(delta, "reasoning");
    client_push_text(sink, CHAT_REASONING, choice, thoughts);
    read_content(a, sink, choice, json_object_get(delta, "content"), logprobs);
    struct slice refusal = client_text(delta, "refusal");
    if (refusal.len)
        sink->push(sink->self,
                   &(struct chat_event){
                       .kind = CHAT_TEXT, .choice = choice, .text = refusal, .refusal = true});
    read_images(sink, choice, json_object_get(delta, "images"));
}

static bool begins_call(const struct openai_client_state *s, int choice, int64_t index,
                        struct slice id, struct slice name)
{
    if (s->answer.choices[choice].n_calls == 0 || index > s->call_index[choice])
        return true;
    return name.len && id.len && !slice_is(id, s->call_id[choice]);
}

static bool read_call(struct openai_client_state *s, struct chat_sink *sink, int choice,
                      const json_t *call, struct slice answer_id, struct error *err)
{
    int64_t index = 0;
    const json_t *function = json_object_get(call, "function");
    const json_t *arguments = json_object_get(function, "arguments");
    struct slice id = client_text(call, "id"), name = client_text(function, "name");
    if (!json_get_i64(call, "index", &index))
        index = name.len ? s->answer.choices[choice].n_calls : s->call_index[choice];
    if (begins_call(s, choice, index, id, name)) {
        if (!name.len)
            return client_malformed(err, "a call without a name");
        s->call_index[choice] = index;
        free(s->call_id[choice]);
        s->call_id[choice] = memory_text_n(id.ptr, id.len);
        client_push_call(&s->answer, sink, choice, id, name, answer_id);
    } else if (index != s->call_index[choice]) {
        return client_malformed(err, "a call goes on after the next has begun");
    }
    if (json_is_object(arguments)) {  // as Ollama writes them
        struct buf text = {0};
        json_write(&text, arguments, JSON_STYLE_COMPACT);
        client_push_arguments(&s->answer, sink, choice, buf_view(&text));
        buf_release(&text);
    } else {
        client_push_arguments(&s->answer, sink, choice, client_text(function, "arguments"));
    }
    return true;
}

// `said`: the delta of a chunk, or the message of a whole answer.
static bool read_choice(struct openai_client_state *s, struct chat_sink *sink, const json_t *choice,
                        const char *said, struct slice answer_id, struct error *err)
{
    int64_t index = 0;
    (void)json_get_i64(choice, "index", &index);
    struct client_choice *c = client_choice_of(&s->answer, index);
    const json_t *delta = json_object_get(choice, said), *calls;
    struct slice reason = client_text(choice, "finish_reason");
    if (!c)
        return true;
    read_said(&s->answer, sink, (int)index, delta, json_object_get(choice, "logprobs"));
    calls = json_object_get(delta, "tool_calls");
    for (size_t i = 0; i < json_array_size(calls); i++) {
        if (!read_call(s, sink, (int)index, json_array_get(calls, i), answer_id, err))
            return false;
    }
    if (slice_is(reason, "error"))
        return error_set(err, ERR_UPSTREAM, "the vendor failed while it answered");
    if (reason.len)
        c->finish = finish_of(reason);
    return true;
}

static bool read_choices(struct openai_client_state *s, struct chat_sink *sink, const json_t *body,
                         const char *said, struct error *err)
{
    const json_t *e = json_object_get(body, "error"), *list = json_object_get(body, "choices");
    bool failed = e && !json_is_null(e);
    read_usage(&s->answer, body);  // first: it is paid for, whatever went wrong
    if (failed)
        return openai_client_fail(body, 0, err, NULL);
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!read_choice(s, sink, json_array_get(list, i), said, client_text(body, "id"), err))
            return false;
    }
    return true;
}

bool openai_client_read_event(void *state, struct slice event, struct slice data,
                              struct chat_sink *sink, struct error *err)
{
    struct openai_client_state *s = state;
    (void)event;
    if (slice_is(data, "[DONE]")) {
        if (!client_has_choice(&s->answer) && !s->done)
            return client_malformed(err, "an answer of nothing");
        s->done = true;
        client_push_end(&s->answer, sink);
        return true;
    }
    if (data.len == 0 || s->done)
        return true;
    json_t *body = client_parse(data, err);
    bool ok = body && read_choices(s, sink, body, "delta", err);
    json_decref(body);
    return ok;
}

static bool read_embeddings(struct openai_client_state *s, struct chat_sink *sink,
                            const json_t *body, struct error *err)
{
    const json_t *list = json_object_get(body, "data");
    size_t n = json_array_size(list), n_seen = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        int64_t index = (int64_t)i;
        (void)json_get_i64(item, "index", &index);
        struct client_choice *c = client_choice_of(&s->answer, index);
        if (!c || c->finish != CHAT_NOT_FINISHED)
            return client_malformed(err, "an embedding of no input");
        if (!client_push_embedding(sink, (int)index, json_object_get(item, "embedding"), err))
            return false;
        c->finish = CHAT_STOP;
        n_seen++;
    }
    return n_seen == s->answer.n_choices || client_malformed(err, "embeddings are missing");
}

static bool read_whole(struct openai_client_state *s, struct chat_sink *sink, const json_t *body,
                       struct error *err)
{
    if (!read_choices(s, sink, body, "message", err))
        return false;
    if (s->answer.req->input == INPUT_EMBED && !read_embeddings(s, sink, body, err))
        return false;
    if (!client_has_choice(&s->answer))
        return client_malformed(err, "it has no choice");
    client_push_end(&s->answer, sink);
    return true;
}

bool openai_client_read_response(void *state, struct slice body, struct chat_sink *sink,
                                 struct error *err)
{
    json_t *value = client_parse(body, err);
    bool ok = value && read_whole(state, sink, value, err);
    json_decref(value);
    return ok;
}
