// fit.c - `hearth fit`: what this machine can hold, before anything is loaded.
//
// With a model: its quantizations, each with bytes, context, devices and an estimate of speed.
// Without: the short list of open models (providers/model_list.h), judged for this machine.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/shown_bytes.h"
#include "cli/commands.h"
#include "cli/fit_list.h"
#include "local/backend/backend.h"
#include "local/formats/model_file.h"
#include "providers/fit.h"
#include "providers/fit_remote.h"
#include "providers/model_ref.h"

static bool go_on(void *self)
{
    (void)self;
    return !interrupted();
}

// What is not here and could be a repository of a hub: nothing of the user's goes there but the
// name.
static bool is_elsewhere(const char *reference, const struct error *err)
{
    size_t n = strlen(reference);
    return (err->code == ERR_NOT_FOUND || err->code == ERR_UNSUPPORTED) && strchr(reference, '/') &&
           reference[0] != '/' && reference[0] != '.' && strncmp(reference, "local/", 6) != 0 &&
           !(n > 5 && strcmp(reference + n - 5, ".gguf") == 0);
}

static bool ask(struct fit_answer *a, const char *reference, struct error *err)
{
    char path[MODEL_REF_BYTES];
    if (!model_ref_path(reference, path, err)) {
        if (!is_elsewhere(reference, err))
            return false;
        error_clear(err);
        return fit_repository(a, reference, go_on, NULL, err);
    }
    model_ref_name(path, a->name, sizeof a->name);
    struct model_file *file = model_file_open(path, MODEL_NO_WEIGHTS, err);
    bool ok = file && fit_file(a, file, err);
    model_file_close(file);
    return ok;
}

static json_t *bytes_json(uint64_t bytes)
{
    return bytes <= INT64_MAX ? json_integer((json_int_t)bytes) : json_null();
}

