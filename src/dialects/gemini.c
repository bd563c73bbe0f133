// gemini.c - POST /v1beta/models/MODEL:generateContent, :streamGenerateContent, :countTokens; the
// same below /v1.
//
// A stream is server-sent events with alt=sse, else one JSON array; its chunks have the shape of a
// whole answer. A call of a function comes whole. Thoughts come only if they are asked for, and
// are counted apart.
#include "dialects/gemini.h"

#include <ctype.h>
#include <inttypes.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/answer.h"
#include "dialects/members.h"
#include "dialects/turns.h"

enum { TOKENS_MAX = 1 << 24, CHOICES_MAX = 8, SEED_MAX = INT32_MAX };

struct choice {  // of a stream
    enum chat_finish finish;
    bool calling;  // name and arguments of a call are being collected, in the arena
    const char *id, *name;
    struct slice signature;  // of the call
    char *arguments;
    size_t n_arguments, capacity;
    char *malformed;  // a call that could not be read
    struct gemini_mean mean;
};
struct state {
    bool thoughts, sse, begun, told_end;
    int n_choices;
    struct choice choices[CHOICES_MAX];
};

// Reading

// One number under either spelling.
static bool number(const json_t *o, const char *camel, const char *snake, double min, double max,
                   float *value, struct dialect_error *err)
{
    const char *key;
    (void)gemini_member(o, camel, snake, &key);
    return member_float(o, "generationConfig", key, min, max, value, err);
}

static bool whole(const json_t *o, const char *camel, const char *snake, int min, int max,
                  int *value, struct dialect_error *err)
{
    const char *key;
    (void)gemini_member(o, camel, snake, &key);
    return member_int(o, "generationConfig", key, min, max, value, err);
}

// "HIGH" as others write it.
static void set_level(json_t *extras, struct slice level)
{
    char word[16];
    if (!level.len || level.len >= sizeof word || slice_is(level, "THINKING_LEVEL_UNSPECIFIED"))
        return;
    for (size_t i = 0; i <= level.len; i++)
        word[i] = i < level.len ? (char)tolower((unsigned char)level.ptr[i]) : 0;
    json_object_set_new(extras, "reasoning_effort", json_string(word));
}

static bool read_thinking(struct dialect_call *c, const json_t *config, struct dialect_error *err)
{
    static const char at[] = "generationConfig.thinkingConfig";
    struct state *s = c->state;
    struct slice level = {0};
    int budget = -1;
    const char *key;
    const json_t *thinking = gemini_member(config, "thinkingConfig", "thinking_config", NULL);
    if (!thinking || json_is_null(thinking))
        return true;
    if (!json_is_object(thinking))
        return dialect_refuse(err, PROBLEM_REQUEST, at, "'%s' must be an object", at);
    (void)gemini_member(thinking, "includeThoughts", "include_thoughts", &key);
    if (!member_bool(thinking, at, key, &s->thoughts, err))
        return false;
    (void)gemini_member(thinking, "thinkingBudget", "thinking_budget", &key);
    if (!member_int(thinking, at, key, -1, TOKENS_MAX, &budget, err))
        return false;
    (void)gemini_member(thinking, "thinkingLevel", "thinking_level", &key);
    if (!member_text(thinking, at, key, &level, err))
        return false;
    if (budget < 0 && !s->thoughts && !level.len)
        return true;  // as the model likes
    json_t *extras = dialect_keep(c, json_object());
    json_object_set_new(extras, "enable_thinking", json_boolean(budget != 0));
    if (budget > 0)
        json_object_set_new(extras, "thinking_budget", json_integer(budget));
    set_level(extras, level);
    c->request.extras = extras;
    return true;
}

static bool read_format(struct dialect_call *c, const json_t *config, struct dialect_error *err)
{
    struct chat_constraint *constraint = &c->request.constraint;
    struct slice type = slice_str("text/plain");
    const char *key, *schema_key;
    const json_t *schema = gemini_member(config, "responseSchema", "response_schema", NULL);
    const json_t *standard =
        gemini_member(config, "responseJsonSchema", "response_json_schema", &schema_key);
    (void)gemini_member(config, "responseMimeType", "response_mime_type", &key);
    if (!member_text(config, "generationConfig", key, &type, err))
        return false;
    if (schema && !json_is_null(schema)) {
        if (!json_is_object(schema))
            return dialect_refuse(err, PROBLEM_REQUEST, "responseSchema",
                                  "'generationConfig.responseSchema' must be an object");
        standard = dialect_keep(c, gemini_schema(schema));
    }
    if (standard && !json_is_null(standard)) {
        if (!json_is_object(standard))
            return dialect_refuse(err, PROBLEM_REQUEST, schema_key,
                                  "'generationConfig.%s' must be an object", schema_key);
        constraint->kind = CONSTRAINT_JSON_SCHEMA;
        constraint->schema = standard;
    } else if (slice_is(type, "application/json")) {
        constraint->kind = CONSTRAINT_JSON_OBJECT;
    }
    return slice_is(type, "text/plain") || slice_is(type, "application/json") ||
           dialect_refuse(err, PROBLEM_UNSUPPORTED, key,
                          "'generationConfig.%s': only text/plain and application/json are "
                          "supported",
                          key);
}

