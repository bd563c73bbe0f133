// model_names.h - the local models that callers over a network may name.
//
// Those that were added come first, then, once asked for, what the local store has: it is looked at
// again when the list is asked for or a name is not found, which takes a look at its folders unless
// something came or went. A name is valid as long as the whole, also when its model was removed
// from the store. Threads: any.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct model_names;

enum { MODEL_ID_BYTES = 128 };

struct model_name {
    char id[MODEL_ID_BYTES];
    const char *reference;  // the path of its file or folder; of a route its id
    bool route;
    int64_t created;  // of the file; since 1970, in s
};
struct model_names *model_names_new(void);
void model_names_free(struct model_names *m);  // NULL is fine
// By the name of its file, folder or place in the local store (providers/model_ref.h). False with
// err: there is no such model, or (ERR_USAGE) its id is taken.
bool model_names_add(struct model_names *m, const char *reference, struct error *err);
// What a configuration names, all of it, instead of what one before did; behind what was added: the
// model `local` (NULL: none, or the one in the box where there would be no name at all), then names
// that stand for themselves: the routes. False with err: no such model, or (ERR_USAGE) one is
// taken; nothing has changed then.
bool model_names_set_routes(struct model_names *m, const char *local, const char *const *ids,
                            size_t n, struct error *err);
// From now on also the models of the local store, but for ids that are taken.
void model_names_follow_store(struct model_names *m);
bool model_names_any(struct model_names *m);  // whether there are any; takes no time
size_t model_names_count(struct model_names *m);
// NULL if there are not so many (any more).
const struct model_name *model_names_at(struct model_names *m, size_t i);
// Of "ID", "local/ID", or without its quantization where only one has it; NULL or empty: the first.
// NULL with err (ERR_NOT_FOUND; ERR_UNSUPPORTED: there are several).
const struct model_name *model_names_find(struct model_names *m, const char *name,
                                          struct error *err);
