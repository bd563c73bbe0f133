// openai_client_write.c - a request in the words of chat completions, or of embeddings.
//
// Everything that the format has is written as it is. Members that only other servers know (top_k,
// min_p, typical_p, repetition_penalty, chat_template_kwargs) are written if the client wrote them
// in these words itself, since then it knows whom it asks. Else top_k, min_p and typical_p, which
// shape how tokens are drawn, are left out, but for a top_k of 1, which makes answers certain; and
// the others are refused. Whether a model thinks is asked for with reasoning_effort only.
//
// The vendor itself wants max_completion_tokens, while many other servers know only max_tokens: the
// newer name is written if the client wrote it, or if the model is the vendor's (o1 and later,
// gpt-5 and later), which do not take the older one.
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "dialects/openai.h"
#include "dialects/openai_client.h"

#define VENDOR "OpenAI"

// What the server's half reads, or what is written anew.
static const char *const known[] = {
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "repetition_penalty",
    "min_tokens",
    "ignore_eos",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "n",
    "stop",
    "stream",
    "stream_options",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "guided_json",
    "structured_outputs",
    "reasoning_effort",
    "chat_template_kwargs",
    "input",
    "encoding_format",
    "dimensions",
    NULL,
};

static const char *role_name(enum chat_role role)
{
    static const char *const names[] = {
        [ROLE_SYSTEM] = "system", [ROLE_USER] = "user",           [ROLE_ASSISTANT] = "assistant",
        [ROLE_TOOL] = "tool",     [ROLE_DEVELOPER] = "developer",
    };
    return names[role];
}

static json_t *write_calls(const json_t *calls)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(calls); i++) {
        json_t *call = json_copy(json_array_get(calls, i));
        json_t *function = json_copy(json_object_get(call, "function"));
        json_t *arguments = json_object_get(function, "arguments");
        if (function && !json_is_string(arguments)) {
            struct buf text = {0};
            if (arguments)
                json_write(&text, arguments, JSON_STYLE_COMPACT);
            json_object_set_new(function, "arguments",
                                arguments ? client_string(buf_view(&text)) : json_string("{}"));
            buf_release(&text);
        }
        if (function)
            json_object_set_new(call, "function", function);
        json_array_append_new(list, call);
    }
    return list;
}

// Parts as they are, without what other vendors' words mean.
static json_t *write_parts(const struct chat_message *m, struct error *err)
{
    static const char *const types[] = {"text", "image_url", "input_audio", "file", "refusal"};
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(m->parts); i++) {
        json_t *part = json_copy(json_array_get(m->parts, i));
        struct slice type = client_text(part, "type");
        size_t k = 0, n = sizeof types / sizeof *types;
        while (k < n && !slice_is(type, types[k]))
            k++;
        json_object_del(part, "cache_control");
        json_array_append_new(list, part);
        if (k < n && (m->role != ROLE_TOOL || k == 0))
            continue;
        (void)error_set(err, ERR_UNSUPPORTED,
                        VENDOR "'s format cannot express a part of type %.*s%s",
                        (int)(type.len < 40 ? type.len : 40), type.ptr,
                        m->role == ROLE_TOOL ? " in a tool's result" : "");
        json_decref(list);
        return NULL;
    }
    return list;
}

static bool only_texts(const json_t *parts)
{
    for (size_t i = 0; i < json_array_size(parts); i++) {
        if (!slice_is(client_text(json_array_get(parts, i), "type"), "text"))
            return false;
    }
    return true;
}

static json_t *write_message(const struct chat_message *m, bool own, struct error *err)
{
    static const char *const texts[] = {"name", "tool_call_id", "reasoning_content"};
    // Parts of texts only are those of another vendor, and simple servers take none.
    bool mixed = m->parts && (own || !only_texts(m->parts));
    if (m->role == ROLE_ASSISTANT && !own && client_has_media(m)) {
        (void)client_lacks(VENDOR, "an image in an assistant's message", err);
        return NULL;
    }
    json_t *o = json_object(), *parts = mixed ? write_parts(m, err) : NULL;
    const json_t *calls = client_calls(m), *role = json_object_get(m->raw, "role");
    json_object_set_new(o, "role",
                        json_is_string(role) ? json_incref((json_t *)role)
                                             : json_string(role_name(m->role)));
    if (mixed && !parts) {
        json_decref(o);
        return NULL;
    }
    json_object_set_new(o, "content",
                        parts                       ? parts
                        : calls && m->text.len == 0 ? json_null()
                                                    : client_string(m->text));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_t *v = json_object_get(m->raw, texts[i]);
        bool wanted = i == 1 || own || (i == 0 && m->role != ROLE_TOOL);
        if (json_is_string(v) && wanted)
            json_object_set(o, texts[i], v);
    }
    if (calls)
        json_object_set_new(o, "tool_calls", write_calls(calls));
    return o;
}

