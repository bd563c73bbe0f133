// model_ref.h - from what a user wrote for MODEL to a file or folder on this machine.
//
// Tried in order: a path that exists; the name of the model that ships with Hearth; a name in the
// local store, "local/NAME" or without. Then what is not here (a vendor's model, a repository) is
// refused with a line that says so, and so is what could be both. Threads: any.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct error;

enum { MODEL_REF_BYTES = 4096 };

// reference may be NULL or empty: HEARTH_MODEL, else the model that ships with Hearth.
// False with err: ERR_NOT_FOUND, ERR_UNSUPPORTED, ERR_FORMAT (a stored model is
// damaged).
bool model_ref_path(const char *reference, char path[MODEL_REF_BYTES], struct error *err);
// Whether a reference that could be a vendor's model is nothing else: a repository that was pulled
// may be called the same, and a document never leaves by a misunderstanding. False with err.
bool model_ref_check_vendor(const char *reference, struct error *err);
// Whether nobody named a model, neither here nor by HEARTH_MODEL: then it is the one that ships.
bool model_ref_unnamed(const char *reference);
// The shipped model's path: ../share/hearth or, in a build tree, models/ of a folder above the
// binary. False if there is none.
bool model_ref_shipped(char path[MODEL_REF_BYTES]);
// "tiny.q8_0" of "dir/tiny.q8_0.gguf" or of its part "dir/tiny.q8_0-00001-of-00002.gguf", a
// folder's own name, a stored model's name: what a model is called in answers.
void model_ref_name(const char *path, char *name, size_t name_bytes);
