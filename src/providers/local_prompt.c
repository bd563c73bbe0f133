#include <math.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/template/template.h"
#include "providers/local_impl.h"

static void set_token(const struct local_model *m, json_t *variables, const char *name, int32_t id)
{
    if (id < 0)
        return;
    struct buf text = {0};
    tokenizer_bytes(m->tokenizer, id, &text);
    json_object_set_new(variables, name, local_text_json(buf_view(&text)));
    buf_release(&text);
}

static json_t *template_variables(const struct local_model *m, const struct chat_request *req)
{
    json_t *v = json_object();
    set_token(m, v, "bos_token", tokenizer_bos(m->tokenizer));
    set_token(m, v, "eos_token", tokenizer_eos(m->tokenizer));
    set_token(m, v, "unk_token", tokenizer_unk(m->tokenizer));
    set_token(m, v, "pad_token", tokenizer_pad(m->tokenizer));
    // A request's own variables come after the model's and before what a request cannot change.
    if (json_is_object(req->extras)) {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)req->extras, key, value)
        {
            size_t n = strlen(key);
            if (n < 6 || strcmp(key + n - 6, "_token") != 0)
                json_object_set(v, key, value);
        }
    }
    if (req->continues)
        json_object_set_new(v, "add_generation_prompt", json_false());
    else if (!json_object_get(v, "add_generation_prompt"))
        json_object_set_new(v, "add_generation_prompt", json_true());
    const json_t *tools = local_tools(req);
    json_object_set_new(v, "messages", local_messages(m, req));
    json_object_set_new(v, "tools", tools ? json_incref((json_t *)tools) : json_null());
    return v;
}

// A mark that came from a message begins no thoughts.
static enum answer_begins begins_of(const struct local_model *m, const struct rendered *r)
{
    struct slice text = buf_view(&r->text);
    size_t given = r->n_from_values ? r->from_values[r->n_from_values - 1].end : 0;
    text = slice_sub(text, given, text.len);
    if (answer_prompt_thinks(&m->shape, text))
        return ANSWER_BEGINS_THINKING;
    return answer_prompt_thought(&m->shape, text) ? ANSWER_BEGINS_THOUGHT_OVER : ANSWER_BEGINS;
}

// A prompt that broke a bound of the template's: if its texts alone are more than the context
// holds, that is what is wrong with it. False, with err.
static bool too_long(const struct local_model *m, const struct chat_request *req, struct error *err)
{
    struct tokens tokens = {0};
    struct error ignored;
    size_t ctx = (size_t)engine_ctx(m->engine), n = 0;
    for (size_t i = 0; i < req->n_messages; i++) {
        tokens.n = 0;
        if (tokenizer_encode(m->tokenizer, req->messages[i].text, TOKENIZE_PLAIN, &tokens,
                             &ignored))
            n += tokens.n;
    }
    tokens_release(&tokens);
    if (n <= ctx)
        return false;
    return error_set(err, ERR_CONTEXT,
                     "the prompt has at least %zu tokens, but the context of this model holds %zu",
                     n, ctx);
}

// Cuts what a template wrote behind the last message's text, so that the answer goes on with it.
// Templates trim texts: white space at the end is put back. False if the text is not found.
static bool cut_behind_last(struct rendered *r, struct slice said)
{
    size_t begin = 0, end = said.len;
    while (begin < end && strchr(" \t\r\n", said.ptr[begin]))
        begin++;
    while (end > begin && strchr(" \t\r\n", said.ptr[end - 1]))
        end--;
    struct slice text = slice_of(said.ptr + begin, end - begin);
    struct slice space = slice_sub(said, end, SIZE_MAX);
    for (size_t i = r->n_from_values; text.len && i-- > 0;) {
        struct rendered_span *span = &r->from_values[i];
        for (size_t at = span->end; at >= span->start + text.len; at--) {
            if (memcmp(r->text.ptr + at - text.len, text.ptr, text.len) != 0)
                continue;
            r->text.len = at;
            buf_slice(&r->text, space);
            r->n_from_values = i + 1;
            span->end = r->text.len;
            return true;
        }
    }
    return false;
}

// Answers of two formats are no texts from their first byte on, and a form is that of a whole text.
static bool cut_to_continue(const struct local_model *m, const struct chat_request *req,
                            struct rendered *r, struct error *err)
{
    if (req->constraint.kind != CONSTRAINT_NONE)
        return error_set(err, ERR_UNSUPPORTED,
                         "'messages': an answer that must have a form cannot go on with an "
                         "assistant's message at the end");
    if (m->shape.format == ANSWER_HARMONY || m->shape.format == ANSWER_COHERE ||
        !cut_behind_last(r, req->messages[req->n_messages - 1].text))
        return error_set(err, ERR_UNSUPPORTED,
                         "'messages': this model cannot go on with an assistant's message at the "
                         "end");
    return true;
}

