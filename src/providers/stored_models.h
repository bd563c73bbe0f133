// stored_models.h - the names that the local store has, for those above that do not know the hub.
//
// Threads: any.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Another number whenever a name came or went; a look at a few folders. 0: there is no store.
uint64_t stored_models_mark(void);
// All names, sorted, each to be put behind "local/". Freed by stored_models_free.
char **stored_models(size_t *n);
void stored_models_free(char **names, size_t n);
