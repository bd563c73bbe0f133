// kv_plan.h - how many pages of keys and values an engine gets: a pure function of numbers.
//
// One sequence of the context must always fit. What was not asked for gives way to memory: a
// context nobody named shrinks to what fits; one that was asked for and does not fit is an error.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "local/models/model.h"

struct error;

struct kv_facts {
    int n_groups;
    struct kv_group groups[BATCH_GROUPS_MAX];
    uint64_t page_bytes_more[BATCH_GROUPS_MAX];  // beside each page of the group: a draft model's
    enum dtype dtype;
    int ctx;         // wanted
    bool ctx_asked;  // by somebody, not just the model's own
    int max_rows, max_seqs;
    uint64_t kv_bytes;   // asked for; 0: as `available` allows
    uint64_t available;  // bytes of memory left after weights and scratch
};
struct kv_plan {
    int ctx;
    int n_pages[BATCH_GROUPS_MAX], least_pages[BATCH_GROUPS_MAX];
    uint64_t bytes, least_bytes;  // least: what one sequence of ctx needs
};
// False with err (ERR_MEMORY), saying what is needed and what there is.
bool kv_plan_make(const struct kv_facts *f, struct kv_plan *p, struct error *err);
uint64_t kv_plan_bytes(const struct kv_facts *f, const int *n_pages);  // of so many in each group
