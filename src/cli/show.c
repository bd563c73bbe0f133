// show.c - `hearth show`: what a model file holds, without loading it.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/stored.h"
#include "local/formats/gguf.h"
#include "local/formats/model_file.h"
#include "local/models/facts.h"
#include "local/models/footprint.h"
#include "local/tokenizer/tokenizer.h"
#include "providers/model_ref.h"

static struct slice architecture(const struct model_file *f)
{
    struct slice text = {"unknown", 7};
    const struct gguf *g = model_file_gguf(f);
    const char *type = g ? NULL : json_get_text(model_file_config(f), "model_type");
    if (g)
        (void)gguf_get_text(g, "general.architecture", &text);
    return type ? slice_str(type) : text;
}

// One of the texts that GGUF files carry about themselves; folders have none of them.
static json_t *about(const struct model_file *f, const char *key)
{
    struct slice text;
    const struct gguf *g = model_file_gguf(f);
    json_t *value = g && gguf_get_text(g, key, &text) ? json_stringn(text.ptr, text.len) : NULL;
    return value ? value : json_null();
}

static void set_weights(json_t *o, const struct model_file *f)
{
    int64_t n_types[DTYPE_COUNT] = {0}, parameters = 0, bytes = 0;
    json_t *types = json_object();
    for (size_t i = 0; i < model_file_n_tensors(f); i++) {
        const struct model_tensor *t = model_file_tensor(f, i);
        int64_t n = 1;
        for (int d = 0; d < t->n_dims; d++)
            n *= t->shape[d];
        parameters += n;
        bytes += (int64_t)t->bytes;
        n_types[t->dtype]++;
    }
    for (int d = 0; d < DTYPE_COUNT; d++)
        if (n_types[d])
            json_object_set_new(types, dtype_name((enum dtype)d), json_integer(n_types[d]));
    json_object_set_new(o, "parameters", json_integer(parameters));
    json_object_set_new(o, "weights_bytes", json_integer(bytes));
    json_object_set_new(o, "bits_per_weight",
                        json_real(parameters ? (double)bytes * 8 / (double)parameters : 0));
    json_object_set_new(o, "tensor_types", types);
}

// Packed weights are no tensors of their own: what they amount to, and what they take in memory.
static void set_packed(json_t *o, const struct model_file *f, const struct model_facts *facts)
{
    struct error err;
    struct footprint *p = memory_array(struct footprint, 1);
    json_object_set_new(o, "quantization", json_string(hf_quant_name(facts->quant.method)));
    if (footprint_of_file(f, facts, p, &err)) {
        json_object_set_new(o, "parameters", json_integer((json_int_t)p->parameters));
        json_object_set_new(o, "weights_bytes", json_integer((json_int_t)p->bytes));
        json_object_set_new(o, "bits_per_weight",
                            json_real((double)p->bytes * 8 / (double)p->parameters));
    } else if (!model_file_weights_error(f)) {
        json_object_set_new(o, "weights_error", json_string(err.text));
    }
    free(p);
}

static void set_facts(json_t *o, const struct model_file *f)
{
    static struct model_facts facts;  // large; one command, one thread
    struct error err = {0};
    if (!facts_read(f, &facts, &err)) {
        json_object_set_new(o, "runs", json_false());
        json_object_set_new(o, "why_not", json_string(err.text));
        return;
    }
    json_object_set_new(o, "runs", json_true());
    json_object_set_new(o, "layers", json_integer(facts.n_layers));
    json_object_set_new(o, "width", json_integer(facts.n_embd));
    json_object_set_new(o, "feed_forward", json_integer(facts.n_ff));
    json_object_set_new(o, "heads", json_integer(facts.n_heads));
    json_object_set_new(o, "kv_heads", json_integer(facts.n_kv_heads));
    json_object_set_new(o, "head_dim", json_integer(facts.head_dim));
    json_object_set_new(o, "experts", json_integer(facts.n_experts));
    json_object_set_new(o, "window", json_integer(facts.window));
    json_object_set_new(o, "context", json_integer(facts.ctx_train));
    if (facts.quant.method != HF_QUANT_NONE)
        set_packed(o, f, &facts);
}

