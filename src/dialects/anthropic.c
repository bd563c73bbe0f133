// anthropic.c - POST /v1/messages, streamed and whole, and /v1/messages/count_tokens.
//
// A stream: message_start, ping, then each block between content_block_start and _stop, then
// message_delta with the usage, message_stop. input_tokens leaves out what was cached.
#include "dialects/anthropic.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/answer.h"
#include "dialects/members.h"
#include "dialects/turns.h"

enum { TOKENS_MAX = 1 << 24 };
enum block { BLOCK_NONE, BLOCK_TEXT, BLOCK_THINKING, BLOCK_TOOL };

struct state {
    int64_t n_prompt;
    bool started, told_end;
    enum block open;
    bool is_signed;  // the thoughts that are open have their signature
    int index;       // of the block that is open, or the next one
    enum chat_finish finish;
    struct slice stop, end_word;
};

// Reading

// Without `thinking` the model thinks as it likes.
static bool read_thinking(const json_t *body, json_t *extras, struct dialect_error *err)
{
    const json_t *thinking = NULL;
    struct slice type = slice_of(NULL, 0);
    if (!member_object(body, "", "thinking", &thinking, err) ||
        !member_text(thinking, "thinking", "type", &type, err))
        return false;
    if (!thinking)
        return true;
    bool on =
        slice_is(type, "enabled") || slice_is(type, "adaptive") || slice_is(type, "between_tools");
    if (!on && !slice_is(type, "disabled"))
        return dialect_refuse(err, PROBLEM_REQUEST, "thinking.type",
                              "'thinking.type' is not enabled, adaptive or disabled");
    json_object_set_new(extras, "enable_thinking", json_boolean(on));
    int budget = -1;
    if (!member_int(thinking, "thinking", "budget_tokens", 0, TOKENS_MAX, &budget, err))
        return false;
    if (budget >= 0)
        json_object_set_new(extras, "thinking_budget", json_integer(budget));
    return true;
}

// What the vendor calls xhigh and max is as much as templates know.
static bool read_output(struct dialect_call *c, const json_t *body, json_t *extras,
                        struct dialect_error *err)
{
    const json_t *config = NULL, *format = json_object_get(body, "output_format");
    struct slice effort = slice_of(NULL, 0);
    if (!member_object(body, "", "output_config", &config, err) ||
        !member_text(config, "output_config", "effort", &effort, err))
        return false;
    const char *at = "output_format.schema";
    if (json_object_get(config, "format")) {
        format = json_object_get(config, "format");
        at = "output_config.format.schema";
    }
    if (format && !json_is_null(format)) {
        const json_t *type = json_object_get(format, "type"),
                     *schema = json_object_get(format, "schema");
        if (!type || !json_is_string(type) || strcmp(json_string_value(type), "json_schema") != 0)
            return dialect_refuse(err, PROBLEM_REQUEST, "output_config.format.type",
                                  "'output_config.format.type' is not json_schema");
        if (!json_is_object(schema))
            return dialect_refuse(err, PROBLEM_REQUEST, "output_config.format.schema",
                                  "'output_config.format.schema' must be an object");
        c->request.constraint.kind = CONSTRAINT_JSON_SCHEMA;
        c->request.constraint.schema = schema;
        dialect_note_form(c, at);
    }
    bool most = slice_is(effort, "xhigh") || slice_is(effort, "max");
    if (effort.ptr)
        json_object_set_new(extras, "reasoning_effort", json_string(most ? "high" : effort.ptr));
    return true;
}

static bool read_extras(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    json_t *extras = dialect_keep(c, json_object());
    c->request.extras = extras;
    return read_thinking(body, extras, err) && read_output(c, body, extras, err);
}

// The vendor's answers go on with an assistant's text that ends the conversation.
static void note_prefill(struct dialect_call *c)
{
    const struct chat_message *last = &c->request.messages[c->request.n_messages - 1];
    c->request.continues = last->role == ROLE_ASSISTANT && last->text.len > 0 &&
                           json_array_size(json_object_get(last->raw, "tool_calls")) == 0;
}

static bool read_common(const struct http_request *in, struct dialect_call *c,
                        struct dialect_error *err)
{
    struct slice model = {0}, user = {0};
    const json_t *metadata = NULL;
    if (!member_text(in->body, "", "model", &model, err) ||
        !member_object(in->body, "", "metadata", &metadata, err) ||
        !member_text(metadata, "metadata", "user_id", &user, err))
        return false;
    if (!model.ptr)
        return dialect_refuse(err, PROBLEM_REQUEST, "model", "'model' is missing");
    c->request.model = model.ptr;
    c->request.session = user.len ? user.ptr : NULL;
    c->request.wire = "anthropic";
    c->request.body = in->body;
    if (!anthropic_tools(c, in->body, err) || !read_extras(c, in->body, err) ||
        !anthropic_messages(c, in->body, err))
        return false;
    note_prefill(c);
    return true;
}