static bool read_seed(const json_t *config, struct chat_sampling *s, struct dialect_error *err)
{
    int64_t seed = -1;
    if (!member_i64(config, "generationConfig", "seed", INT32_MIN, INT32_MAX, &seed, err))
        return false;
    if (json_is_number(json_object_get(config, "seed")))
        s->seed = seed & SEED_MAX;
    return true;
}

static bool read_config(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    const char *key;
    struct chat_sampling *s = &c->request.sampling;
    const json_t *config = gemini_member(body, "generationConfig", "generation_config", &key);
    if (!config || json_is_null(config))
        return true;
    if (!json_is_object(config))
        return dialect_refuse(err, PROBLEM_REQUEST, key, "'%s' must be an object, not %s", key,
                              member_type(config));
    (void)gemini_member(config, "stopSequences", "stop_sequences", &key);
    return number(config, "temperature", "temperature", 0, 2, &s->temperature, err) &&
           number(config, "topP", "top_p", 0, 1, &s->top_p, err) &&
           number(config, "presencePenalty", "presence_penalty", -2, 2, &s->presence_penalty,
                  err) &&
           number(config, "frequencyPenalty", "frequency_penalty", -2, 2, &s->frequency_penalty,
                  err) &&
           whole(config, "topK", "top_k", 0, TOKENS_MAX, &s->top_k, err) &&
           whole(config, "maxOutputTokens", "max_output_tokens", 1, TOKENS_MAX,
                 &c->request.max_tokens, err) &&
           whole(config, "candidateCount", "candidate_count", 1, CHOICES_MAX, &s->n_choices, err) &&
           member_stops(c, config, key, err) && read_seed(config, s, err) &&
           read_thinking(c, config, err) && read_format(c, config, err) &&
           gemini_read_logprobs(c, config, err);
}

static bool read_generate(const struct http_request *in, struct dialect_call *c,
                          struct dialect_error *err)
{
    struct state *s = c->state;
    const json_t *cached = gemini_member(in->body, "cachedContent", "cached_content", NULL);
    c->request.model = arena_text(c->arena, in->matched);
    c->request.wire = "gemini";
    c->request.body = in->body;
    if (cached && !json_is_null(cached))
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, "cachedContent",
                              "'cachedContent' is not supported");
    if (!read_config(c, in->body, err) || !gemini_tools(c, in->body, err) ||
        !gemini_contents(c, in->body, err))
        return false;
    s->n_choices = c->request.sampling.n_choices > 0 ? c->request.sampling.n_choices : 1;
    return true;
}

static bool read_stream(const struct http_request *in, struct dialect_call *c,
                        struct dialect_error *err)
{
    struct state *s = c->state;
    s->sse = dialect_query_is(in->query, "alt", "sse");
    c->stream_type = s->sse ? "text/event-stream" : "application/json";
    c->request.stream = true;
    return read_generate(in, c, err);
}

// The contents may stand in a whole request.
static bool read_count(const struct http_request *in, struct dialect_call *c,
                       struct dialect_error *err)
{
    struct http_request inner = *in;
    const char *key;
    const json_t *whole_request =
        gemini_member(in->body, "generateContentRequest", "generate_content_request", &key);
    if (whole_request && !json_is_object(whole_request))
        return dialect_refuse(err, PROBLEM_REQUEST, key, "'%s' must be an object, not %s", key,
                              member_type(whole_request));
    if (whole_request)
        inner.body = whole_request;
    return read_generate(&inner, c, err);
}

// Writing

static const char *finish_reason(enum chat_finish f, bool malformed)
{
    switch (f) {
    case CHAT_LENGTH: return "MAX_TOKENS";
    case CHAT_FILTERED: return "SAFETY";
    default: return malformed ? "MALFORMED_FUNCTION_CALL" : "STOP";
    }
}

