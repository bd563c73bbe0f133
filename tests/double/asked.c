#include "asked.h"

#include <stdio.h>

#include "base/json.h"

static const char *const names[VENDOR_N] = {"openai", "anthropic", "gemini"};

const char *vendor_name(enum vendor v)
{
    return names[v];
}

static bool ends(struct slice text, const char *end)
{
    size_t n = strlen(end);
    return text.len >= n && memcmp(text.ptr + text.len - n, end, n) == 0;
}

// "models/NAME:method", of Gemini.
static bool route_gemini(struct asked *a, struct slice path)
{
    static const struct {
        const char *method;
        enum ask what;
        bool stream;
    } methods[] = {{":generateContent", ASK_CHAT, false},
                   {":streamGenerateContent", ASK_CHAT, true},
                   {":countTokens", ASK_COUNT, false},
                   {":embedContent", ASK_EMBED, false},
                   {":batchEmbedContents", ASK_EMBED, false}};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (!ends(path, methods[i].method))
            continue;
        const char *from = memmem(path.ptr, path.len, "/models/", 8);
        if (!from)
            return false;
        const char *model = from + 8, *to = path.ptr + path.len - strlen(methods[i].method);
        *a = (struct asked){.vendor = VENDOR_GEMINI,
                            .what = methods[i].what,
                            .stream = methods[i].stream,
                            .folder = a->folder,
                            .model = slice_of(model, to > model ? (size_t)(to - model) : 0)};
        return a->model.len > 0;
    }
    return false;
}

bool asked_route(struct asked *a, const char *method, struct slice target)
{
    static const struct {
        const char *end, *method;
        enum vendor vendor;
        enum ask what;
    } routes[] = {{"/chat/completions", "POST", VENDOR_OPENAI, ASK_CHAT},
                  {"/embeddings", "POST", VENDOR_OPENAI, ASK_EMBED},
                  {"/messages", "POST", VENDOR_ANTHROPIC, ASK_CHAT},
                  {"/messages/count_tokens", "POST", VENDOR_ANTHROPIC, ASK_COUNT},
                  {"/v1beta/models", "GET", VENDOR_GEMINI, ASK_MODELS},
                  {"/models", "GET", VENDOR_OPENAI, ASK_MODELS}};
    const char *query = memchr(target.ptr, '?', target.len);
    struct slice path = query ? slice_of(target.ptr, (size_t)(query - target.ptr)) : target;
    const char *slash = path.len > 1 ? memchr(path.ptr + 1, '/', path.len - 1) : NULL;
    *a = (struct asked){.folder = slash ? slice_of(path.ptr + 1, (size_t)(slash - path.ptr) - 1)
                                        : slice_of(path.ptr, 0)};
    bool sse = query && memmem(query, target.len - path.len, "alt=sse", 7);
    bool found = strcmp(method, "POST") == 0 && route_gemini(a, path);
    for (size_t i = 0; !found && i < sizeof routes / sizeof routes[0]; i++)
        if (ends(path, routes[i].end) && strcmp(method, routes[i].method) == 0) {
            a->vendor = routes[i].vendor;
            a->what = routes[i].what;
            found = true;
        }
    a->sse = sse || a->vendor != VENDOR_GEMINI;
    return found;
}

// The texts of a message's content: a string, or parts that have a text.
static void add_texts(struct buf *out, const json_t *content)
{
    size_t i;
    const json_t *part;
    if (json_is_string(content))
        buf_slice(out, json_slice(content));
    json_array_foreach(content, i, part)
    {
        const json_t *text = json_is_string(part) ? part : json_object_get(part, "text");
        if (json_is_string(text))
            buf_slice(out, json_slice(text));
    }
}

static void read_last_message(struct asked *a)
{
    const char *list = a->vendor == VENDOR_GEMINI ? "contents" : "messages";
    const json_t *messages = json_object_get(a->body, list);
    for (size_t i = json_array_size(messages); i-- > 0;) {
        const json_t *m = json_array_get(messages, i);
        const char *role = json_get_text(m, "role");
        if (role && strcmp(role, "user") != 0)
            continue;
        add_texts(&a->text, json_object_get(m, a->vendor == VENDOR_GEMINI ? "parts" : "content"));
        if (a->text.len > 0)
            return;
    }
}

static void add_tool(struct asked *a, const json_t *tool)
{
    if (json_is_object(tool) && a->n_tools < sizeof a->tools / sizeof a->tools[0])
        a->tools[a->n_tools++] = tool;
}

