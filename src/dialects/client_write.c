// client_write.c - what the clients share to make a request.
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "dialects/client_impl.h"
#include "dialects/turns.h"

void client_set_float(json_t *o, const char *key, float value)
{
    char text[32];
    if (isnan(value))
        return;
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    json_object_set_new(o, key, json_real(strtod(text, NULL)));
}

void client_set_int(json_t *o, const char *key, int64_t value)
{
    if (value >= 0)
        json_object_set_new(o, key, json_integer(value));
}

const json_t *client_own_body(const struct chat_request *req, const char *wire)
{
    return req->wire && req->body && strcmp(req->wire, wire) == 0 ? req->body : NULL;
}

static bool is_one_of(const char *key, const char *const *names)
{
    while (*names && strcmp(*names, key) != 0)
        names++;
    return *names != NULL;
}

void client_pass_on(json_t *to, const json_t *from, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)from, key, value)
    {
        if (!is_one_of(key, known) && !json_object_get(to, key))
            json_object_set(to, key, value);
    }
}

bool client_lacks(const char *vendor, const char *what, struct error *err)
{
    return error_set(err, ERR_UNSUPPORTED, "%s's format cannot express %s", vendor, what);
}

bool client_lacks_member(const char *vendor, const char *member, const char *what,
                         struct error *err)
{
    (void)client_lacks(vendor, what, err);
    if (err) {
        err->said.dialect = "openai";
        (void)snprintf(err->said.member, sizeof err->said.member, "%s", member);
    }
    return false;
}

bool client_asks_messages(const struct chat_request *req, const char *vendor, struct error *err)
{
    if (req->echo || req->score_prompt)
        return client_lacks_member(vendor, "echo", "echo", err);
    if (req->n_prompts >= 2 || req->input == INPUT_TEXT || req->input == INPUT_TOKENS)
        return client_lacks_member(vendor, "prompt", "a prompt without messages", err);
    if (req->input == INPUT_MESSAGES && req->n_messages == 0)
        return error_set(err, ERR_USAGE, "there are no messages");
    if (req->max_tokens == 0 && req->input == INPUT_MESSAGES)
        return client_lacks_member(vendor, "max_tokens", "an answer of no tokens", err);
    return true;
}

bool client_has_media(const struct chat_message *m)
{
    for (size_t i = 0; i < json_array_size(m->parts); i++) {
        struct slice type = client_text(json_array_get(m->parts, i), "type");
        if (!slice_is(type, "text") && !slice_is(type, "refusal"))
            return true;
    }
    return false;
}

static bool matters(float value, float neutral)
{
    return !isnan(value) && value != neutral;
}

bool client_check_sampling(const struct chat_sampling *s, struct client_lacking lacking,
                           const char *vendor, struct error *err)
{
    if (lacking.penalties && matters(s->presence_penalty, 0))
        return client_lacks_member(vendor, "presence_penalty", "presence_penalty", err);
    if (lacking.penalties && matters(s->frequency_penalty, 0))
        return client_lacks_member(vendor, "frequency_penalty", "frequency_penalty", err);
    if (lacking.repetition && matters(s->repetition_penalty, 1))
        return client_lacks_member(vendor, "repetition_penalty", "repetition_penalty", err);
    if (lacking.bias && s->n_bias > 0)
        return client_lacks_member(vendor, "logit_bias", "logit_bias", err);
    if (lacking.logprobs && s->n_logprobs >= 0)
        return client_lacks_member(vendor, "logprobs", "logprobs", err);
    return true;
}

bool client_check_constraint(const struct chat_constraint *c, const char *vendor, struct error *err)
{
    if (c->kind == CONSTRAINT_REGEX)
        return client_lacks(vendor, "an answer that a regular expression matches", err);
    if (c->kind == CONSTRAINT_GBNF)
        return client_lacks(vendor, "an answer of a grammar", err);
    return true;
}

void client_write_body(struct client_request *out, json_t *body)
{
    json_write(&out->body, body, JSON_STYLE_COMPACT);
    json_decref(body);
}

