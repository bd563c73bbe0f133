// gemini_client_write.c - a request in the words of generateContent: what is asked for.
//
// The vendor knows temperature, top_p, top_k, seed and both penalties; min_p and typical_p are left
// out, repetition_penalty, logit_bias, logprobs and more than 8 choices refused, as is that a model
// may call only one tool at a time. Members that only this vendor knows are passed on from a client
// that speaks its words, also those of generationConfig.
//
// How hard a model thinks: as the client said it in these words itself, else from reasoning_effort:
// a level for models from 3, a budget of tokens for those before. Thoughts are asked for with it.
#include <ctype.h>
#include <string.h>

#include "base/json.h"
#include "dialects/gemini.h"
#include "dialects/gemini_client.h"

#define VENDOR "Gemini"
enum { CHOICES_MAX = 8, LEVELS = 3000 };

// What the server's half reads, or what is written anew, in either spelling.
static const char *const known[] = {
    "model",
    "contents",
    "systemInstruction",
    "system_instruction",
    "tools",
    "toolConfig",
    "tool_config",
    "generationConfig",
    "generation_config",
    "requests",
    "content",
    "outputDimensionality",
    "output_dimensionality",
    "cachedContent",
    "cached_content",
    NULL,
};
static const char *const known_config[] = {
    "temperature",
    "topP",
    "top_p",
    "topK",
    "top_k",
    "presencePenalty",
    "presence_penalty",
    "frequencyPenalty",
    "frequency_penalty",
    "maxOutputTokens",
    "max_output_tokens",
    "candidateCount",
    "candidate_count",
    "stopSequences",
    "stop_sequences",
    "seed",
    "thinkingConfig",
    "thinking_config",
    "responseMimeType",
    "response_mime_type",
    "responseSchema",
    "response_schema",
    "responseJsonSchema",
    "response_json_schema",
    "responseLogprobs",
    "response_logprobs",
    "logprobs",
    NULL,
};

static json_t *write_function(const json_t *tool)
{
    const json_t *function = json_object_get(tool, "function");
    const json_t *schema = json_object_get(function, "parameters");
    json_t *description = json_object_get(function, "description"), *o = json_object();
    json_object_set(o, "name", json_object_get(function, "name"));
    if (json_string_length(description) > 0)
        json_object_set(o, "description", description);
    if (json_is_object(schema))
        json_object_set(o, "parametersJsonSchema", (json_t *)schema);
    return o;
}

static json_t *names_of(const struct chat_request *req)
{
    json_t *names = json_array();
    if (req->tool_choice == TOOLS_NAMED) {
        json_array_append_new(names, json_string(req->tool_name));
        return names;
    }
    for (size_t i = 0; i < json_array_size(req->tools); i++) {
        const json_t *function = json_object_get(json_array_get(req->tools, i), "function");
        json_array_append(names, json_object_get(function, "name"));
    }
    return names;
}

static bool any_strict(const struct chat_request *req)
{
    bool strict = req->strict_tools;
    for (size_t i = 0; i < json_array_size(req->tools); i++) {
        const json_t *function = json_object_get(json_array_get(req->tools, i), "function");
        strict = strict || json_is_true(json_object_get(function, "strict"));
    }
    return strict;
}

static bool write_tools(json_t *body, const struct chat_request *req, struct error *err)
{
    size_t n = json_array_size(req->tools);
    json_t *list = json_array();
    const char *mode = NULL;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, write_function(json_array_get(req->tools, i)));
    if (n)
        json_object_set_new(body, "tools", json_pack("[{s:O}]", "functionDeclarations", list));
    json_decref(list);
    if (!n)
        return true;
    if (req->one_tool_call && req->tool_choice != TOOLS_NONE)
        return client_lacks_member(VENDOR, "parallel_tool_calls",
                                   "only one call of a tool at a time", err);
    if (req->tool_choice == TOOLS_NONE)
        mode = "NONE";
    else if (req->tool_choice != TOOLS_AUTO)
        mode = "ANY";
    else if (any_strict(req))
        mode = "VALIDATED";
    if (!mode)
        return true;
    json_t *choice = json_pack("{s:s}", "mode", mode);
    if (req->tool_choice == TOOLS_NAMED || (req->known_tools && req->tool_choice != TOOLS_NONE))
        json_object_set_new(choice, "allowedFunctionNames", names_of(req));
    json_object_set_new(body, "toolConfig", json_pack("{s:o}", "functionCallingConfig", choice));
    return true;
}

