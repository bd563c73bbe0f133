// places.h - where Hearth's own files are: what the user has, and what ships with the binary.
//
// Threads: any; the environment does not change while they run.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct error;

enum { PLACE_BYTES = 4096 };

// A file of Hearth's data folder, from HEARTH_HOME, XDG_DATA_HOME and HOME; makes nothing. False
// with err if none of them says, or the path is too long.
bool place_data(const char *name, char path[PLACE_BYTES], struct error *err);
// A file that ships with the binary: beside it in ../share/hearth, or in share/hearth of the build
// tree that it is in. False if it is in neither.
bool place_shipped(const char *name, char path[PLACE_BYTES]);
// Asks `take` about ../share/hearth beside the binary, then about folder `sub` of the build tree
// that it is in, until one is taken.
bool place_near_program(const char *sub, bool (*take)(const char *folder, void *self), void *self);