static bool write_messages(json_t *body, const struct chat_request *req, struct error *err)
{
    json_t *list = json_array();
    bool own = client_own_body(req, "openai") != NULL;
    json_object_set_new(body, "messages", list);
    for (size_t i = 0; i < req->n_messages; i++) {
        json_t *m = write_message(&req->messages[i], own, err);
        if (!m) {
            error_wrap(err, "message %zu", i);
            return false;
        }
        json_array_append_new(list, m);
    }
    return true;
}

static void write_tools(json_t *body, const struct chat_request *req)
{
    static const char *const choices[] = {[TOOLS_NONE] = "none", [TOOLS_REQUIRED] = "required"};
    if (json_array_size(req->tools) == 0)
        return;
    json_t *tools =
        req->strict_tools ? json_deep_copy(req->tools) : json_copy((json_t *)req->tools);
    for (size_t i = 0; req->strict_tools && i < json_array_size(tools); i++)
        json_object_set_new(json_object_get(json_array_get(tools, i), "function"), "strict",
                            json_true());
    json_object_set_new(body, "tools", tools);
    if (req->tool_choice == TOOLS_NAMED)
        json_object_set_new(
            body, "tool_choice",
            json_pack("{s:s, s:{s:s}}", "type", "function", "function", "name", req->tool_name));
    else if (req->tool_choice != TOOLS_AUTO)
        json_object_set_new(body, "tool_choice", json_string(choices[req->tool_choice]));
    if (req->one_tool_call)
        json_object_set_new(body, "parallel_tool_calls", json_false());
}

// Names and descriptions beside a schema are kept where the client wrote them in these words.
static void write_format(json_t *body, const struct chat_request *req, const json_t *own)
{
    const struct chat_constraint *c = &req->constraint;
    if (c->kind == CONSTRAINT_JSON_OBJECT) {
        json_object_set_new(body, "response_format", json_pack("{s:s}", "type", "json_object"));
    } else if (c->kind == CONSTRAINT_JSON_SCHEMA) {
        const json_t *format = json_object_get(own, "response_format");
        const json_t *given = json_object_get(format, "json_schema");
        json_t *schema = given ? json_copy((json_t *)given)
                               : json_pack("{s:s, s:b}", "name", "answer", "strict", 1);
        json_object_set(schema, "schema", (json_t *)c->schema);
        json_object_set_new(body, "response_format",
                            json_pack("{s:s, s:o}", "type", "json_schema", "json_schema", schema));
    }
}

// Expressions and grammars are no words of OpenAI's: the client's own members go on as they came,
// to servers that know them.
static bool write_constraint(json_t *body, const struct chat_request *req, const json_t *own,
                             struct error *err)
{
    enum chat_constraint_kind kind = req->constraint.kind;
    json_t *structured = json_object_get(own, "structured_outputs");
    bool told = false;
    for (size_t i = 0; openai_constraint_members[i]; i++)
        told = told || json_object_get(own, openai_constraint_members[i]);
    if (kind != CONSTRAINT_REGEX && kind != CONSTRAINT_GBNF)
        write_format(body, req, own);
    else if (!told)
        return client_check_constraint(&req->constraint, VENDOR, err);
    else if (structured)
        json_object_set(body, "structured_outputs", structured);
    return true;
}

static bool write_extensions(json_t *body, const struct chat_request *req, const json_t *own,
                             struct error *err)
{
    static const char *const names[] = {
        "top_k",      "min_p",      "typical_p",           "repetition_penalty",
        "min_tokens", "ignore_eos", "chat_template_kwargs"};
    const struct chat_sampling *s = &req->sampling;
    for (size_t i = 0; own && i < sizeof names / sizeof *names; i++) {
        json_t *v = json_object_get(own, names[i]);
        if (v)
            json_object_set(body, names[i], v);
    }
    if (own)
        return true;
    if (s->top_k == 1)
        return client_lacks_member(VENDOR, "top_k", "a top_k of 1", err);
    return client_check_sampling(s, (struct client_lacking){.repetition = true}, VENDOR, err) &&
           client_check_extras(req->extras, VENDOR, err);
}

