// openai_messages.h - the messages and tools of a chat completion.
//
// The form that chat templates expect is OpenAI's, so that other dialects make messages of this
// form too. Threads: any.
#pragma once
#include <jansson.h>
#include <stdbool.h>

struct dialect_call;
struct dialect_error;

// Reads "messages". What a template can use beside role and text (tool calls with their arguments
// parsed, a tool's id and name) goes into a message's `raw`.
bool openai_messages(struct dialect_call *c, const json_t *body, struct dialect_error *err);
// A request in the words from before there were tools, in today's: *body is a copy then, which
// lives as long as the call. *functions: its answer shall have a function_call in place of
// tool_calls.
bool openai_functions(struct dialect_call *c, const json_t **body, bool *functions,
                      struct dialect_error *err);
// Reads "tools", "tool_choice" and "parallel_tool_calls".
bool openai_tools(struct dialect_call *c, const json_t *body, struct dialect_error *err);
