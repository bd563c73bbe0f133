#include "local/template/answer_syntax.h"

#include "local/template/answer_impl.h"

static const struct thinking {
    const char *open, *close, *label;
} thinkings[THINKINGS] = {
    [THINKING_THINK] = {"<think>", "</think>", NULL},
    [THINKING_BRACKET] = {"[THINK]", "[/THINK]", NULL},
    [THINKING_COHERE] = {"<|START_THINKING|>", "<|END_THINKING|>", NULL},
    [THINKING_GEMMA4] = {"<|channel>", "<channel|>", "thought"},
};

#define BAR "\uFF5C"  // what DeepSeek writes for | and _
#define LOW "\u2581"

const struct answer_syntax answer_syntaxes[ANSWER_FORMATS] = {
    [ANSWER_PLAIN] = {.name = "plain"},
    [ANSWER_HERMES] = {.name = "hermes",
                       .marks = {[MARK_CALL] = "<tool_call>", [MARK_CALL_END] = "</tool_call>"},
                       .head = head_hermes},
    [ANSWER_QWEN_XML] = {.name = "qwen-xml",
                         .marks = {[MARK_CALL] = "<tool_call>",
                                   [MARK_CALL_END] = "</tool_call>",
                                   [MARK_ALSO] = "<function="},
                         .head = head_qwen_xml},
    [ANSWER_GLM] = {.name = "glm",
                    .marks = {[MARK_CALL] = "<tool_call>", [MARK_CALL_END] = "</tool_call>"},
                    .head = head_glm},
    [ANSWER_MISTRAL] =
        {.name = "mistral",
         .marks =
             {[MARK_CALL] = "[TOOL_CALLS]", [MARK_INNER] = "[CALL_ID]", [MARK_INNER2] = "[ARGS]"},
         .head = head_mistral},
    [ANSWER_DEEPSEEK] = {.name = "deepseek",
                         .marks =
                             {
                                 [MARK_SECTION] = "<" BAR "tool" LOW "calls" LOW "begin" BAR ">",
                                 [MARK_SECTION_END] = "<" BAR "tool" LOW "calls" LOW "end" BAR ">",
                                 [MARK_CALL] = "<" BAR "tool" LOW "call" LOW "begin" BAR ">",
                                 [MARK_CALL_END] = "<" BAR "tool" LOW "call" LOW "end" BAR ">",
                                 [MARK_INNER] = "<" BAR "tool" LOW "sep" BAR ">",
                             },
                         .head = head_between,
                         .fenced = true},
    [ANSWER_KIMI] = {.name = "kimi",
                     .marks = {[MARK_SECTION] = "<|tool_calls_section_begin|>",
                               [MARK_SECTION_END] = "<|tool_calls_section_end|>",
                               [MARK_CALL] = "<|tool_call_begin|>",
                               [MARK_CALL_END] = "<|tool_call_end|>",
                               [MARK_INNER] = "<|tool_call_argument_begin|>"},
                     .head = head_between},
    [ANSWER_LLAMA] = {.name = "llama",
                      .marks = {[MARK_CALL] = "<|python_tag|>"},
                      .head = head_llama,
                      .bare = true},
    [ANSWER_LIST] = {.name = "list",
                     .marks = {[MARK_CALL] = "<|tool_call|>", [MARK_CALL_END] = "<|/tool_call|>"},
                     .head = head_list},
    [ANSWER_COHERE] = {.name = "cohere",
                       .marks = {[MARK_CALL] = "<|START_ACTION|>",
                                 [MARK_CALL_END] = "<|END_ACTION|>",
                                 [MARK_HIDE] = "<|START_RESPONSE|>",
                                 [MARK_HIDE_END] = "<|END_RESPONSE|>"},
                       .head = head_list},
    [ANSWER_HARMONY] = {.name = "harmony",
                        .marks = {[MARK_SECTION] = "<|start|>",
                                  [MARK_SECTION_END] = "<|end|>",
                                  [MARK_CALL] = "<|channel|>",
                                  [MARK_CALL_END] = "<|call|>",
                                  [MARK_INNER] = "<|message|>",
                                  [MARK_INNER2] = "<|constrain|>",
                                  [MARK_HIDE] = "<|return|>"},
                        .step = step_harmony},
    [ANSWER_GEMMA] = {.name = "gemma",
                      .marks = {[MARK_CALL] = "<start_function_call>",
                                [MARK_CALL_END] = "<end_function_call>",
                                [MARK_INNER] = "<escape>"},
                      .head = head_gemma},
    [ANSWER_GEMMA4] = {.name = "gemma4",
                       .marks = {[MARK_CALL] = "<|tool_call>",
                                 [MARK_CALL_END] = "<tool_call|>",
                                 [MARK_INNER] = "<|\"|>"},
                       .head = head_gemma},
    [ANSWER_JSON] = {.name = "json", .head = head_json, .bare = true, .fenced = true},
};

