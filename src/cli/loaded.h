// loaded.h - a model loaded for commands that drive it directly: bench and perplexity.
#pragma once
#include <stdbool.h>

#include "cli/progress.h"
#include "local/models/model.h"

struct error;
struct settings;
struct tokenizer;

struct loaded {
    struct model_file *file;
    struct backend *backend;
    struct model *model;
    struct tokenizer *tokenizer;  // NULL unless asked for
    struct progress progress;
};

// False with err; loaded_release is due in either case.
bool loaded_init(struct loaded *l, const char *reference, const struct settings *s,
                 struct model_options o, bool with_tokenizer, struct error *err);
void loaded_release(struct loaded *l);