static json_t *token_json(const struct tokenizer *t, int32_t id)
{
    if (id < 0)
        return json_null();
    json_t *o = json_object();
    struct slice piece = tokenizer_piece(t, id);
    json_t *text = json_stringn(piece.ptr, piece.len);
    json_object_set_new(o, "id", json_integer(id));
    json_object_set_new(o, "text", text ? text : json_null());
    return o;
}

static void set_tokenizer(json_t *o, const struct model_file *f)
{
    struct error err = {0};
    struct tokenizer *t = tokenizer_open(f, &err);
    json_object_set_new(o, "chat_template_bytes",
                        json_integer((json_int_t)model_file_chat_template(f, NULL).len));
    if (!t) {
        json_object_set_new(o, "tokenizer", json_null());
        json_object_set_new(o, "tokenizer_error", json_string(err.text));
        return;
    }
    json_t *k = json_object(), *list = json_array();
    size_t n;
    const int32_t *ends = tokenizer_ends(t, &n);
    json_object_set_new(k, "tokens", json_integer(tokenizer_n_tokens(t)));
    json_object_set_new(k, "bos", token_json(t, tokenizer_bos(t)));
    json_object_set_new(k, "eos", token_json(t, tokenizer_eos(t)));
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, token_json(t, ends[i]));
    json_object_set_new(k, "ends", list);
    json_object_set_new(o, "tokenizer", k);
    tokenizer_close(t);
}

// What is wrong with the weights, where there are any: they are not opened here, so it is no error
// yet.
static void set_weights_error(json_t *o, const struct model_file *f)
{
    const struct error *why = model_file_weights_error(f);
    if (why)
        json_object_set_new(o, "weights_error", json_string(why->text));
}

static json_t *describe(const struct model_file *f)
{
    json_t *o = json_object();
    struct slice arch = architecture(f);
    const struct gguf *g = model_file_gguf(f);
    json_object_set_new(o, "path", json_string(model_file_path(f)));
    json_object_set_new(o, "format", json_string(g ? "gguf" : "hugging face folder"));
    json_object_set_new(o, "name", about(f, "general.name"));
    json_t *text = json_stringn(arch.ptr, arch.len);
    json_object_set_new(o, "architecture", text ? text : json_null());
    json_object_set_new(o, "license", about(f, "general.license"));
    set_weights(o, f);
    set_weights_error(o, f);
    set_facts(o, f);
    set_tokenizer(o, f);
    return o;
}

// Where a model of the local store came from.
static void set_stored(json_t *o, const char *path)
{
    struct store store;
    struct manifest m = {0};
    char shown[MANIFEST_SHOWN_BYTES];
    if (store_open(&store, NULL) && store_name_of_path(&store, path, shown) &&
        store_find(&store, shown, &m, NULL))
        json_object_set_new(o, "stored", stored_json(&store, &m));
    manifest_release(&m);
}

static void print_token(const char *label, const json_t *t)
{
    if (json_is_object(t))
        (void)printf(" %s %" JSON_INTEGER_FORMAT " %s", label,
                     json_integer_value(json_object_get(t, "id")),
                     json_string_value(json_object_get(t, "text"))
                         ? json_string_value(json_object_get(t, "text"))
                         : "");
}

static void print_number(const json_t *o, const char *label, const char *key)
{
    int64_t n = 0;
    if (json_get_i64(o, key, &n) && n)
        (void)printf("%-16s%" PRId64 "\n", label, n);
}

static void print_text(const json_t *o, const char *label, const char *key)
{
    const char *text = json_get_text(o, key);
    if (text)
        (void)printf("%-16s%s\n", label, text);
}