static void write_bias(json_t *body, const struct chat_sampling *s)
{
    char key[16];
    json_t *o = json_object();
    for (size_t i = 0; i < s->n_bias; i++) {
        (void)snprintf(key, sizeof key, "%d", (int)s->bias_tokens[i]);
        if (s->bias_values[i] == truncf(s->bias_values[i]))
            json_object_set_new(o, key, json_integer((json_int_t)s->bias_values[i]));
        else
            client_set_float(o, key, s->bias_values[i]);
    }
    json_object_set_new(body, "logit_bias", o);
}

static void write_sampling(json_t *body, const struct chat_sampling *s)
{
    client_set_float(body, "temperature", s->temperature);
    client_set_float(body, "top_p", s->top_p);
    client_set_float(body, "presence_penalty", s->presence_penalty);
    client_set_float(body, "frequency_penalty", s->frequency_penalty);
    client_set_int(body, "seed", s->seed);
    client_set_int(body, "n", s->n_choices);
    if (s->n_logprobs >= 0)
        json_object_set_new(body, "logprobs", json_true());
    if (s->n_logprobs > 0)
        client_set_int(body, "top_logprobs", s->n_logprobs);
    if (s->n_bias)
        write_bias(body, s);
    if (s->n_stops == 0)
        return;
    json_t *stops = json_array();
    for (size_t i = 0; i < s->n_stops; i++)
        json_array_append_new(stops, client_string(s->stops[i]));
    json_object_set_new(body, "stop", stops);
}

static bool wants_newer_name(const char *model, const json_t *own)
{
    const json_t *newer = json_object_get(own, "max_completion_tokens");
    const char *name = strrchr(model, '/') ? strrchr(model, '/') + 1 : model;
    bool o_series = name[0] == 'o' && isdigit((unsigned char)name[1]);
    bool gpt = strncmp(name, "gpt-", 4) == 0 && name[4] >= '5' && name[4] <= '9';
    return json_is_number(newer) || o_series || gpt;
}

static void write_stream(json_t *body, const struct chat_request *req, const json_t *own)
{
    json_t *given = json_object_get(own, "stream_options");
    json_t *options = json_is_object(given) ? json_copy(given) : json_object();
    json_object_set_new(options, "include_usage", json_true());
    if (req->stream) {
        json_object_set_new(body, "stream", json_true());
        json_object_set(body, "stream_options", options);
    }
    json_decref(options);
}

static bool write_chat(json_t *body, const struct chat_request *req, const char *model,
                       const json_t *own, struct error *err)
{
    struct client_effort effort = client_effort_of(req->extras);
    if (!write_messages(body, req, err) || !write_constraint(body, req, own, err))
        return false;
    write_tools(body, req);
    write_sampling(body, &req->sampling);
    client_set_int(body, wants_newer_name(model, own) ? "max_completion_tokens" : "max_tokens",
                   req->max_tokens);
    if (effort.word)
        json_object_set_new(body, "reasoning_effort", json_string(effort.word));
    write_stream(body, req, own);
    return write_extensions(body, req, own, err);
}

static json_t *write_input(const struct chat_embed_input *in)
{
    if (!in->tokens)
        return client_string(in->text);
    json_t *ids = json_array();
    for (size_t i = 0; i < in->n_tokens; i++)
        json_array_append_new(ids, json_integer(in->tokens[i]));
    return ids;
}

static void write_embed(json_t *body, const struct chat_request *req)
{
    json_t *inputs = json_array();
    for (size_t i = 0; i < req->n_inputs; i++)
        json_array_append_new(inputs, write_input(&req->inputs[i]));
    json_object_set_new(body, "input", inputs);
    json_object_set_new(body, "encoding_format", json_string("base64"));
    if (req->dimensions > 0)
        client_set_int(body, "dimensions", req->dimensions);
}

bool openai_client_write(const struct chat_request *req, const char *model,
                         struct client_request *out, struct error *err)
{
    const json_t *own = client_own_body(req, "openai");
    bool embed = req->input == INPUT_EMBED, ok = true;
    if (!client_asks_messages(req, VENDOR, err))
        return false;
    json_t *body = json_object();
    json_object_set_new(body, "model", client_string(slice_str(model)));
    if (embed)
        write_embed(body, req);
    else
        ok = write_chat(body, req, model, own, err);
    if (!ok) {
        json_decref(body);
        return false;
    }
    client_pass_on(body, own, known);
    buf_text_add(&out->path, embed ? "/embeddings" : "/chat/completions");
    client_write_body(out, body);
    return true;
}
