// stack.h - the parts below a command that talks to models: provider and gateway, built bottom-up.
#pragma once
#include <stdbool.h>

#include "chat/chat.h"
#include "cli/progress.h"
#include "config/config.h"

struct egress;
struct error;
struct gateway;
struct ledger;
struct prices;
struct provider;
struct remotes;
struct settings;

struct stack {
    struct config config;  // as it was at the start
    bool allow_vendors;    // as the option or the last configuration says
    struct provider *local;
    // Where a vendor may be asked, or this machine's tokens are charged for; else NULL.
    struct ledger *ledger;
    struct prices *prices;
    struct egress *egress;
    struct remotes *remotes;
    struct gateway *gateway;
    struct progress progress;  // of loading; commands use it for their own work too
};

// For a command that will ask for this model (NULL: nobody named one; then a line on standard error
// says that the one in the box is used). Nothing is loaded before it is asked for. False with err.
bool stack_open(struct stack *st, const struct settings *s, const char *model, struct error *err);
// For one that serves others: whatever they name, every request is in the books. A line on standard
// error says it where these are new.
bool stack_open_server(struct stack *st, const struct settings *s, struct error *err);
// The configuration is read again, with all that is made of it: for the requests from here on. What
// needs another start is warned of. False with err: all of the old one stays in force.
bool stack_reload(struct stack *st, const struct settings *s, struct error *err);
// The table of prices that a configuration means; NULL with err.
struct prices *open_prices(const struct config *c, struct error *err);
// The books alone: where the option says, else the configuration. What either names is only made
// anew with `make`: a mistyped name is no empty ledger. NULL with err.
struct ledger *open_ledger(const struct settings *s, bool make, struct error *err);
// Waits until the books are written.
void stack_close(struct stack *st);

// The sampling members of a request from the command line; lists live as long as the arena.
struct arena;
bool sampling_from(struct chat_sampling *out, const struct settings *s, struct arena *a,
                   struct error *err);
