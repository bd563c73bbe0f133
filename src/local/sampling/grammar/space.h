// space.h - where a program can be: sets of (node, stack), made as they are reached, kept by
// number.
//
// A place in a text is a set of configurations, as a program may read one text in several ways at
// once. Stacks are shared (a frame knows its parent), equal frames and equal sets are one, so a set
// is one number, and a step from it by a byte is remembered: what was read once costs one look-up.
// So a place copies, compares and goes back by keeping a number, whatever the stack's depth.
// Memory is bounded: when a space is full a new one is begun, to which places move (grammar.h).
// Threads: one at a time.
// Source: graph-structured stacks, Tomita, IJCAI 1985; lazy determinization as in RE2.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "local/sampling/grammar/program.h"

enum {
    SET_DEAD = 1,  // no way to go on. 0: not known yet
    SET_CONFIGS_MAX = 20000,
    FRAME_DEPTH_MAX = 1000,  // of stacks; what would nest deeper does not match
};
enum {
    FRAME_EMPTY = 0,   // nothing to return to: END there is the end of the text
    FRAME_UNKNOWN = 1  // stands for any stack below
};

struct frame {
    uint32_t parent, node;  // max 0: returns to node. Else that is a REPEAT, to be done
    uint32_t min, max;      // min to max times more.
    uint32_t depth;
};
struct config {
    uint32_t node, frame;  // node: BYTES, or END with FRAME_EMPTY or FRAME_UNKNOWN
};
struct config_set {
    size_t first;  // of its configs
    uint32_t n;
    bool can_end;    // the text may end here
    bool must_end;   // and nothing else is possible
    bool returns;    // into FRAME_UNKNOWN
    bool alive;      // has a BYTES node
    uint32_t *next;  // [n_classes] sets behind each byte; NULL: none known
    void *mask;      // mask.c: what is known of tokens here
};
struct id_table {  // open addressing; ids + 1, 0 is free
    uint32_t *slots;
    size_t n_slots, n_used;
};

struct space {
    const struct program *program;
    struct frame *frames;
    struct config *configs;
    struct config_set *sets;  // [0] is no set, [1] is dead
    size_t n_frames, n_configs, n_sets;
    size_t frames_capacity, configs_capacity, sets_capacity;
    struct id_table frame_ids, set_ids;
    size_t row_bytes, mask_bytes;  // of all `next` and `mask`
    size_t max_bytes;              // soft: space_full; twice as much is an error
    bool failed;                   // a bound was met: what is wrong is in `failure`
    const char *failure;
    // Work of a step.
    struct config *work, *found;
    size_t n_work, n_found, work_capacity, found_capacity;
    struct id_table seen;
    struct config *seen_configs;
    size_t n_seen, seen_capacity;
    uint32_t *pushed;  // frames of repeats whose rule may be empty, pushed in this step
    size_t n_pushed, pushed_capacity;
    int n_refs;
};

struct space *space_new(const struct program *p, size_t max_bytes);
void space_free(struct space *s, void (*free_mask)(void *mask));
size_t space_bytes(const struct space *s);
bool space_full(const struct space *s);

uint32_t space_start(struct space *s);
// The set of some configurations and of what follows from them without a byte.
uint32_t space_set(struct space *s, const struct config *configs, size_t n);
uint32_t space_frame(struct space *s, uint32_t parent, uint32_t node, uint32_t min, uint32_t max);
uint32_t space_step_slow(struct space *s, uint32_t set, uint8_t class);

// SET_DEAD if no text goes on with this byte, or if the space has failed.
static inline uint32_t space_step(struct space *s, uint32_t set, uint8_t byte)
{
    uint8_t class = s->program->class_of[byte];
    const uint32_t *next = s->sets[set].next;
    if (next && next[class])
        return next[class];
    return space_step_slow(s, set, class);
}
