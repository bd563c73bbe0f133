// stored.h - a model of the local store as JSON, for list and show. Threads: main.
#pragma once
#include <jansson.h>

#include "hub/store.h"

// A new reference: name, repository, revision, commit, quantization, bytes, when, files, path.
json_t *stored_json(const struct store *s, const struct manifest *m);
