// packed_impl.h - what the files behind packed.h share; nobody else includes it.
#pragma once
#include <stdatomic.h>

#include "local/models/packed.h"

enum { PACKED_PATH_BYTES = PACKED_FOLDER_BYTES + 160 };

// packed_folder.c: the files of the folder.
void packed_path(const struct packed_options *o, const struct packed_plan *plan, const char *ending,
                 char path[PACKED_PATH_BYTES]);
extern const char packed_ending[], packed_temp_ending[];
// Makes the folder, and room in it for a file of that size: removes what was not used for longest,
// and what writers that are no more left behind. False with err.
bool packed_make_room(const struct packed_options *o, const struct packed_plan *plan,
                      struct error *err);

// packed.c: takes over fd, a whole file of the plan's shape, and checks all of it. NULL with err;
// then fd is closed.
struct packed *packed_map(int fd, const struct packed_plan *plan, struct thread_pool *pool,
                          struct error *err);
// Starts the thread that waits for the disk and then gives the file its name. Takes over fd.
void packed_settle(struct packed *p, int fd, const char *temp, const char *path);

// packed_move.c: whether forward passes of so many seconds have lost more to small pages than it
// costs to move so many bytes to huge ones.
bool packed_move_pays(double used_s, uint64_t bytes);
// Does it, if the kernel has not and memory is there: the bytes stay what and where they are, and
// may be read meanwhile. `stop` ends it early.
void packed_move_if_small(unsigned char *data, size_t bytes, const atomic_bool *stop);
size_t packed_move(unsigned char *data, size_t bytes, const atomic_bool *stop);  // how many moved
