#include "local/tokenizer/ends.h"

#include "base/error.h"
#include "base/json.h"
#include "local/formats/gguf.h"
#include "local/formats/model_file.h"
#include "local/tokenizer/internal.h"

enum { ADDED_FILE_MAX = 64 << 20 };

static bool flag(const json_t *object, const char *key, bool otherwise)
{
    bool value = otherwise;
    (void)json_get_bool(object, key, &value);
    return value;
}

// "123" as an id; -1 if it is none.
static int64_t id_of_key(const char *key)
{
    int64_t id = 0;
    if (!*key || strlen(key) > 9)
        return -1;
    for (; *key; key++) {
        if (*key < '0' || *key > '9')
            return -1;
        id = id * 10 + (*key - '0');
    }
    return id;
}

static bool add_one(struct tokenizer *t, int64_t id, struct slice text, const json_t *flags,
                    const char *field, struct error *err)
{
    if (id < 0 || id >= VOCAB_MAX)
        return error_set(err, ERR_FORMAT, "%s: the id of '%.*s' is not in 0 .. %d", field,
                         (int)(text.len > 40 ? 40 : text.len), text.ptr, VOCAB_MAX - 1);
    for (size_t i = 0; i < t->added.n; i++)
        if (t->added.items[i].id == id)
            return true;  // tokenizer.json has it already, and has the last word
    struct added_token token = {
        .text = text,
        .id = (int32_t)id,
        .special = flag(flags, "special", false),
        .lstrip = flag(flags, "lstrip", false),
        .rstrip = flag(flags, "rstrip", false),
        .single_word = flag(flags, "single_word", false),
        .normalized = flag(flags, "normalized", false),
    };
    if (id < t->vocab.n && t->vocab.kinds[id] == TOKEN_CONTROL)
        token.special = true;
    return added_set(&t->added, token, field, err);
}

static bool read_added_decoder(struct tokenizer *t, const json_t *config, struct error *err)
{
    static const char field[] = "tokenizer_config.json: added_tokens_decoder";
    json_t *map = json_object_get(config, "added_tokens_decoder");
    const char *key;
    json_t *value;
    if (json_object_size(map) > ADDED_MAX)
        return error_set(err, ERR_LIMIT, "%s: more than %d entries", field, ADDED_MAX);
    json_object_foreach(map, key, value)
    {
        const json_t *content = json_object_get(value, "content");
        if (!json_is_string(content))
            return error_set(err, ERR_FORMAT, "%s.%.20s.content: not a string", field, key);
        if (!add_one(t, id_of_key(key), json_slice(content), value, field, err))
            return false;
    }
    return true;
}

static bool read_added_file(struct tokenizer *t, const struct model_file *file, struct error *err)
{
    char path[4096];
    const char *key;
    json_t *value;
    bool ok = true;
    if (!model_file_member(file, "added_tokens.json", path, sizeof path))
        return true;
    json_t *map = json_read_file(path, ADDED_FILE_MAX, err);
    if (!map)
        return false;
    if (json_object_size(map) > ADDED_MAX)
        ok = error_set(err, ERR_LIMIT, "'%s': more than %d entries", path, ADDED_MAX);
    else
        json_object_foreach(map, key, value)
        {
            int64_t id = json_is_integer(value) ? json_integer_value(value) : -1;
            ok = ok && add_one(t, id, slice_str(key), NULL, "added_tokens.json", err);
        }
    json_decref(map);
    return ok;
}

// "bos_token": "<s>", or an object with "content". -1 if it names no token we have.
static int32_t named(const struct tokenizer *t, const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    if (json_is_object(v))
        v = json_object_get(v, "content");
    if (!json_is_string(v))
        return -1;
    struct slice text = json_slice(v);
    for (size_t i = 0; i < t->added.n; i++)
        if (slice_eq(t->added.items[i].text, text))
            return t->added.items[i].id;
    return vocab_find(&t->vocab, text);
}

static void name(int32_t *id, const struct tokenizer *t, const json_t *config, const json_t *map,
                 const char *key)
{
    int32_t found = named(t, config, key);
    if (found < 0)
        found = named(t, map, key);
    if (found >= 0)
        *id = found;
}

