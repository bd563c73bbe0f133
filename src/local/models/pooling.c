#include "local/models/pooling.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/slice.h"
#include "local/formats/gguf.h"
#include "local/formats/hf_folder.h"
#include "local/formats/model_file.h"

enum { CONFIG_BYTES_MAX = 1 << 20 };

static const char *const names[] = {"auto", "mean", "cls", "last"};

const char *pooling_name(enum pooling p)
{
    return names[p];
}

bool pooling_from_name(const char *name, enum pooling *out, struct error *err)
{
    *out = POOLING_NONE;
    if (!name || !*name)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum pooling)i;
            return true;
        }
    }
    return error_set(err, ERR_USAGE, "pooling: '%.40s' is not auto, mean, cls or last", name);
}

// GGUF

static bool of_gguf(const struct gguf *g, enum pooling *out, struct error *err)
{
    struct slice arch = {0};
    char key[128];
    int64_t type = 0;
    if (!gguf_get_text(g, "general.architecture", &arch) || arch.len > 64)
        return true;
    (void)snprintf(key, sizeof key, "%.*s.pooling_type", (int)arch.len, arch.ptr);
    if (!gguf_find(g, key))
        return true;
    if (!gguf_get_i64(g, key, &type) || type < -1 || type > 4)
        return error_set(err, ERR_FORMAT, "key %s is no number from 0 to 4", key);
    if (type == 4)
        return error_set(err, ERR_UNSUPPORTED, "key %s: the model ranks texts, it embeds none",
                         key);
    *out = type > 0 ? (enum pooling)type : POOLING_NONE;  // the numbers are the same
    return true;
}

// Folders

static bool one_mode(const char *file, const char *mode, enum pooling *out, struct error *err)
{
    static const struct {
        const char *mode;
        enum pooling pooling;
    } modes[] = {{"mean", POOLING_MEAN},
                 {"mean_tokens", POOLING_MEAN},
                 {"cls", POOLING_CLS},
                 {"cls_token", POOLING_CLS},
                 {"lasttoken", POOLING_LAST}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(mode, modes[i].mode) != 0)
            continue;
        if (*out != POOLING_NONE && *out != modes[i].pooling)
            return error_set(err, ERR_UNSUPPORTED, "%s: two kinds of pooling side by side", file);
        *out = modes[i].pooling;
        return true;
    }
    return error_set(err, ERR_UNSUPPORTED, "%s: pooling '%.40s' is not supported", file, mode);
}

// Flags "pooling_mode_x": true, or a text in "pooling_mode".
static bool of_config(const char *file, const json_t *config, enum pooling *out, struct error *err)
{
    static const char prefix[] = "pooling_mode";
    const size_t n = sizeof prefix - 1;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)config, key, value)
    {
        if (strncmp(key, prefix, n) != 0)
            continue;
        if (key[n] == 0 && json_is_string(value)) {
            if (!one_mode(file, json_string_value(value), out, err))
                return false;
        } else if (key[n] == '_' && json_is_true(value)) {
            if (!one_mode(file, key + n + 1, out, err))
                return false;
        }
    }
    return true;
}

static bool read_pooling(const struct model_file *file, const char *folder, enum pooling *out,
                         struct error *err)
{
    char path[4096], name[320];
    json_t *config = NULL;
    int n = snprintf(path, sizeof path, "%s/%s", model_file_path(file), folder);
    (void)snprintf(name, sizeof name, "%s/config.json", folder);
    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(err, ERR_LIMIT, "%s: its path is too long", name);
    if (!hf_read_object(path, "config.json", CONFIG_BYTES_MAX, &config, err))
        return false;
    bool ok = !config || of_config(name, config, out, err);
    json_decref(config);
    return ok;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

// Transformer, Pooling, Normalize: what else there is would be left out silently.
static bool of_module(const struct model_file *file, const json_t *module, enum pooling *out,
                      struct error *err)
{
    const char *type = json_get_text(module, "type"), *path = json_get_text(module, "path");
    if (!type || ends_in(type, ".Transformer") || ends_in(type, ".Normalize"))
        return true;
    if (!ends_in(type, ".Pooling"))
        return error_set(err, ERR_UNSUPPORTED, "modules.json: '%.80s' is not supported", type);
    if (!path || !hf_is_plain(path))
        return error_set(err, ERR_FORMAT,
                         "modules.json: the pooling's path is no name of a folder");
    return read_pooling(file, path, out, err);
}

static bool of_folder(const struct model_file *file, enum pooling *out, struct error *err)
{
    char path[4096];
    if (!model_file_member(file, "modules.json", path, sizeof path))
        return read_pooling(file, "1_Pooling", out, err);
    json_t *modules = json_read_file(path, CONFIG_BYTES_MAX, err);
    bool ok = modules != NULL;
    if (ok && !json_is_array(modules))
        ok = error_set(err, ERR_FORMAT, "modules.json: not a list");
    for (size_t i = 0; ok && i < json_array_size(modules); i++)
        ok = of_module(file, json_array_get(modules, i), out, err);
    json_decref(modules);
    return ok;
}

bool pooling_of(const struct model_file *file, enum pooling *out, struct error *err)
{
    *out = POOLING_NONE;
    const struct gguf *g = model_file_gguf(file);
    return g ? of_gguf(g, out, err) : of_folder(file, out, err);
}
