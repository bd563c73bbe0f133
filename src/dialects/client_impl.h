// client_impl.h - what the clients share; only *_client*.c and client*.c include it.
//
// client_write.c helps to make requests, client_read.c to read answers, client_error.c to tell what
// a vendor complains about. What a vendor lacks is refused (ERR_UNSUPPORTED) where leaving it out
// would change what is asked for: a form of the answer, penalties and biases, several choices,
// logprobs. What only shapes how tokens are drawn (top_k, min_p, typical_p) or what no vendor
// promises (seed) is left out where the vendor has no word for it. Each client's file says which.
#pragma once
#include <jansson.h>

#include "dialects/client.h"

// Writing

static inline json_t *client_string(struct slice s)
{
    return json_stringn_nocheck(s.len ? s.ptr : "", s.len);
}
// A number as short as its float allows; nothing where it is unset (NAN, or below 0).
void client_set_float(json_t *o, const char *key, float value);
void client_set_int(json_t *o, const char *key, int64_t value);
// The body that the client sent if it came in this client's own words; else NULL.
const json_t *client_own_body(const struct chat_request *req, const char *wire);
// Copies the members of `from` that are not in `known` (ends with NULL) and not yet in `to`.
void client_pass_on(json_t *to, const json_t *from, const char *const *known);
// What is asked for is one answer to messages (or embeddings, if the caller takes them); tool
// results name their call. False with err.
bool client_asks_messages(const struct chat_request *req, const char *vendor, struct error *err);
// False with err, naming what a vendor has no word for: "vendor 'VENDOR': WHAT".
bool client_lacks(const char *vendor, const char *what, struct error *err);
// The same of what a member asks for, in OpenAI's words, whose clients are told its name.
bool client_lacks_member(const char *vendor, const char *member, const char *what,
                         struct error *err);
// logit_bias, penalties, logprobs and the like, each only if it is set to something that matters.
struct client_lacking {
    bool penalties, repetition, bias, logprobs;
};
bool client_check_sampling(const struct chat_sampling *s, struct client_lacking lacking,
                           const char *vendor, struct error *err);
bool client_check_constraint(const struct chat_constraint *c, const char *vendor,
                             struct error *err);
// Writes the body and gives up the reference.
void client_write_body(struct client_request *out, json_t *body);
// The parts of "data:image/png;base64,AAAA". False if it is no such URL.
bool client_data_url(struct slice url, struct slice *media_type, struct slice *data);
// Whether a message has parts that are no text: in one of an assistant's few vendors take any.
bool client_has_media(const struct chat_message *m);
// The calls of an assistant's message, or NULL.
const json_t *client_calls(const struct chat_message *m);
// The name of the tool that a result is of: its own, or that of the call with its id before it.
const char *client_result_name(const struct chat_request *req, size_t message);
// The arguments of a call as an object: a new reference.
json_t *client_arguments(const json_t *call);
// Whether the model is told to think: from extras. unset: nobody said so.
enum client_thinking { THINKING_UNSET, THINKING_OFF, THINKING_ON };
struct client_effort {
    enum client_thinking thinking;
    const char *word;  // "low", ... or NULL
    int budget;        // tokens, or -1
};
struct client_effort client_effort_of(const json_t *extras);
// Tokens that a word of effort stands for.
int client_effort_budget(const char *word);
// False with err if extras hold variables of a template, which no vendor but those with OpenAI's
// words can use.
bool client_check_extras(const json_t *extras, const char *vendor, struct error *err);
// The version in a model's name: 4006 of "claude-opus-4-6", 3000 of "gemini-3-pro"; 0: none.
int client_model_version(const char *model);

// Reading

struct client_choice {
    enum chat_finish finish;
    bool seen;
    int n_calls;
    struct slice stop;
    const char *end_vendor;  // whose are
    char *end_word, *end_text;
};
struct client_answer {  // the first member of every client's state
    const struct chat_request *req;
    struct client_choice *choices;
    size_t n_choices;
    struct chat_usage usage;
    bool has_usage, told;
};
void client_answer_begin(struct client_answer *a, const struct chat_request *req);
void client_answer_release(struct client_answer *a);
// NULL if there is no such choice.
struct client_choice *client_choice_of(struct client_answer *a, int64_t index);
void client_push_text(struct chat_sink *sink, enum chat_event_kind kind, int choice,
                      struct slice text);
// A call begins; without an id one is made up that no other call of any answer has.
void client_push_call(struct client_answer *a, struct chat_sink *sink, int choice, struct slice id,
                      struct slice name, struct slice answer_id);
void client_push_arguments(struct client_answer *a, struct chat_sink *sink, int choice,
                           struct slice text);
// A vendor's own word for the end of a choice, and its sentence about it (may be empty); the last
// counts. A word that is none is not kept.
void client_keep_end(struct client_choice *c, const char *vendor, struct slice word,
                     struct slice text);
// "image/png" and its bytes in base64. `more` (may be NULL): what else the vendor says of it.
void client_push_media(struct chat_sink *sink, int choice, struct slice type, struct slice base64,
                       const char *vendor, const json_t *more);
void client_push_blob(struct chat_sink *sink, int choice, const char *vendor, const json_t *value);
bool client_has_choice(const struct client_answer *a);    // whether any came
bool client_all_finished(const struct client_answer *a);  // all that came, one at least
// CHAT_FINISH of each choice that came, then CHAT_USAGE if it was told; once.
void client_push_end(struct client_answer *a, struct chat_sink *sink);
// Of a stream that was cut: what the vendor had told of its usage is pushed, since it is paid for.
// Returns false, with err.
bool client_cut(struct client_answer *a, struct chat_sink *sink, struct error *err);
// The number, 0 if there is none or it is no count.
int64_t client_count(const json_t *o, const char *key);
// As client_count, but -1 for what is there and is no count: a usage with that is not believed.
int64_t client_tokens(const json_t *o, const char *key);
int64_t client_tokens_sum(int64_t a, int64_t b);  // -1 if one of them is
// A copy in the arena-less state: `slot` is freed with free().
struct slice client_text(const json_t *o, const char *key);  // empty if it is no text
// An array of numbers, or (OpenAI) the base64 of floats: pushed with length 1. False with err.
bool client_push_embedding(struct chat_sink *sink, int choice, const json_t *values,
                           struct error *err);
bool client_malformed(struct error *err, const char *what);  // ERR_UPSTREAM
// The value of a whole answer or of an event's data: an object, a new reference; or NULL with err.
json_t *client_parse(struct slice text, struct error *err);

// Errors

// What a vendor says about a failure, in the words of HTTP.
struct client_failure {
    int status;
    struct slice message;  // may be empty
    const char *dialect;   // the client's name
    // The vendor's own words, or NULL; `kind` is the one to be shown. Gemini's status is a type.
    const char *kind, *type, *code, *member;
    bool context;          // the prompt does not fit
    bool key;              // it is the key, whatever the status
    bool for_good;         // it will fail again
    double retry_after_s;  // 0: not said
};
// The error that it becomes: code and text as read_error says, the status, and the vendor's words
// as far as they are words: never what may be a key or a host's name. Returns false.
bool client_fail(const struct client_failure *f, struct error *out, bool *worth_retrying);
bool client_says_context(struct slice message);
