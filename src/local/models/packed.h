// packed.h - packed weights kept on disk, so that a large model's next start maps them.
//
// Packing a model touches its weights twice, and fresh memory is dear: a file in the page cache is
// mapped in a fraction of the time, shared by all processes, and is never in memory beside a second
// copy. A model's first start packs into such a file and then loads it, exactly as every later
// start does. The file may be removed at any time; whatever is wrong with it, or with the folder,
// the weights are packed into memory as if there were none.
// A file is named by a key made of the model files' identity and samples of their bytes, the
// backend's layout and the plan of what is packed (docs/decisions.md, 37). It is written under
// another name by one process at a time, and read only with all its checksums right.
// Threads: one at a time; the file is made lasting by a thread of its own.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "local/models/packed_file.h"

struct error;
struct model_file;
struct thread_pool;

enum { PACKED_FOLDER_BYTES = 1024 };

struct packed_options {                // zeroed: nothing is kept
    char folder[PACKED_FOLDER_BYTES];  // made when first needed
    uint64_t max_bytes;  // of all files in it; 0: a quarter of the disk's room, at most 64 GiB
    uint64_t min_bytes;  // of packed weights of a model: less is packed anew; 0: the default
};
// "auto" (NULL too), "off", or how many gigabytes (10^9 bytes) the files may take together. The
// folder is $HEARTH_HOME/packed, else $XDG_CACHE_HOME/hearth/packed, else ~/.cache/hearth/packed;
// where there is none, nothing is kept. False with err (ERR_USAGE).
bool packed_options_read(const char *text, struct packed_options *o, struct error *err);

// What will be packed, in order: made before anything is.
struct packed_plan {
    struct packed_shape shape;
    uint64_t *offsets;  // [n] in the data
    size_t n, capacity;
    char name[128];  // of the file
};
// `what` names the weight, whose packed bytes follow from it and from the model's files.
void packed_plan_add(struct packed_plan *p, uint64_t what, uint64_t bytes);
// After the last: makes key and name. False if there is nothing to pack or the model's files are so
// new that a change of them might leave no trace.
bool packed_plan_end(struct packed_plan *p, const struct model_file *file, uint64_t layout);
void packed_plan_release(struct packed_plan *p);

struct packed;  // weights on disk, mapped
// NULL with err: ERR_NOT_FOUND, or what is wrong with it. The pool checks it.
struct packed *packed_open(const struct packed_options *o, const struct packed_plan *plan,
                           struct thread_pool *pool, struct error *err);
const void *packed_at(const struct packed *p, uint64_t offset);
// To be told after each use of all weights. Where what the system holds of the file is slow to
// read, weights that are used for long move to memory of our own, at the same addresses.
void packed_used(struct packed *p);  // NULL is fine
// Does at once, and in this thread, what would be done after some use.
void packed_warm_up(struct packed *p);  // NULL is fine
// Waits until a file that was just written is on the disk; it has its name then.
void packed_close(struct packed *p);  // NULL is fine

struct packed_writer;
// Makes room, removing files that were not used for longest. NULL with err if the file cannot be
// written: no room, a folder that is read-only, another process at it.
struct packed_writer *packed_writer_new(const struct packed_options *o,
                                        const struct packed_plan *plan, struct error *err);
// Memory for the next `bytes`, which packed_writer_add then takes. They are valid until then. NULL:
// no memory.
void *packed_writer_room(struct packed_writer *w, size_t bytes);
bool packed_writer_add(struct packed_writer *w, size_t bytes, struct error *err);
// The next bytes stand at the plan's next multiple of PACKED_ALIGN.
bool packed_writer_align(struct packed_writer *w, struct error *err);
// What was written, as packed_open gives it; NULL with err. Frees the writer.
struct packed *packed_writer_end(struct packed_writer *w, const struct model_file *file,
                                 struct thread_pool *pool, struct error *err);
void packed_writer_drop(struct packed_writer *w);  // and its file
