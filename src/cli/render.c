// render.c - `hearth render`: the chat template applied to a JSON request, as text.
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "cli/commands.h"
#include "local/formats/model_file.h"
#include "local/template/template.h"
#include "local/tokenizer/tokenizer.h"
#include "providers/model_ref.h"

enum { REQUEST_MAX_BYTES = 256 << 20, TEMPLATE_MAX_BYTES = 4 << 20 };

static json_t *read_request(const char *path, struct error *err)
{
    json_t *request = json_read_file(path, REQUEST_MAX_BYTES, err);
    if (json_is_array(request)) {  // bare messages will do
        json_t *whole = json_object();
        json_object_set_new(whole, "messages", request);
        request = whole;
    }
    if (request && !json_is_array(json_object_get(request, "messages"))) {
        error_set(err, ERR_USAGE, "'%s': \"messages\" is missing or not a list", path);
        json_decref(request);
        return NULL;
    }
    return request;
}

static void add_token(json_t *variables, const char *name, const struct tokenizer *t, int32_t id)
{
    if (id < 0 || json_object_get(variables, name))
        return;
    struct slice piece = tokenizer_piece(t, id);
    json_object_set_new(variables, name, json_stringn(piece.ptr, piece.len));
}

// The tokens a template may name. A model without a usable tokenizer renders all the same.
static void add_tokens(json_t *variables, const struct model_file *file)
{
    struct tokenizer *t = tokenizer_open(file, NULL);
    if (!t)
        return;
    add_token(variables, "bos_token", t, tokenizer_bos(t));
    add_token(variables, "eos_token", t, tokenizer_eos(t));
    add_token(variables, "unk_token", t, tokenizer_unk(t));
    add_token(variables, "pad_token", t, tokenizer_pad(t));
    tokenizer_close(t);
}

static bool render(const struct settings *s, const struct model_file *file, json_t *request,
                   struct error *err)
{
    struct buf given = {0};
    struct rendered out = {0};
    struct slice source = model_file_chat_template(file, NULL);
    bool ok = false;
    if (s->template_path) {
        if (!file_read(s->template_path, TEMPLATE_MAX_BYTES, &given, err))
            goto out;
        source = buf_view(&given);
    }
    if (source.len == 0 && !s->template_path) {
        error_set(err, ERR_NOT_FOUND, "'%s' has no chat template (give one with --template)",
                  model_file_path(file));
        goto out;
    }
    if (!json_object_get(request, "add_generation_prompt"))
        json_object_set_new(request, "add_generation_prompt",
                            json_boolean(!s->no_generation_prompt));
    add_tokens(request, file);
    struct template *t = template_open(source, err);
    ok = t && template_render(t, request, NULL, &out, err);
    template_close(t);
    if (ok)
        (void)fwrite(buf_text(&out.text), 1, out.text.len, stdout);
out:
    rendered_release(&out);
    buf_release(&given);
    return ok;
}

static int run(struct settings *s)
{
    struct error err = {0};
    char path[MODEL_REF_BYTES];
    struct model_file *file = NULL;
    json_t *request = NULL;
    bool ok =
        model_ref_path(s->words_given.items[0], path, &err) &&
        (file = model_file_open(path, MODEL_NO_WEIGHTS, &err)) &&
        (request = read_request(s->words_given.n > 1 ? s->words_given.items[1] : "-", &err)) &&
        render(s, file, request, &err);
    json_decref(request);
    model_file_close(file);
    return ok ? EXIT_DONE : fail_error(&err);
}

const struct command command_render = {
    .name = "render",
    .arguments = "MODEL [FILE|-]",
    .summary = "the chat template applied to a request",
    .description = "Reads a JSON request, {\"messages\": [...], \"tools\": [...]} or just the list "
                   "of messages, and "
                   "prints the text that the model's chat template makes of it, nothing added. "
                   "Every member of "
                   "the request is a variable of the template. Weights are not needed.",
    .options = "no-generation-prompt template",
    .min_words = 1,
    .max_words = 2,
    .run = run,
};
