// gemini_code.h - code that Gemini ran itself ("executableCode") and what came of it
// ("codeExecutionResult"): parts of a model's content.
//
// A client with Gemini's words gets them as they came, and gives them back so; others get a text.
// Threads: any.
#pragma once
#include <jansson.h>
#include <stdbool.h>

struct buf;

// Whether the part is one, in either spelling.
bool gemini_is_code(const json_t *part);
// Appends the part in Markdown: code, or the output, between fences; a line tells of a failure.
void gemini_code_text(const json_t *part, struct buf *out);
