// dialects.c - the list of dialects, and what all of them share.
#include "dialects/dialect.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

const struct dialect *const dialects[] = {
    &dialect_openai_chat,
    &dialect_openai_completions,
    &dialect_openai_responses,
    &dialect_openai_responses_count,
    &dialect_openai_models,
    &dialect_anthropic,
    &dialect_anthropic_count,
    &dialect_gemini,
    &dialect_gemini_stream,
    &dialect_gemini_count,
    &dialect_gemini_models,
    &dialect_openai_embeddings,
    &dialect_gemini_embed,
    &dialect_gemini_embed_batch,
    NULL,
};

int dialect_status(enum dialect_problem p)
{
    static const short statuses[PROBLEM_COUNT] = {
        [PROBLEM_REQUEST] = 400,   [PROBLEM_UNSUPPORTED] = 400, [PROBLEM_CONTEXT] = 400,
        [PROBLEM_KEY] = 401,       [PROBLEM_FORBIDDEN] = 403,   [PROBLEM_MODEL] = 404,
        [PROBLEM_ROUTE] = 404,     [PROBLEM_METHOD] = 405,      [PROBLEM_TIMEOUT] = 408,
        [PROBLEM_TOO_LARGE] = 413, [PROBLEM_RATE] = 429,        [PROBLEM_BUDGET] = 429,
        [PROBLEM_BUSY] = 503,      [PROBLEM_INTERNAL] = 500,    [PROBLEM_CODING] = 501,
        [PROBLEM_UPSTREAM] = 502,
    };
    return statuses[p];
}

bool dialect_refuse(struct dialect_error *err, enum dialect_problem p, const char *member,
                    const char *format, ...)
{
    va_list args;
    err->problem = p;
    err->retry_after_s = 0;
    err->said = (struct error_words){0};
    (void)snprintf(err->member, sizeof err->member, "%s", member ? member : "");
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return false;
}

static enum dialect_problem problem_of(const struct error *e)
{
    if (e->code == ERR_USAGE && e->status == 413)
        return PROBLEM_TOO_LARGE;  // as a vendor told it
    switch (e->code) {
    case ERR_FORMAT:
    case ERR_LIMIT:
    case ERR_USAGE: return PROBLEM_REQUEST;
    case ERR_UNSUPPORTED: return PROBLEM_UNSUPPORTED;
    case ERR_CONTEXT: return PROBLEM_CONTEXT;
    case ERR_NOT_FOUND: return PROBLEM_MODEL;
    case ERR_MEMORY:
    case ERR_CANCELLED:
    case ERR_TIMEOUT:
    case ERR_BUSY: return PROBLEM_BUSY;
    case ERR_KEY: return PROBLEM_KEY;
    case ERR_FORBIDDEN: return PROBLEM_FORBIDDEN;
    case ERR_RATE: return PROBLEM_RATE;
    case ERR_BUDGET: return PROBLEM_BUDGET;
    case ERR_UPSTREAM: return PROBLEM_UPSTREAM;
    default: return PROBLEM_INTERNAL;
    }
}

// What the layers below say of a member begins with it: "'messages[0].content[1].type': ...",
// "logit_bias: ...". What follows the member; NULL: they do not.
static const char *names_member(const char *text, char member[96])
{
    static const char *const bare[] = {"logit_bias", "dimensions", "tool_choice"};
    const char *end = strncmp(text, "'messages", 9) == 0 ? strchr(text + 1, '\'') : NULL;
    if (end && end[1] == ':') {
        (void)snprintf(member, 96, "%.*s", (int)(end - text - 1), text + 1);
        return end + 1;
    }
    for (size_t i = 0; i < sizeof bare / sizeof *bare; i++) {
        size_t n = strlen(bare[i]);
        if (strncmp(text, bare[i], n) != 0 || text[n] != ':')
            continue;
        (void)snprintf(member, 96, "%s", bare[i]);
        return text + n;
    }
    return NULL;
}

// What does not compile is told with what it is; schemas of tools have the tool's name before.
static bool is_about_form(const char *text)
{
    static const char *const what[] = {"regular expression: ", "grammar: ", "schema: "};
    for (size_t i = 0; i < sizeof what / sizeof *what; i++)
        if (strncmp(text, what[i], strlen(what[i])) == 0)
            return true;
    return false;
}

bool dialect_refuse_error(struct dialect_error *err, const struct error *from)
{
    char member[sizeof err->member];
    bool named = names_member(from->text, member);
    (void)dialect_refuse(err, problem_of(from), named ? member : NULL, "%s", from->text);
    err->retry_after_s = from->retry_after_s;
    err->said = from->said;
    err->said.member[0] = 0;
    return false;
}

// Whether a vendor's "messages[0].content" begins with a member that the client sent: Hearth may
// have asked by another name, and what else it may be is nobody's business.
static bool was_sent(const struct dialect_call *c, const char *member)
{
    char name[sizeof((struct error_words *)0)->member];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(member, ".["), member);
    return json_object_get(c->request.body, name) != NULL;
}

