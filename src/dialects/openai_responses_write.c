// openai_responses_write.c - the object of a response with its items, as it is sent whole, and at
// the beginning and the end of a stream.
#include <inttypes.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/dialect.h"
#include "dialects/openai.h"
#include "dialects/openai_responses.h"

// Where the message's refusal begins, if it has one.
static void find_refusal(const struct dialect_choice *choice, const struct dialect_part *p,
                         struct responses_item *item)
{
    item->n_plain = item->text.len;
    item->refuses = p->kind == CHAT_TEXT && choice->refused && choice->refusal_at < p->end;
    if (item->refuses)
        item->n_plain = choice->refusal_at > p->start ? choice->refusal_at - p->start : 0;
}

struct responses_item responses_item_of(const struct dialect_choice *choice, size_t index)
{
    struct responses_item item = {.kind = CHAT_TEXT, .index = index, .text = slice_str("")};
    if (index >= choice->n_parts)
        return item;
    const struct dialect_part *p = &choice->parts[index];
    item.kind = p->kind;
    item.tokens = choice->tokens ? choice->tokens + p->first_token : NULL;
    item.n_tokens = choice->tokens ? p->end_token - p->first_token : 0;
    if (p->kind == CHAT_TOOL_CALL) {
        item.tool = &choice->tools[p->start];
        item.text = buf_view(&item.tool->arguments);
    } else {
        const struct buf *from = p->kind == CHAT_TEXT ? &choice->text : &choice->reasoning;
        item.text = slice_sub(buf_view(from), p->start, p->end - p->start);
    }
    find_refusal(choice, p, &item);
    return item;
}

void responses_write_item_id(const struct dialect_call *c, const struct responses_item *item,
                             struct buf *out)
{
    const char *prefix = item->kind == CHAT_TEXT        ? "msg"
                         : item->kind == CHAT_REASONING ? "rs"
                                                        : "fc";
    buf_printf(out, "\"%s_%s_%zu\"", prefix, c->id, item->index);
}

bool responses_only_refuses(const struct responses_item *item)
{
    return item->refuses && item->n_plain == 0;
}

void responses_write_part(const struct dialect_call *c, const struct responses_item *item,
                          bool refusal, struct buf *out)
{
    const struct responses_state *s = c->state;
    if (refusal) {
        buf_text_add(out, "{\"type\":\"refusal\",\"refusal\":");
        json_write_text(out, slice_sub(item->text, item->n_plain, item->text.len));
        buf_char(out, '}');
        return;
    }
    if (item->kind == CHAT_REASONING) {
        buf_text_add(out, "{\"type\":\"reasoning_text\",\"text\":");
    } else {
        buf_text_add(out, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":");
        openai_write_tokens(item->tokens, s->logprobs ? item->n_tokens : 0, out);
        buf_text_add(out, ",\"text\":");
    }
    json_write_text(out, slice_sub(item->text, 0, item->n_plain));
    buf_char(out, '}');
}

// An item that has just begun has no part yet.
static void write_content(const struct dialect_call *c, const struct responses_item *item,
                          const char *status, struct buf *out)
{
    bool plain = !responses_only_refuses(item), begun = strcmp(status, "in_progress") != 0;
    buf_text_add(out, ",\"content\":[");
    if (begun && plain)
        responses_write_part(c, item, false, out);
    if (begun && plain && item->refuses)
        buf_char(out, ',');
    if (begun && item->refuses)
        responses_write_part(c, item, true, out);
    buf_text_add(out, "]}");
}

void responses_write_item(const struct dialect_call *c, const struct responses_item *item,
                          const char *status, struct buf *out)
{
    buf_text_add(out, "{\"id\":");
    responses_write_item_id(c, item, out);
    buf_printf(out, ",\"status\":\"%s\"", status);
    switch (item->kind) {
    case CHAT_TOOL_CALL:
        buf_text_add(out, ",\"type\":\"function_call\",\"call_id\":");
        json_write_text(out, slice_str(item->tool->id));
        buf_text_add(out, ",\"name\":");
        json_write_text(out, slice_str(item->tool->name));
        buf_text_add(out, ",\"arguments\":");
        json_write_text(out, item->text);
        buf_char(out, '}');
        break;
    case CHAT_REASONING:
        buf_text_add(out, ",\"type\":\"reasoning\",\"summary\":[]");
        write_content(c, item, status, out);
        break;
    default:
        buf_text_add(out, ",\"type\":\"message\",\"role\":\"assistant\"");
        write_content(c, item, status, out);
        break;
    }
}

