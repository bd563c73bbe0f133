// redact_impl.h - what the files redact*.c share: rules, what they found, and its placeholders.
#pragma once
#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "gateway/redact.h"

// Where something stands in a text.
struct span {
    size_t start, end;
    uint32_t rule;
};
struct spans {
    struct span *items;
    size_t n, capacity;
};
// Everything that the rules find in a text, in order; what overlaps is one span. False with err:
// not UTF-8, or a pattern that takes too long on it (`spent_ns` sums up over a request).
struct rule_search {
    void *match;    // pcre2_match_data
    void *context;  // pcre2_match_context
    int64_t spent_ns;
};
bool rules_find(const struct redaction_rules *rules, struct rule_search *search, struct slice text,
                struct spans *out, struct error *err);
void rule_search_init(struct rule_search *s);
void rule_search_release(struct rule_search *s);
// "EMAIL" of "email".
const char *rules_name(const struct redaction_rules *rules, uint32_t rule);
size_t rules_n(const struct redaction_rules *rules);
void spans_add(struct spans *s, struct span one);
void spans_merge(struct spans *s);  // sorts, and joins what overlaps

enum { PLACEHOLDERS_MAX = 100000, PLACEHOLDER_BYTES = 64 };
struct replaced {
    struct slice text;         // in the arena
    struct slice placeholder;  // with brackets
};
struct held {  // of one choice: text that may be the beginning of a placeholder
    int choice, tool_index;
    enum chat_event_kind kind;
    bool refusal;
    char text[PLACEHOLDER_BYTES];
    size_t n;
};
struct redaction {
    const struct redaction_rules *rules;
    const struct chat_request *in;  // while the request is walked through
    struct arena *arena;
    struct rule_search search;
    struct replaced *entries;
    size_t n_entries, capacity;
    uint32_t *by_text, *by_placeholder;  // hash tables of entries plus 1, n_slots each
    size_t n_slots;
    char **prefixes;    // of the placeholders of each rule, "EMAIL_"; NULL: not used yet
    int *numbers;       // the last of each rule
    struct buf corpus;  // every text of the request, once a placeholder is needed
    bool text_is_json;  // what is put back into texts, too, is inside of JSON
    struct slice last_in, last_out;
    json_t **owned;
    size_t n_owned, owned_capacity;
    struct held *held;
    size_t n_held, held_capacity;
    struct buf undone;
};
// The text with placeholders, in the arena; itself if nothing was found.
bool redact_text(struct redaction *r, struct slice text, struct slice *out, struct error *err);
// The entry whose placeholder this is. NULL: none.
const struct replaced *redact_lookup(const struct redaction *r, struct slice placeholder);
// Appends a text with every placeholder replaced by what it stands for.
void redact_undo(const struct redaction *r, struct slice text, struct buf *out);
// Appends every text of the request, for placeholders that must be none of them.
void redact_gather(const struct chat_request *in, struct buf *out);