// Google has the declarations a level deeper.
static void read_declarations(struct asked *a, const json_t *list)
{
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one)
    {
        add_tool(a, one);
    }
}

static void read_tools(struct asked *a)
{
    size_t i;
    const json_t *tool;
    json_array_foreach(json_object_get(a->body, "tools"), i, tool)
    {
        if (a->vendor == VENDOR_OPENAI)
            add_tool(a, json_object_get(tool, "function"));
        else if (a->vendor == VENDOR_ANTHROPIC)
            add_tool(a, tool);
        else
            read_declarations(a, json_object_get(tool, "functionDeclarations"));
    }
}

static void read_choice(struct asked *a)
{
    const json_t *choice = json_object_get(a->body, "tool_choice");
    if (a->vendor == VENDOR_OPENAI) {
        const char *word = json_string_value(choice);
        a->must_name = json_get_text(json_object_get(choice, "function"), "name");
        a->must_call = a->must_name || (word && strcmp(word, "required") == 0);
    } else if (a->vendor == VENDOR_ANTHROPIC) {
        const char *type = json_get_text(choice, "type");
        a->must_name = json_get_text(choice, "name");
        a->must_call = a->must_name || (type && strcmp(type, "any") == 0);
    } else {
        const json_t *config =
            json_object_get(json_object_get(a->body, "toolConfig"), "functionCallingConfig");
        const char *mode = json_get_text(config, "mode");
        const json_t *allowed = json_object_get(config, "allowedFunctionNames");
        a->must_call = mode && strcmp(mode, "ANY") == 0;
        if (a->must_call && json_array_size(allowed) == 1)
            a->must_name = json_string_value(json_array_get(allowed, 0));
    }
}

static void read_format(struct asked *a)
{
    if (a->vendor == VENDOR_OPENAI) {
        const json_t *format = json_object_get(a->body, "response_format");
        const char *type = json_get_text(format, "type");
        a->schema = json_object_get(json_object_get(format, "json_schema"), "schema");
        a->json = a->schema || (type && strcmp(type, "json_object") == 0);
    } else if (a->vendor == VENDOR_ANTHROPIC) {
        const json_t *format = json_object_get(json_object_get(a->body, "output_config"), "format");
        if (!format)
            format = json_object_get(a->body, "output_format");
        a->schema = json_object_get(format, "schema");
        a->json = a->schema != NULL;
    } else {
        const json_t *config = json_object_get(a->body, "generationConfig");
        const char *type = json_get_text(config, "responseMimeType");
        a->schema = json_object_get(config, "responseSchema");
        if (!a->schema)
            a->schema = json_object_get(config, "responseJsonSchema");
        if (!a->schema)
            a->schema = json_object_get(config, "response_json_schema");
        a->json = a->schema || (type && strcmp(type, "application/json") == 0);
    }
}

static void read_limits(struct asked *a)
{
    a->max_tokens = -1;
    const json_t *config = json_object_get(a->body, "generationConfig");
    if (a->vendor == VENDOR_GEMINI) {
        json_get_i64(config, "maxOutputTokens", &a->max_tokens);
        return;
    }
    json_get_i64(a->body, "max_tokens", &a->max_tokens);
    json_get_i64(a->body, "max_completion_tokens", &a->max_tokens);
    json_get_bool(a->body, "stream", &a->stream);
    json_get_bool(json_object_get(a->body, "stream_options"), "include_usage", &a->wants_usage);
}

static void read_embeddings(struct asked *a)
{
    int64_t dimensions = 0;
    size_t i;
    const json_t *one;
    if (a->vendor == VENDOR_OPENAI) {
        const json_t *input = json_object_get(a->body, "input");
        const char *format = json_get_text(a->body, "encoding_format");
        add_texts(&a->text, input);
        bool ids = json_is_array(input) && json_is_integer(json_array_get(input, 0));
        a->n_inputs = json_is_array(input) && !ids ? json_array_size(input) : 1;
        a->as_base64 = format && strcmp(format, "base64") == 0;
        json_get_i64(a->body, "dimensions", &dimensions);
    } else {
        const json_t *requests = json_object_get(a->body, "requests");
        a->n_inputs = requests ? json_array_size(requests) : 1;
        json_array_foreach(requests, i, one)
        {
            add_texts(&a->text, json_object_get(json_object_get(one, "content"), "parts"));
        }
        add_texts(&a->text, json_object_get(json_object_get(a->body, "content"), "parts"));
        json_get_i64(requests ? json_array_get(requests, 0) : a->body, "outputDimensionality",
                     &dimensions);
    }
    a->dimensions = dimensions > 0 && dimensions <= 4096 ? (size_t)dimensions : 8;
}

