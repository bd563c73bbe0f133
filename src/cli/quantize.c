// quantize.c - `hearth quantize`: a model file or folder to a GGUF file of another type.
#include <stdio.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "local/formats/model_file.h"
#include "local/models/export.h"
#include "local/tokenizer/export_keys.h"
#include "providers/model_ref.h"

static bool show_progress(void *self, uint64_t done, uint64_t total)
{
    progress_show(self, "converting", (double)done / 1e6, (double)total / 1e6, "MB");
    return !interrupted();
}

static bool read_type(const char *name, enum dtype *type, struct error *err)
{
    if (!name)
        return error_set(err, ERR_USAGE, "--type is missing: f32, f16, bf16, q8_0 or q4_0");
    if (!dtype_from_name(name, type))
        return error_set(err, ERR_USAGE,
                         "--type: '%s' is not a type (f32, f16, bf16, q8_0 or q4_0)", name);
    return true;
}

static int run(struct settings *s)
{
    struct error err = {0};
    struct progress progress;
    struct model_file *file = NULL;
    char path[MODEL_REF_BYTES];
    const char *to = s->words_given.items[1];
    struct export_options o = {.tokenizer_keys = tokenizer_export_keys,
                               .progress = show_progress,
                               .progress_self = &progress};
    progress_init(&progress, s->quiet);
    interrupt_catch();
    bool ok = read_type(s->type, &o.type, &err) &&
              model_ref_path(s->words_given.items[0], path, &err) &&
              (file = model_file_open(path, MODEL_ALL, &err)) && model_export(file, to, &o, &err);
    progress_clear(&progress);
    model_file_close(file);
    if (!ok)
        return fail_error(&err);
    if (!s->quiet)
        (void)fprintf(stderr, "wrote %s\n", to);
    return EXIT_DONE;
}

const struct command command_quantize = {
    .name = "quantize",
    .arguments = "IN OUT --type TYPE",
    .summary = "a model to a GGUF file of another type",
    .description = "Reads a GGUF file or a Hugging Face folder and writes a GGUF file whose "
                   "matrices are of TYPE: f32, "
                   "f16, bf16, q8_0 or q4_0. Memory does not grow with the model. OUT appears "
                   "whole or not at all.",
    .options = "type",
    .min_words = 2,
    .max_words = 2,
    .run = run,
};