static void write_thinking(json_t *config, const struct chat_request *req, const char *model)
{
    struct client_effort e = client_effort_of(req->extras);
    bool levels = client_model_version(model) >= LEVELS, most;
    if (e.thinking == THINKING_UNSET)
        return;
    json_t *thinking = json_object();
    if (e.thinking == THINKING_OFF) {
        client_set_int(thinking, "thinkingBudget", 0);
    } else {
        json_object_set_new(thinking, "includeThoughts", json_true());
        most = e.word && (strcmp(e.word, "xhigh") == 0 || strcmp(e.word, "max") == 0);
        if (levels && e.word)
            json_object_set_new(thinking, "thinkingLevel",
                                json_string(most                             ? "HIGH"
                                            : strcmp(e.word, "high") == 0    ? "HIGH"
                                            : strcmp(e.word, "low") == 0     ? "LOW"
                                            : strcmp(e.word, "minimal") == 0 ? "MINIMAL"
                                                                             : "MEDIUM"));
        else if (e.budget > 0)
            client_set_int(thinking, "thinkingBudget", e.budget);
        else if (e.word)
            client_set_int(thinking, "thinkingBudget", client_effort_budget(e.word));
    }
    json_object_set_new(config, "thinkingConfig", thinking);
}

static void write_format(json_t *config, const struct chat_constraint *c, const json_t *given)
{
    if (c->kind == CONSTRAINT_NONE)
        return;
    bool listed =
        c->kind == CONSTRAINT_GBNF && c->schema;  // text/x.enum, of a client of these words
    const json_t *schema =
        listed ? gemini_member(given, "responseSchema", "response_schema", NULL) : NULL;
    json_object_set_new(config, "responseMimeType",
                        json_string(listed ? "text/x.enum" : "application/json"));
    if (schema && !json_is_null(schema))
        json_object_set(config, "responseSchema", (json_t *)schema);
    else if (listed || c->kind == CONSTRAINT_JSON_SCHEMA)
        json_object_set(config, "responseJsonSchema", (json_t *)c->schema);
}

static bool write_sampling(json_t *config, const struct chat_request *req, struct error *err)
{
    const struct chat_sampling *s = &req->sampling;
    struct client_lacking lacking = {.repetition = true, .bias = true, .logprobs = true};
    if (!client_check_sampling(s, lacking, VENDOR, err))
        return false;
    if (s->n_choices > CHOICES_MAX)
        return client_lacks_member(VENDOR, "n", "more than 8 choices", err);
    client_set_float(config, "temperature", s->temperature);
    client_set_float(config, "topP", s->top_p);
    client_set_int(config, "topK", s->top_k);
    client_set_float(config, "presencePenalty", s->presence_penalty);
    client_set_float(config, "frequencyPenalty", s->frequency_penalty);
    client_set_int(config, "seed", s->seed < 0 ? -1 : s->seed & INT32_MAX);
    client_set_int(config, "candidateCount", s->n_choices);
    client_set_int(config, "maxOutputTokens", req->max_tokens);
    if (s->n_stops == 0)
        return true;
    json_t *stops = json_array();
    for (size_t i = 0; i < s->n_stops; i++)
        json_array_append_new(stops, client_string(s->stops[i]));
    json_object_set_new(config, "stopSequences", stops);
    return true;
}

