// gateway.h - what happens to a request: authorize, route, reserve, run, settle.
//
// Thin so far: one account, local candidates, no ledger; but server, summarize and chat enter here
// and nowhere else. Threads: any.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "chat/chat.h"
#include "providers/provider.h"

struct buf;
struct caller;
struct config;
struct egress;
struct error;
struct gateway;
struct ledger;
struct prices;
struct remotes;
struct gateway_answer;

struct gateway_options {  // borrowed, but prices and egress are held; all but local may be NULL
    struct provider *local;
    const struct config *config;
    struct ledger *ledger;    // NULL: nothing is booked, and no key can be asked for
    struct prices *prices;    // NULL: everything is unpriced
    struct egress *egress;    // NULL: no log of what leaves
    struct remotes *remotes;  // NULL: no vendor is asked
    bool offline;             // nothing leaves this machine, whoever asks
    bool for_others;          // who asks is not who set it up (vendors.h)
};
// NULL with err: a configuration that names what is not there.
struct gateway *gateway_open(const struct gateway_options *o, struct error *err);
struct gateway *gateway_new(struct provider *local);  // with nothing but this
void gateway_free(struct gateway *g);

// The routes of the configuration become models that callers over a network may name: its default
// first, be it a route or not. Behind those that were added; where nothing was, and the
// configuration names nothing, it is the model in the box. False with err: a name is taken, or
// the default is a model that is not there.
bool gateway_add_routes(struct gateway *g, struct error *err);
// Another configuration, with its prices and its log of what leaves, for the requests from here on;
// the running ones are settled by those that they began with. On success the configuration is taken
// over and the others are held. False with err: it does not fit, and the old one stays in force.
bool gateway_reload(struct gateway *g, struct config *c, struct prices *prices,
                    struct egress *egress, struct error *err);
// Models that callers over a network may name, each by the name of its file, folder or place in the
// local store. While there is none, every reference means what it does on the command line. All are
// added before the first request. False with err: there is no such model, or its id is taken.
bool gateway_add_model(struct gateway *g, const char *reference, struct error *err);
// Behind them also whatever the local store has, when somebody asks; but for ids that are taken.
void gateway_follow_store(struct gateway *g);
size_t gateway_n_models(const struct gateway *g);
// NULL if there are not so many any more. An id is valid as long as the gateway.
const char *gateway_model_id(const struct gateway *g, size_t i);
int64_t gateway_model_created(const struct gateway *g, size_t i);  // of the file; since 1970, in s
// The id of the model that is meant by a name (NULL or empty: the first); of a vendor's that is in
// no list the name itself. NULL with err (ERR_NOT_FOUND).
const char *gateway_model(struct gateway *g, const char *name, struct error *err);
// Whether a caller (NULL: this machine's user) may ask for a model, by its id: by the list of its
// key, vendors' models by its key or a route, and what only vendors serve where the request may
// leave. False with err (ERR_FORBIDDEN).
bool gateway_may(struct gateway *g, const struct caller *who, const char *id, struct error *err);

bool gateway_describe(struct gateway *g, const char *model, struct model_info *out,
                      struct error *err);
bool gateway_count(struct gateway *g, const struct chat_request *req, int64_t *n, bool *exact,
                   struct error *err);
// Whether a model can answer at once, as the provider's own. Takes no time.
bool gateway_ready(struct gateway *g, const char *model, bool has_waited);
// Whether a start neither computes nor waits: only vendors can serve it, and no budget is asked.
bool gateway_passes_on(struct gateway *g, const struct caller *who, const char *model);
// As the provider's own (providers/provider.h).
bool gateway_tokenize(struct gateway *g, const struct chat_request *req, bool plain, int32_t **ids,
                      size_t *n, struct error *err);
bool gateway_detokenize(struct gateway *g, const char *model, const int32_t *ids, size_t n,
                        struct buf *out, struct error *err);
bool gateway_load(struct gateway *g, size_t i, struct provider_load *out);
// NULL with err if no candidate accepts; else every event goes to the sink, DONE or ERROR last. The
// rules of answers and their threads are the provider's (providers/provider.h). With several
// prompts, what the request points to lives until DONE or ERROR.
struct gateway_answer *gateway_start(struct gateway *g, const struct chat_request *req,
                                     struct chat_sink sink, struct error *err);
void gateway_wait(struct gateway_answer *a);
void gateway_cancel(struct gateway_answer *a);
void gateway_resume(struct gateway_answer *a);  // its sink, which was full, has room
void gateway_answer_free(struct gateway_answer *a);

// The whole answer of choice 0 at once, for callers that do not stream. False with err: usage is
// set then too, if it had begun. `text` is appended to; finish and usage may be NULL.
bool gateway_ask(struct gateway *g, const struct chat_request *req, struct buf *text,
                 enum chat_finish *finish, struct chat_usage *usage, struct error *err);
