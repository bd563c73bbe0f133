// local_models.h - which models are in memory: loaded when they are needed, the least recently used
// of those that nobody uses closed when another one needs the room.
//
// One model loads at a time, since memory is counted. A model is known by the real path of its
// file, however it is named. Threads: any; the lock is held for moments, never while one loads.
#pragma once
#include "providers/local_impl.h"

struct loading;
struct local_models {
    struct local_options options;  // borrowed texts
    pthread_mutex_t lock;          // of what follows and of the models' use
    pthread_mutex_t loader;        // held while a model loads
    pthread_cond_t loaded;
    struct local_model *models;
    struct loading *loading;
    struct {  // the model that waits for room, as long as it is tried again and again
        char real[MODEL_REF_BYTES];
        uint64_t bytes;  // that it needs; 0: unknown
        int64_t until_ns;
    } wanted;
    uint64_t uses, n_loaded, n_unloaded;  // counted on and on
};

void local_models_init(struct local_models *l, const struct local_options *o);
void local_models_release(struct local_models *l);  // closes all; nobody uses one

// Loads it, or waits until it is loaded, unless it is there. It stays until it is given back. NULL
// with err: what is wrong with its file or options, ERR_MEMORY if it cannot fit, ERR_BUSY if it
// could once others are not used any more.
struct local_model *local_models_take(struct local_models *l, const char *reference,
                                      struct error *err);
void local_models_give(struct local_models *l, struct local_model *m);
// Whether to take it would take no time. Not if it is to leave once those who use it are done,
// since another one waits for its room: who comes now should wait behind that one (has_waited: did
// so).
bool local_models_ready(struct local_models *l, const char *reference, bool has_waited);
