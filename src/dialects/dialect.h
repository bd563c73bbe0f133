// dialect.h - one wire format of a vendor: how its requests are read and its answers written.
//
// A dialect is one file with one `const struct dialect`, listed in dialects.c. It knows JSON and
// the words of chat/, but no sockets, models or accounts. The server finds the route, parses the
// body, and hands both to read_request; then every event of the answer goes to write_event (a
// stream), or is collected and goes to write_response at once. The other half, for asking a vendor
// in the same words, is dialects/client.h.
// Threads: a call belongs to one thread at a time; dialects are constant.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"
#include "chat/chat.h"

struct buf;
struct dialect_answer;  // dialects/answer.h

// What went wrong, in words that every vendor has a status and a name for.
enum dialect_problem {
    PROBLEM_REQUEST,      // malformed, of a wrong type, out of range: 400
    PROBLEM_UNSUPPORTED,  // well formed, but Hearth cannot do it: 400
    PROBLEM_CONTEXT,      // prompt and answer do not fit the model's context: 400
    PROBLEM_KEY,          // no key, or one that nobody was given: 401
    PROBLEM_FORBIDDEN,    // 403
    PROBLEM_MODEL,        // no such model: 404
    PROBLEM_ROUTE,        // no such path: 404
    PROBLEM_METHOD,       // the path is there for other methods: 405
    PROBLEM_TIMEOUT,      // the request did not arrive in time: 408
    PROBLEM_TOO_LARGE,    // the body: 413
    PROBLEM_RATE,         // this account asks too often: 429
    PROBLEM_BUDGET,       // it has nothing left to spend: 429 (Anthropic: 402); not for a retry
    PROBLEM_BUSY,         // everybody asks too often, or the server is about to end: 503
    PROBLEM_INTERNAL,     // 500
    PROBLEM_CODING,       // the body comes in a transfer coding that nobody here knows: 501
    PROBLEM_UPSTREAM,     // a vendor failed: 502
    PROBLEM_COUNT
};
struct dialect_error {
    enum dialect_problem problem;
    char text[320];   // one line, UTF-8
    char member[96];  // what of the request it is about: "messages[0].content"; or empty
    // Of PROBLEM_BUSY and PROBLEM_RATE: seconds until another try is worth it; 0: unknown.
    int retry_after_s;
    struct error_words said;  // a vendor's own names; `member` counts before said.member
    const char *request_id;   // set by the server before write_error; NULL: unknown
};
int dialect_status(enum dialect_problem p);  // the HTTP status that most vendors give it
// Sets all but request_id. Returns false. member may be NULL.
bool dialect_refuse(struct dialect_error *err, enum dialect_problem p, const char *member,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
// The same from an error of the layers below, with a vendor's names for it, but for a member's.
bool dialect_refuse_error(struct dialect_error *err, const struct error *from);

struct http_request {      // as far as a dialect may look at it
    struct slice matched;  // what stood for '*' in the route's path, percent-decoded; else empty
    struct slice query;    // without '?', as it came: "alt=sse"; it may hold keys: never log it
    const json_t *body;    // an object; NULL for GET
};
// Whether the query holds name=value. Both plain ASCII without percent signs.
bool dialect_query_is(struct slice query, const char *name, const char *value);

// One request with its answer. The server makes it and sets id, created, arena, state (zeroed,
// state_size bytes) and, before any event, model; the dialect's read_request sets the rest.
struct dialect_call {
    struct arena *arena;          // everything lives in it
    json_t *kept;                 // array: values that were made while reading (dialect_keep)
    struct chat_request request;  // unset members stay as dialect_call_init left them
    const char *stream_type;      // content type of a stream: "text/event-stream" unless changed
    void *state;                  // the dialect's own
    const char *id;               // unique; [a-zA-Z0-9], to be put behind a vendor's prefix
    int64_t created;              // seconds since 1970
    const char *model;            // what the answer calls its model
    // What the client calls the first part that is no text, where that is not its place among the
    // request's messages; else empty (dialect_note_media).
    char media[96];
    char form[96];  // the same of the member that says what form the answer has (dialect_note_form)
    // Set by read_request where the state holds more than the arena's memory, which this frees.
    void (*release)(void *state);
};
void dialect_call_init(struct dialect_call *c, struct arena *arena);
void dialect_call_release(struct dialect_call *c);  // kept values and state; not the arena
// Takes over the reference; the value lives as long as the call. Returns it.
json_t *dialect_keep(struct dialect_call *c, json_t *value);
// For read_request: a part that is no text is at `at`, or is its member `key` there.
void dialect_note_media(struct dialect_call *c, const char *at, const char *key);
// For read_request: what form the answer has is in this member, which may not compile.
void dialect_note_form(struct dialect_call *c, const char *member);
// A text as a literal of GBNF.
void dialect_write_literal(struct slice text, struct buf *out);
// As dialect_refuse_error, of a request that was read: members have the client's names, and one
// that a vendor names is kept if the client sent it.
bool dialect_refuse_call(const struct dialect_call *c, struct dialect_error *err,
                         const struct error *from);
// The vendor's own words, if they are of this dialect; else ones that are empty.
const struct error_words *dialect_words(const struct dialect_error *err, const char *dialect);

struct dialect_model {  // for lists of models
    const char *id, *owner;
    int64_t created;  // seconds since 1970
    int context;      // tokens; 0: not known before it is loaded
};

enum dialect_action {
    DIALECT_CHAT,    // read_request, then events: write_event or write_response
    DIALECT_COUNT,   // read_request, then write_count
    DIALECT_MODELS,  // write_models with all
    DIALECT_MODEL,   // write_model with the one named by `matched`
};
struct dialect_route {
    const char *method;  // NULL ends the list
    const char *path;    // one '*' may stand for one or more characters of any kind
    enum dialect_action action;
};

// How answers tell what a key may still ask for (server/account_headers.c).
enum dialect_limits { LIMITS_OPENAI, LIMITS_ANTHROPIC, LIMITS_NONE };

// What of CHAT_MEDIA its answers can hold; the rest is named in a text (dialects/media.h).
enum dialect_shows { SHOWS_TEXT, SHOWS_IMAGES, SHOWS_ALL };

struct dialect {
    const char *name;
    const struct dialect_route *routes;
    size_t state_size;
    const char *id_header;  // header of answers that carries the request's id
    enum dialect_limits limits;
    enum dialect_shows shows;
    bool key_in_query;  // its clients may send their key as ?key=
    // False with err. in->body is borrowed and lives as long as the call, so that request members
    // may point into it. Sets request.stream, and whatever later writing needs in c->state.
    bool (*read_request)(const struct http_request *in, struct dialect_call *c,
                         struct dialect_error *err);
    // Appends what the event looks like in a stream, or nothing. NULL: never streamed. After
    // CHAT_DONE or CHAT_ERROR no more comes. The text is not always whole lines, but always whole
    // characters.
    void (*write_event)(struct dialect_call *c, const struct chat_event *event, struct buf *out);
    // Appends the whole answer: one JSON value.
    void (*write_response)(struct dialect_call *c, const struct dialect_answer *a, struct buf *out);
    void (*write_count)(struct dialect_call *c, int64_t n_tokens, struct buf *out);
    void (*write_models)(const struct dialect_model *models, size_t n, struct buf *out);
    void (*write_model)(const struct dialect_model *model, struct buf *out);
    // Appends the body and returns the status. Also for requests that were never read.
    int (*write_error)(const struct dialect_error *err, struct buf *out);
};
// The items of a list of models, with commas between.
void dialect_write_each(const struct dialect_model *models, size_t n,
                        void (*write_model)(const struct dialect_model *model, struct buf *out),
                        struct buf *out);

extern const struct dialect *const dialects[];  // ends with NULL
// The dialect and route of a request, with what '*' stands for; NULL if there is none: then
// *other_method tells whether the path is known with another method.
const struct dialect *dialect_find(const char *method, const char *path,
                                   const struct dialect_route **route, struct slice *matched,
                                   bool *other_method);
// For a path that no route has: the one that most likely was meant, by its beginning.
const struct dialect *dialect_guess(const char *path);

extern const struct dialect dialect_openai_chat, dialect_openai_completions, dialect_openai_models;
extern const struct dialect dialect_openai_responses, dialect_openai_responses_count;
extern const struct dialect dialect_anthropic, dialect_anthropic_count;
extern const struct dialect dialect_anthropic_models;  // in no list: its path is OpenAI's
extern const struct dialect dialect_gemini, dialect_gemini_stream, dialect_gemini_count;
extern const struct dialect dialect_gemini_models;
extern const struct dialect dialect_openai_embeddings, dialect_gemini_embed,
    dialect_gemini_embed_batch;
