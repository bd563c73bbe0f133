// listing.c - the hub's answer about a repository, read and checked whole.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "hub/hub_impl.h"
#include "hub/names.h"
#include "local/formats/shown.h"

enum { FILES_MAX = 50000 };
static const int64_t file_bytes_max = INT64_C(1) << 50;

static bool copy_hex(const json_t *object, const char *key, size_t n, char *out)
{
    const char *hex = json_get_text(object, key);
    if (!hex || !name_is_hex(hex, n))
        return false;
    memcpy(out, hex, n + 1);
    return true;
}

// Large files are known by the SHA-256 of their content, the others by git's blob id.
static bool read_file(const json_t *entry, struct hub_file *f, struct arena *a, struct error *err)
{
    const json_t *name = json_object_get(entry, "rfilename");
    const json_t *large = json_object_get(entry, "lfs");
    struct slice path = json_slice(name);
    int64_t bytes = -1;
    if (!json_is_string(name) || !name_is_path(path.ptr, path.len))
        return error_set(err, ERR_FORMAT, "the file name '%s' is not one that can be stored",
                         shown_name(path).text);
    f->path = arena_text(a, path);
    bool is_large = json_is_object(large);
    if (!json_get_i64(is_large ? large : entry, "size", &bytes) || bytes < 0 ||
        bytes > file_bytes_max)
        return error_set(err, ERR_FORMAT, "'%s': the hub states no size that makes sense",
                         shown_name(path).text);
    f->bytes = (uint64_t)bytes;
    if (is_large ? copy_hex(large, "sha256", 64, f->sha256) : copy_hex(entry, "blobId", 40, f->git))
        return true;
    return error_set(err, ERR_FORMAT, "'%s': the hub states no hash to verify it by",
                     shown_name(path).text);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct hub_file *)a)->path, ((const struct hub_file *)b)->path);
}

static bool read_files(const json_t *list, struct hub_repo *out, struct error *err)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list))
        return error_set(err, ERR_FORMAT, "there is no list of files in it");
    if (n > FILES_MAX)
        return error_set(err, ERR_LIMIT, "it has %zu files, at most %d", n, FILES_MAX);
    struct hub_file *files = arena_new(&out->memory, struct hub_file, n);
    for (size_t i = 0; i < n; i++)
        if (!read_file(json_array_get(list, i), &files[i], &out->memory, err))
            return false;
    if (n)
        qsort(files, n, sizeof *files, by_path);
    for (size_t i = 1; i < n; i++)
        if (by_path(&files[i - 1], &files[i]) == 0)
            return error_set(err, ERR_FORMAT, "'%s' is there twice",
                             shown_name(slice_str(files[i].path)).text);
    out->files = files;
    out->n_files = n;
    return true;
}

bool hub_listing_read(struct slice text, struct hub_repo *out, struct error *err)
{
    json_t *answer = json_parse(text, err);
    bool ok = answer != NULL;
    if (ok && !copy_hex(answer, "sha", 40, out->commit) &&
        !copy_hex(answer, "sha", 64, out->commit))
        ok = error_set(err, ERR_FORMAT, "it names no commit");
    ok = ok && read_files(json_object_get(answer, "siblings"), out, err);
    json_decref(answer);
    return ok;
}