static bool read_request(const struct http_request *in, struct dialect_call *c,
                         struct dialect_error *err)
{
    const json_t *body = in->body;
    struct chat_sampling *s = &c->request.sampling;
    if (!member_int(body, "", "max_tokens", 1, TOKENS_MAX, &c->request.max_tokens, err))
        return false;
    if (c->request.max_tokens < 0)
        return dialect_refuse(err, PROBLEM_REQUEST, "max_tokens", "'max_tokens' is missing");
    return member_float(body, "", "temperature", 0, 1, &s->temperature, err) &&
           member_float(body, "", "top_p", 0, 1, &s->top_p, err) &&
           member_int(body, "", "top_k", 0, TOKENS_MAX, &s->top_k, err) &&
           member_bool(body, "", "stream", &c->request.stream, err) &&
           member_stops(c, body, "stop_sequences", err) && read_common(in, c, err);
}

// Writing

static const char *stop_reason(enum chat_finish f, struct slice stop)
{
    switch (f) {
    case CHAT_LENGTH: return "max_tokens";
    case CHAT_TOOL_CALLS: return "tool_use";
    case CHAT_FILTERED: return "refusal";
    default: return stop.len ? "stop_sequence" : "end_turn";
    }
}

// `word`: the vendor's own for an end, where it has these words; or empty.
static void write_stop(enum chat_finish f, struct slice word, struct slice stop, struct buf *out)
{
    buf_text_add(out, "\"stop_reason\":");
    json_write_text(out, word.len ? word : slice_str(stop_reason(f, stop)));
    buf_text_add(out, ",\"stop_sequence\":");
    if (stop.len)
        json_write_text(out, stop);
    else
        buf_text_add(out, "null");
}

// A vendor's word for the end if it is of this dialect, else empty.
static struct slice own_word(const char *vendor, struct slice word)
{
    return vendor && strcmp(vendor, "anthropic") == 0 ? word : slice_str("");
}

static void write_usage(const struct chat_usage *u, struct buf *out)
{
    int64_t written = u->cache_write_5m_tokens + u->cache_write_1h_tokens;
    buf_printf(out,
               "{\"input_tokens\":%" PRId64 ",\"cache_creation_input_tokens\":%" PRId64
               ",\"cache_read_input_tokens\":%" PRId64,
               u->prompt_tokens - u->cached_tokens - written, written, u->cached_tokens);
    if (written)
        buf_printf(out,
                   ",\"cache_creation\":{\"ephemeral_5m_input_tokens\":%" PRId64
                   ",\"ephemeral_1h_input_tokens\":%" PRId64 "}",
                   u->cache_write_5m_tokens, u->cache_write_1h_tokens);
    buf_printf(out, ",\"output_tokens\":%" PRId64, u->completion_tokens);
    if (u->reasoning_tokens)
        buf_printf(out, ",\"output_tokens_details\":{\"thinking_tokens\":%" PRId64 "}",
                   u->reasoning_tokens);
    buf_char(out, '}');
}

static void write_head(const struct dialect_call *c, struct buf *out)
{
    buf_printf(out,
               "{\"id\":\"msg_%s\",\"type\":\"message\",\"role\":\"assistant\",\"model\":", c->id);
    json_write_text(out, slice_str(c->model));
    buf_text_add(out, ",\"content\":[");
}

static void begin_event(const char *name, struct buf *out)
{
    buf_printf(out, "event: %s\ndata: {\"type\":\"%s\"", name, name);
}

static void end_event(struct buf *out)
{
    buf_text_add(out, "}\n\n");
}

static void write_ping(struct buf *out)
{
    begin_event("ping", out);
    end_event(out);
}

