// redact_json.h - the JSON of a request with placeholders in its texts. New references, or NULL
// with err; what has nothing to replace is shared. Whose word a member is decides what becomes of
// it: texts are replaced, names that must stay what they are (of tools, of members) must have
// nothing in them, ids are replaced by what is an id, too.
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "base/slice.h"

struct redaction;
struct error;

// Anything; numbers that a rule finds become texts.
json_t *redact_json_value(struct redaction *r, const json_t *v, struct error *err);
// The same where numbers must stay numbers: then they are an error.
json_t *redact_json_schema(struct redaction *r, const json_t *v, struct error *err);
// A message in OpenAI's words.
json_t *redact_json_message(struct redaction *r, const json_t *raw, struct error *err);
// Its parts. Pictures are left as they are.
json_t *redact_json_parts(struct redaction *r, const json_t *parts, struct error *err);
json_t *redact_json_tools(struct redaction *r, const json_t *tools, struct error *err);
// Of blobs, which cannot be changed: those in which a rule finds something become null.
json_t *redact_json_blobs(struct redaction *r, const json_t *blobs, struct error *err);
// Whether the rules find nothing in a text. False with err (ERR_UNSUPPORTED: it stands in `what`).
bool redact_clean(struct redaction *r, struct slice text, const char *what, struct error *err);