// Special tokens are not added: a template writes them itself where the model wants them.
static bool templated(const struct local_model *m, const struct chat_request *req,
                      struct tokens *out, enum answer_begins *begins, struct error *err)
{
    struct rendered rendered = {0};
    json_t *variables = template_variables(m, req);
    bool ok = template_render(m->chat_template, variables, NULL, &rendered, err);
    json_decref(variables);
    if (!ok && err->code == ERR_LIMIT)
        return too_long(m, req, err);
    if (ok && begins)
        *begins = req->continues ? ANSWER_BEGINS_THOUGHT_OVER : begins_of(m, &rendered);
    // Who only counts is told no reason why it cannot be answered.
    struct error ignored = {0};
    if (ok && req->continues)
        ok = cut_to_continue(m, req, &rendered, begins ? err : &ignored) || !begins;
    if (ok) {
        size_t n = rendered.n_from_values;
        struct text_span *spans = memory_array(struct text_span, n + 1);
        for (size_t i = 0; i < n; i++)
            spans[i] =
                (struct text_span){rendered.from_values[i].start, rendered.from_values[i].end};
        ok = tokenizer_encode_marked(m->tokenizer, buf_view(&rendered.text), TOKENIZE_PARSE_SPECIAL,
                                     spans, n, out, err);
        free(spans);
    }
    rendered_release(&rendered);
    return ok;
}

// Without a template: the messages' texts with blank lines between, nothing in them special.
static bool joined(struct local_model *m, const struct chat_request *req, struct tokens *out,
                   struct error *err)
{
    struct buf text = {0};
    if (!atomic_flag_test_and_set(&m->default_told))
        log_warn("%s: no chat template; messages are joined by blank lines", m->name);
    bool told = local_tools_text(m, req, &text);
    for (size_t i = 0; i < req->n_messages; i++) {
        if (i > 0 || told)
            buf_text_add(&text, "\n\n");
        buf_slice(&text, req->messages[i].text);
    }
    bool ok = tokenizer_encode(m->tokenizer, buf_view(&text), TOKENIZE_ADD_SPECIAL, out, err);
    buf_release(&text);
    return ok;
}

bool local_given_tokens(const struct local_model *m, const int32_t *tokens, size_t n_tokens,
                        struct tokens *out, struct error *err)
{
    int32_t n = tokenizer_n_tokens(m->tokenizer);
    for (size_t i = 0; i < n_tokens; i++) {
        if (tokens[i] < 0 || tokens[i] >= n)
            return error_set(err, ERR_USAGE, "token %d at place %zu is not one of 0 to %d",
                             tokens[i], i, n - 1);
        tokens_add(out, tokens[i]);
    }
    return true;
}

// Models here read texts only.
static bool only_texts(const struct chat_request *req, struct error *err)
{
    for (size_t i = 0; i < req->n_messages; i++) {
        const json_t *parts = req->messages[i].parts;
        for (size_t k = 0; k < json_array_size(parts); k++) {
            const char *type = json_get_text(json_array_get(parts, k), "type");
            if (!type || (strcmp(type, "text") != 0 && strcmp(type, "refusal") != 0))
                return error_set(err, ERR_UNSUPPORTED,
                                 "'messages[%zu].content[%zu].type': only parts of type text are "
                                 "supported",
                                 i, k);
        }
    }
    return true;
}

bool local_prompt(struct local_model *m, const struct chat_request *req, struct tokens *out,
                  enum answer_begins *begins, struct error *err)
{
    switch (req->input) {
    case INPUT_TOKENS: return local_given_tokens(m, req->tokens, req->n_tokens, out, err);
    // A raw text is the user's own prompt: what looks like a special token is meant to be one.
    case INPUT_TEXT:
        return tokenizer_encode(m->tokenizer, req->text,
                                TOKENIZE_ADD_SPECIAL | TOKENIZE_PARSE_SPECIAL, out, err);
    case INPUT_EMBED: return local_embed_tokens(m, req, out, NULL, err);
    case INPUT_MESSAGES: break;
    }
    if (!only_texts(req, err))
        return false;
    if (local_tools(req) && m->shape.format == ANSWER_PLAIN &&
        !atomic_flag_test_and_set(&m->plain_told))
        log_warn("%s: its chat template speaks of no tools, so it is told of none; --tool-format "
                 "names how it is to call them",
                 m->name);
    return m->chat_template ? templated(m, req, out, begins, err) : joined(m, req, out, err);
}

static void choose(float *out, float wanted)
{
    if (!isnan(wanted))
        *out = wanted;
}

bool local_sampling(const struct local_model *m, const struct chat_request *req, struct arena *a,
                    struct sampling *out, struct error *err)
{
    const struct chat_sampling *s = &req->sampling;
    *out = m->sampling;
    choose(&out->temperature, s->temperature);
    choose(&out->top_p, s->top_p);
    choose(&out->min_p, s->min_p);
    choose(&out->typical_p, s->typical_p);
    choose(&out->repetition_penalty, s->repetition_penalty);
    choose(&out->presence_penalty, s->presence_penalty);
    choose(&out->frequency_penalty, s->frequency_penalty);
    if (s->top_k >= 0)
        out->top_k = s->top_k;
    out->seed = s->seed >= 0 ? (uint64_t)s->seed : hash_mix((uint64_t)clock_ns());
    struct logit_bias *bias = arena_new(a, struct logit_bias, s->n_bias + 1);
    for (size_t i = 0; i < s->n_bias; i++)
        bias[i] = (struct logit_bias){.token = s->bias_tokens[i], .bias = s->bias_values[i]};
    out->logit_bias = bias;
    out->n_logit_bias = s->n_bias;
    return sampling_check(out, err);
}