static void write_start(struct dialect_call *c, struct buf *out)
{
    struct state *s = c->state;
    if (s->started)
        return;
    s->started = true;
    begin_event("message_start", out);
    buf_text_add(out, ",\"message\":");
    write_head(c, out);
    buf_text_add(out, "],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
    write_usage(&(struct chat_usage){.prompt_tokens = s->n_prompt}, out);
    buf_char(out, '}');
    end_event(out);
    write_ping(out);
}

static void write_signature(struct state *s, struct slice signature, struct buf *out)
{
    begin_event("content_block_delta", out);
    buf_printf(out,
               ",\"index\":%d,\"delta\":{\"type\":\"signature_delta\",\"signature\":", s->index);
    json_write_text(out, signature);
    buf_char(out, '}');
    end_event(out);
    s->is_signed = true;
}

static void close_block(struct state *s, struct buf *out)
{
    if (s->open == BLOCK_NONE)
        return;
    if (s->open == BLOCK_THINKING && !s->is_signed)
        write_signature(s, slice_str(""), out);
    begin_event("content_block_stop", out);
    buf_printf(out, ",\"index\":%d", s->index);
    end_event(out);
    s->open = BLOCK_NONE;
    s->index++;
}

// An id of the vendor's own is as it was.
static void write_call_head(const char *id, const char *name, struct buf *out)
{
    struct buf made = {0};
    buf_printf(&made, "%s%s", strncmp(id, "toolu_", 6) == 0 ? "" : "toolu_", id);
    buf_text_add(out, "{\"type\":\"tool_use\",\"id\":");
    json_write_text(out, buf_view(&made));
    buf_text_add(out, ",\"name\":");
    json_write_text(out, slice_str(name));
    buf_release(&made);
}

static void open_block(struct dialect_call *c, enum block kind, const struct chat_event *e,
                       struct buf *out)
{
    struct state *s = c->state;
    write_start(c, out);
    if (s->open == kind && kind != BLOCK_TOOL)
        return;
    close_block(s, out);
    s->open = kind;
    s->is_signed = false;
    begin_event("content_block_start", out);
    buf_printf(out, ",\"index\":%d,\"content_block\":", s->index);
    if (kind == BLOCK_TEXT) {
        buf_text_add(out, "{\"type\":\"text\",\"text\":\"\"}");
    } else if (kind == BLOCK_THINKING) {
        buf_text_add(out, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
    } else {
        write_call_head(e->tool_id, e->tool_name, out);
        buf_text_add(out, ",\"input\":{}}");
    }
    end_event(out);
}

// Of a blob of the vendor's: the signature of the thoughts before it, or a block of its own. False
// if it is neither.
struct marked {
    struct slice signature, data;
};
static bool read_blob(const char *vendor, const json_t *value, struct marked *out)
{
    const json_t *signature = json_object_get(value, "signature");
    const json_t *data = json_object_get(value, "data");
    *out = (struct marked){0};
    if (strcmp(vendor, "anthropic") != 0)
        return false;
    if (json_is_string(signature))
        out->signature = json_slice(signature);
    else if (json_is_string(data))
        out->data = json_slice(data);
    return out->signature.len || out->data.len;
}

static void write_redacted(struct slice data, struct buf *out)
{
    buf_text_add(out, "{\"type\":\"redacted_thinking\",\"data\":");
    json_write_text(out, data);
    buf_char(out, '}');
}

static void write_blob(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    struct state *s = c->state;
    struct marked m;
    json_t *value = json_parse(e->blob, NULL);
    if (read_blob(e->blob_vendor, value, &m) && m.signature.len) {
        open_block(c, BLOCK_THINKING, e, out);
        write_signature(s, m.signature, out);
        close_block(s, out);
    } else if (m.data.len) {
        write_start(c, out);
        close_block(s, out);
        begin_event("content_block_start", out);
        buf_printf(out, ",\"index\":%d,\"content_block\":", s->index);
        write_redacted(m.data, out);
        end_event(out);
        s->open = BLOCK_TEXT;  // whatever has no more to say
        close_block(s, out);
    }
    json_decref(value);
}

static void write_delta(struct dialect_call *c, enum block kind, const char *type,
                        const char *member, const struct chat_event *e, struct buf *out)
{
    const struct state *s = c->state;
    if (e->text.len == 0)
        return;
    if (kind != BLOCK_TOOL)
        open_block(c, kind, e, out);
    begin_event("content_block_delta", out);
    buf_printf(out, ",\"index\":%d,\"delta\":{\"type\":\"%s\",\"%s\":", s->index, type, member);
    json_write_text(out, e->text);
    buf_char(out, '}');
    end_event(out);
}

static void write_end(struct dialect_call *c, const struct chat_usage *u, struct buf *out)
{
    struct state *s = c->state;
    if (s->told_end || s->finish == CHAT_NOT_FINISHED || s->finish == CHAT_CANCELLED)
        return;
    s->told_end = true;
    write_start(c, out);
    close_block(s, out);
    begin_event("message_delta", out);
    buf_text_add(out, ",\"delta\":{");
    write_stop(s->finish, s->end_word, s->stop, out);
    buf_text_add(out, "},\"usage\":");
    write_usage(u, out);
    end_event(out);
}

// A vendor's own name where it has these words.
static const char *error_type(const struct dialect_error *err)
{
    const struct error_words *said = dialect_words(err, "anthropic");
    if (said->type[0])
        return said->type;
    switch (err->problem) {
    case PROBLEM_KEY: return "authentication_error";
    case PROBLEM_FORBIDDEN: return "permission_error";
    case PROBLEM_MODEL:
    case PROBLEM_ROUTE: return "not_found_error";
    case PROBLEM_TOO_LARGE: return "request_too_large";
    case PROBLEM_RATE: return "rate_limit_error";
    case PROBLEM_BUDGET: return "billing_error";
    case PROBLEM_BUSY: return "overloaded_error";
    case PROBLEM_TIMEOUT: return "timeout_error";
    case PROBLEM_UPSTREAM:
    case PROBLEM_INTERNAL: return "api_error";
    default: return "invalid_request_error";
    }
}

// The statuses that the vendor's SDK has classes for (anthropic 2.14, _exceptions.py).
static int status_of(enum dialect_problem p)
{
    enum { PAYMENT_REQUIRED = 402, OVERLOADED = 529 };
    return p == PROBLEM_BUSY     ? OVERLOADED
           : p == PROBLEM_BUDGET ? PAYMENT_REQUIRED
                                 : dialect_status(p);
}

int anthropic_write_error(const struct dialect_error *err, struct buf *out)
{
    buf_printf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", error_type(err));
    json_write_text(out, slice_str(err->text));
    buf_text_add(out, "},\"request_id\":");
    if (err->request_id)
        json_write_text(out, slice_str(err->request_id));
    else
        buf_text_add(out, "null");
    buf_char(out, '}');
    return status_of(err->problem);
}

static void write_error_event(const struct chat_event *e, struct buf *out)
{
    struct dialect_error err = {0};
    (void)dialect_refuse_error(&err, &e->error);
    begin_event("error", out);
    buf_printf(out, ",\"error\":{\"type\":\"%s\",\"message\":", error_type(&err));
    json_write_text(out, slice_str(err.text));
    buf_char(out, '}');
    end_event(out);
}

static void write_progress(struct dialect_call *c, struct buf *out)
{
    const struct state *s = c->state;
    if (s->started)
        write_ping(out);
    else
        write_start(c, out);
}

static void write_event(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    struct state *s = c->state;
    switch (e->kind) {
    case CHAT_PROMPT: s->n_prompt = (int64_t)e->n_prompt; break;
    case CHAT_PROGRESS: write_progress(c, out); break;
    case CHAT_TEXT: write_delta(c, BLOCK_TEXT, "text_delta", "text", e, out); break;
    case CHAT_REASONING:
        write_delta(c, BLOCK_THINKING, "thinking_delta", "thinking", e, out);
        break;
    case CHAT_TOOL_CALL: open_block(c, BLOCK_TOOL, e, out); break;
    case CHAT_TOOL_ARGUMENTS:
        write_delta(c, BLOCK_TOOL, "input_json_delta", "partial_json", e, out);
        break;
    case CHAT_BLOB: write_blob(c, e, out); break;
    case CHAT_FINISH:
        s->finish = e->finish;
        s->stop = slice_of(arena_text(c->arena, e->stop), e->stop.len);
        s->end_word = own_word(e->end_vendor, e->end_word);
        s->end_word = slice_of(arena_text(c->arena, s->end_word), s->end_word.len);
        break;
    case CHAT_USAGE: write_end(c, &e->usage, out); break;
    case CHAT_DONE:
        write_end(c, &(struct chat_usage){.prompt_tokens = s->n_prompt}, out);
        begin_event("message_stop", out);
        end_event(out);
        break;
    case CHAT_ERROR: write_error_event(e, out); break;
    default: break;
    }
}

// Arguments that are no JSON object are kept as the vendor advises its clients to keep them.
static void write_input(const struct dialect_tool *tool, struct buf *out)
{
    json_t *input = turns_arguments(buf_view(&tool->arguments));
    if (input) {
        json_write(out, input, JSON_STYLE_COMPACT);
    } else {
        buf_text_add(out, "{\"INVALID_JSON\":");
        json_write_text(out, buf_view(&tool->arguments));
        buf_char(out, '}');
    }
    json_decref(input);
}

static void write_thoughts(struct slice text, struct slice signature, struct buf *out)
{
    buf_text_add(out, "{\"type\":\"thinking\",\"thinking\":");
    json_write_text(out, text);
    buf_text_add(out, ",\"signature\":");
    json_write_text(out, signature);
    buf_char(out, '}');
}

// The blobs behind this many parts. Signatures are written with their thoughts, unless those are
// empty.
static void write_blobs(const struct dialect_choice *choice, size_t n_parts, const char **comma,
                        struct buf *out)
{
    bool thought = n_parts > 0 && choice->parts[n_parts - 1].kind == CHAT_REASONING;
    for (size_t i = 0; i < choice->n_blobs; i++) {
        const struct dialect_blob *b = &choice->blobs[i];
        struct marked m;
        json_t *value = b->n_parts == n_parts ? json_parse(buf_view(&b->value), NULL) : NULL;
        bool known = read_blob(b->vendor, value, &m), taken = known && thought && m.signature.len;
        if (known && !taken) {
            buf_text_add(out, *comma);
            *comma = ",";
            if (m.data.len)
                write_redacted(m.data, out);
            else
                write_thoughts(slice_str(""), m.signature, out);
        }
        thought = thought && !taken;
        json_decref(value);
    }
}

// Of the thoughts in this part, or empty.
static json_t *signature_of(const struct dialect_choice *choice, size_t part, struct slice *out)
{
    *out = slice_str("");
    for (size_t i = 0; i < choice->n_blobs; i++) {
        const struct dialect_blob *b = &choice->blobs[i];
        struct marked m;
        json_t *value = b->n_parts == part + 1 ? json_parse(buf_view(&b->value), NULL) : NULL;
        if (read_blob(b->vendor, value, &m) && m.signature.len) {
            *out = m.signature;
            return value;
        }
        json_decref(value);
    }
    return NULL;
}

static void write_part(const struct dialect_choice *choice, size_t i, struct buf *out)
{
    const struct dialect_part *p = &choice->parts[i];
    struct slice signature;
    if (p->kind == CHAT_REASONING) {
        json_t *value = signature_of(choice, i, &signature);
        write_thoughts(slice_sub(buf_view(&choice->reasoning), p->start, p->end - p->start),
                       signature, out);
        json_decref(value);
    } else if (p->kind == CHAT_TEXT) {
        buf_text_add(out, "{\"type\":\"text\",\"text\":");
        json_write_text(out, slice_sub(buf_view(&choice->text), p->start, p->end - p->start));
        buf_char(out, '}');
    } else {
        const struct dialect_tool *tool = &choice->tools[p->start];
        write_call_head(tool->id, tool->name, out);
        buf_text_add(out, ",\"input\":");
        write_input(tool, out);
        buf_char(out, '}');
    }
}

static void write_blocks(const struct dialect_choice *choice, struct buf *out)
{
    const char *comma = "";
    write_blobs(choice, 0, &comma, out);
    for (size_t i = 0; i < choice->n_parts; i++) {
        buf_text_add(out, comma);
        comma = ",";
        write_part(choice, i, out);
        write_blobs(choice, i + 1, &comma, out);
    }
}

static void write_response(struct dialect_call *c, const struct dialect_answer *a, struct buf *out)
{
    const struct dialect_choice *choice = &a->choices[0];
    write_head(c, out);
    write_blocks(choice, out);
    buf_text_add(out, "],");
    write_stop(choice->finish, own_word(choice->end_vendor, buf_view(&choice->end_word)),
               buf_view(&choice->stop), out);
    buf_text_add(out, ",\"usage\":");
    write_usage(&a->usage, out);
    buf_char(out, '}');
}

static void write_count(struct dialect_call *c, int64_t n_tokens, struct buf *out)
{
    (void)c;
    buf_printf(out, "{\"input_tokens\":%" PRId64 "}", n_tokens);
}

static const struct dialect_route routes[] = {{"POST", "/v1/messages", DIALECT_CHAT}, {0}};
const struct dialect dialect_anthropic = {
    .name = "anthropic",
    .routes = routes,
    .state_size = sizeof(struct state),
    .id_header = "request-id",
    .limits = LIMITS_ANTHROPIC,
    .read_request = read_request,
    .write_event = write_event,
    .write_response = write_response,
    .write_error = anthropic_write_error,
};

static const struct dialect_route count_routes[] = {
    {"POST", "/v1/messages/count_tokens", DIALECT_COUNT}, {0}};
const struct dialect dialect_anthropic_count = {
    .name = "anthropic_count",
    .routes = count_routes,
    .state_size = sizeof(struct state),
    .id_header = "request-id",
    .limits = LIMITS_ANTHROPIC,
    .read_request = read_common,
    .write_count = write_count,
    .write_error = anthropic_write_error,
};