static void print_weights(const json_t *o)
{
    int64_t parameters = 0, bytes = 0;
    double bits = 0;
    (void)json_get_i64(o, "parameters", &parameters);
    (void)json_get_i64(o, "weights_bytes", &bytes);
    (void)json_get_f64(o, "bits_per_weight", &bits);
    if (!parameters)
        return;
    (void)printf("%-16s%.*f %s\n", "parameters", parameters >= 1000000000 ? 2 : 1,
                 (double)parameters / (parameters >= 1000000000 ? 1e9 : 1e6),
                 parameters >= 1000000000 ? "billion" : "million");
    (void)printf("%-16s%.1f MB, %.2f bits each:", "weights", (double)bytes / 1e6, bits);
    json_t *types = json_object_get(o, "tensor_types");
    for (void *i = json_object_iter(types); i; i = json_object_iter_next(types, i))
        (void)printf(" %s (%" JSON_INTEGER_FORMAT ")", json_object_iter_key(i),
                     json_integer_value(json_object_iter_value(i)));
    (void)putchar('\n');
}

static void print_stored(const json_t *stored)
{
    if (!json_is_object(stored))
        return;
    print_text(stored, "stored as", "name");
    print_text(stored, "repository", "repo");
    print_text(stored, "revision", "revision");
    print_text(stored, "commit", "commit");
    print_text(stored, "pulled", "pulled");
}

static void print_text_page(const json_t *o)
{
    static const char *const rows[][2] = {
        {"layers", "layers"},   {"width", "width"},           {"feed-forward", "feed_forward"},
        {"heads", "heads"},     {"kv heads", "kv_heads"},     {"head size", "head_dim"},
        {"experts", "experts"}, {"sliding window", "window"}, {"context", "context"}};
    print_text(o, "name", "name");
    print_text(o, "path", "path");
    print_stored(json_object_get(o, "stored"));
    print_text(o, "format", "format");
    print_text(o, "architecture", "architecture");
    print_text(o, "license", "license");
    print_text(o, "quantization", "quantization");
    print_weights(o);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        print_number(o, rows[i][0], rows[i][1]);
    print_text(o, "no weights", "weights_error");
    print_text(o, "cannot run", "why_not");
    print_text(o, "no tokenizer", "tokenizer_error");
    const json_t *t = json_object_get(o, "tokenizer");
    if (json_is_object(t)) {
        print_number(t, "vocabulary", "tokens");
        (void)printf("%-15s", "special tokens");
        print_token("begin", json_object_get(t, "bos"));
        print_token("end", json_object_get(t, "eos"));
        for (size_t i = 0; i < json_array_size(json_object_get(t, "ends")); i++)
            print_token(i ? "," : "; ends a turn:", json_array_get(json_object_get(t, "ends"), i));
        (void)putchar('\n');
    }
    int64_t n = 0;
    (void)json_get_i64(o, "chat_template_bytes", &n);
    (void)printf("%-16s%s\n", "chat template", n ? "yes" : "no");
}

static int run(struct settings *s)
{
    struct error err = {0};
    char path[MODEL_REF_BYTES];
    struct model_file *f = NULL;
    if (model_ref_path(s->words_given.n ? s->words_given.items[0] : NULL, path, &err))
        f = model_file_open(path, MODEL_NO_WEIGHTS, &err);
    if (!f)
        return fail_error(&err);
    json_t *o = describe(f);
    set_stored(o, path);
    if (s->json) {
        struct buf out = {0};
        json_write(&out, o, JSON_STYLE_SPACED);
        (void)puts(buf_text(&out));
        buf_release(&out);
    } else {
        print_text_page(o);
    }
    json_decref(o);
    model_file_close(f);
    return EXIT_DONE;
}

const struct command command_show = {
    .name = "show",
    .arguments = "[MODEL]",
    .summary = "what a model file holds",
    .description = "Prints a model's architecture, size, weights, context, vocabulary and special "
                   "tokens, whether "
                   "Hearth can run it, and where a model of the local store came from. Nothing is "
                   "loaded.",
    .options = "json",
    .min_words = 0,
    .max_words = 1,
    .run = run,
};