// Ends a part with its signature, if it has one.
static void write_signature(struct slice signature, struct buf *out)
{
    if (signature.len) {
        buf_text_add(out, ",\"thoughtSignature\":");
        json_write_text(out, signature);
    }
    buf_char(out, '}');
}

static void write_text_part(struct slice text, bool thought, struct slice signature,
                            struct buf *out)
{
    buf_text_add(out, "{\"text\":");
    json_write_text(out, text);
    if (thought)
        buf_text_add(out, ",\"thought\":true");
    write_signature(signature, out);
}

// A blob of the vendor's: a new reference that holds the signature; or NULL.
static json_t *read_blob(const char *vendor, struct slice blob, struct slice *signature,
                         bool *thought)
{
    json_t *value = strcmp(vendor, "gemini") == 0 ? json_parse(blob, NULL) : NULL;
    const json_t *text = json_object_get(value, "thoughtSignature");
    *thought = json_is_true(json_object_get(value, "thought"));
    *signature = json_is_string(text) ? json_slice(text) : slice_str("");
    if (signature->len)
        return value;
    json_decref(value);
    return NULL;
}

// False if the arguments are no object.
static bool write_call_part(const char *id, const char *name, struct slice arguments,
                            struct slice signature, struct buf *out)
{
    json_t *args = turns_arguments(arguments);
    if (!args)
        return false;
    buf_text_add(out, "{\"functionCall\":{\"id\":");
    json_write_text(out, slice_str(id));
    buf_text_add(out, ",\"name\":");
    json_write_text(out, slice_str(name));
    buf_text_add(out, ",\"args\":");
    json_write(out, args, JSON_STYLE_COMPACT);
    buf_char(out, '}');
    write_signature(signature, out);
    json_decref(args);
    return true;
}

static void write_finish(enum chat_finish f, const char *malformed, struct buf *out)
{
    buf_printf(out, ",\"finishReason\":\"%s\"", finish_reason(f, malformed != NULL));
    if (malformed) {
        buf_text_add(out, ",\"finishMessage\":");
        json_write_text(out, slice_str(malformed));
    }
}

static void write_usage(const struct chat_usage *u, struct buf *out)
{
    buf_printf(out, "\"usageMetadata\":{\"promptTokenCount\":%" PRId64, u->prompt_tokens);
    if (u->cached_tokens)
        buf_printf(out, ",\"cachedContentTokenCount\":%" PRId64, u->cached_tokens);
    buf_printf(out, ",\"candidatesTokenCount\":%" PRId64,
               u->completion_tokens - u->reasoning_tokens);
    if (u->reasoning_tokens)
        buf_printf(out, ",\"thoughtsTokenCount\":%" PRId64, u->reasoning_tokens);
    buf_printf(out, ",\"totalTokenCount\":%" PRId64 "},", u->prompt_tokens + u->completion_tokens);
}

static void write_tail(const struct dialect_call *c, struct buf *out)
{
    buf_text_add(out, "\"modelVersion\":");
    json_write_text(out, slice_str(c->model));
    buf_printf(out, ",\"responseId\":\"%s\"}", c->id);
}

static void begin_chunk(struct state *s, struct buf *out)
{
    if (s->sse)
        buf_text_add(out, "data: ");
    else
        buf_text_add(out, s->begun ? ",\r\n" : "[");
    s->begun = true;
    buf_char(out, '{');
}

static void end_chunk(const struct dialect_call *c, struct buf *out)
{
    const struct state *s = c->state;
    write_tail(c, out);
    if (s->sse)
        buf_text_add(out, "\r\n\r\n");
}

static bool has_logprobs(const struct dialect_call *c, const struct chat_event *e)
{
    return e && e->n_tokens && c->request.sampling.n_logprobs >= 0;
}

// `e` (may be NULL): has the part's tokens.
static void write_part_chunk(struct dialect_call *c, int choice, struct slice part,
                             const struct chat_event *e, struct buf *out)
{
    struct state *s = c->state;
    begin_chunk(s, out);
    buf_text_add(out, "\"candidates\":[{\"content\":{\"parts\":[");
    buf_slice(out, part);
    buf_text_add(out, "],\"role\":\"model\"}");
    if (has_logprobs(c, e)) {
        gemini_write_logprobs(e->tokens, e->n_tokens, out);
        gemini_add_logprobs(&s->choices[choice].mean, e->tokens, e->n_tokens);
    }
    buf_printf(out, ",\"index\":%d}],", choice);
    end_chunk(c, out);
}

