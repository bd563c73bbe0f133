// gemini.h - what the files of the Gemini dialect share; only gemini*.c include it.
//
// Members have two spellings, as protocol buffers' JSON has them: generationConfig and
// generation_config. Source: the types of the official Python package `google-genai` and the public
// API reference, version v1beta.
#pragma once
#include <jansson.h>

#include "dialects/dialect.h"

// The member under either spelling; *key is the one that is there (or camel).
const json_t *gemini_member(const json_t *o, const char *camel, const char *snake,
                            const char **key);
// The vendor's Schema object as JSON Schema: a new reference.
json_t *gemini_schema(const json_t *schema);
// contents and systemInstruction, as the request's messages.
bool gemini_contents(struct dialect_call *c, const json_t *body, struct dialect_error *err);
// Appends the body of an error and returns the status, as a dialect's write_error.
int gemini_write_error(const struct dialect_error *err, struct buf *out);
// tools and toolConfig.
bool gemini_tools(struct dialect_call *c, const json_t *body, struct dialect_error *err);
