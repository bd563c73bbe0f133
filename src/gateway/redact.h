// redact.h - what is taken out of a request on its way to a vendor, and put back into the answer.
//
// Each text that a rule finds is replaced by a placeholder, "[EMAIL_1]", the same for the same text
// within a request; where a placeholder stands in the answer, in texts, thoughts or arguments of
// calls, also when it is cut over events, the text comes back. Rules are compiled once. Threads:
// rules are read only, any; a redaction belongs to one request, one thread at a time.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "chat/chat.h"
#include "config/config.h"

struct arena;
struct redaction;
struct redaction_rules;

// False with err naming the rule (a pattern that is none), which is list[*bad] (bad may be NULL).
// NULL rules if there are none.
bool redaction_rules_new(const struct config_redaction *list, size_t n,
                         struct redaction_rules **out, size_t *bad, struct error *err);
void redaction_rules_free(struct redaction_rules *r);
// A request with everything replaced that the rules find: texts, parts, results of tools, arguments
// of calls, tools' descriptions, stop texts; `body` dropped, a session and blobs with finds too. It
// lives in the arena and the redaction, and shares what did not change. False with err if it cannot
// be done: ERR_UNSUPPORTED (a find where nothing can be replaced: names of tools and members,
// addresses; token ids, files; a pattern that takes too long), ERR_FORMAT (not UTF-8). Then the
// request must not leave, but may go to somebody local. Without rules, *out is *in and *made NULL.
// `out` may be `in`.
bool redaction_begin(const struct redaction_rules *rules, const struct chat_request *in,
                     struct arena *arena, struct chat_request *out, struct redaction **made,
                     struct error *err);
size_t redaction_n(const struct redaction *r);  // different texts that were replaced, for the log
// Passes an event of the answer on to the sink, with texts put back; what may be the beginning of a
// placeholder waits for the next event, at most until the choice ends.
void redaction_event(struct redaction *r, const struct chat_event *e, const struct chat_sink *to);
void redaction_free(struct redaction *r);  // NULL is fine
