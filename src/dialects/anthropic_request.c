// anthropic_request.c - reads a request to POST /v1/messages, and to /v1/messages/count_tokens, but
// for what is said in it (anthropic_messages.c).
#include <string.h>

#include "base/json.h"
#include "dialects/anthropic.h"
#include "dialects/members.h"

enum { TOKENS_MAX = 1 << 24 };

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

bool anthropic_read_count(const struct http_request *in, struct dialect_call *c,
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

bool anthropic_read_request(const struct http_request *in, struct dialect_call *c,
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
           member_stops(c, body, "stop_sequences", err) && anthropic_read_count(in, c, err);
}
