// anthropic_client_write.c - a request in the words of POST /v1/messages: what is asked for.
//
// Of the sampling, the vendor knows temperature (up to 1: more is refused, not cut), top_p and
// top_k; min_p, typical_p and seed are left out, penalties, logit_bias, logprobs and several
// choices refused. An answer of any JSON object is refused, as the vendor wants a schema.
// max_tokens must be there: 4096 unless the client said.
//
// How hard a model thinks: as the client said it in these words itself, else from reasoning_effort:
// adaptive with that effort for models from 4.6, a budget of tokens for those before.
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "dialects/anthropic_client.h"

#define VENDOR "Anthropic"
enum { MAX_TOKENS = 4096, BUDGET_MIN = 1024, ADAPTIVE = 4006 };

// What the server's half reads, or what is written anew.
static const char *const known[] = {
    "model",    "messages",       "system",        "max_tokens",    "temperature",
    "top_p",    "top_k",          "stream",        "tools",         "tool_choice",
    "thinking", "stop_sequences", "output_config", "output_format", NULL,
};

static json_t *write_tool(const json_t *tool, const json_t *own, bool strict)
{
    const json_t *function = json_object_get(tool, "function");
    json_t *name = json_object_get(function, "name");
    json_t *description = json_object_get(function, "description");
    json_t *schema = json_object_get(function, "parameters"), *o = json_object();
    json_object_set(o, "name", name);
    if (json_string_length(description) > 0)
        json_object_set(o, "description", description);
    json_object_set_new(o, "input_schema",
                        json_is_object(schema) ? json_incref(schema)
                                               : json_pack("{s:s}", "type", "object"));
    if (strict || json_is_true(json_object_get(function, "strict")))
        json_object_set_new(o, "strict", json_true());
    for (size_t i = 0; i < json_array_size(own); i++) {  // cache_control and the like
        static const char *const written[] = {"name", "description", "input_schema", "strict",
                                              NULL};
        const json_t *given = json_array_get(own, i);
        if (json_equal(json_object_get(given, "name"), name))
            client_pass_on(o, given, written);
    }
    return o;
}

static void write_tools(json_t *body, const struct chat_request *req, const json_t *own)
{
    static const char *const types[] = {[TOOLS_AUTO] = "auto",
                                        [TOOLS_NONE] = "none",
                                        [TOOLS_REQUIRED] = "any",
                                        [TOOLS_NAMED] = "tool"};
    if (json_array_size(req->tools) == 0)
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(req->tools); i++)
        json_array_append_new(list, write_tool(json_array_get(req->tools, i),
                                               json_object_get(own, "tools"), req->strict_tools));
    json_object_set_new(body, "tools", list);
    if (req->tool_choice == TOOLS_AUTO && !req->one_tool_call)
        return;
    json_t *choice = json_pack("{s:s}", "type", types[req->tool_choice]);
    if (req->tool_choice == TOOLS_NAMED)
        json_object_set_new(choice, "name", json_string(req->tool_name));
    if (req->one_tool_call && req->tool_choice != TOOLS_NONE)
        json_object_set_new(choice, "disable_parallel_tool_use", json_true());
    json_object_set_new(body, "tool_choice", choice);
}

static bool write_sampling(json_t *body, const struct chat_sampling *s, struct error *err)
{
    struct client_lacking lacking = {true, true, true, true};
    if (!client_check_sampling(s, lacking, VENDOR, err))
        return false;
    if (s->n_choices > 1)
        return client_lacks_member(VENDOR, "n", "several choices", err);
    if (!isnan(s->temperature) && s->temperature > 1)
        return client_lacks_member(VENDOR, "temperature", "a temperature above 1", err);
    client_set_float(body, "temperature", s->temperature);
    client_set_float(body, "top_p", s->top_p);
    client_set_int(body, "top_k", s->top_k);
    if (s->n_stops == 0)
        return true;
    json_t *stops = json_array();
    for (size_t i = 0; i < s->n_stops; i++)
        json_array_append_new(stops, client_string(s->stops[i]));
    json_object_set_new(body, "stop_sequences", stops);
    return true;
}

