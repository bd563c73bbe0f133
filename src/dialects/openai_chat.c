// openai_chat.c - POST /v1/chat/completions, streamed and whole.
#include "base/buf.h"
#include "base/json.h"
#include "dialects/members.h"
#include "dialects/openai.h"
#include "dialects/openai_messages.h"

enum { TOP_LOGPROBS_MAX = 20, CHOICES_IN_MASK = 64, TOKENS_MAX = 1 << 24 };

struct state {
    bool include_usage, logprobs;
    bool functions;  // the answer has a function_call, as before there were tools
    uint64_t begun;  // choices whose first chunk, with the role, was written
};

// Reading

static bool read_logprobs(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    struct state *s = c->state;
    int top = -1;
    if (!member_bool(body, "", "logprobs", &s->logprobs, err) ||
        !member_int(body, "", "top_logprobs", 0, TOP_LOGPROBS_MAX, &top, err))
        return false;
    if (top >= 0 && !s->logprobs)
        return dialect_refuse(err, PROBLEM_REQUEST, "top_logprobs",
                              "'top_logprobs' needs 'logprobs' to be true");
    if (s->logprobs)
        c->request.sampling.n_logprobs = top > 0 ? top : 0;
    return true;
}

static bool read_max_tokens(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    int *max = &c->request.max_tokens;
    return member_int(body, "", "max_tokens", 1, TOKENS_MAX, max, err) &&
           member_int(body, "", "max_completion_tokens", 1, TOKENS_MAX, max, err);
}

static bool read_format(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *format = NULL;
    return member_object(body, "", "response_format", &format, err) &&
           openai_format(c, format, "response_format", "json_schema", err) &&
           openai_constraint(c, body, err);
}

// What the chat template may look at beside messages and tools.
static bool read_extras(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const json_t *given = NULL;
    struct slice effort = {0};
    if (!member_object(body, "", "chat_template_kwargs", &given, err) ||
        !member_text(body, "", "reasoning_effort", &effort, err))
        return false;
    c->request.extras = given;
    if (effort.ptr) {
        json_t *extras = dialect_keep(c, given ? json_copy((json_t *)given) : json_object());
        json_object_set(extras, "reasoning_effort", json_object_get(body, "reasoning_effort"));
        c->request.extras = extras;
    }
    return true;
}

// As vLLM has it; OpenAI's own answers begin anew.
static bool read_continues(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    static const char name[] = "continue_final_message";
    struct chat_request *r = &c->request;
    if (!member_bool(body, "", name, &r->continues, err))
        return false;
    if (!r->continues)
        return true;
    const struct chat_message *last = &r->messages[r->n_messages - 1];
    bool text = last->role == ROLE_ASSISTANT && last->text.len > 0 &&
                json_array_size(json_object_get(last->raw, "tool_calls")) == 0;
    return text || dialect_refuse(err, PROBLEM_REQUEST, name,
                                  "'%s': the last message is not an assistant's text", name);
}

static bool read_request(const struct http_request *in, struct dialect_call *c,
                         struct dialect_error *err)
{
    const json_t *body = in->body;
    struct state *s = c->state;
    struct slice model = {0};
    if (!openai_functions(c, &body, &s->functions, err) ||
        !member_text(body, "", "model", &model, err) ||
        !openai_stream(c, body, &s->include_usage, err) || !openai_sampling(c, body, err) ||
        !read_logprobs(c, body, err) || !read_max_tokens(c, body, err) ||
        !read_format(c, body, err) || !openai_tools(c, body, err) || !read_extras(c, body, err) ||
        !openai_session(c, body, err))
        return false;
    c->request.model = model.ptr;
    c->request.wire = "openai";
    c->request.body = body;
    return openai_messages(c, body, err) && read_continues(c, body, err);
}

// Writing

static void write_logprobs(const struct chat_token *tokens, size_t n, struct buf *out)
{
    buf_text_add(out, "{\"content\":");
    openai_write_tokens(tokens, n, out);
    buf_text_add(out, ",\"refusal\":null}");
}

static void write_head(const struct dialect_call *c, const char *object, struct buf *out)
{
    buf_printf(out, "{\"id\":\"chatcmpl-%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", c->id,
               object, (long long)c->created);
    json_write_text(out, slice_str(c->model));
}

static void begin_chunk(const struct dialect_call *c, int choice, struct buf *out)
{
    buf_text_add(out, "data: ");
    write_head(c, "chat.completion.chunk", out);
    buf_printf(out, ",\"choices\":[{\"index\":%d,\"delta\":{", choice);
}

