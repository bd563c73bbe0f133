// openai_constraint.c - the forms of an answer that OpenAI has no words for, in those of other
// servers: vLLM's guided_... and structured_outputs, llama-server's grammar and json_schema.
//
// Source: the pages "Structured Outputs" of vLLM's documentation and "llama-server" of llama.cpp.
#include "base/buf.h"
#include "base/json.h"
#include "dialects/members.h"
#include "dialects/openai.h"

const char *const openai_constraint_members[] = {
    "grammar",       "json_schema",    "guided_json",        "guided_regex",
    "guided_choice", "guided_grammar", "structured_outputs", NULL};

// The answer has one form: whichever member asked for another one before.
static bool choose(struct dialect_call *c, enum chat_constraint_kind kind, const char *member,
                   struct dialect_error *err)
{
    struct chat_constraint *out = &c->request.constraint;
    if (out->kind != CONSTRAINT_NONE)
        return dialect_refuse(
            err, PROBLEM_REQUEST, member,
            "'%s' stands beside another member that says what form the answer has", member);
    out->kind = kind;
    dialect_note_form(c, member);
    return true;
}

static bool read_text(struct dialect_call *c, const json_t *o, const char *at, const char *key,
                      enum chat_constraint_kind kind, struct dialect_error *err)
{
    struct chat_constraint *out = &c->request.constraint;
    struct slice text = {0};
    if (!member_text(o, at, key, &text, err))
        return false;
    if (!text.len)
        return true;  // as clients of llama-server say that there is none
    if (!choose(c, kind, member_path(at, key, -1).text, err))
        return false;
    out->text = text;
    return true;
}

// A schema, or its text.
static bool read_json(struct dialect_call *c, const json_t *o, const char *at, const char *key,
                      struct dialect_error *err)
{
    struct chat_constraint *out = &c->request.constraint;
    struct member_path path = member_path(at, key, -1);
    const json_t *schema = json_object_get(o, key);
    struct error why = {0};
    if (!schema || json_is_null(schema))
        return true;
    if (json_is_string(schema)) {
        json_t *parsed = json_parse(json_slice(schema), &why);
        if (!parsed)
            return dialect_refuse(err, PROBLEM_REQUEST, path.text, "'%s' is not JSON: %.120s",
                                  path.text, why.text);
        schema = dialect_keep(c, parsed);
    }
    if (!json_is_object(schema) && !json_is_boolean(schema))
        return dialect_refuse(err, PROBLEM_REQUEST, path.text, "'%s' must be a JSON schema, not %s",
                              path.text, member_type(schema));
    out->schema = schema;
    return choose(c, CONSTRAINT_JSON_SCHEMA, path.text, err);
}

// One of some texts as a grammar.
static bool read_choice(struct dialect_call *c, const json_t *o, const char *at, const char *key,
                        struct dialect_error *err)
{
    struct chat_constraint *out = &c->request.constraint;
    struct member_path path = member_path(at, key, -1);
    const json_t *list = NULL;
    struct buf text = {0};
    if (!member_array(o, at, key, &list, err))
        return false;
    if (!list)
        return true;
    bool ok = choose(c, CONSTRAINT_GBNF, path.text, err);
    if (ok && json_array_size(list) == 0)
        ok = dialect_refuse(err, PROBLEM_REQUEST, path.text, "'%s' is empty", path.text);
    buf_text_add(&text, "root ::= ");
    for (size_t i = 0; ok && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        struct member_path p = member_path(at, key, (int)i);
        if (i)
            buf_text_add(&text, " | ");
        if (json_is_string(one))
            dialect_write_literal(json_slice(one), &text);
        else
            ok = dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' must be a string, not %s",
                                p.text, member_type(one));
    }
    if (ok)
        out->text = slice_of(arena_text(c->arena, buf_view(&text)), text.len);
    buf_release(&text);
    return ok;
}

static bool read_structured(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    static const char at[] = "structured_outputs";
    const json_t *o = NULL;
    bool any_object = false;
    if (!member_object(body, "", at, &o, err))
        return false;
    if (!o)
        return true;
    enum chat_constraint_kind before = c->request.constraint.kind;
    if (!read_json(c, o, at, "json", err) || !read_text(c, o, at, "regex", CONSTRAINT_REGEX, err) ||
        !read_choice(c, o, at, "choice", err) ||
        !read_text(c, o, at, "grammar", CONSTRAINT_GBNF, err) ||
        !member_bool(o, at, "json_object", &any_object, err))
        return false;
    if (any_object &&
        !choose(c, CONSTRAINT_JSON_OBJECT, member_path(at, "json_object", -1).text, err))
        return false;
    if (c->request.constraint.kind == before)
        return dialect_refuse(err, PROBLEM_UNSUPPORTED, at,
                              "'%s' has none of json, regex, choice, grammar and json_object", at);
    return true;
}

bool openai_constraint(struct dialect_call *c, const json_t *body, struct dialect_error *err)
{
    return read_text(c, body, "", "grammar", CONSTRAINT_GBNF, err) &&
           read_json(c, body, "", "json_schema", err) &&
           read_json(c, body, "", "guided_json", err) &&
           read_text(c, body, "", "guided_regex", CONSTRAINT_REGEX, err) &&
           read_choice(c, body, "", "guided_choice", err) &&
           read_text(c, body, "", "guided_grammar", CONSTRAINT_GBNF, err) &&
           read_structured(c, body, err);
}
