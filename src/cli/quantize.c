// quantize.c - `hearth quantize`: a model file or folder to a GGUF file of another type.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/loaded.h"
#include "cli/predictions.h"
#include "cli/progress.h"
#include "local/eval/calibrate.h"
#include "local/eval/perplexity.h"
#include "local/formats/model_file.h"
#include "local/models/export.h"
#include "local/quantize/care.h"
#include "local/quantize/mix.h"
#include "local/tokenizer/export_keys.h"
#include "providers/model_ref.h"

enum { TEXT_MAX_BYTES = 1 << 30, CALIBRATION_CTX = 512 };
static const double KL_FAR = 0.5;  // four bits of ordinary models: 0.002 to 0.1

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

static bool show_reading(void *self, size_t done, size_t total)
{
    progress_show(self, "calibrating", (double)done, (double)total, "windows");
    return !interrupted();
}

// Without calibration the file is all that is needed; with it the model runs over the text.
static bool open_source(struct loaded *l, struct settings *s, struct error *err)
{
    char path[MODEL_REF_BYTES];
    const char *reference = s->words_given.items[0];
    struct model_options o = {
        .ctx = CALIBRATION_CTX, .max_rows = CALIBRATION_CTX, .max_wanted = CALIBRATION_CTX};
    s->packed = "off";  // this start of a model that is to become smaller is its last
    if (s->calibration)
        return loaded_init(l, reference, s, o, true, err);
    progress_init(&l->progress, s->quiet);
    return model_ref_path(reference, path, err) &&
           (l->file = model_file_open(path, MODEL_ALL, err));
}

// How many different words the beginning of a text has, of how many.
static void count_words(struct slice text, size_t *n_different, size_t *n)
{
    enum { SLOTS = 1 << 16, BYTES = 128 << 10 };
    uint64_t *seen = memory_array(uint64_t, SLOTS);
    *n = *n_different = 0;
    text = slice_sub(text, 0, text.len < BYTES ? text.len : BYTES);
    for (size_t i = 0; i < text.len && *n < SLOTS / 2;) {
        size_t from = i;
        while (i < text.len && (unsigned char)text.ptr[i] > ' ')
            i++;
        if (i > from) {
            uint64_t hash = hash_bytes(text.ptr + from, i - from, 1) | 1;
            size_t slot = (size_t)(hash >> 32) % SLOTS;
            while (seen[slot] && seen[slot] != hash)
                slot = (slot + 1) % SLOTS;
            *n_different += !seen[slot];
            seen[slot] = hash;
            ++*n;
        }
        i++;
    }
    free(seen);
}

// Rounding believes the text, so it must be one. A part of it is kept out to judge by, which is no
// judge where everything is said again and again.
static bool check_text(const char *path, struct slice text, struct error *err)
{
    size_t n_different, n, at = 0, step;
    uint32_t code;
    while (at < text.len && text.ptr[at] &&
           (step = utf8_decode(text.ptr + at, text.len - at, &code)) > 0)
        at += step;
    if (at < utf8_whole(text.ptr, text.len))  // its end may have been cut
        return error_set(err, ERR_FORMAT, "--calibration %s: no text in UTF-8, at byte %zu", path,
                         at);
    count_words(text, &n_different, &n);
    if (n >= 200 && n_different * 50 < n)
        log_warn("--calibration %s: %zu different words among %zu: a text that repeats itself can "
                 "do harm",
                 path, n_different, n);
    return true;
}

static bool calibrate(struct loaded *l, const struct settings *s,
                      const struct calibration_options *o, struct calibration **out,
                      struct error *err)
{
    struct buf text = {0};
    bool ok = file_read(s->calibration, TEXT_MAX_BYTES, &text, err) &&
              check_text(s->calibration, buf_view(&text), err) &&
              ((*out = calibration_new(l->model, l->tokenizer, buf_view(&text), o, err)) ||
               error_wrap(err, "--calibration %s", s->calibration));
    buf_release(&text);
    return ok;
}

// What the text was good for, on the part of it that nothing was learned from.
static void tell_tally(const struct calibration *c, const struct care_tally *t)
{
    if (t->n_rows && t->plain > 0)
        (void)fprintf(stderr,
                      "calibrated with %zu tokens: %.0f %% of rows gain; on the part of the text "
                      "that was kept out, the squared errors of their products are %.0f %% of what "
                      "they are without\n",
                      calibration_tokens(c), 100 * (double)t->n_cared / (double)t->n_rows,
                      100 * t->kept / t->plain);
}

static void tell_report(const char *to, const struct export_report *r)
{
    (void)fprintf(stderr, "wrote %s: %.2f bits a weight, %.1f MB\n", to,
                  8 * (double)r->bytes / (double)r->values, (double)r->bytes * 1e-6);
    if (r->n_other)
        (void)fprintf(
            stderr,
            "%d of %d matrices are in formats with smaller blocks than the type's (such as %s): no "
            "block of the type divides their rows (of %" PRId64 " values)\n",
            r->n_other, r->n_matrices, r->other_type, r->other_cols);
    if (r->n_zeros)
        (void)fprintf(
            stderr,
            "%d of %d matrices have zeros among their values and are in q4_0: the type has "
            "no zero\n",
            r->n_zeros, r->n_matrices);
    if (r->n_quantized)
        (void)fprintf(stderr, "the source was quantized already: what that lost stays lost\n");
}