static char *malformed_text(struct arena *a, const char *name, struct slice arguments)
{
    return arena_printf(a, "Malformed function call: %s(%s)", name, arena_text(a, arguments));
}

// A call is over when anything else of its choice comes.
static void end_call(struct dialect_call *c, int index, struct buf *out)
{
    struct choice *choice = &((struct state *)c->state)->choices[index];
    struct buf part = {0};
    if (!choice->calling)
        return;
    choice->calling = false;
    struct slice arguments = slice_of(choice->arguments, choice->n_arguments);
    if (write_call_part(choice->id, choice->name, arguments, choice->signature, &part))
        write_part_chunk(c, index, buf_view(&part), NULL, out);
    else
        choice->malformed = malformed_text(c->arena, choice->name, arguments);
    buf_release(&part);
}

static void begin_call(struct dialect_call *c, const struct chat_event *e)
{
    struct choice *choice = &((struct state *)c->state)->choices[e->choice];
    choice->calling = true;
    choice->id = arena_text(c->arena, slice_str(e->tool_id));
    choice->name = arena_text(c->arena, slice_str(e->tool_name));
    choice->n_arguments = 0;
    choice->signature = slice_str("");
}

static void add_arguments(struct dialect_call *c, struct choice *choice, struct slice text)
{
    size_t n = choice->n_arguments + text.len;
    if (n > choice->capacity) {
        char *larger = arena_new(c->arena, char, n * 2);
        if (choice->n_arguments)
            memcpy(larger, choice->arguments, choice->n_arguments);
        choice->arguments = larger;
        choice->capacity = n * 2;
    }
    if (text.len)
        memcpy(choice->arguments + choice->n_arguments, text.ptr, text.len);
    choice->n_arguments = n;
}

static void write_text_chunk(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    const struct state *s = c->state;
    bool thought = e->kind == CHAT_REASONING;
    struct buf part = {0};
    if ((e->text.len == 0 && !has_logprobs(c, e)) || (thought && !s->thoughts))
        return;
    write_text_part(e->text, thought, slice_str(""), &part);
    write_part_chunk(c, e->choice, buf_view(&part), e, out);
    buf_release(&part);
}

// Of a call that is being collected.
static void write_call_tokens(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    if (has_logprobs(c, e))
        write_part_chunk(c, e->choice, slice_str("{\"text\":\"\"}"), e, out);
}

// A call takes the signature behind it; else a part without text does.
static void write_blob(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    struct choice *choice = &((struct state *)c->state)->choices[e->choice];
    struct slice signature;
    struct buf part = {0};
    bool thought;
    json_t *value = read_blob(e->blob_vendor, e->blob, &signature, &thought);
    if (value && choice->calling && !thought && !choice->signature.len) {
        choice->signature = slice_of(arena_text(c->arena, signature), signature.len);
    } else if (value) {
        end_call(c, e->choice, out);
        write_text_part(slice_str(""), thought, signature, &part);
        write_part_chunk(c, e->choice, buf_view(&part), NULL, out);
    }
    buf_release(&part);
    json_decref(value);
}

static void write_end(struct dialect_call *c, const struct chat_usage *u, struct buf *out)
{
    struct state *s = c->state;
    bool any = false;
    for (int i = 0; i < s->n_choices; i++)
        any |= s->choices[i].finish != CHAT_NOT_FINISHED && s->choices[i].finish != CHAT_CANCELLED;
    if (s->told_end || !any)
        return;
    s->told_end = true;
    begin_chunk(s, out);
    buf_text_add(out, "\"candidates\":[");
    for (int i = 0, n = 0; i < s->n_choices; i++) {
        if (s->choices[i].finish == CHAT_NOT_FINISHED)
            continue;  // a vendor gave fewer than were asked for
        buf_printf(out, "%s{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"}",
                   n++ ? "," : "");
        write_finish(s->choices[i].finish, s->choices[i].malformed, out);
        gemini_write_mean(&s->choices[i].mean, out);
        buf_printf(out, ",\"index\":%d}", i);
    }
    buf_text_add(out, "],");
    write_usage(u, out);
    end_chunk(c, out);
}

