// fit.h - whether a model fits this machine, with how much context, and how fast it might be.
//
// Numbers only: nothing is loaded. A model is its facts and a footprint (of a file, or of a
// quantization that nobody made yet); the machine is devices with free memory. The context is
// planned as the engine plans it (engine/kv_plan.h), layers are placed as the loader would.
// fit_remote.h asks about models that are not here. Threads: any.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "local/backend/placement.h"
#include "local/models/facts.h"
#include "local/tensor/dtype.h"

struct error;
struct footprint;
struct mix;
struct model_file;

struct fit_machine {
    int n_devices;
    struct placement_device device[PLACEMENT_DEVICES_MAX];
    const char *name[PLACEMENT_DEVICES_MAX];  // constant texts
};
// This machine: the CPU and what memory is left (UINT64_MAX if the system does not say). With
// `measure` its memory's reads are timed, which takes a few tenths of a second.
void fit_machine_read(struct fit_machine *m, bool measure);

struct fit_wish {
    int ctx;                // 0: the model's own, less where memory is short
    enum dtype kv_type;     // DTYPE_COUNT: the model's default
    const struct mix *mix;  // fit_check: what weights become while they load; NULL: they stay
};
struct fit_option {
    char quant[48];
    bool fits;
    bool estimated;  // from shapes; else from a file
    uint64_t weights_bytes, kv_bytes, scratch_bytes;
    int ctx, ctx_wanted;  // what it gets, or would need if it does not fit
    int n_layers_on[PLACEMENT_DEVICES_MAX];
    double tokens_per_s;  // at the start of a text, one sequence; 0: unknown
};
// Fills all but quant and estimated.
void fit_place(const struct model_facts *f, const struct footprint *p, const struct fit_wish *wish,
               const struct fit_machine *m, struct fit_option *out);

enum { FIT_OPTIONS_MAX = 64 };
struct fit_answer {  // large: off small stacks
    struct fit_wish wish;
    struct fit_machine machine;  // these two are the question
    char name[256];
    struct model_facts facts;
    struct fit_option options[FIT_OPTIONS_MAX];
    int n_options;
};
// The file as it is (unless it holds no weights), then every quantization it could have, from
// narrow to wide. Sets the facts too, not the name. False with err: the model cannot be run, or its
// tensors are wrong.
bool fit_file(struct fit_answer *a, const struct model_file *file, struct error *err);
// The parts of it: one option; and all quantizations but `own`, estimated. More than
// FIT_OPTIONS_MAX are dropped.
void fit_add(struct fit_answer *a, const char *quant, bool estimated, const struct footprint *p);
void fit_add_mixes(struct fit_answer *a, const char *own);

// False with err (ERR_MEMORY), in one line with what to do, if the file's model would not fit: so
// that it can be told before memory is full. Other faults are left to the loader. *needs (may be
// NULL): what it takes at least, left as it is where that is unknown.
bool fit_check(const struct model_file *file, const struct fit_wish *wish,
               const struct fit_machine *m, uint64_t *needs, struct error *err);