static void end_chunk(const struct dialect_call *c, const struct chat_event *e, const char *finish,
                      struct buf *out)
{
    const struct state *s = c->state;
    buf_text_add(out, "},\"logprobs\":");
    if (s->logprobs && e->n_tokens)
        write_logprobs(e->tokens, e->n_tokens, out);
    else
        buf_text_add(out, "null");
    if (finish)
        buf_printf(out, ",\"finish_reason\":\"%s\"}]", finish);
    else
        buf_text_add(out, ",\"finish_reason\":null}]");
    buf_text_add(out, s->include_usage ? ",\"usage\":null}\n\n" : "}\n\n");
}

// Choices begin in order, since OpenAI's packages collect them in a list that grows at its end.
static void write_role(struct dialect_call *c, int choice, struct buf *out)
{
    struct state *s = c->state;
    for (int i = 0; i <= choice; i++) {
        uint64_t bit = UINT64_C(1) << (i % CHOICES_IN_MASK);
        if (s->begun & bit)
            continue;
        s->begun |= bit;
        begin_chunk(c, i, out);
        buf_text_add(out, "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null");
        end_chunk(c, &(struct chat_event){0}, NULL, out);
    }
}

static void write_delta(struct dialect_call *c, const struct chat_event *e, const char *member,
                        struct buf *out)
{
    const struct state *s = c->state;
    if (!e->text.len && !(s->logprobs && e->n_tokens))
        return;
    write_role(c, e->choice, out);
    begin_chunk(c, e->choice, out);
    buf_printf(out, "\"%s\":", member);
    json_write_text(out, e->text);
    end_chunk(c, e, NULL, out);
}

// The name comes first, then its arguments; there is one call.
static void write_function_delta(struct dialect_call *c, const struct chat_event *e,
                                 struct buf *out)
{
    if (e->tool_index > 0)
        return;
    write_role(c, e->choice, out);
    begin_chunk(c, e->choice, out);
    buf_text_add(out, "\"function_call\":{");
    if (e->kind == CHAT_TOOL_CALL) {
        buf_text_add(out, "\"name\":");
        json_write_text(out, slice_str(e->tool_name));
        buf_char(out, ',');
    }
    buf_text_add(out, "\"arguments\":");
    json_write_text(out, e->text);
    buf_char(out, '}');
    end_chunk(c, e, NULL, out);
}

static void write_tool_delta(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    const struct state *s = c->state;
    if (s->functions) {
        write_function_delta(c, e, out);
        return;
    }
    write_role(c, e->choice, out);
    begin_chunk(c, e->choice, out);
    buf_printf(out, "\"tool_calls\":[{\"index\":%d,", e->tool_index);
    if (e->kind == CHAT_TOOL_CALL) {
        buf_text_add(out, "\"id\":");
        json_write_text(out, slice_str(e->tool_id));
        buf_text_add(out, ",\"type\":\"function\",\"function\":{\"name\":");
        json_write_text(out, slice_str(e->tool_name));
        buf_text_add(out, ",\"arguments\":");
    } else {
        buf_text_add(out, "\"function\":{\"arguments\":");
    }
    json_write_text(out, e->text);
    buf_text_add(out, "}}]");
    end_chunk(c, e, NULL, out);
}

// As OpenRouter sends images, since OpenAI has no place for them.
static void write_image(struct slice type, struct slice base64, struct buf *out)
{
    struct buf url = {0};
    buf_text_add(&url, "data:");
    buf_slice(&url, type);
    buf_text_add(&url, ";base64,");
    buf_slice(&url, base64);
    buf_text_add(out, "{\"type\":\"image_url\",\"image_url\":{\"url\":");
    json_write_text(out, buf_view(&url));
    buf_text_add(out, "}}");
    buf_release(&url);
}

static void write_image_delta(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    write_role(c, e->choice, out);
    begin_chunk(c, e->choice, out);
    buf_text_add(out, "\"images\":[");
    write_image(e->media_type, e->media, out);
    buf_char(out, ']');
    end_chunk(c, e, NULL, out);
}

static void write_images(const struct dialect_choice *choice, struct buf *out)
{
    buf_text_add(out, ",\"images\":[");
    for (size_t i = 0; i < choice->n_media; i++) {
        if (i)
            buf_char(out, ',');
        write_image(buf_view(&choice->media[i].type), buf_view(&choice->media[i].data), out);
    }
    buf_char(out, ']');
}

static const char *finish_of(const struct state *s, enum chat_finish f)
{
    return s->functions && f == CHAT_TOOL_CALLS ? "function_call" : openai_finish(f);
}

static void write_finish(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    if (e->finish == CHAT_NOT_FINISHED || e->finish == CHAT_CANCELLED)
        return;  // an error comes
    write_role(c, e->choice, out);
    begin_chunk(c, e->choice, out);
    end_chunk(c, e, finish_of(c->state, e->finish), out);
}

