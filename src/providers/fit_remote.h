// fit_remote.h - `fit` for a repository of a hub that was not downloaded.
//
// Asked for are the list of files and, of one quantization, the header of each part (a GGUF file's
// keys and shapes, a checkout's config.json): megabytes, whatever the model weighs. Nothing that
// comes is trusted more than a file on disk. Threads: any, one call at a time for an answer.
#pragma once
#include <stdbool.h>

#include "hub/hub.h"

struct error;
struct fit_answer;

// Fills name, facts and options of an answer whose wish and machine are set: each quantization of
// the repository with the bytes of its files, or the one that the reference names; of a checkout
// the files as they are, then what they could be quantized to. False with err. go_on as in
// hub_open.
bool fit_repository(struct fit_answer *a, const char *reference, hub_go_on go_on, void *self,
                    struct error *err);
