// provider.h - something that answers: our engine, or a vendor's API. The seam below the gateway.
//
// An answer is started, and from then on its events come by the sink's push, one at a time and in
// order, from threads of the provider's or from inside `start`, even before that returns. No answer
// holds a thread, so thousands may be open: a remote provider runs all of them over one libcurl
// multi handle, the local one over a few carriers. A sink that is full pauses its own answer only
// (the sequence, the transfer), until `resume`.
// Threads: any may call start, cancel and resume. Those two only note something and wake whoever
// owns the answer: they never push and never wait, so they may be called with locks held that the
// sink takes, until the answer is freed. An answer is freed after wait, or from the sink's closed.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chat/chat.h"

struct answer;
struct buf;
struct error;
struct provider;

struct model_info {
    char name[128];
    int context;            // tokens
    bool local;             // nothing leaves the machine
    char description[160];  // "llama 15M q8_0"
    bool has_template;
    int max_output;              // tokens of an answer; 0: what the context leaves, or not known
    bool tools, schema, vision;  // can be asked for calls, for JSON of a schema; sees images
};
struct provider_flow {  // opaque numbers from the gateway
    uint64_t share_salt, id;
    int weight, priority;
    int64_t deadline_ns;  // clock_ns(); by then the answer has ended, if with ERR_TIMEOUT; 0: none
};
struct provider_load {
    char name[128];
    int64_t running, waiting;  // texts that are written, and that wait to be
    int64_t pages_free, pages_total;
    int64_t preemptions, steps, rows;
    int64_t prompt_rows, new_tokens;  // rows that only read prompts; tokens that were written
    int max_running;
    int64_t drafted_tokens, accepted_tokens;
    int64_t memory_bytes;  // weights, keys and values
};
struct provider_ops {
    bool (*describe)(struct provider *p, const char *model, struct model_info *out,
                     struct error *err);
    // NULL with err set and no event pushed, so that the router may try the next; else a handle.
    struct answer *(*start)(struct provider *p, const struct chat_request *req,
                            struct provider_flow flow, struct chat_sink sink, struct error *err);
    void (*wait)(struct answer *a);  // until DONE or ERROR was pushed; not with `closed`
    // The only cancel. What is left still comes, DONE or ERROR last.
    void (*cancel)(struct answer *a);
    void (*resume)(struct answer *a);  // the sink has room again
    // Of an answer that has not ended: cancels it and waits.
    void (*answer_free)(struct answer *a);
    // Tokens the request's prompt takes, exact where `*exact` is set on return.
    bool (*count)(struct provider *p, const struct chat_request *req, int64_t *n, bool *exact,
                  struct error *err);
    // The ids of the prompt in a new block that the caller frees; with `plain`, a raw text's
    // without special tokens, neither added nor read in it. ERR_UNSUPPORTED where a vendor does not
    // tell.
    bool (*tokenize)(struct provider *p, const struct chat_request *req, bool plain, int32_t **ids,
                     size_t *n, struct error *err);
    // Appends the text of ids.
    bool (*detokenize)(struct provider *p, const char *model, const int32_t *ids, size_t n,
                       struct buf *out, struct error *err);
    // Whether a model could answer at once: it need not be loaded first, and no other one waits for
    // its room (has_waited: that does not matter). True too of what is none.
    bool (*ready)(struct provider *p, const char *model, bool has_waited);
    // What the i-th model that is loaded here has to do; false: there are not so many.
    bool (*load)(struct provider *p, size_t i, struct provider_load *out);
    void (*free)(struct provider *p);
};
struct provider {
    const struct provider_ops *ops;
};
