// quantize.c - `hearth quantize`: a model file or folder to a GGUF file of another type.
#include <stdio.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "local/formats/model_file.h"
#include "local/models/export.h"
#include "local/quantize/mix.h"
#include "local/tokenizer/export_keys.h"
#include "providers/model_ref.h"

static bool show_progress(void *self, uint64_t done, uint64_t total)
{
    progress_show(self, "converting", (double)done / 1e6, (double)total / 1e6, "MB");
    return !interrupted();
}

static bool read_type(const char *name, const struct mix **mix, struct error *err)
{
    char names[200] = "";
    size_t len = 0;
    if (name && (*mix = mix_find(name)))
        return true;
    const struct mix *m;
    for (size_t i = 0; (m = mix_at(i)) && len < sizeof names; i++)
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", i ? " " : "", m->name);
    if (!name)
        return error_set(err, ERR_USAGE, "--type is missing: one of %s", names);
    return error_set(err, ERR_USAGE, "--type: '%.20s' is none of %s", name, names);
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
    o.threads = s->threads;
    progress_init(&progress, s->quiet);
    interrupt_catch();
    bool ok = read_type(s->type, &o.mix, &err) &&
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
    .description = "Reads a GGUF file or a Hugging Face folder and writes a GGUF file of TYPE, "
                   "which is named as "
                   "GGUF files are: q2_k q3_k_s q3_k_m q3_k_l mxfp4 iq4_xs iq4_nl q4_0 q4_k_s "
                   "q4_k_m q4_1 q5_0 "
                   "q5_k_s q5_k_m q5_1 q6_k q8_0 f16 bf16 f32. Those with a K or IQ in the name "
                   "are mixes: tensors that "
                   "matter more get more bits, the same ones as in llama.cpp's files. q4_k_m is a "
                   "good start. Take the "
                   "model as it was trained (f32, bf16, f16) as IN: what an earlier quantization "
                   "lost stays lost. Memory does "
                   "not grow with the model. OUT appears whole or not at all.",
    .options = "type threads",
    .min_words = 2,
    .max_words = 2,
    .run = run,
};
