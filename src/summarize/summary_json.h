// summary_json.h - a summary as JSON: what `summarize --json` prints and POST /v1/summaries
// answers.
#pragma once
#include <jansson.h>
#include <stddef.h>

struct document;
struct summary;

// New references. The documents are those that were summarized.
json_t *summary_json(const struct summary *s, struct document *const *documents);
json_t *summary_plan_json(const struct summary *s);  // of a dry run
