#include "local/formats/model_file.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/formats/gguf.h"
#include "local/formats/gguf_parts.h"
#include "local/formats/hf_folder.h"
#include "local/formats/hf_templates.h"
#include "local/formats/safetensors.h"
#include "local/formats/shown.h"

enum {
    CONFIG_BYTES_MAX = 4 << 20,
    GENERATION_BYTES_MAX = 1 << 20,
    TOKENIZER_CONFIG_BYTES_MAX = 16 << 20,
};

struct model_file {
    char *path;
    struct gguf_parts gguf;  // of a file; all below belongs to folders
    struct hf_weights weights;
    struct error weights_error;
    struct hf_templates templates;
    json_t *config, *generation_config, *tokenizer_config, *special_tokens;
};

static bool is_gguf(const struct model_file *m)
{
    return m->gguf.n > 0;
}

static bool open_gguf(struct model_file *m, enum model_parts parts, struct error *err)
{
    struct error *tensors = parts == MODEL_NO_WEIGHTS ? &m->weights_error : NULL;
    return gguf_parts_open(&m->gguf, m->path, tensors, err);
}

static bool read_members(struct model_file *m, struct error *err)
{
    const char *folder = m->path;
    return hf_read_object(folder, "config.json", CONFIG_BYTES_MAX, &m->config, err) &&
           hf_read_object(folder, "generation_config.json", GENERATION_BYTES_MAX,
                          &m->generation_config, err) &&
           hf_read_object(folder, "tokenizer_config.json", TOKENIZER_CONFIG_BYTES_MAX,
                          &m->tokenizer_config, err) &&
           hf_read_object(folder, "special_tokens_map.json", CONFIG_BYTES_MAX, &m->special_tokens,
                          err) &&
           hf_templates_open(&m->templates, folder, err);
}

static bool holds_something(const struct model_file *m)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer.model", "vocab.json",
                                        "vocab.txt"};
    char path[4096];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (hf_member(m->path, names[i], path, sizeof path))
            return true;
    return m->config || m->tokenizer_config || !hf_templates_empty(&m->templates);
}

static bool open_folder(struct model_file *m, enum model_parts parts, struct error *err)
{
    struct error *weights_err = parts == MODEL_NO_WEIGHTS ? &m->weights_error : err;
    if (!read_members(m, err))
        return false;
    if (!holds_something(m))
        return error_set(err, ERR_NOT_FOUND,
                         "open '%s': holds neither config.json nor tokenizer files",
                         shown_path(m->path).text);
    if (!m->config && parts == MODEL_ALL)
        return error_set(err, ERR_NOT_FOUND, "open '%s': config.json is missing",
                         shown_path(m->path).text);
    if (hf_weights_open(&m->weights, m->path, weights_err))
        return true;
    hf_weights_release(&m->weights);
    return parts == MODEL_NO_WEIGHTS;
}

static bool open_either(struct model_file *m, enum model_parts parts, struct error *err)
{
    struct stat st;
    size_t len = strlen(m->path);
    if (stat(m->path, &st) != 0)
        return error_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "open '%s': %s",
                         shown_path(m->path).text, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return open_folder(m, parts, err);
    if (len > 12 && strcmp(m->path + len - 12, ".safetensors") == 0)
        return error_set(err, ERR_USAGE, "open '%s': give the folder that holds it, not the file",
                         shown_path(m->path).text);
    return open_gguf(m, parts, err);
}

struct model_file *model_file_open(const char *path, enum model_parts parts, struct error *err)
{
    struct model_file *m = memory_array(struct model_file, 1);
    m->path = memory_text(path);
    for (size_t n = strlen(m->path); n > 1 && m->path[n - 1] == '/'; n--)
        m->path[n - 1] = 0;
    if (open_either(m, parts, err))
        return m;
    model_file_close(m);
    return NULL;
}

struct model_file *model_file_open_starts(const char *name, const struct file_start *starts,
                                          size_t n, struct error *err)
{
    struct model_file *m = memory_array(struct model_file, 1);
    m->path = memory_text(name);
    if (gguf_parts_open_starts(&m->gguf, starts, n, err))
        return m;
    model_file_close(m);
    return NULL;
}

void model_file_close(struct model_file *m)
{
    if (!m)
        return;
    gguf_parts_release(&m->gguf);
    hf_weights_release(&m->weights);
    json_decref(m->config);
    json_decref(m->generation_config);
    json_decref(m->tokenizer_config);
    json_decref(m->special_tokens);
    hf_templates_release(&m->templates);
    free(m->path);
    free(m);
}

const char *model_file_path(const struct model_file *m)
{
    return m->path;
}