bool client_data_url(struct slice url, struct slice *media_type, struct slice *data)
{
    const struct slice scheme = slice_str("data:"), mark = slice_str(";base64");
    if (!slice_starts(url, scheme))
        return false;
    const char *comma = memchr(url.ptr, ',', url.len);
    if (!comma)
        return false;
    struct slice head = slice_of(url.ptr + scheme.len, (size_t)(comma - url.ptr) - scheme.len);
    if (head.len <= mark.len ||
        !slice_is(slice_sub(head, head.len - mark.len, mark.len), ";base64"))
        return false;
    head.len -= mark.len;
    const char *more = memchr(head.ptr, ';', head.len);  // parameters: "audio/pcm;rate=8000"
    if (more)
        head.len = (size_t)(more - head.ptr);
    *media_type = head;
    *data = slice_of(comma + 1, url.len - (size_t)(comma + 1 - url.ptr));
    return head.len > 0 && data->len > 0;
}

const json_t *client_calls(const struct chat_message *m)
{
    const json_t *calls = m->role == ROLE_ASSISTANT ? json_object_get(m->raw, "tool_calls") : NULL;
    return json_array_size(calls) > 0 ? calls : NULL;
}

static const char *name_of_call(const struct chat_message *m, const char *id)
{
    const json_t *calls = client_calls(m);
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *call = json_array_get(calls, i);
        const char *other = json_get_text(call, "id");
        if (other && strcmp(other, id) == 0)
            return json_get_text(json_object_get(call, "function"), "name");
    }
    return NULL;
}

const char *client_result_name(const struct chat_request *req, size_t message)
{
    const json_t *raw = req->messages[message].raw;
    const char *name = json_get_text(raw, "name"), *id = json_get_text(raw, "tool_call_id");
    for (size_t i = message; !name && id && i-- > 0;)
        name = name_of_call(&req->messages[i], id);
    return name;
}

json_t *client_arguments(const json_t *call)
{
    json_t *arguments = json_object_get(json_object_get(call, "function"), "arguments");
    json_t *parsed = json_is_string(arguments) ? turns_arguments(json_slice(arguments)) : NULL;
    if (json_is_object(arguments))
        return json_incref(arguments);
    return parsed ? parsed : json_object();
}

struct client_effort client_effort_of(const json_t *extras)
{
    struct client_effort e = {.budget = -1, .word = json_get_text(extras, "reasoning_effort")};
    bool on = false;
    int64_t budget = -1;
    if (json_get_bool(extras, "enable_thinking", &on))
        e.thinking = on ? THINKING_ON : THINKING_OFF;
    else if (e.word)
        e.thinking = strcmp(e.word, "none") == 0 ? THINKING_OFF : THINKING_ON;
    if (json_get_i64(extras, "thinking_budget", &budget) && budget >= 0 && budget < INT32_MAX)
        e.budget = (int)budget;
    return e;
}

int client_effort_budget(const char *word)
{
    enum { LOW = 1024, MEDIUM = 8192, HIGH = 24576 };
    if (!word || strcmp(word, "medium") == 0)
        return MEDIUM;
    return strcmp(word, "minimal") == 0 || strcmp(word, "low") == 0 ? LOW : HIGH;
}

bool client_check_extras(const json_t *extras, const char *vendor, struct error *err)
{
    static const char *const known[] = {"reasoning_effort", "enable_thinking", "thinking_budget",
                                        NULL};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)extras, key, value)
    {
        if (!is_one_of(key, known))
            return error_set(err, ERR_UNSUPPORTED,
                             "%s's format cannot express '%.40s' of chat_template_kwargs", vendor,
                             key);
    }
    return true;
}

int client_model_version(const char *model)
{
    enum { MINOR_MAX = 99, MAJOR = 1000 };
    while (*model && !(isdigit((unsigned char)*model) && (model[1] == 0 || strchr(".-", model[1]))))
        model++;
    if (!*model)
        return 0;
    int version = (*model - '0') * MAJOR;
    char *end = NULL;
    long minor = model[1] && isdigit((unsigned char)model[2]) ? strtol(model + 2, &end, 10) : 0;
    return minor <= MINOR_MAX ? version + (int)minor : version;
}
