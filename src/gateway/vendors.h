// vendors.h - the remote providers, by the names that stand before a model's: openai, anthropic,
// google, and those of the configuration.
//
// Made when they are first asked for: keys and base URLs come from the variables that the vendors'
// own SDKs read, or as the configuration says. Threads: any.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct config;
struct error;
struct provider;
struct remotes;
struct vendors;

enum { VENDOR_REPLICAS_MAX = 32 };

struct vendor {
    const char *name;  // "openai"
    struct provider *replicas[VENDOR_REPLICAS_MAX];
    const char *hosts[VENDOR_REPLICAS_MAX];  // whom each asks: "api.openai.com"
    size_t n_replicas;
};

// Both are borrowed; remotes NULL: no vendor can be asked. `for_others`: what is wrong with a
// vendor's key or address is logged once, as a warning, and those who ask are told no more than
// that the vendor cannot be asked (ERR_UPSTREAM).
struct vendors *vendors_new(struct remotes *remotes, const struct config *config, bool for_others);
void vendors_free(struct vendors *v);
// Of "openai/gpt-4o-mini" the name before the slash, if it is a vendor's or the configuration's;
// *model is what follows. False otherwise.
bool vendors_split(const struct vendors *v, const char *reference, char name[64],
                   const char **model);
// NULL with err: no key (ERR_UNSUPPORTED, which says which variable is missing), or a base URL that
// is none.
const struct vendor *vendors_find(struct vendors *v, const char *name, struct error *err);
// Looks for the key of every provider of the configuration, for the warnings, where there are
// others; asks nobody.
void vendors_check(struct vendors *v);
