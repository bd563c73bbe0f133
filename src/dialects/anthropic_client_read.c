// anthropic_client_read.c - the events of a message, and whole messages.
//
// input_tokens leaves out what was read from or written to a cache: the prompt is all three. The
// usage of message_delta is cumulative, what it leaves out is as message_start told it. Blocks of
// tools that the vendor runs itself are blobs, for who has its words. Events, blocks and deltas of
// unknown types are passed over.
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "dialects/anthropic.h"
#include "dialects/anthropic_client.h"

enum { SIGNATURE_MAX = 1 << 20, ARGUMENTS_MAX = 8 << 20 };

static void take_count(const json_t *u, const char *key, int64_t *n)
{
    const json_t *value = json_object_get(u, key);
    if (value && !json_is_null(value))
        *n = client_tokens(u, key);
}

static void read_usage(struct anthropic_client_state *s, const json_t *u)
{
    struct chat_usage *to = &s->answer.usage;
    const json_t *out = json_object_get(u, "output_tokens_details");
    if (!json_is_object(u))
        return;
    s->answer.has_usage = true;
    take_count(u, "input_tokens", &s->input);
    take_count(u, "cache_read_input_tokens", &s->cache_read);
    take_count(u, "cache_creation_input_tokens", &s->cache_write);
    take_count(json_object_get(u, "cache_creation"), "ephemeral_1h_input_tokens", &s->cache_1h);
    take_count(u, "output_tokens", &to->completion_tokens);
    take_count(out, "thinking_tokens", &to->reasoning_tokens);
    struct slice service = client_text(u, "service_tier");
    if (service.len)
        to->service = chat_service_of(service);
    to->cached_tokens = s->cache_read;
    to->cache_write_1h_tokens = s->cache_1h < s->cache_write ? s->cache_1h : s->cache_write;
    to->cache_write_5m_tokens = s->cache_write - to->cache_write_1h_tokens;
    to->prompt_tokens =
        client_tokens_sum(s->input, client_tokens_sum(s->cache_read, s->cache_write));
}

static void read_stop(struct anthropic_client_state *s, const json_t *o)
{
    struct client_choice *c = &s->answer.choices[0];
    struct slice reason = client_text(o, "stop_reason"), stop = client_text(o, "stop_sequence");
    if (!reason.len)
        return;
    // A turn that is paused is not over, but this is all of the answer.
    bool short_of = slice_is(reason, "model_context_window_exceeded"),
         paused = slice_is(reason, "pause_turn");
    bool plain = slice_is(reason, "end_turn") || slice_is(reason, "stop_sequence");
    if (slice_is(reason, "max_tokens") || short_of || paused)
        c->finish = CHAT_LENGTH;
    else if (slice_is(reason, "tool_use"))
        c->finish = CHAT_TOOL_CALLS;
    else if (slice_is(reason, "refusal"))
        c->finish = CHAT_FILTERED;
    else
        c->finish = CHAT_STOP;
    if (short_of || paused || (c->finish == CHAT_STOP && !plain))
        client_keep_end(c, "anthropic", reason, slice_str(""));
    if (stop.len && !c->stop.ptr)
        c->stop = slice_of(memory_text_n(stop.ptr, stop.len), stop.len);
}

static void push_signature(struct chat_sink *sink, struct slice signature)
{
    json_t *value = json_object();
    json_object_set_new(value, "type", json_string("thinking"));
    json_object_set_new(value, "signature", client_string(signature));
    client_push_blob(sink, 0, "anthropic", value);
    json_decref(value);
}

static void push_redacted(struct chat_sink *sink, const json_t *block)
{
    json_t *value = json_object();
    json_object_set_new(value, "type", json_string("redacted_thinking"));
    json_object_set_new(value, "data", client_string(client_text(block, "data")));
    client_push_blob(sink, 0, "anthropic", value);
    json_decref(value);
}

static void push_input(struct anthropic_client_state *s, struct chat_sink *sink,
                       const json_t *input)
{
    struct buf text = {0};
    if (!json_is_object(input))
        return;
    json_write(&text, input, JSON_STYLE_COMPACT);
    client_push_arguments(&s->answer, sink, 0, buf_view(&text));
    buf_release(&text);
}

static void begin_server_block(struct anthropic_client_state *s, const json_t *block)
{
    s->open = ANTHROPIC_SERVER;
    json_decref(s->block);
    s->block = json_copy((json_t *)block);
    buf_clear(&s->arguments);
}

static void end_server_block(struct anthropic_client_state *s, struct chat_sink *sink)
{
    json_t *input = s->arguments.len ? json_parse(buf_view(&s->arguments), NULL) : NULL;
    if (json_is_object(input))
        json_object_set(s->block, "input", input);
    client_push_blob(sink, 0, "anthropic", s->block);
    json_decref(input);
    json_decref(s->block);
    s->block = NULL;
}