// A vendor's own name where it has these words.
static const char *status_of(const struct dialect_error *err)
{
    const struct error_words *said = dialect_words(err, "gemini");
    if (said->type[0])
        return said->type;
    switch (err->problem) {
    case PROBLEM_KEY: return "UNAUTHENTICATED";
    case PROBLEM_FORBIDDEN: return "PERMISSION_DENIED";
    case PROBLEM_MODEL:
    case PROBLEM_ROUTE: return "NOT_FOUND";
    case PROBLEM_CODING:
    case PROBLEM_METHOD: return "UNIMPLEMENTED";
    case PROBLEM_TIMEOUT: return "DEADLINE_EXCEEDED";
    case PROBLEM_RATE:
    case PROBLEM_BUDGET: return "RESOURCE_EXHAUSTED";
    case PROBLEM_UPSTREAM:
    case PROBLEM_BUSY: return "UNAVAILABLE";
    case PROBLEM_INTERNAL: return "INTERNAL";
    default: return "INVALID_ARGUMENT";
    }
}

int gemini_write_error(const struct dialect_error *err, struct buf *out)
{
    int status = dialect_status(err->problem);
    buf_printf(out, "{\"error\":{\"code\":%d,\"message\":", status);
    json_write_text(out, slice_str(err->text));
    buf_printf(out, ",\"status\":\"%s\"", status_of(err));
    if (err->retry_after_s > 0)
        buf_printf(out,
                   ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
                   "\"retryDelay\":\"%ds\"}]",
                   err->retry_after_s);
    buf_text_add(out, "}}");
    return status;
}

static void write_error_chunk(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    struct state *s = c->state;
    struct dialect_error err = {0};
    (void)dialect_refuse_error(&err, &e->error);
    buf_text_add(out, s->sse ? "data: " : s->begun ? ",\r\n" : "[");
    (void)gemini_write_error(&err, out);
    buf_text_add(out, s->sse ? "\r\n\r\n" : "]");
}

static void end_calls(struct dialect_call *c, struct buf *out)
{
    for (int i = 0; i < CHOICES_MAX; i++)
        end_call(c, i, out);
}

static void write_event(struct dialect_call *c, const struct chat_event *e, struct buf *out)
{
    struct state *s = c->state;
    if (e->choice < 0 || e->choice >= CHOICES_MAX)
        return;
    struct choice *choice = &s->choices[e->choice];
    switch (e->kind) {
    case CHAT_TEXT:
    case CHAT_REASONING:
        if (e->text.len)
            end_call(c, e->choice, out);
        write_text_chunk(c, e, out);
        break;
    case CHAT_TOOL_CALL:
        end_call(c, e->choice, out);
        begin_call(c, e);
        write_call_tokens(c, e, out);
        break;
    case CHAT_TOOL_ARGUMENTS:
        add_arguments(c, choice, e->text);
        write_call_tokens(c, e, out);
        break;
    case CHAT_BLOB: write_blob(c, e, out); break;
    case CHAT_FINISH:
        end_call(c, e->choice, out);
        choice->finish = e->finish;
        break;
    case CHAT_USAGE: write_end(c, &e->usage, out); break;
    case CHAT_DONE:
        write_end(c, &(struct chat_usage){0}, out);
        if (!s->sse)
            buf_text_add(out, s->begun ? "]" : "[]");
        break;
    case CHAT_ERROR:
        end_calls(c, out);
        write_error_chunk(c, e, out);
        break;
    default: break;
    }
}

struct candidate {  // while its parts are written
    struct dialect_call *c;
    const struct dialect_choice *choice;
    const char *malformed, *comma;
    size_t n_blobs;  // that were written
};

// The next blob if it stands behind this many parts: as read_blob.
static json_t *next_blob(struct candidate *w, size_t n_parts, struct slice *signature,
                         bool *thought)
{
    while (w->n_blobs < w->choice->n_blobs && w->choice->blobs[w->n_blobs].n_parts == n_parts) {
        const struct dialect_blob *b = &w->choice->blobs[w->n_blobs];
        json_t *value = read_blob(b->vendor, buf_view(&b->value), signature, thought);
        if (value)
            return value;
        w->n_blobs++;
    }
    *signature = slice_str("");
    return NULL;
}

static void write_blobs(struct candidate *w, size_t n_parts, struct buf *out)
{
    struct slice signature;
    bool thought;
    json_t *value;
    while ((value = next_blob(w, n_parts, &signature, &thought))) {
        buf_text_add(out, w->comma);
        w->comma = ",";
        write_text_part(slice_str(""), thought, signature, out);
        w->n_blobs++;
        json_decref(value);
    }
}

