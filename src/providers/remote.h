// remote.h - a provider that asks a vendor's API, or any endpoint that speaks like one.
//
// A set of remotes shares one thread with one libcurl multi handle (HTTP/2, connections kept). That
// thread parses what comes and pushes it into sinks, so that a chunk is passed on without another
// thread being woken; a sink that is full pauses its own transfer. What may be retried is (429,
// 5xx, 529, connection lost before the first event), with jitter, honouring what the vendor says
// about when; never after an event was pushed. An endpoint that keeps failing is not asked for a
// while (net/breaker.h): start then fails at once with ERR_BUSY.
// Keys go into headers only, are kept in memory that core dumps leave out, and are in no error.
// Threads: any, as provider.h says; but none waits for an answer on the remotes' own thread, or
// frees one there that has not ended.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "providers/provider.h"

struct dialect_client;
struct error;
struct loop;
struct remotes;
struct secret;

struct remotes *remotes_new(struct error *err);  // starts the thread
struct loop *remotes_loop(struct remotes *r);    // their thread, for who wants to share it
void remotes_free(struct remotes *r);            // after all of its providers

struct remote_options {  // copied
    const char *name;    // what it is called: "openai", "groq"
    const struct dialect_client *client;
    const char *base_url;  // NULL: the client's own
    const char *key;       // NULL or empty: none is sent
    const char *ca_file;   // authorities to trust, PEM; NULL: the system's
    // Seconds; 0: the default (10, 120, 60, 3600). first: until an answer begins, and five times
    // that where it is not streamed, whose first byte comes with its last; between: between two
    // pieces of it; total: with all tries.
    double connect_s, first_s, between_s, total_s;
    int retries;            // -1: 2
    int breaker_failures;   // in a row, until the endpoint rests; 0: 5
    double breaker_rest_s;  // 0: 15; then one request probes
    // A path on the base URL's host, asked with GET every so often; two answers in a row that are
    // not 2xx, or none within 5 s: nothing is sent until one is. NULL: only requests show it.
    const char *health;
    double health_every_s;  // 0: 10
    int max_connections;    // 0: 256
};
struct remote_load {   // of one endpoint, for routing
    int running;       // answers that have not ended
    bool resting;      // the breaker is open, or it is not well: nothing is sent now
    int64_t first_ns;  // a moving median of the time to the first event; 0: not known yet
    int64_t per_token_ns;
};
// NULL with err: a base URL that is none, or one that would send a key in clear text to another
// machine (http:// to what is not loopback).
struct provider *provider_remote_new(struct remotes *r, const struct remote_options *o,
                                     struct error *err);
void provider_remote_load(const struct provider *p, struct remote_load *out);
// What an answer sent in bytes of bodies, retries included, is chat_usage.bytes_sent of CHAT_USAGE,
// which a remote always pushes before DONE, and of the usage in CHAT_ERROR, whatever came before.
// Where the vendor did not tell its usage, and before an ERROR after events, CHAT_USAGE has counts
// of our own, and `estimated`: a token for every 4 bytes. The usage in CHAT_ERROR also tells what
// has to be paid for though nothing was said: what the vendor told, or, where it had the request
// and was cut off, a guess; nothing where it refused. An answer that was cancelled ends as the
// local engine's do: CHAT_FINISH (CHAT_CANCELLED) of each choice that had not ended, CHAT_USAGE,
// CHAT_DONE. Before the first event, CHAT_ERROR is the only one.

// Tokens of a request's prompt, for a model whose tokenizer is not here. at_most is what `count`
// says: a token a byte of all texts, tools and schemas (true of tokenizers that begin from bytes),
// 16 more a message, 32 a request, 1,024 and 64 a tool for tools, 50,000 an image (the most that a
// vendor's rule gives). about is a guess: a token for 4 bytes, 4 a message, 1,600 an image.
int64_t remote_tokens_at_most(const struct chat_request *req);
int64_t remote_tokens_about(const struct chat_request *req);
int64_t remote_tokens_of_bytes(int64_t bytes);  // a guess, of a text; at least 1 if there is any