static bool write_config(json_t *body, const struct chat_request *req, const char *model,
                         const json_t *own, struct error *err)
{
    json_t *config = json_object();
    const json_t *given = gemini_member(own, "generationConfig", "generation_config", NULL);
    json_t *thinking = (json_t *)gemini_member(given, "thinkingConfig", "thinking_config", NULL);
    bool listed = own && req->constraint.kind == CONSTRAINT_GBNF && req->constraint.schema;
    bool ok = (listed || client_check_constraint(&req->constraint, VENDOR, err)) &&
              client_check_extras(req->extras, VENDOR, err) && write_sampling(config, req, err);
    write_format(config, &req->constraint, given);
    if (json_is_object(thinking))
        json_object_set(config, "thinkingConfig", thinking);
    else if (!own)
        write_thinking(config, req, model);
    client_pass_on(config, given, known_config);
    if (json_object_size(config) > 0)
        json_object_set(body, "generationConfig", config);
    json_decref(config);
    return ok;
}

// "models/NAME" of a name; some are in a folder of their own. Nothing else may stand in a path.
static bool write_path(const char *model, const char *method, struct buf *out, struct error *err)
{
    bool placed = strncmp(model, "models/", 7) == 0 || strncmp(model, "tunedModels/", 12) == 0;
    const char *name = placed ? strchr(model, '/') + 1 : model;
    bool good = isalnum((unsigned char)name[0]);
    for (const char *p = name; *p; p++)
        good = good && (isalnum((unsigned char)*p) || strchr("._-@", *p));
    if (!good)
        return error_set(err, ERR_NOT_FOUND, "'%.80s' is no name of a model of " VENDOR "'s",
                         model);
    buf_printf(out, "/v1beta/%s%s:%s", placed ? "" : "models/", model, method);
    return true;
}

// What a text is for (taskType, title) goes on to the vendor from a client of these words.
static json_t *embed_request(const struct chat_request *req, size_t i, struct slice name)
{
    const json_t *own = client_own_body(req, "gemini"), *list = json_object_get(own, "requests");
    json_t *one = json_pack("{s:o, s:{s:[{s:o}]}}", "model", client_string(name), "content",
                            "parts", "text", client_string(req->inputs[i].text));
    if (req->dimensions > 0)
        client_set_int(one, "outputDimensionality", req->dimensions);
    client_pass_on(one, json_is_array(list) ? json_array_get(list, i) : own, known);
    return one;
}

static bool write_embed(json_t *body, const struct chat_request *req, const char *model,
                        struct error *err)
{
    json_t *list = json_array();
    struct buf name = {0};
    bool ok = true;
    buf_printf(&name, "%s%s", strchr(model, '/') ? "" : "models/", model);
    json_object_set_new(body, "requests", list);
    for (size_t i = 0; ok && i < req->n_inputs; i++) {
        if (req->inputs[i].tokens)
            ok = client_lacks(VENDOR, "embeddings of tokens", err);
        else
            json_array_append_new(list, embed_request(req, i, buf_view(&name)));
    }
    buf_release(&name);
    return ok;
}

bool gemini_client_write(const struct chat_request *req, const char *model,
                         struct client_request *out, struct error *err)
{
    const json_t *own = client_own_body(req, "gemini");
    bool embed = req->input == INPUT_EMBED;
    const char *method = embed         ? "batchEmbedContents"
                         : req->stream ? "streamGenerateContent?alt=sse"
                                       : "generateContent";
    if (!client_asks_messages(req, VENDOR, err) || !write_path(model, method, &out->path, err))
        return false;
    json_t *body = json_object();
    bool ok = embed ? write_embed(body, req, model, err)
                    : gemini_client_contents(body, req, model, err) &&
                          write_tools(body, req, err) && write_config(body, req, model, own, err);
    if (!ok) {
        json_decref(body);
        return false;
    }
    if (!embed)
        client_pass_on(body, own, known);
    client_write_body(out, body);
    return true;
}
