// The weights of a Hugging Face folder: one file, shards with an index, or all files there are.
#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "local/formats/hf_folder.h"
#include "local/formats/model_file.h"
#include "local/formats/safetensors.h"
#include "local/formats/shown.h"

static const char single_name[] = "model.safetensors";
static const char index_name[] = "model.safetensors.index.json";
static const char suffix[] = ".safetensors";

enum { INDEX_BYTES_MAX = 16 << 20, SHARDS_MAX = 2048 };

static bool add_shard(struct hf_weights *w, const char *path, struct error *err)
{
    if (w->n_shards == SHARDS_MAX)
        return error_set(err, ERR_LIMIT, "open '%s': more than %d files of weights",
                         shown_path(path).text, SHARDS_MAX);
    struct safetensors *s = safetensors_open(path, err);
    if (!s)
        return false;
    memory_grow(w->shards, w->shards_capacity, w->n_shards + 1);
    w->shards[w->n_shards++] = s;
    return true;
}

// Says which entry of the index an error is about. Errors of a shard's own file speak for
// themselves.
static bool blame_entry(const char *folder, const char *tensor, struct error *err)
{
    return error_wrap(err, "'%s/%s': weight_map: tensor '%s'", shown_path(folder).text, index_name,
                      shown_name(slice_str(tensor)).text);
}

// The shard that an entry of the index names, opened when it is first named; NULL with err.
static const struct safetensors *find_shard(struct hf_weights *w, const char *folder,
                                            json_t *opened, const char *tensor, const char *file,
                                            struct error *err)
{
    char path[4096];
    const json_t *known = json_object_get(opened, file);
    if (known)
        return w->shards[json_integer_value(known)];
    struct shown shown = shown_name(slice_str(file));
    if (!hf_is_plain(file)) {
        error_set(err, ERR_FORMAT, "'%s' is not a plain file name", shown.text);
        blame_entry(folder, tensor, err);
        return NULL;
    }
    if (!hf_member(folder, file, path, sizeof path)) {
        error_set(err, ERR_NOT_FOUND, "the file '%s' is missing", shown.text);
        blame_entry(folder, tensor, err);
        return NULL;
    }
    if (!add_shard(w, path, err))
        return NULL;
    json_object_set_new(opened, file, json_integer((json_int_t)w->n_shards - 1));
    return w->shards[w->n_shards - 1];
}

static bool add_listed(struct hf_weights *w, const char *folder, json_t *opened, const char *tensor,
                       const json_t *file, struct error *err)
{
    const char *name = json_string_value(file);
    if (!name) {
        error_set(err, ERR_FORMAT, "its file is not a string");
        return blame_entry(folder, tensor, err);
    }
    const struct safetensors *shard = find_shard(w, folder, opened, tensor, name, err);
    if (!shard)
        return false;
    const struct model_tensor *t = safetensors_find(shard, tensor);
    if (t) {
        w->tensors[w->n_tensors++] = *t;
        return true;
    }
    if (safetensors_unreadable(shard, tensor))
        return true;
    error_set(err, ERR_FORMAT, "'%s' does not hold it", shown_name(slice_str(name)).text);
    return blame_entry(folder, tensor, err);
}

static bool open_listed(struct hf_weights *w, const char *folder, const json_t *index,
                        struct error *err)
{
    json_t *map = json_object_get(index, "weight_map"), *file;
    const char *tensor;
    bool ok = true;
    if (!json_is_object(map))
        return error_set(err, ERR_FORMAT, "'%s/%s': weight_map is not an object",
                         shown_path(folder).text, index_name);
    json_t *opened = json_object();  // file name -> place in w->shards
    w->tensors = memory_array(struct model_tensor, json_object_size(map));
    json_object_foreach(map, tensor, file)
    {
        ok = add_listed(w, folder, opened, tensor, file, err);
        if (!ok)
            break;
    }
    json_decref(opened);
    return ok;
}

static void take_all_tensors(struct hf_weights *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_shards; i++)
        n += safetensors_n_tensors(w->shards[i]);
    w->tensors = memory_array(struct model_tensor, n);
    for (size_t i = 0; i < w->n_shards; i++)
        for (size_t k = 0; k < safetensors_n_tensors(w->shards[i]); k++)
            w->tensors[w->n_tensors++] = *safetensors_tensor(w->shards[i], k);
}

static int is_weights(const struct dirent *e)
{
    size_t len = strlen(e->d_name), end = sizeof suffix - 1;
    return len > end && strcmp(e->d_name + len - end, suffix) == 0;
}

// Folders that name their files otherwise: every file that ends in .safetensors.
static bool open_every_file(struct hf_weights *w, const char *folder, struct error *err)
{
    char path[4096];
    struct dirent **files = NULL;
    int n = scandir(folder, &files, is_weights, alphasort);
    bool ok = true;
    for (int i = 0; i < n; i++) {
        if (ok && hf_member(folder, files[i]->d_name, path, sizeof path))
            ok = add_shard(w, path, err);
        free(files[i]);
    }
    free(files);
    if (!ok)
        return false;
    if (w->n_shards)
        return true;
    bool pickled = hf_member(folder, "pytorch_model.bin", path, sizeof path) ||
                   hf_member(folder, "pytorch_model.bin.index.json", path, sizeof path);
    return error_set(err, ERR_NOT_FOUND, "open '%s': no weights: neither '%s' nor '%s'%s",
                     shown_path(folder).text, single_name, index_name,
                     pickled ? " (PyTorch's own files are not read: they can run code)" : "");
}

static bool open_files(struct hf_weights *w, const char *folder, struct error *err)
{
    char path[4096];
    json_t *index = NULL;
    bool ok;
    if (hf_member(folder, single_name, path, sizeof path)) {
        ok = add_shard(w, path, err);
    } else if (!hf_read_object(folder, index_name, INDEX_BYTES_MAX, &index, err)) {
        return false;
    } else if (index) {
        ok = open_listed(w, folder, index, err);
        json_decref(index);
        return ok;
    } else {
        ok = open_every_file(w, folder, err);
    }
    if (ok)
        take_all_tensors(w);
    return ok;
}

bool hf_weights_open(struct hf_weights *w, const char *folder, struct error *err)
{
    *w = (struct hf_weights){0};
    if (!open_files(w, folder, err))
        return false;
    return tensor_index_build(&w->index, w->tensors, w->n_tensors, err) ||
           error_wrap(err, "open '%s'", shown_path(folder).text);
}

void hf_weights_release(struct hf_weights *w)
{
    tensor_index_release(&w->index);
    for (size_t i = 0; i < w->n_shards; i++)
        safetensors_close(w->shards[i]);
    free(w->shards);
    free(w->tensors);
    *w = (struct hf_weights){0};
}

const char *hf_weights_unreadable(const struct hf_weights *w, const char *name)
{
    const char *why = NULL;
    for (size_t i = 0; i < w->n_shards && !why; i++)
        why = safetensors_unreadable(w->shards[i], name);
    return why;
}

const struct raw_tensor *hf_weights_raw(const struct hf_weights *w, const char *name)
{
    const struct raw_tensor *t = NULL;
    for (size_t i = 0; i < w->n_shards && !t; i++)
        t = safetensors_raw(w->shards[i], name);
    return t;
}