// One run of what was said, as a part with the signature behind it.
static void write_part(struct candidate *w, size_t i, struct buf *out)
{
    const struct state *s = w->c->state;
    const struct dialect_part *p = &w->choice->parts[i];
    bool thoughts = p->kind == CHAT_REASONING, thought;
    const struct buf *from = thoughts ? &w->choice->reasoning : &w->choice->text;
    struct slice signature;
    struct buf part = {0};
    if (thoughts && !s->thoughts)
        return;
    json_t *value = next_blob(w, i + 1, &signature, &thought);
    bool taken = value && thought == thoughts;
    if (!taken)
        signature = slice_str("");
    if (p->kind == CHAT_TOOL_CALL) {
        const struct dialect_tool *t = &w->choice->tools[p->start];
        if (!write_call_part(t->id, t->name, buf_view(&t->arguments), signature, &part)) {
            w->malformed = malformed_text(w->c->arena, t->name, buf_view(&t->arguments));
            taken = false;
        }
    } else {
        write_text_part(slice_sub(buf_view(from), p->start, p->end - p->start), thoughts, signature,
                        &part);
    }
    if (part.len) {
        buf_text_add(out, w->comma);
        buf_slice(out, buf_view(&part));
        w->comma = ",";
    }
    w->n_blobs += taken;
    json_decref(value);
    buf_release(&part);
}

static void write_candidate(struct dialect_call *c, const struct dialect_choice *choice,
                            size_t index, struct buf *out)
{
    struct candidate w = {.c = c, .choice = choice, .comma = ""};
    buf_text_add(out, "{\"content\":{\"parts\":[");
    write_blobs(&w, 0, out);
    for (size_t i = 0; i < choice->n_parts; i++) {
        write_part(&w, i, out);
        write_blobs(&w, i + 1, out);
    }
    if (!choice->text.len && choice->n_tools == 0) {
        buf_text_add(out, w.comma);
        write_text_part(slice_str(""), false, slice_str(""), out);
    }
    buf_text_add(out, "],\"role\":\"model\"}");
    write_finish(choice->finish, w.malformed, out);
    if (c->request.sampling.n_logprobs >= 0)
        gemini_write_all_logprobs(choice, ((const struct state *)c->state)->thoughts, out);
    buf_printf(out, ",\"index\":%zu}", index);
}

static void write_response(struct dialect_call *c, const struct dialect_answer *a, struct buf *out)
{
    buf_text_add(out, "{\"candidates\":[");
    for (size_t i = 0, n = 0; i < a->n_choices; i++) {
        if (dialect_answer_lacks(a, i))
            continue;
        if (n++)
            buf_char(out, ',');
        write_candidate(c, &a->choices[i], i, out);
    }
    buf_text_add(out, "],");
    write_usage(&a->usage, out);
    write_tail(c, out);
}

static void write_count(struct dialect_call *c, int64_t n_tokens, struct buf *out)
{
    (void)c;
    buf_printf(out,
               "{\"totalTokens\":%" PRId64 ",\"promptTokensDetails\":[{\"modality\":\"TEXT\","
               "\"tokenCount\":%" PRId64 "}]}",
               n_tokens, n_tokens);
}

#define GEMINI(n)                                                                                  \
    .name = n, .state_size = sizeof(struct state), .id_header = "x-request-id",                    \
    .limits = LIMITS_NONE, .key_in_query = true, .write_error = gemini_write_error

static const struct dialect_route generate_routes[] = {
    {"POST", "/v1beta/models/*:generateContent", DIALECT_CHAT},
    {"POST", "/v1/models/*:generateContent", DIALECT_CHAT},
    {0},
};
const struct dialect dialect_gemini = {GEMINI("gemini"), .routes = generate_routes,
                                       .read_request = read_generate, .write_event = write_event,
                                       .write_response = write_response};

static const struct dialect_route stream_routes[] = {
    {"POST", "/v1beta/models/*:streamGenerateContent", DIALECT_CHAT},
    {"POST", "/v1/models/*:streamGenerateContent", DIALECT_CHAT},
    {0},
};
const struct dialect dialect_gemini_stream = {
    GEMINI("gemini_stream"), .routes = stream_routes, .read_request = read_stream,
    .write_event = write_event, .write_response = write_response};

static const struct dialect_route count_routes[] = {
    {"POST", "/v1beta/models/*:countTokens", DIALECT_COUNT},
    {"POST", "/v1/models/*:countTokens", DIALECT_COUNT},
    {0},
};
const struct dialect dialect_gemini_count = {GEMINI("gemini_count"), .routes = count_routes,
                                             .read_request = read_count,
                                             .write_count = write_count};
