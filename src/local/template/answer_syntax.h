// answer_syntax.h - how models write calls of tools and thoughts into their answers, and which of
// the ways a model has: a pure function of its chat template's text.
//
// A mark is a string that a syntax gives a meaning to. In most vocabularies it is a control token,
// which is no text: then the parser must be given it with ANSWER_MARK in front (answer_parser.h).
// Threads: constant tables.
// Source: the chat templates of the models named below, and their makers' pages on prompt formats.
#pragma once
#include <stdbool.h>

#include "base/slice.h"

enum answer_format {
    ANSWER_PLAIN,   // no calls
    ANSWER_HERMES,  // <tool_call>{"name":…,"arguments":{…}}</tool_call>: Qwen, Hermes, Granite 4
    ANSWER_QWEN_XML,  // <function=NAME><parameter=KEY>VALUE</parameter></function>: Qwen3-Coder
    ANSWER_GLM,       // <tool_call>NAME<arg_key>K</arg_key><arg_value>V</arg_value></tool_call>
    ANSWER_MISTRAL,   // [TOOL_CALLS][{…}], and since 2025 [TOOL_CALLS]NAME[ARGS]{…}
    ANSWER_DEEPSEEK,  // <｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{…}<｜tool▁call▁end｜>
    ANSWER_KIMI,      // <|tool_call_begin|>functions.NAME:0<|tool_call_argument_begin|>{…}
    ANSWER_LLAMA,    // {"name":…,"parameters":{…}}, <|python_tag|>NAME.call(KEY="VALUE")
    ANSWER_LIST,     // <|tool_call|>[{…}]: Granite 3, Phi-4 mini
    ANSWER_COHERE,   // <|START_ACTION|>[{"tool_name":…,"parameters":{…}}]<|END_ACTION|>
    ANSWER_HARMONY,  // <|channel|>commentary to=functions.NAME<|message|>{…}<|call|>: gpt-oss
    ANSWER_GEMMA,    // <start_function_call>call:NAME{KEY:<escape>VALUE<escape>}
    ANSWER_GEMMA4,   // <|tool_call>call:NAME{KEY:<|"|>VALUE<|"|>}<tool_call|>
    ANSWER_JSON,     // a bare or fenced {"name":…,"parameters":{…}}: Gemma 2 and 3, as prompted
    ANSWER_FORMATS,
};

enum answer_thinking {
    THINKING_NONE,
    THINKING_THINK,    // <think>…</think>
    THINKING_BRACKET,  // [THINK]…[/THINK]: Magistral
    THINKING_COHERE,   // <|START_THINKING|>…<|END_THINKING|>
    THINKING_GEMMA4,   // <|channel>thought …<channel|>
    THINKINGS,
};

struct answer_shape {
    enum answer_format format;
    enum answer_thinking thinking;
};

// What a template's own marks say.
struct answer_shape answer_shape_of(struct slice chat_template);

// "hermes", "llama", …; NULL if there is no such number.
const char *answer_format_name(enum answer_format format);
// False if no format has this name.
bool answer_format_named(const char *name, enum answer_format *out);

// The marks of a shape, by number; NULL where it has none with this number.
enum mark {
    MARK_THINK,
    MARK_THINK_END,
    MARK_SECTION,  // around all calls
    MARK_SECTION_END,
    MARK_CALL,  // around each
    MARK_CALL_END,
    MARK_ALSO,    // another way to begin a call
    MARK_INNER,   // inside a call: what stands between name and arguments, or around strings
    MARK_INNER2,  // the second such
    MARK_HIDE,    // says nothing to a reader
    MARK_HIDE_END,
    MARK_COUNT,
};
enum { ANSWER_MARKS = MARK_COUNT };
const char *answer_mark(const struct answer_shape *shape, int i);
// Whether an answer goes on behind a mark even if the tokenizer takes it for an end.
bool answer_mark_goes_on(const struct answer_shape *shape, int i);
// Whether a prompt's text ends where thoughts begin: the template has written their mark already.
bool answer_prompt_thinks(const struct answer_shape *shape, struct slice prompt);
// Whether it ends behind thoughts: the template wants none.
bool answer_prompt_thought(const struct answer_shape *shape, struct slice prompt);
// The first line of thoughts, which is dropped, or NULL.
const char *answer_thinking_label(enum answer_thinking t);
// Whether the member of a call's arguments that stands between tags is a text in any case, by the
// schema of the tool's parameters (NULL: none).
struct json_t;
bool answer_member_is_text(const struct json_t *parameters, const char *name);