// Of a folder: any file that it has under this name, but for GGUF files, which are none of its
// model's.
static bool is_inside(const char *folder, const char *path)
{
    char parent[4096];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    size_t len = strlen(path);
    bool is_gguf_name = len > 5 && strcmp(path + len - 5, ".gguf") == 0;
    if (is_gguf_name || !file_exists(path) || n >= sizeof parent)
        return false;
    memcpy(parent, path, n);
    parent[n] = 0;
    return file_same(folder, n ? parent : slash ? "/" : ".");
}

bool model_file_is_at(const struct model_file *m, const char *path)
{
    struct gguf_part_name name;
    char part[4096];
    bool at = file_same(m->path, path);
    for (int i = 1; !at && m->gguf.n > 1 && i <= (int)m->gguf.n; i++)
        at = gguf_part_name(m->path, &name) &&
             gguf_part_path(m->path, &name, i, part, sizeof part) && file_same(part, path);
    for (size_t i = 0; !at && i < model_file_n_mappings(m); i++)
        at = file_same(model_file_mapping(m, i)->path, path);
    return at || (file_is_folder(m->path) && is_inside(m->path, path));
}

const struct gguf *model_file_gguf(const struct model_file *m)
{
    return is_gguf(m) ? m->gguf.parts[0] : NULL;
}

size_t model_file_n_mappings(const struct model_file *m)
{
    if (!is_gguf(m))
        return m->weights.n_shards;
    return gguf_mapping(m->gguf.parts[0])->ptr ? m->gguf.n : 0;
}

const struct mapping *model_file_mapping(const struct model_file *m, size_t i)
{
    assert(i < model_file_n_mappings(m));
    return is_gguf(m) ? gguf_mapping(m->gguf.parts[i]) : safetensors_mapping(m->weights.shards[i]);
}

size_t model_file_n_tensors(const struct model_file *m)
{
    return is_gguf(m) ? m->gguf.n_tensors : m->weights.n_tensors;
}

const struct model_tensor *model_file_tensor(const struct model_file *m, size_t i)
{
    assert(i < model_file_n_tensors(m));
    return is_gguf(m) ? &m->gguf.tensors[i] : &m->weights.tensors[i];
}

const struct model_tensor *model_file_find(const struct model_file *m, const char *name)
{
    return tensor_index_find(is_gguf(m) ? &m->gguf.index : &m->weights.index, name);
}

const char *model_file_unreadable(const struct model_file *m, const char *name)
{
    return is_gguf(m) ? NULL : hf_weights_unreadable(&m->weights, name);
}

const struct raw_tensor *model_file_raw(const struct model_file *m, const char *name)
{
    return is_gguf(m) ? NULL : hf_weights_raw(&m->weights, name);
}

const struct error *model_file_weights_error(const struct model_file *m)
{
    return m->weights_error.code == ERR_NONE ? NULL : &m->weights_error;
}

static void forget(const void *data, uint64_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)data + bytes) / page * page;
    if (start < end)
        (void)madvise((void *)start, end - start, MADV_DONTNEED);
}

void model_file_forget(const struct model_file *m, const struct model_tensor *t)
{
    (void)m;
    forget(t->data, t->bytes);
}

void model_file_forget_raw(const struct model_file *m, const struct raw_tensor *t)
{
    (void)m;
    forget(t->data, t->bytes);
}

const struct json_t *model_file_config(const struct model_file *m)
{
    return m->config;
}

const struct json_t *model_file_generation_config(const struct model_file *m)
{
    return m->generation_config;
}

const struct json_t *model_file_tokenizer_config(const struct model_file *m)
{
    return m->tokenizer_config;
}

const struct json_t *model_file_special_tokens(const struct model_file *m)
{
    return m->special_tokens;
}

bool model_file_member(const struct model_file *m, const char *name, char *path, size_t path_bytes)
{
    return !is_gguf(m) && hf_member(m->path, name, path, path_bytes);
}

static struct slice gguf_template(const struct gguf *g, const char *name)
{
    char key[128];
    struct slice text = {0};
    int n =
        snprintf(key, sizeof key, "tokenizer.chat_template%s%s", name ? "." : "", name ? name : "");
    if (n > 0 && (size_t)n < sizeof key)
        (void)gguf_get_text(g, key, &text);
    return text;
}

struct slice model_file_chat_template(const struct model_file *m, const char *name)
{
    if (name && strcmp(name, "default") == 0)
        name = NULL;
    if (is_gguf(m))
        return gguf_template(m->gguf.parts[0], name);
    return hf_templates_find(&m->templates, m->tokenizer_config, name ? name : "default");
}