static void write_usage_chunk(const struct dialect_call *c, const struct chat_event *e,
                              struct buf *out)
{
    const struct state *s = c->state;
    if (!s->include_usage)
        return;
    buf_text_add(out, "data: ");
    write_head(c, "chat.completion.chunk", out);
    buf_text_add(out, ",\"choices\":[],\"usage\":");
    openai_write_usage(&e->usage, out);
    buf_text_add(out, "}\n\n");
}

static void write_event(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    switch (e->kind) {
    case CHAT_TEXT: write_delta(c, e, e->refusal ? "refusal" : "content", out); break;
    case CHAT_REASONING: write_delta(c, e, "reasoning_content", out); break;
    case CHAT_TOOL_CALL:
    case CHAT_TOOL_ARGUMENTS: write_tool_delta(c, e, out); break;
    case CHAT_MEDIA: write_image_delta(c, e, out); break;
    case CHAT_FINISH: write_finish(c, e, out); break;
    case CHAT_USAGE: write_usage_chunk(c, e, out); break;
    case CHAT_DONE: buf_text_add(out, "data: [DONE]\n\n"); break;
    case CHAT_ERROR: openai_write_error_event(c, e, out); break;
    default: break;
    }
}

static void write_tools(const struct dialect_choice *choice, struct buf *out)
{
    buf_text_add(out, ",\"tool_calls\":[");
    for (size_t i = 0; i < choice->n_tools; i++) {
        const struct dialect_tool *t = &choice->tools[i];
        buf_text_add(out, i ? ",{\"id\":" : "{\"id\":");
        json_write_text(out, slice_str(t->id));
        buf_text_add(out, ",\"type\":\"function\",\"function\":{\"name\":");
        json_write_text(out, slice_str(t->name));
        buf_text_add(out, ",\"arguments\":");
        json_write_text(out, buf_view(&t->arguments));
        buf_text_add(out, "}}");
    }
    buf_char(out, ']');
}

static void write_function(const struct dialect_tool *t, struct buf *out)
{
    buf_text_add(out, ",\"function_call\":{\"name\":");
    json_write_text(out, slice_str(t->name));
    buf_text_add(out, ",\"arguments\":");
    json_write_text(out, buf_view(&t->arguments));
    buf_char(out, '}');
}

static void write_choice(const struct state *s, const struct dialect_choice *choice, size_t index,
                         struct buf *out)
{
    buf_printf(out, "{\"index\":%zu,\"message\":{\"role\":\"assistant\",\"content\":", index);
    struct slice text = buf_view(&choice->text), refusal = slice_str("");
    if (choice->refused) {
        refusal = slice_sub(text, choice->refusal_at, SIZE_MAX);
        text = slice_sub(text, 0, choice->refusal_at);
    }
    if ((choice->n_tools || choice->refused) && !text.len)
        buf_text_add(out, "null");
    else
        json_write_text(out, text);
    buf_text_add(out, ",\"refusal\":");
    if (choice->refused)
        json_write_text(out, refusal);
    else
        buf_text_add(out, "null");
    if (choice->reasoning.len) {
        buf_text_add(out, ",\"reasoning_content\":");
        json_write_text(out, buf_view(&choice->reasoning));
    }
    if (choice->n_media)
        write_images(choice, out);
    if (choice->n_tools && s->functions)
        write_function(&choice->tools[0], out);
    else if (choice->n_tools)
        write_tools(choice, out);
    buf_text_add(out, "},\"logprobs\":");
    if (s->logprobs)
        write_logprobs(choice->tokens, choice->n_tokens, out);
    else
        buf_text_add(out, "null");
    buf_printf(out, ",\"finish_reason\":\"%s\"}", finish_of(s, choice->finish));
}

static void write_response(struct dialect_call *c, const struct dialect_answer *a, struct buf *out)
{
    write_head(c, "chat.completion", out);
    buf_text_add(out, ",\"choices\":[");
    for (size_t i = 0, n = 0; i < a->n_choices; i++) {
        if (dialect_answer_lacks(a, i))
            continue;
        if (n++)
            buf_char(out, ',');
        write_choice(c->state, &a->choices[i], i, out);
    }
    buf_text_add(out, "],\"usage\":");
    openai_write_usage(&a->usage, out);
    buf_text_add(out, ",\"system_fingerprint\":null}");
}

static const struct dialect_route routes[] = {
    {"POST", "/v1/chat/completions", DIALECT_CHAT},
    {0},
};
const struct dialect dialect_openai_chat = {
    .name = "openai_chat",
    .routes = routes,
    .state_size = sizeof(struct state),
    .id_header = "x-request-id",
    .shows = SHOWS_IMAGES,
    .read_request = read_request,
    .write_event = write_event,
    .write_response = write_response,
    .write_error = openai_write_error,
};