// Ordinary matrices have next to none of such groups.
static void warn_of_losses(const struct export_report *r)
{
    if (r->lost_share > 0.005)
        log_warn(
            "in '%s' %.1f %% of the groups of 32 values lose more than half: beside much larger "
            "ones they get no scale. Compare the file's predictions (hearth perplexity "
            "--against); q6_k, q8_0 or a type with small blocks (q4_0, q5_0) may keep them",
            r->lost_most, 100 * r->lost_share);
}

// What a file predicts is what it is for; errors of single rows, which rounding goes by, cannot
// tell how far a network carries them.
static void tell_predictions(const struct perplexity_result *r, bool quiet)
{
    if (!quiet)
        (void)fprintf(
            stderr,
            "its predictions of %zu tokens that were kept out, beside the original's: mean "
            "KL divergence %.4f, same likeliest token %.1f %%\n",
            r->tokens, r->kl_mean, 100 * r->same_top);
    if (!(r->kl_mean < KL_FAR))
        log_warn("the file predicts something else than the original (mean KL divergence %.2f): "
                 "try q4_0 or q5_0, whose levels have an exact zero, or more bits (q6_k, q8_0)",
                 r->kl_mean);
}

// The file stays where it cannot be compared.
static void compare(const struct predictions *p, const char *to, const struct settings *s,
                    struct error *err)
{
    struct perplexity_result r;
    if (!err->code && predictions_compare(p, to, s, &r, err))
        tell_predictions(&r, s->quiet);
    else
        log_warn("'%.300s' was not compared with the original: %s", to, err->text);
}

static bool check_target(const struct settings *s, const char *to, struct error *err)
{
    return !s->calibration || !file_same(s->calibration, to) ||
           error_set(err, ERR_USAGE, "'%.300s' would be written over the text of --calibration",
                     to);
}

static int run(struct settings *s)
{
    struct error err = {0};
    struct loaded l = {0};
    struct calibration *calibration = NULL;
    struct care_tally tally = {0};
    struct export_report report = {0};
    struct predictions predictions = {0};
    struct error not_kept = {0};
    const char *to = s->words_given.items[1];
    struct calibration_options c = {.ctx = CALIBRATION_CTX,
                                    .threads = s->threads,
                                    .progress = show_reading,
                                    .progress_self = &l.progress};
    struct export_options o = {.threads = s->threads,
                               .tokenizer_keys = tokenizer_export_keys,
                               .tally = &tally,
                               .report = &report,
                               .progress = show_progress,
                               .progress_self = &l.progress};
    interrupt_catch();
    bool ok = read_type(s->type, &o.mix, &err) && check_target(s, to, &err) &&
              open_source(&l, s, &err) &&
              (!s->calibration || calibrate(&l, s, &c, &calibration, &err));
    if (calibration) {
        o.importance = calibration_find;
        o.importance_self = calibration;
        (void)predictions_keep(&predictions, &l, calibration, s, &not_kept);
    }
    ok = ok && model_export(l.file, to, &o, &err);
    progress_clear(&l.progress);
    if (ok && calibration && !s->quiet)
        tell_tally(calibration, &tally);
    calibration_free(calibration);
    loaded_release(&l);
    if (ok && !s->quiet)
        tell_report(to, &report);
    if (ok)
        warn_of_losses(&report);
    if (ok && s->calibration)
        compare(&predictions, to, s, &not_kept);
    predictions_release(&predictions);
    return ok ? EXIT_DONE : fail_error(&err);
}

const struct command command_quantize = {
    .name = "quantize",
    .arguments = "IN OUT --type TYPE [--calibration FILE]",
    .summary = "a model to a GGUF file of another type",
    .description =
        "Reads a GGUF file or a Hugging Face folder and writes a GGUF file of TYPE, "
        "named as GGUF files are: q2_k q3_k_s q3_k_m q3_k_l mxfp4 iq4_xs iq4_nl q4_0 "
        "q4_k_s q4_k_m q4_1 q5_0 q5_k_s q5_k_m q5_1 q6_k q8_0 f16 bf16 f32. Types are "
        "mixes: tensors that matter more get more bits, the same ones as in "
        "llama.cpp's files (mxfp4: experts' matrices, all others are q8_0). q4_k_m is a good "
        "start. Take the model as it was trained "
        "(f32, bf16, f16) as IN: what an earlier quantization lost stays lost. With "
        "--calibration the model first reads the text in FILE (some hundred kilobytes "
        "of what it will be used for), and rounding minds what its matrices are "
        "multiplied with: files of the same size that predict more like the original. An eighth of "
        "the text is kept out and judges, row by row, whether that helps, and at the end how far "
        "the file's predictions are from the original's; "
        "the model must fit into memory for that. Otherwise memory does not grow with "
        "the model. OUT appears whole or not at all.",
    .options = "type calibration threads isa",
    .min_words = 2,
    .max_words = 2,
    .run = run,
};