static void write_budget(json_t *body, const struct chat_request *req, struct client_effort e)
{
    int budget = e.budget > 0 ? e.budget : client_effort_budget(e.word);
    if (budget < BUDGET_MIN)
        budget = BUDGET_MIN;
    if (req->max_tokens < 0)
        client_set_int(body, "max_tokens", budget + MAX_TOKENS);
    else if (budget > req->max_tokens / 4 * 3)
        budget = req->max_tokens / 4 * 3;
    if (budget >= BUDGET_MIN)
        json_object_set_new(body, "thinking",
                            json_pack("{s:s, s:i}", "type", "enabled", "budget_tokens", budget));
}

static void write_thinking(json_t *body, json_t *config, const struct chat_request *req,
                           const char *model)
{
    struct client_effort e = client_effort_of(req->extras);
    if (e.thinking == THINKING_OFF) {
        json_object_set_new(body, "thinking", json_pack("{s:s}", "type", "disabled"));
        return;
    }
    if (e.thinking == THINKING_UNSET)
        return;
    if (client_model_version(model) < ADAPTIVE) {
        write_budget(body, req, e);
        return;
    }
    json_object_set_new(body, "thinking", json_pack("{s:s}", "type", "adaptive"));
    if (e.word)
        json_object_set_new(config, "effort",
                            json_string(strcmp(e.word, "minimal") == 0 ? "low" : e.word));
}

static bool write_output(json_t *body, const struct chat_request *req, const char *model,
                         const json_t *own, struct error *err)
{
    const struct chat_constraint *c = &req->constraint;
    const json_t *given = json_object_get(own, "output_config");
    json_t *config = json_is_object(given) ? json_copy((json_t *)given) : json_object();
    json_t *thinking = json_object_get(own, "thinking");
    bool ok =
        client_check_constraint(c, VENDOR, err) && client_check_extras(req->extras, VENDOR, err);
    if (ok && c->kind == CONSTRAINT_JSON_OBJECT)
        ok = client_lacks(VENDOR, "an answer of any JSON object, without a schema", err);
    json_object_del(config, "format");
    if (ok && c->kind == CONSTRAINT_JSON_SCHEMA)
        json_object_set_new(config, "format",
                            json_pack("{s:s, s:O}", "type", "json_schema", "schema", c->schema));
    if (thinking && !json_is_null(thinking))
        json_object_set(body, "thinking", thinking);
    else if (!own)
        write_thinking(body, config, req, model);
    if (json_object_size(config) > 0)
        json_object_set(body, "output_config", config);
    json_decref(config);
    return ok;
}

static bool write_all(json_t *body, const struct chat_request *req, const char *model,
                      const json_t *own, struct error *err)
{
    client_set_int(body, "max_tokens", req->max_tokens > 0 ? req->max_tokens : MAX_TOKENS);
    if (!anthropic_client_messages(body, req, err) || !write_output(body, req, model, own, err) ||
        !write_sampling(body, &req->sampling, err))
        return false;
    write_tools(body, req, own);
    if (req->stream)
        json_object_set_new(body, "stream", json_true());
    return true;
}

// A header's text, which must not end the header.
static bool write_beta(const char *beta, struct client_request *out, struct error *err)
{
    for (const char *c = beta; *c; c++)
        if (*c < 0x20 || *c > 0x7E)
            return error_set(err, ERR_USAGE, "'anthropic-beta' holds what no header can");
    buf_printf(&out->line, "anthropic-beta: %s", beta);
    return true;
}

bool anthropic_client_write(const struct chat_request *req, const char *model,
                            struct client_request *out, struct error *err)
{
    const json_t *own = client_own_body(req, "anthropic");
    if (req->input == INPUT_EMBED)
        return client_lacks(VENDOR, "embeddings", err);
    if (!client_asks_messages(req, VENDOR, err))
        return false;
    if (own && req->beta && !write_beta(req->beta, out, err))
        return false;
    json_t *body = json_object();
    json_object_set_new(body, "model", client_string(slice_str(model)));
    if (!write_all(body, req, model, own, err)) {
        json_decref(body);
        return false;
    }
    client_pass_on(body, own, known);
    buf_text_add(&out->path, "/v1/messages");
    client_write_body(out, body);
    return true;
}
