// client.h - the other half of a wire format: asking a vendor in its words, and reading what it
// answers.
//
// As dialect.h it knows JSON and the words of chat/, but no sockets: providers/remote.c sends what
// write_request made and feeds what comes back. Whatever the vendor says, an answer comes out as
// the same events as the local engine's: texts, thoughts, calls in order, CHAT_FINISH for each
// choice, CHAT_USAGE once where the vendor told it; never CHAT_DONE or CHAT_ERROR, which are the
// provider's. read(write(x)) == x for all that a format can express.
// Threads: a state belongs to one thread at a time; clients are constant.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"
#include "chat/chat.h"

struct client_header {
    const char *name, *value;
};
struct client_request {
    struct buf path;  // behind the base URL, with its query: "/chat/completions"
    struct buf line;  // a header line of this request alone, or empty
    struct buf body;  // one JSON value
};
// The kinds of things that can be asked. A client lacks (NULL) what its vendor does not offer.
struct dialect_client {
    const char *name;                     // "openai", "anthropic", "gemini"
    const char *base_url;                 // the vendor's own, without a slash at the end
    const char *key_header;               // "authorization", "x-api-key", "x-goog-api-key"
    const char *key_prefix;               // "Bearer " or ""
    const struct client_header *headers;  // that every request has; ends with a NULL name
    size_t state_size;
    // `model` is the vendor's name. Always asks for usage in streams. With INPUT_EMBED the
    // request for embeddings. False with err (ERR_UNSUPPORTED, naming what) if the format cannot
    // express the request, so that it goes elsewhere: nothing is left out in silence.
    bool (*write_request)(const struct chat_request *req, const char *model,
                          struct client_request *out, struct error *err);
    // Before anything of an answer is read, into a zeroed state. What req points to lives on.
    void (*begin)(void *state, const struct chat_request *req);
    // One event of a stream: `event` is its name or empty, `data` its data lines joined. False with
    // err: it is malformed, or is the vendor's word for a failure (with the code that
    // read_error would give it).
    bool (*read_event)(void *state, struct slice event, struct slice data, struct chat_sink *sink,
                       struct error *err);
    // At the end of a stream. False with err (ERR_UPSTREAM) if the vendor had not come to its end:
    // then the answer was cut. Pushes what was held back: CHAT_FINISH, CHAT_USAGE.
    bool (*end)(void *state, struct chat_sink *sink, struct error *err);
    // A whole answer, also of embeddings. A 200 with an error inside is an error.
    bool (*read_response)(void *state, struct slice body, struct chat_sink *sink,
                          struct error *err);
    // Of a status that is not 2xx: code (ERR_RATE 429, ERR_BUSY 503 and 529, ERR_CONTEXT, ERR_USAGE
    // 400, ERR_NOT_FOUND 404, ERR_KEY 401, ERR_FORBIDDEN 403, ERR_UPSTREAM else and for what is no
    // vendor's shape) and text, the vendor's own as far as it is printable; retry_after_s where
    // the body says it (Gemini's retryDelay). *worth_retrying: false for what will fail again
    // (insufficient_quota, though it is a 429). Never a key's text.
    void (*read_error)(int status, struct slice body, struct error *out, bool *worth_retrying);
    void (*release)(void *state);  // NULL is fine: nothing to free
};
extern const struct dialect_client client_openai, client_anthropic, client_gemini;
// By name; "google" is gemini. NULL if there is none.
const struct dialect_client *dialect_client_find(const char *name);
