#include "providers/model_ref.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mapping.h"
#include "base/places.h"
#include "hub/store.h"
#include "local/formats/gguf_parts.h"

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

// The first .gguf of a folder in alphabetical order, so that the choice does not depend on the
// file system.
static bool first_gguf(const char *folder, char path[MODEL_REF_BYTES])
{
    char best[NAME_MAX + 1] = "";
    DIR *d = opendir(folder);
    if (!d)
        return false;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        if (ends_with(e->d_name, ".gguf") && (!best[0] || strcmp(e->d_name, best) < 0))
            (void)snprintf(best, sizeof best, "%s", e->d_name);
    }
    closedir(d);
    if (!best[0])
        return false;
    int n = snprintf(path, MODEL_REF_BYTES, "%s/%s", folder, best);
    return n > 0 && n < MODEL_REF_BYTES;
}

static bool take_gguf(const char *folder, void *path)
{
    return first_gguf(folder, path);
}

bool model_ref_shipped(char path[MODEL_REF_BYTES])
{
    return place_near_program("models", take_gguf, path);
}

void model_ref_name(const char *path, char *name, size_t name_bytes)
{
    struct store store;
    char stored[MANIFEST_SHOWN_BYTES];
    if (store_open(&store, NULL) && store_name_of_path(&store, path, stored)) {
        (void)snprintf(name, name_bytes, "%s", stored);
        return;
    }
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    struct gguf_part_name part;
    if (gguf_part_name(path, &part))
        end = part.stem_len;
    else if (end - start > 5 && strncmp(path + end - 5, ".gguf", 5) == 0)
        end -= 5;
    (void)snprintf(name, name_bytes, "%.*s", (int)(end - start), path + start);
}

bool model_ref_unnamed(const char *reference)
{
    const char *named = getenv("HEARTH_MODEL");
    return !(reference && reference[0]) && !(named && named[0]);
}

static bool is_shipped(const char *name, char path[MODEL_REF_BYTES])
{
    char own[256];
    if (!model_ref_shipped(path))
        return false;
    model_ref_name(path, own, sizeof own);
    return strcmp(own, name) == 0;
}

static bool set_path(const char *from, char path[MODEL_REF_BYTES], struct error *err)
{
    if (snprintf(path, MODEL_REF_BYTES, "%s", from) < MODEL_REF_BYTES)
        return true;
    return error_set(err, ERR_LIMIT, "model path is longer than %d bytes", MODEL_REF_BYTES);
}

// The local store's model of that name. ERR_NOT_FOUND if it has none.
static bool find_stored(const char *name, char path[MODEL_REF_BYTES], struct error *err)
{
    struct store store;
    struct manifest m = {0};
    char stored[STORE_PATH_BYTES];
    if (!store_open(&store, NULL))
        return error_set(err, ERR_NOT_FOUND, "there is no local store");
    bool ok = store_find(&store, name, &m, err) && store_model_path(&store, &m, stored, err) &&
              set_path(stored, path, err);
    manifest_release(&m);
    return ok;
}

bool model_ref_check_vendor(const char *reference, struct error *err)
{
    struct store store;
    char shown[MANIFEST_SHOWN_BYTES];
    if (!store_open(&store, NULL) || !store_has_repo(&store, reference, shown))
        return true;
    return error_set(err, ERR_UNSUPPORTED,
                     "model '%s' is a repository that was pulled, and could be a vendor's model: "
                     "write local/%s for the one on this machine",
                     reference, shown);
}

static bool is_vendor(const char *reference)
{
    static const char *const vendors[] = {"openai/", "anthropic/", "google/"};
    for (size_t i = 0; i < sizeof vendors / sizeof *vendors; i++)
        if (strncmp(reference, vendors[i], strlen(vendors[i])) == 0)
            return true;
    return false;
}

static bool refuse_with_slash(const char *reference, struct error *err)
{
    struct store store;
    char shown[MANIFEST_SHOWN_BYTES];
    if (is_vendor(reference))
        return model_ref_check_vendor(reference, err) &&
               error_set(err, ERR_UNSUPPORTED,
                         "model '%s' is a vendor's, and this needs one that is on this machine",
                         reference);
    if (store_open(&store, NULL) && store_has_repo(&store, reference, shown))
        return error_set(err, ERR_NOT_FOUND, "model '%s': it was pulled, and is called %s here",
                         reference, shown);
    return error_set(err, ERR_NOT_FOUND,
                     "model '%s': no such file or folder, and no vendor's name before the slash; "
                     "if it is a repository of a hub, `hearth pull` gets it",
                     reference);
}

bool model_ref_path(const char *reference, char path[MODEL_REF_BYTES], struct error *err)
{
    struct error why = {0};
    if (!reference || !reference[0])
        reference = getenv("HEARTH_MODEL");
    if (model_ref_unnamed(reference)) {
        if (model_ref_shipped(path))
            return true;
        return error_set(err, ERR_NOT_FOUND,
                         "no model given, and none ships with this binary: name a .gguf file or a "
                         "Hugging Face folder, or set HEARTH_MODEL");
    }
    if (file_exists(reference))
        return set_path(reference, path, err);
    const char *name = strncmp(reference, "local/", 6) == 0 ? reference + 6 : reference;
    if (is_shipped(name, path))
        return true;
    if (strchr(name, '/'))
        return refuse_with_slash(reference, err);
    if (find_stored(name, path, &why))
        return true;
    if (why.code != ERR_NOT_FOUND) {
        if (err)
            *err = why;
        return false;
    }
    return error_set(err, ERR_NOT_FOUND,
                     "model '%s': no such file or folder, and no such name in the local store "
                     "(`hearth list`)",
                     reference);
}