json_t *fit_devices_json(const struct fit_machine *m)
{
    json_t *list = json_array();
    for (int i = 0; i < m->n_devices; i++) {
        json_t *o = json_object();
        json_object_set_new(o, "name", json_string(m->name[i]));
        json_object_set_new(o, "free_bytes", bytes_json(m->device[i].free_bytes));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *option_json(const struct fit_option *f, const struct fit_machine *m)
{
    json_t *o = json_object(), *layers = json_object();
    for (int i = 0; i < m->n_devices; i++)
        if (f->n_layers_on[i])
            json_object_set_new(layers, m->name[i], json_integer(f->n_layers_on[i]));
    json_object_set_new(o, "quant", json_string(f->quant));
    json_object_set_new(o, "fits", json_boolean(f->fits));
    json_object_set_new(o, "weights_bytes", bytes_json(f->weights_bytes));
    json_object_set_new(o, "kv_bytes", bytes_json(f->kv_bytes));
    json_object_set_new(o, "layers", layers);
    json_object_set_new(o, "tokens_per_s",
                        f->tokens_per_s > 0 ? json_real(f->tokens_per_s) : json_null());
    return o;
}

static void print_json_answer(const struct fit_answer *a)
{
    json_t *o = json_object(), *options = json_array();
    for (int i = 0; i < a->n_options; i++)
        json_array_append_new(options, option_json(&a->options[i], &a->machine));
    json_object_set_new(o, "devices", fit_devices_json(&a->machine));
    json_object_set_new(o, "options", options);
    fit_print_json(o);
}

void fit_print_json(json_t *o)
{
    struct buf out = {0};
    json_write(&out, o, JSON_STYLE_SPACED);
    (void)puts(buf_text(&out));
    buf_release(&out);
    json_decref(o);
}

void fit_print_devices(const struct fit_machine *m)
{
    for (int i = 0; i < m->n_devices; i++) {
        const struct placement_device *d = &m->device[i];
        (void)printf("%s: %s free", m->name[i],
                     d->free_bytes == UINT64_MAX ? "unknown memory"
                                                 : shown_bytes((double)d->free_bytes).text);
        if (d->bytes_per_s > 0)
            (void)printf(", reads %.1f GB/s", d->bytes_per_s / 1e9);
        (void)putchar('\n');
    }
}

static void print_option(const struct fit_option *o, const struct fit_machine *m)
{
    char quant[56], speed[32] = "-";
    (void)snprintf(quant, sizeof quant, "%s%s", o->quant, o->estimated ? " ~" : "");
    if (o->tokens_per_s > 0)
        (void)snprintf(speed, sizeof speed, "%.1f", o->tokens_per_s);
    (void)printf("%-12s %10s %12s %9d  %-4s %9s", quant, shown_bytes((double)o->weights_bytes).text,
                 shown_bytes((double)o->kv_bytes).text, o->ctx, o->fits ? "yes" : "no", speed);
    for (int i = 0; i < m->n_devices; i++)
        if (o->n_layers_on[i])
            (void)printf("  %s %d", m->name[i], o->n_layers_on[i]);
    (void)putchar('\n');
}

static void print_answer(const struct fit_answer *a)
{
    bool estimated = false;
    (void)printf("%s: %d layers, context %d\n", a->name, a->facts.n_layers, a->facts.ctx_train);
    fit_print_devices(&a->machine);
    (void)printf("\n%-12s %10s %12s %9s  %-4s %9s  %s\n", "quantization", "weights", "keys+values",
                 "context", "fits", "tokens/s", "layers");
    for (int i = 0; i < a->n_options; i++) {
        print_option(&a->options[i], &a->machine);
        estimated |= a->options[i].estimated;
    }
    if (estimated)
        (void)printf("\n~ computed from the model's shapes, whether such a file exists or not\n");
}

// The context that nobody asked for gives way to memory; never silently.
static void tell_caps(const struct fit_answer *a)
{
    for (int i = 0; i < a->n_options; i++) {
        const struct fit_option *o = &a->options[i];
        if (o->fits && o->ctx < o->ctx_wanted)
            (void)fprintf(stderr,
                          "%s: memory holds a context of %d tokens, not of the model's %d\n",
                          o->quant, o->ctx, o->ctx_wanted);
    }
}

static int run(struct settings *s)
{
    struct error err = {0};
    struct fit_wish wish = {.ctx = s->ctx};
    if (!kv_type_from_name(s->kv, &wish.kv_type, &err))
        return fail_error(&err);
    if (s->words_given.n == 0)
        return fit_list_print(&wish, s->json);
    struct fit_answer *a = memory_array(struct fit_answer, 1);
    a->wish = wish;
    interrupt_catch();
    fit_machine_read(&a->machine, true);
    bool ok = ask(a, s->words_given.items[0], &err) &&
              (wish.kv_type == DTYPE_COUNT || kv_type_check(wish.kv_type, a->facts.head_dim, &err));
    if (ok && s->json)
        print_json_answer(a);
    else if (ok)
        print_answer(a);
    if (ok && !s->quiet)
        tell_caps(a);
    free(a);
    return ok ? EXIT_DONE : fail_error(&err);
}

const struct command command_fit = {
    .name = "fit",
    .arguments = "[MODEL]",
    .summary = "what this machine can hold, before anything is loaded",
    .description =
        "For each quantization of MODEL: bytes of weights, bytes of keys and values for --ctx "
        "tokens (else the model's own context, less where memory is short) in the type of --kv, "
        "whether both fit into "
        "the memory that is free, and how many layers each device holds. Nothing is loaded. MODEL "
        "may be a repository "
        "of a hub (owner/name[:QUANT]) that is not here: only the beginning of its files is asked "
        "for.\n\n"
        "tokens/s is what one text gets at its start if the weights are read once a token at the "
        "speed that was just measured; it is a bound from above, longer texts and busy machines "
        "are slower. For weights of less than 100 MB it says nothing, since caches decide "
        "there.\n\n"
        "Without MODEL: a short list of open models by size, which of them fit here (with 8192 "
        "tokens of context, or --ctx), and which is suggested: the best that takes half of the "
        "free memory at most, answers without thinking first and writes at a reading pace.",
    .options = "ctx kv json",
    .min_words = 0,
    .max_words = 1,
    .run = run,
};
