// openai_functions.c - what chat completions had before tools: functions, function_call, and
// messages with them.
//
// The request is put into today's words, member by member, and then read as any other; what is
// wrong is named as the client named it. A list keeps its length, so that places stay right.
// Source: the API reference of `openai` 0.28; "deprecated" in the current one's types.
#include <stdio.h>

#include "base/json.h"
#include "dialects/members.h"
#include "dialects/openai.h"
#include "dialects/openai_messages.h"
#include "dialects/turns.h"

enum { FUNCTIONS_MAX = 1024 };

static bool refuse_missing(const char *at, const char *key, struct dialect_error *err)
{
    struct member_path p = member_path(at, key, -1);
    return dialect_refuse(err, PROBLEM_REQUEST, p.text, "'%s' is missing", p.text);
}

static bool read_name(const json_t *o, const char *at, struct slice *name,
                      struct dialect_error *err)
{
    *name = (struct slice){0};
    if (!json_is_object(o))
        return dialect_refuse(err, PROBLEM_REQUEST, at, "'%s' must be an object, not %s", at,
                              member_type(o));
    return member_text(o, at, "name", name, err) && (name->len || refuse_missing(at, "name", err));
}

// The request

static bool add_tools(const json_t *functions, json_t *out, struct dialect_error *err)
{
    json_t *tools = json_array();
    json_object_set_new(out, "tools", tools);
    if (json_array_size(functions) > FUNCTIONS_MAX)
        return dialect_refuse(err, PROBLEM_REQUEST, "functions",
                              "'functions' has %zu entries, more than %d",
                              json_array_size(functions), FUNCTIONS_MAX);
    for (size_t i = 0; i < json_array_size(functions); i++) {
        const json_t *f = json_array_get(functions, i);
        struct member_path p = member_path("functions", "", (int)i);
        struct slice name;
        if (!read_name(f, p.text, &name, err))
            return false;
        json_array_append_new(tools, json_pack("{s:s,s:O}", "type", "function", "function", f));
    }
    return true;
}

static bool is_function(const json_t *functions, struct slice name)
{
    for (size_t i = 0; i < json_array_size(functions); i++)
        if (slice_eq(json_slice(json_object_get(json_array_get(functions, i), "name")), name))
            return true;
    return false;
}

static bool add_choice(const json_t *functions, const json_t *choice, json_t *out,
                       struct dialect_error *err)
{
    struct slice name;
    if (!choice || json_is_null(choice))
        return true;
    if (json_is_string(choice)) {
        if (!slice_is(json_slice(choice), "none") && !slice_is(json_slice(choice), "auto"))
            return dialect_refuse(err, PROBLEM_REQUEST, "function_call",
                                  "'function_call' is not none, auto or a named function");
        json_object_set(out, "tool_choice", (json_t *)choice);
        return true;
    }
    if (!read_name(choice, "function_call", &name, err))
        return false;
    if (!is_function(functions, name))
        return dialect_refuse(err, PROBLEM_REQUEST, "function_call.name",
                              "'function_call.name' is none of 'functions'");
    json_object_set_new(out, "tool_choice",
                        json_pack("{s:s,s:O}", "type", "function", "function", choice));
    return true;
}

// The messages

struct calls {  // of the messages so far
    char id[32];
    size_t n;
};

// As templates want ids where they want any of a form.
static void name_call(struct calls *calls)
{
    (void)snprintf(calls->id, sizeof calls->id, "call%05zu", calls->n++ % 100000);
}

static json_t *with_call(const json_t *m, const char *at, struct calls *calls,
                         struct dialect_error *err)
{
    const json_t *call = json_object_get(m, "function_call");
    struct member_path p = member_path(at, "function_call", -1);
    struct slice name, arguments = {0};
    if (!read_name(call, p.text, &name, err) ||
        !member_text(call, p.text, "arguments", &arguments, err))
        return NULL;
    name_call(calls);
    json_t *copy = json_copy((json_t *)m);
    json_object_del(copy, "function_call");
    json_object_set_new(
        copy, "tool_calls",
        json_pack("[{s:s,s:s,s:O}]", "id", calls->id, "type", "function", "function", call));
    return copy;
}

// Of the call before it.
static json_t *with_result(const json_t *m, const char *at, struct calls *calls,
                           struct dialect_error *err)
{
    struct slice name;
    if (!read_name(m, at, &name, err))
        return NULL;
    if (!calls->n)
        name_call(calls);
    json_t *copy = json_copy((json_t *)m);
    json_object_set_new(copy, "role", json_string("tool"));
    json_object_set_new(copy, "tool_call_id", json_string(calls->id));
    return copy;
}

static bool is_result(const json_t *m)
{
    const json_t *role = json_object_get(m, "role");
    return json_is_string(role) && slice_is(json_slice(role), "function");
}

static bool is_old(const json_t *m)
{
    return is_result(m) || json_is_object(json_object_get(m, "function_call"));
}

static bool add_messages(const json_t *list, json_t *out, struct dialect_error *err)
{
    struct calls calls = {0};
    json_t *messages = json_array();
    json_object_set_new(out, "messages", messages);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *m = json_array_get(list, i);
        struct member_path p = member_path("messages", "", (int)i);
        json_t *made = !is_old(m)     ? json_incref(m)
                       : is_result(m) ? with_result(m, p.text, &calls, err)
                                      : with_call(m, p.text, &calls, err);
        if (!made)
            return false;
        json_array_append_new(messages, made);
    }
    return true;
}

static bool has_old(const json_t *messages)
{
    for (size_t i = 0; i < json_array_size(messages); i++)
        if (is_old(json_array_get(messages, i)))
            return true;
    return false;
}

bool openai_functions(struct dialect_call *c, const json_t **body, bool *functions,
                      struct dialect_error *err)
{
    const json_t *list = NULL, *messages = json_object_get(*body, "messages");
    const json_t *choice = json_object_get(*body, "function_call");
    bool tools = json_array_size(json_object_get(*body, "tools")) > 0, old = has_old(messages);
    if (!member_array(*body, "", "functions", &list, err))
        return false;
    *functions = json_array_size(list) > 0;
    if (*functions && tools)
        return dialect_refuse(err, PROBLEM_REQUEST, "functions",
                              "'functions' and 'tools' are the same: only one may be there");
    if (!*functions && !old)
        return tools || add_choice(NULL, choice, NULL, err);
    json_t *copy = dialect_keep(c, json_copy((json_t *)*body));
    json_object_del(copy, "functions");
    json_object_del(copy, "function_call");
    if ((*functions && (!add_tools(list, copy, err) || !add_choice(list, choice, copy, err))) ||
        (old && !add_messages(messages, copy, err)))
        return false;
    if (*functions)
        json_object_set_new(copy, "parallel_tool_calls", json_false());
    *body = copy;
    return true;
}