const char *responses_status(enum chat_finish f)
{
    return f == CHAT_LENGTH || f == CHAT_FILTERED ? "incomplete" : "completed";
}

// All items but the last are whole.
static void write_output(const struct dialect_call *c, const struct dialect_choice *choice,
                         const char *status, struct buf *out)
{
    bool completed = strcmp(status, "completed") == 0;
    bool ended = completed || strcmp(status, "incomplete") == 0;
    size_t n = choice->n_parts ? choice->n_parts : ended;
    buf_text_add(out, ",\"output\":[");
    for (size_t i = 0; i < n; i++) {
        struct responses_item item = responses_item_of(choice, i);
        if (i)
            buf_char(out, ',');
        responses_write_item(c, &item, i + 1 < n || completed ? "completed" : "incomplete", out);
    }
    buf_char(out, ']');
}

// Members of the request that its answer repeats, with what they are where they were not given.
static void write_request(const json_t *body, struct buf *out)
{
    static const struct {
        const char *name, *unset;
    } members[] = {
        {"instructions", "null"},
        {"max_output_tokens", "null"},
        {"metadata", "{}"},
        {"parallel_tool_calls", "true"},
        {"reasoning", "{\"effort\":null,\"summary\":null}"},
        {"temperature", "null"},
        {"text", "{\"format\":{\"type\":\"text\"}}"},
        {"tool_choice", "\"auto\""},
        {"tools", "[]"},
        {"top_logprobs", "0"},
        {"top_p", "null"},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const json_t *v = json_object_get(body, members[i].name);
        buf_printf(out, ",\"%s\":", members[i].name);
        if (v && !json_is_null(v))
            json_write(out, v, JSON_STYLE_COMPACT);
        else
            buf_text_add(out, members[i].unset);
    }
}

static void write_usage(const struct chat_usage *u, struct buf *out)
{
    buf_printf(out,
               "{\"input_tokens\":%" PRId64 ",\"input_tokens_details\":{\"cached_tokens\":%" PRId64
               ",\"cache_write_tokens\":%" PRId64 "},\"output_tokens\":%" PRId64
               ",\"output_tokens_details\":{\"reasoning_tokens\":%" PRId64
               "},\"total_tokens\":%" PRId64 "}",
               u->prompt_tokens, u->cached_tokens,
               u->cache_write_5m_tokens + u->cache_write_1h_tokens, u->completion_tokens,
               u->reasoning_tokens, u->prompt_tokens + u->completion_tokens);
}

static const char *error_code(enum dialect_problem p)
{
    switch (p) {
    case PROBLEM_REQUEST:
    case PROBLEM_UNSUPPORTED:
    case PROBLEM_CONTEXT: return "invalid_prompt";
    case PROBLEM_BUDGET:
    case PROBLEM_RATE: return "rate_limit_exceeded";
    default: return "server_error";
    }
}

static void write_error(const struct dialect_error *error, struct buf *out)
{
    if (!error) {
        buf_text_add(out, "null");
        return;
    }
    buf_printf(out, "{\"code\":\"%s\",\"message\":", error_code(error->problem));
    json_write_text(out, slice_str(error->text));
    buf_char(out, '}');
}

void responses_write(const struct dialect_call *c, const struct dialect_answer *a,
                     const char *status, const struct chat_usage *usage,
                     const struct dialect_error *error, struct buf *out)
{
    const struct responses_state *s = c->state;
    const struct dialect_choice *choice = &a->choices[0];
    buf_printf(out,
               "{\"id\":\"resp_%s\",\"object\":\"response\",\"created_at\":%" PRId64
               ",\"status\":\"%s\",\"background\":false,\"error\":",
               c->id, c->created, status);
    write_error(error, out);
    if (strcmp(status, "incomplete") == 0)
        buf_printf(out, ",\"incomplete_details\":{\"reason\":\"%s\"}",
                   choice->finish == CHAT_FILTERED ? "content_filter" : "max_output_tokens");
    else
        buf_text_add(out, ",\"incomplete_details\":null");
    buf_text_add(out, ",\"model\":");
    json_write_text(out, slice_str(c->model));
    write_output(c, choice, status, out);
    write_request(s->body, out);
    buf_text_add(out, ",\"previous_response_id\":null,\"service_tier\":\"default\",\"store\":false,"
                      "\"truncation\":\"disabled\",\"usage\":");
    if (usage)
        write_usage(usage, out);
    else
        buf_text_add(out, "null");
    buf_char(out, '}');
}