bool asked_read(struct asked *a, struct slice body, char error[256])
{
    json_error_t wrong;
    a->body_bytes = body.len;
    a->body = json_loadb(body.ptr, body.len, JSON_ALLOW_NUL, &wrong);
    if (!json_is_object(a->body)) {
        snprintf(error, 256, "We could not parse the JSON body of your request: %.100s",
                 a->body ? "it is not an object" : wrong.text);
        return false;
    }
    a->model_name = json_get_text(a->body, "model");
    static char name[256];  // a Gemini model is in the path
    if (a->vendor == VENDOR_GEMINI) {
        snprintf(name, sizeof name, "%.*s", (int)a->model.len, a->model.ptr);
        a->model_name = name;
    }
    if (!a->model_name) {
        snprintf(error, 256, "you must provide a model parameter");
        return false;
    }
    read_limits(a);
    if (a->what == ASK_EMBED) {
        read_embeddings(a);
    } else {
        read_last_message(a);
        read_tools(a);
        read_choice(a);
        read_format(a);
    }
    struct slice unknown;
    if (!scenario_read(&a->s, buf_view(&a->text), vendor_name(a->vendor), a->model_name, a->folder,
                       &unknown)) {
        snprintf(error, 256, "the double does not know '%.*s'",
                 (int)(unknown.len < 100 ? unknown.len : 100), unknown.ptr);
        return false;
    }
    return true;
}

void asked_release(struct asked *a)
{
    json_decref(a->body);
    a->body = NULL;
    buf_release(&a->text);
}

const char *asked_tool(const struct asked *a, size_t i, const json_t **schema)
{
    static const char *const members[] = {"parameters", "input_schema", "parametersJsonSchema",
                                          "parameters_json_schema"};  // Google takes both
    *schema = NULL;
    for (size_t k = 0; k < 4 && !*schema; k++)
        *schema = json_object_get(a->tools[i], members[k]);
    const char *name = json_get_text(a->tools[i], "name");
    return name ? name : "";
}

static bool is_required(const json_t *schema, const char *key)
{
    const json_t *required = json_object_get(schema, "required"), *one;
    size_t i;
    if (!required)
        return true;
    json_array_foreach(required, i, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), key) == 0)
            return true;
    }
    return false;
}

static void sample_object(struct buf *out, const json_t *schema)
{
    bool first = true;
    const char *key;
    json_t *of;
    buf_char(out, '{');
    json_object_foreach(json_object_get(schema, "properties"), key, of)
    {
        if (!is_required(schema, key))
            continue;
        if (!first)
            buf_char(out, ',');
        first = false;
        json_write_text(out, slice_str(key));
        buf_char(out, ':');
        sample_write(out, of);
    }
    buf_char(out, '}');
}

void sample_write(struct buf *out, const json_t *schema)
{
    const json_t *type = json_object_get(schema, "type"), *one;
    const char *name = json_string_value(json_is_array(type) ? json_array_get(type, 0) : type);
    if ((one = json_object_get(schema, "const")))
        json_write(out, one, JSON_STYLE_COMPACT);
    else if ((one = json_array_get(json_object_get(schema, "enum"), 0)))
        json_write(out, one, JSON_STYLE_COMPACT);
    else if ((one = json_array_get(json_object_get(schema, "anyOf"), 0)))
        sample_write(out, one);
    else if (!name || strcasecmp(name, "object") == 0)
        sample_object(out, schema);
    else if (strcasecmp(name, "array") == 0) {
        buf_char(out, '[');
        sample_write(out, json_object_get(schema, "items"));
        buf_char(out, ']');
    } else if (strcasecmp(name, "integer") == 0)
        buf_text_add(out, "2");
    else if (strcasecmp(name, "number") == 0)
        buf_text_add(out, "1.5");
    else if (strcasecmp(name, "boolean") == 0)
        buf_text_add(out, "true");
    else if (strcasecmp(name, "null") == 0)
        buf_text_add(out, "null");
    else
        buf_text_add(out, "\"Gr\xc3\xbc\xc3\x9f \\\"x\\\"\"");
}
