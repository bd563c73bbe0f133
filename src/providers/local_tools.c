// local_tools.c - tools told to a model whose chat template does not speak of them.
//
// Templates of models that were trained to call tools write their descriptions themselves. Where a
// template writes none, but it is known how the model's calls are read (its marks, or
// --tool-format), the first message says what there is and how to call it; otherwise the model
// would never see a tool that the client believes it has.
#include <string.h>

#include "base/json.h"
#include "providers/local_impl.h"

const json_t *local_tools(const struct chat_request *req)
{
    bool any = req->tool_choice != TOOLS_NONE && json_array_size(req->tools) > 0;
    return any ? req->tools : NULL;
}

// How one is called; NULL for formats that nobody is taught by a sentence.
static const char *example_of(enum answer_format format)
{
    switch (format) {
    case ANSWER_HERMES:
        return "<tool_call>\n{\"name\": \"NAME\", \"arguments\": {ARGUMENTS}}\n</tool_call>";
    case ANSWER_JSON:
    case ANSWER_LLAMA: return "{\"name\": \"NAME\", \"parameters\": {ARGUMENTS}}";
    default: return NULL;
    }
}

bool local_tools_text(const struct local_model *m, const struct chat_request *req, struct buf *out)
{
    const json_t *tools = local_tools(req);
    if (!tools || m->habits.tools || m->shape.format == ANSWER_PLAIN)
        return false;
    buf_text_add(out, "You may call these tools, each described by a JSON object:\n");
    for (size_t i = 0; i < json_array_size(tools); i++) {
        json_write(out, json_array_get(tools, i), JSON_STYLE_SPACED);
        buf_char(out, '\n');
    }
    const char *example = example_of(m->shape.format);
    if (example)
        buf_printf(out, "To call one, answer with\n%s", example);
    return true;
}

// The place of the message that takes the text: the system's, or, where the template knows no such
// role, the user's first. The number of messages if there is none.
static size_t place_of(const struct local_model *m, const json_t *messages)
{
    size_t n = json_array_size(messages);
    const char *role = json_get_text(json_array_get(messages, 0), "role");
    if (!m->habits.no_system)
        return role && strcmp(role, "system") == 0 ? 0 : n;
    for (size_t i = 0; i < n; i++) {
        role = json_get_text(json_array_get(messages, i), "role");
        if (role && strcmp(role, "user") == 0)
            return i;
    }
    return n;
}

void local_tools_tell(const struct local_model *m, const struct chat_request *req, json_t *messages)
{
    struct buf text = {0};
    if (!local_tools_text(m, req, &text))
        return;
    json_t *message = json_array_get(messages, place_of(m, messages));
    const json_t *content = json_object_get(message, "content");
    if (json_is_string(content)) {
        struct slice said = json_slice(content);
        if (said.len) {
            buf_text_add(&text, "\n\n");
            buf_slice(&text, said);
        }
        json_object_set_new(message, "content", local_text_json(buf_view(&text)));
    } else {
        message = json_object();
        json_object_set_new(message, "role", json_string(m->habits.no_system ? "user" : "system"));
        json_object_set_new(message, "content", local_text_json(buf_view(&text)));
        json_array_insert_new(messages, 0, message);
    }
    buf_release(&text);
}