// The first row of which all is in the template.
static const struct sign {
    enum answer_format format;
    const char *all[2];
} signs[] = {
    {ANSWER_HARMONY, {"<|channel|>", "<|message|>"}},
    {ANSWER_DEEPSEEK, {"<" BAR "tool" LOW "call" LOW "begin" BAR ">", ""}},
    {ANSWER_KIMI, {"<|tool_call_begin|>", ""}},
    {ANSWER_COHERE, {"<|START_ACTION|>", ""}},
    {ANSWER_MISTRAL, {"[TOOL_CALLS]", ""}},
    {ANSWER_GEMMA4, {"<|tool_call>", ""}},
    {ANSWER_GEMMA, {"<start_function_call>", ""}},
    {ANSWER_GLM, {"<tool_call>", "<arg_key>"}},
    {ANSWER_QWEN_XML, {"<function=", "<parameter="}},
    {ANSWER_HERMES, {"<tool_call>", ""}},
    {ANSWER_LIST, {"<|tool_call|>", ""}},
    {ANSWER_LLAMA, {"<|python_tag|>", ""}},
    {ANSWER_LLAMA, {"<|start_header_id|>", "\"parameters\""}},
    {ANSWER_JSON, {"<start_of_turn>", ""}},
};

static bool has(struct slice s, const char *text)
{
    return !*text || (s.len && memmem(s.ptr, s.len, text, strlen(text)));
}

struct answer_shape answer_shape_of(struct slice chat_template)
{
    struct answer_shape shape = {ANSWER_PLAIN, THINKING_NONE};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (has(chat_template, signs[i].all[0]) && has(chat_template, signs[i].all[1])) {
            shape.format = signs[i].format;
            break;
        }
    }
    for (int t = THINKINGS - 1; t > THINKING_NONE && !shape.thinking; t--) {
        if (has(chat_template, thinkings[t].open) || has(chat_template, thinkings[t].close))
            shape.thinking = (enum answer_thinking)t;
    }
    if (shape.format == ANSWER_HARMONY)
        shape.thinking = THINKING_NONE;  // its channels say it
    return shape;
}

const char *answer_format_name(enum answer_format format)
{
    return (int)format >= 0 && format < ANSWER_FORMATS ? answer_syntaxes[format].name : NULL;
}

bool answer_format_named(const char *name, enum answer_format *out)
{
    for (int i = 0; i < ANSWER_FORMATS; i++) {
        if (strcmp(answer_syntaxes[i].name, name) == 0) {
            *out = (enum answer_format)i;
            return true;
        }
    }
    return false;
}

const char *answer_mark(const struct answer_shape *shape, int i)
{
    if (i < 0 || i >= MARK_COUNT)
        return NULL;
    if (i == MARK_THINK)
        return thinkings[shape->thinking].open;
    if (i == MARK_THINK_END)
        return thinkings[shape->thinking].close;
    return answer_syntaxes[shape->format].marks[i];
}

bool answer_mark_goes_on(const struct answer_shape *shape, int i)
{
    return shape->format == ANSWER_HARMONY && i == MARK_SECTION_END;
}

const char *answer_thinking_label(enum answer_thinking t)
{
    return thinkings[t].label;
}

static struct slice without_white_end(struct slice s)
{
    while (s.len && is_white(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static bool ends_with(struct slice s, const char *text)
{
    size_t n = strlen(text);
    return s.len >= n && slice_is(slice_sub(s, s.len - n, n), text);
}

bool answer_prompt_thinks(const struct answer_shape *shape, struct slice prompt)
{
    const struct thinking *t = &thinkings[shape->thinking];
    if (!t->open)
        return false;
    prompt = without_white_end(prompt);
    if (t->label && ends_with(prompt, t->label))
        prompt.len -= strlen(t->label);
    return ends_with(prompt, t->open);
}

bool answer_prompt_thought(const struct answer_shape *shape, struct slice prompt)
{
    const struct thinking *t = &thinkings[shape->thinking];
    return t->close && ends_with(without_white_end(prompt), t->close);
}
