// provider.h - something that answers: our engine, or a vendor's API. The seam below the gateway.
//
// Threads: start and cancel may be called from any thread; a provider may push into the sink from
// its own thread or from inside `start` (the local one for a single caller). After DONE or ERROR
// nothing more is pushed.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chat/chat.h"

struct answer;
struct error;
struct provider;

struct model_info {
    char name[128];
    int context;            // tokens
    bool local;             // nothing leaves the machine
    char description[160];  // "llama 15M q8_0"
    bool has_template;
};
struct provider_flow {  // opaque numbers from the gateway
    uint64_t share_salt, id;
    int weight, priority;
};
struct provider_ops {
    bool (*describe)(struct provider *p, const char *model, struct model_info *out,
                     struct error *err);
    // NULL with err set and no event pushed, so that the router may try the next; else a handle.
    struct answer *(*start)(struct provider *p, const struct chat_request *req,
                            struct provider_flow flow, struct chat_sink sink, struct error *err);
    void (*wait)(struct answer *a);    // until DONE or ERROR was pushed
    void (*cancel)(struct answer *a);  // the only cancel: sets a flag and wakes the owner
    void (*answer_free)(struct answer *a);
    // Tokens the request's prompt takes, exact where `*exact` is set on return.
    bool (*count)(struct provider *p, const struct chat_request *req, int64_t *n, bool *exact,
                  struct error *err);
    void (*free)(struct provider *p);
};
struct provider {
    const struct provider_ops *ops;
};