bool read_folder_extras(struct tokenizer *t, const struct model_file *file, struct error *err)
{
    const json_t *config = model_file_tokenizer_config(file);
    const json_t *map = model_file_special_tokens(file);
    if (!read_added_decoder(t, config, err) || !read_added_file(t, file, err))
        return false;
    name(&t->bos, t, config, map, "bos_token");
    name(&t->eos, t, config, map, "eos_token");
    name(&t->unk, t, config, map, "unk_token");
    name(&t->pad, t, config, map, "pad_token");
    if (!t->frame_decided && flag(config, "add_bos_token", false) && t->bos >= 0)
        tokens_add(&t->before, t->bos);
    if (!t->frame_decided && flag(config, "add_eos_token", false) && t->eos >= 0)
        tokens_add(&t->after, t->eos);
    return true;
}

static void add_end(struct tokenizer *t, int64_t id)
{
    if (id < 0 || id >= t->vocab.n)
        return;
    for (size_t i = 0; i < t->ends.n; i++)
        if (t->ends.ids[i] == id)
            return;
    tokens_add(&t->ends, (int32_t)id);
}

// A number or a list of numbers. Gives the first.
static int64_t add_ids(struct tokenizer *t, const json_t *config, const char *key, bool end)
{
    const json_t *v = json_object_get(config, key);
    int64_t first = -1;
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    for (size_t i = 0; i < n && i < 1024; i++) {
        const json_t *item = json_is_array(v) ? json_array_get(v, i) : v;
        if (!json_is_integer(item))
            continue;
        if (first < 0)
            first = json_integer_value(item);
        if (end)
            add_end(t, json_integer_value(item));
    }
    return first >= 0 && first < t->vocab.n ? first : -1;
}

// Control tokens that end a turn in the templates of published models.
static const char *const known_ends[] = {
    "<|im_end|>",    "<|eot_id|>",      "<|eom_id|>",
    "<end_of_turn>", "<turn|>",         "<|end|>",
    "<|endoftext|>", "<|end_of_text|>", "<|eot|>",
    "<|eom|>",       "<EOT>",           "<|EOT|>",
    "<|return|>",    "<|end_of_turn|>", "<|END_OF_TURN_TOKEN|>",
    "<|call|>",      "<|endofturn|>",   "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
};

static void guard(struct tokenizer *t)
{
    for (size_t i = 0; i < t->added.n; i++) {
        struct added_token *token = &t->added.items[i];
        token->guarded = token->id == t->bos || token->id == t->eos || token->id == t->pad;
        for (size_t k = 0; k < t->ends.n; k++)
            token->guarded |= token->id == t->ends.ids[k];
    }
}

void find_ends(struct tokenizer *t, const struct model_file *file)
{
    const json_t *generation = model_file_generation_config(file);
    const json_t *config = model_file_config(file);
    const struct gguf *g = model_file_gguf(file);
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    int64_t bos = add_ids(t, config, "bos_token_id", false);
    int64_t eos = add_ids(t, config, "eos_token_id", false);
    t->bos = t->bos < 0 ? (int32_t)bos : t->bos;
    t->eos = t->eos < 0 ? (int32_t)eos : t->eos;
    add_end(t, t->eos);
    (void)add_ids(t, generation, "eos_token_id", true);
    (void)add_ids(t, config, "eos_token_id", true);
    for (size_t i = 0; g && i < sizeof keys / sizeof *keys; i++) {
        uint64_t id;
        if (gguf_get_u64(g, keys[i], &id) && id < (uint64_t)t->vocab.n)
            add_end(t, (int64_t)id);
    }
    for (size_t i = 0; i < sizeof known_ends / sizeof *known_ends; i++) {
        int32_t id = tokenizer_find(t, slice_str(known_ends[i]));
        bool control = id >= 0 && (tokenizer_is_control(t, id) || added_of(&t->added, id));
        if (control)
            add_end(t, id);
    }
    guard(t);
}
