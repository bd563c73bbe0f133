// redact.c - a request on its way out: every text in it with placeholders.
#include "gateway/redact.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/memory.h"
#include "gateway/redact_impl.h"
#include "gateway/redact_json.h"

static bool own(struct redaction *r, json_t *v, const json_t **out)
{
    if (!v)
        return false;
    memory_grow(r->owned, r->owned_capacity, r->n_owned + 1);
    *out = r->owned[r->n_owned++] = v;
    return true;
}

static bool take_message(struct redaction *r, const struct chat_message *in,
                         struct chat_message *out, struct error *err)
{
    *out = *in;
    return redact_text(r, in->text, &out->text, err) &&
           (!in->raw || own(r, redact_json_message(r, in->raw, err), &out->raw)) &&
           (!in->parts || own(r, redact_json_parts(r, in->parts, err), &out->parts)) &&
           (!in->blobs || own(r, redact_json_blobs(r, in->blobs, err), &out->blobs));
}

static bool take_messages(struct redaction *r, const struct chat_request *in,
                          struct chat_request *out, struct error *err)
{
    struct chat_message *messages = arena_new(r->arena, struct chat_message, in->n_messages);
    for (size_t i = 0; i < in->n_messages; i++)
        if (!take_message(r, &in->messages[i], &messages[i], err))
            return error_wrap(err, "messages[%zu]", i);
    out->messages = messages;
    return true;
}

static bool no_tokens(size_t n, struct error *err)
{
    return n == 0 || error_set(err, ERR_UNSUPPORTED, "token ids cannot be redacted");
}

static bool take_inputs(struct redaction *r, const struct chat_request *in,
                        struct chat_request *out, struct error *err)
{
    struct chat_embed_input *inputs = arena_new(r->arena, struct chat_embed_input, in->n_inputs);
    struct chat_prompt *prompts = arena_new(r->arena, struct chat_prompt, in->n_prompts);
    if (!no_tokens(in->n_tokens, err) || !redact_text(r, in->text, &out->text, err))
        return false;
    for (size_t i = 0; i < in->n_inputs; i++) {
        inputs[i] = in->inputs[i];
        if (!no_tokens(in->inputs[i].n_tokens, err) ||
            !redact_text(r, in->inputs[i].text, &inputs[i].text, err))
            return error_wrap(err, "input[%zu]", i);
    }
    for (size_t i = 0; i < in->n_prompts; i++) {
        prompts[i] = in->prompts[i];
        if (!no_tokens(in->prompts[i].n_tokens, err) ||
            !redact_text(r, in->prompts[i].text, &prompts[i].text, err))
            return error_wrap(err, "prompt[%zu]", i);
    }
    out->inputs = in->n_inputs ? inputs : NULL;
    out->prompts = in->n_prompts ? prompts : NULL;
    return true;
}

static bool take_stops(struct redaction *r, const struct chat_request *in, struct chat_request *out,
                       struct error *err)
{
    struct slice *stops = arena_new(r->arena, struct slice, in->sampling.n_stops);
    for (size_t i = 0; i < in->sampling.n_stops; i++)
        if (!redact_text(r, in->sampling.stops[i], &stops[i], err))
            return false;
    out->sampling.stops = stops;
    return true;
}

static bool take_rest(struct redaction *r, const struct chat_request *in, struct chat_request *out,
                      struct error *err)
{
    struct error none = {0};
    out->body = NULL;  // has members that nobody here knows
    if (in->session && !redact_clean(r, slice_str(in->session), "a session", &none))
        out->session = NULL;
    return take_stops(r, in, out, err) &&
           (!in->tools || own(r, redact_json_tools(r, in->tools, err), &out->tools)) &&
           (!in->tool_name ||
            redact_clean(r, slice_str(in->tool_name), "the name of a tool", err)) &&
           (!in->extras || own(r, redact_json_value(r, in->extras, err), &out->extras)) &&
           (!in->constraint.schema ||
            own(r, redact_json_schema(r, in->constraint.schema, err), &out->constraint.schema)) &&
           redact_clean(r, in->constraint.text, "a grammar", err);
}

bool redaction_begin(const struct redaction_rules *rules, const struct chat_request *in,
                     struct arena *arena, struct chat_request *out, struct redaction **made,
                     struct error *err)
{
    const struct chat_request before = *in;  // since out may be the same
    *made = NULL;
    *out = before;
    if (!rules)
        return true;
    in = &before;
    struct redaction *r = memory_array(struct redaction, 1);
    r->rules = rules;
    r->in = in;
    r->arena = arena;
    r->prefixes = memory_array(char *, rules_n(rules));
    r->numbers = memory_array(int, rules_n(rules));
    r->text_is_json = in->constraint.kind == CONSTRAINT_JSON_OBJECT ||
                      in->constraint.kind == CONSTRAINT_JSON_SCHEMA;
    rule_search_init(&r->search);
    bool ok = take_messages(r, in, out, err) && take_inputs(r, in, out, err) &&
              take_rest(r, in, out, err);
    rule_search_release(&r->search);
    r->search = (struct rule_search){0};
    buf_release(&r->corpus);
    r->in = NULL;
    if (ok)
        *made = r;
    else
        redaction_free(r);
    return ok;
}

size_t redaction_n(const struct redaction *r)
{
    return r ? r->n_entries : 0;
}

void redaction_free(struct redaction *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_owned; i++)
        json_decref(r->owned[i]);
    for (size_t i = 0; i < rules_n(r->rules); i++)
        free(r->prefixes[i]);
    free(r->owned);
    free(r->prefixes);
    free(r->numbers);
    free(r->entries);
    free(r->by_text);
    free(r->by_placeholder);
    free(r->held);
    buf_release(&r->corpus);
    buf_release(&r->undone);
    free(r);
}
