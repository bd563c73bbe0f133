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

// packed_move.c: what reading and moving cost, by a sample.
struct packed_trial {
    double old_s, fresh_s, copy_s;  // for as many bytes: to read, from fresh memory, to move there
};
bool packed_try(const unsigned char *data, size_t bytes, struct packed_trial *t);  // false: no room
// After how many readings of all it would have paid to have moved before; LONG_MAX: never.
long packed_uses_to_move(const struct packed_trial *t);
// Moves all to fresh memory if there is much: the bytes stay what and where they are, and may be
// read meanwhile. `stop` ends it early. Returns how many moved.
size_t packed_move(unsigned char *data, size_t bytes, const atomic_bool *stop);