// A block begins; in a whole message it is all there.
static bool begin_block(struct anthropic_client_state *s, struct chat_sink *sink,
                        const json_t *block, struct error *err)
{
    struct slice type = client_text(block, "type"), name = client_text(block, "name");
    const json_t *input = json_object_get(block, "input");
    s->open = ANTHROPIC_OTHER;
    buf_clear(&s->signature);
    if (slice_is(type, "text")) {
        s->open = ANTHROPIC_TEXT;
        client_push_text(sink, CHAT_TEXT, 0, client_text(block, "text"));
    } else if (slice_is(type, "thinking")) {
        s->open = ANTHROPIC_THINKING;
        client_push_text(sink, CHAT_REASONING, 0, client_text(block, "thinking"));
        buf_slice(&s->signature, client_text(block, "signature"));
    } else if (slice_is(type, "redacted_thinking")) {
        push_redacted(sink, block);
    } else if (slice_is(type, "tool_use")) {
        if (!name.len)
            return client_malformed(err, "a call without a name");
        s->open = ANTHROPIC_TOOL;
        client_push_call(&s->answer, sink, 0, client_text(block, "id"), name, slice_str(""));
        s->got_arguments = json_object_size(input) > 0;
        if (s->got_arguments)
            push_input(s, sink, input);
    } else if (anthropic_is_server_block(block)) {
        begin_server_block(s, block);
    }
    return true;
}

static void end_block(struct anthropic_client_state *s, struct chat_sink *sink)
{
    if (s->open == ANTHROPIC_THINKING && s->signature.len)
        push_signature(sink, buf_view(&s->signature));
    if (s->open == ANTHROPIC_TOOL && !s->got_arguments)
        client_push_arguments(&s->answer, sink, 0, slice_str("{}"));
    if (s->open == ANTHROPIC_SERVER)
        end_server_block(s, sink);
    s->open = ANTHROPIC_OTHER;
}

static bool read_delta(struct anthropic_client_state *s, struct chat_sink *sink,
                       const json_t *delta, struct error *err)
{
    struct slice type = client_text(delta, "type");
    if (slice_is(type, "text_delta")) {
        client_push_text(sink, CHAT_TEXT, 0, client_text(delta, "text"));
    } else if (slice_is(type, "thinking_delta")) {
        client_push_text(sink, CHAT_REASONING, 0, client_text(delta, "thinking"));
    } else if (slice_is(type, "input_json_delta") && s->open == ANTHROPIC_TOOL) {
        struct slice json = client_text(delta, "partial_json");
        s->got_arguments = s->got_arguments || json.len > 0;
        client_push_arguments(&s->answer, sink, 0, json);
    } else if (slice_is(type, "input_json_delta") && s->open == ANTHROPIC_SERVER) {
        buf_slice(&s->arguments, client_text(delta, "partial_json"));
        if (s->arguments.len > ARGUMENTS_MAX)
            return client_malformed(err, "arguments without an end");
    } else if (slice_is(type, "signature_delta") && s->open == ANTHROPIC_THINKING) {
        buf_slice(&s->signature, client_text(delta, "signature"));
        if (s->signature.len > SIGNATURE_MAX)
            return client_malformed(err, "a signature without an end");
    }
    return true;
}

static bool read_typed(struct anthropic_client_state *s, struct chat_sink *sink, const json_t *e,
                       struct error *err)
{
    struct slice type = client_text(e, "type");
    if (slice_is(type, "error") || json_is_object(json_object_get(e, "error")))
        return anthropic_client_fail(e, 0, err, NULL);
    if (slice_is(type, "message_start")) {
        read_usage(s, json_object_get(json_object_get(e, "message"), "usage"));
    } else if (slice_is(type, "content_block_start")) {
        return begin_block(s, sink, json_object_get(e, "content_block"), err);
    } else if (slice_is(type, "content_block_delta")) {
        return read_delta(s, sink, json_object_get(e, "delta"), err);
    } else if (slice_is(type, "content_block_stop")) {
        end_block(s, sink);
    } else if (slice_is(type, "message_delta")) {
        read_stop(s, json_object_get(e, "delta"));
        read_usage(s, json_object_get(e, "usage"));
    } else if (slice_is(type, "message_stop")) {
        end_block(s, sink);
        s->ended = true;
        client_push_end(&s->answer, sink);
    }
    return true;
}

bool anthropic_client_read_event(void *state, struct slice event, struct slice data,
                                 struct chat_sink *sink, struct error *err)
{
    struct anthropic_client_state *s = state;
    if (data.len == 0 || slice_is(event, "ping") || s->ended)
        return true;
    json_t *value = client_parse(data, err);
    bool ok = value && read_typed(s, sink, value, err);
    json_decref(value);
    return ok;
}

static bool read_message(struct anthropic_client_state *s, struct chat_sink *sink,
                         const json_t *message, struct error *err)
{
    const json_t *content = json_object_get(message, "content");
    read_usage(s, json_object_get(message, "usage"));  // first: it is paid for, whatever went wrong
    if (json_object_get(message, "error"))
        return anthropic_client_fail(message, 0, err, NULL);
    if (!json_is_array(content))
        return client_malformed(err, "a message without content");
    for (size_t i = 0; i < json_array_size(content); i++) {
        if (!begin_block(s, sink, json_array_get(content, i), err))
            return false;
        end_block(s, sink);
    }
    read_stop(s, message);
    client_push_end(&s->answer, sink);
    return true;
}

bool anthropic_client_read_response(void *state, struct slice body, struct chat_sink *sink,
                                    struct error *err)
{
    json_t *value = client_parse(body, err);
    bool ok = value && read_message(state, sink, value, err);
    json_decref(value);
    return ok;
}