bool dialect_refuse_call(const struct dialect_call *c, struct dialect_error *err,
                         const struct error *from)
{
    char member[sizeof err->member];
    const char *rest = names_member(from->text, member);
    (void)dialect_refuse_error(err, from);
    if (was_sent(c, from->said.member))
        err->said = from->said;
    if (c->form[0] && is_about_form(from->text))
        return dialect_refuse(err, err->problem, c->form, "'%s': %s", c->form, from->text);
    if (!rest || !c->media[0] || strncmp(member, "messages[", 9) != 0)
        return false;
    return dialect_refuse(err, err->problem, c->media, "'%s'%s", c->media, rest);
}

const struct error_words *dialect_words(const struct dialect_error *err, const char *dialect)
{
    static const struct error_words none;
    const char *whose = err->said.dialect;
    return whose && strcmp(whose, dialect) == 0 ? &err->said : &none;
}

bool dialect_query_is(struct slice query, const char *name, const char *value)
{
    size_t n = strlen(name), m = strlen(value);
    while (query.len) {
        const char *end = memchr(query.ptr, '&', query.len);
        size_t len = end ? (size_t)(end - query.ptr) : query.len;
        if (len == n + 1 + m && memcmp(query.ptr, name, n) == 0 && query.ptr[n] == '=' &&
            memcmp(query.ptr + n + 1, value, m) == 0)
            return true;
        query = slice_sub(query, len + 1, query.len);
    }
    return false;
}

void dialect_call_init(struct dialect_call *c, struct arena *arena)
{
    *c = (struct dialect_call){.arena = arena, .stream_type = "text/event-stream"};
    c->request.max_tokens = -1;
    chat_sampling_unset(&c->request.sampling);
}

void dialect_call_release(struct dialect_call *c)
{
    if (c->release)
        c->release(c->state);
    c->release = NULL;
    json_decref(c->kept);
    c->kept = NULL;
}

json_t *dialect_keep(struct dialect_call *c, json_t *value)
{
    if (!c->kept)
        c->kept = json_array();
    json_array_append_new(c->kept, value);
    return value;
}

void dialect_note_media(struct dialect_call *c, const char *at, const char *key)
{
    if (!c->media[0])
        (void)snprintf(c->media, sizeof c->media, "%s.%s", at, key);
}

void dialect_note_form(struct dialect_call *c, const char *member)
{
    (void)snprintf(c->form, sizeof c->form, "%s", member);
}

void dialect_write_literal(struct slice text, struct buf *out)
{
    buf_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte < 0x20 || byte == 0x7F)
            buf_printf(out, "\\x%02X", byte);
        else if (byte == '"' || byte == '\\')
            buf_printf(out, "\\%c", byte);
        else
            buf_char(out, (char)byte);
    }
    buf_char(out, '"');
}

static bool path_fits(const char *pattern, const char *path, struct slice *matched)
{
    const char *star = strchr(pattern, '*');
    size_t n = strlen(path), before = star ? (size_t)(star - pattern) : 0;
    *matched = slice_of(path, 0);
    if (!star)
        return strcmp(pattern, path) == 0;
    size_t after = strlen(star + 1);
    if (n <= before + after || memcmp(path, pattern, before) != 0 ||
        memcmp(path + n - after, star + 1, after) != 0)
        return false;
    *matched = slice_of(path + before, n - before - after);
    return true;
}

const struct dialect *dialect_find(const char *method, const char *path,
                                   const struct dialect_route **route, struct slice *matched,
                                   bool *other_method)
{
    *other_method = false;
    for (const struct dialect *const *d = dialects; *d; d++) {
        for (const struct dialect_route *r = (*d)->routes; r->method; r++) {
            if (!path_fits(r->path, path, matched))
                continue;
            *route = r;
            if (strcmp(r->method, method) == 0)
                return *d;
            *other_method = true;
        }
    }
    return NULL;
}

// The beginning of the path that the route has before its '*'.
static size_t common_bytes(const char *pattern, const char *path)
{
    size_t n = 0;
    while (pattern[n] && pattern[n] != '*' && pattern[n] == path[n])
        n++;
    return n;
}

const struct dialect *dialect_guess(const char *path)
{
    const struct dialect *best = dialects[0];
    size_t most = 0;
    for (const struct dialect *const *d = dialects; *d; d++) {
        for (const struct dialect_route *r = (*d)->routes; r->method; r++) {
            size_t n = common_bytes(r->path, path);
            if (n > most) {
                most = n;
                best = *d;
            }
        }
    }
    return best;
}

void dialect_write_each(const struct dialect_model *models, size_t n,
                        void (*write_model)(const struct dialect_model *model, struct buf *out),
                        struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_char(out, ',');
        write_model(&models[i], out);
    }
}
