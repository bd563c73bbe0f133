// gemini.h - what the files of the Gemini dialect share; only gemini*.c include it.
//
// Members have two spellings, as protocol buffers' JSON has them: generationConfig and
// generation_config. Source: the types of the official Python package `google-genai` and the public
// API reference, version v1beta.
#pragma once
#include <jansson.h>

#include "dialects/dialect.h"

struct dialect_choice;

// The member under either spelling; *key is the one that is there (or camel).
const json_t *gemini_member(const json_t *o, const char *camel, const char *snake,
                            const char **key);
// The vendor's Schema object as JSON Schema: a new reference.
json_t *gemini_schema(const json_t *schema);
// contents and systemInstruction, as the request's messages.
bool gemini_contents(struct dialect_call *c, const json_t *body, struct dialect_error *err);
// Appends the body of an error and returns the status, as a dialect's write_error.
int gemini_write_error(const struct dialect_error *err, struct buf *out);
// responseLogprobs and logprobs of generationConfig.
bool gemini_read_logprobs(struct dialect_call *c, const json_t *config, struct dialect_error *err);
// Members of a candidate, each behind a comma: logprobsResult of some tokens, avgLogprobs of all
// so far, and both of a whole answer.
struct gemini_mean {
    double sum;
    size_t n;
};
void gemini_write_logprobs(const struct chat_token *tokens, size_t n, struct buf *out);
void gemini_add_logprobs(struct gemini_mean *m, const struct chat_token *tokens, size_t n);
void gemini_write_mean(const struct gemini_mean *m, struct buf *out);
void gemini_write_all_logprobs(const struct dialect_choice *choice, bool thoughts, struct buf *out);
// tools and toolConfig.
bool gemini_tools(struct dialect_call *c, const json_t *body, struct dialect_error *err);
