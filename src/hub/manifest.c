// manifest.c - reading and writing what a name is.
#include "hub/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "local/formats/shown.h"

enum { FILES_MAX = 50000 };

static bool copy_text(const json_t *o, const char *key, char *out, size_t bytes)
{
    const char *text = json_get_text(o, key);
    if (!text || strlen(text) >= bytes)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool is_time(const char *text)
{
    static const char pattern[] = "dddd-dd-ddTdd:dd:ddZ";
    if (strlen(text) != sizeof pattern - 1)
        return false;
    for (size_t i = 0; pattern[i]; i++)
        if (pattern[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != pattern[i])
            return false;
    return true;
}

static bool read_file(const json_t *o, struct manifest_file *f, struct arena *a, struct error *err)
{
    const json_t *path = json_object_get(o, "path");
    int64_t bytes = -1;
    if (!json_is_string(path) || !name_is_path(json_string_value(path), json_string_length(path)))
        return error_set(err, ERR_FORMAT, "the file name '%s' is not one that can be stored",
                         shown_name(json_slice(path)).text);
    f->path = arena_text(a, json_slice(path));
    if (!json_get_i64(o, "bytes", &bytes) || bytes < 0 || bytes > INT64_C(1) << 50)
        return error_set(err, ERR_FORMAT, "'%s': 'bytes' is missing or wrong",
                         shown_name(json_slice(path)).text);
    f->bytes = (uint64_t)bytes;
    if (!copy_text(o, "sha256", f->sha256, sizeof f->sha256) || !name_is_hex(f->sha256, 64))
        return error_set(err, ERR_FORMAT, "'%s': 'sha256' is missing or wrong",
                         shown_name(json_slice(path)).text);
    if (json_object_get(o, "git") &&
        (!copy_text(o, "git", f->git, sizeof f->git) || !name_is_hex(f->git, 40)))
        return error_set(err, ERR_FORMAT, "'%s': 'git' is wrong",
                         shown_name(json_slice(path)).text);
    return true;
}

static bool read_source(const json_t *o, struct manifest *m, struct error *err)
{
    if (!copy_text(o, "repo", m->repo, sizeof m->repo) || !name_is_repo(m->repo))
        return error_set(err, ERR_FORMAT, "'repo' is missing or wrong");
    if (!copy_text(o, "revision", m->revision, sizeof m->revision) ||
        !name_is_revision(m->revision))
        return error_set(err, ERR_FORMAT, "'revision' is missing or wrong");
    if (!copy_text(o, "commit", m->commit, sizeof m->commit) ||
        (!name_is_hex(m->commit, 40) && !name_is_hex(m->commit, 64)))
        return error_set(err, ERR_FORMAT, "'commit' is missing or wrong");
    if (!copy_text(o, "pulled", m->pulled, sizeof m->pulled) || !is_time(m->pulled))
        return error_set(err, ERR_FORMAT, "'pulled' is missing or wrong");
    return true;
}

bool manifest_read(struct manifest *m, struct slice text, struct error *err)
{
    json_t *o = json_parse(text, err);
    if (!o)
        return false;
    const json_t *files = json_object_get(o, "files");
    size_t n = json_array_size(files);
    bool ok = read_source(o, m, err);
    if (ok && (n == 0 || n > FILES_MAX))
        ok = error_set(err, ERR_FORMAT, "'files' is missing or wrong");
    if (ok) {
        m->files = arena_new(&m->memory, struct manifest_file, n);
        m->n_files = n;
    }
    for (size_t i = 0; ok && i < n; i++)
        ok = read_file(json_array_get(files, i), &m->files[i], &m->memory, err);
    json_decref(o);
    return ok;
}

void manifest_write(const struct manifest *m, struct buf *out)
{
    json_t *o = json_object(), *files = json_array();
    json_object_set_new(o, "repo", json_string(m->repo));
    json_object_set_new(o, "revision", json_string(m->revision));
    json_object_set_new(o, "commit", json_string(m->commit));
    json_object_set_new(o, "pulled", json_string(m->pulled));
    for (size_t i = 0; i < m->n_files; i++) {
        const struct manifest_file *f = &m->files[i];
        json_t *file = json_object();
        json_object_set_new(file, "path", json_string(f->path));
        json_object_set_new(file, "bytes", json_integer((json_int_t)f->bytes));
        json_object_set_new(file, "sha256", json_string(f->sha256));
        if (f->git[0])
            json_object_set_new(file, "git", json_string(f->git));
        json_array_append_new(files, file);
    }
    json_object_set_new(o, "files", files);
    json_write(out, o, JSON_STYLE_INDENTED);
    buf_char(out, '\n');
    json_decref(o);
}

void manifest_release(struct manifest *m)
{
    arena_release(&m->memory);
    *m = (struct manifest){0};
}

void manifest_shown(const struct manifest *m, char out[MANIFEST_SHOWN_BYTES])
{
    (void)snprintf(out, MANIFEST_SHOWN_BYTES, "%s%s%s", m->name, m->quant[0] ? ":" : "", m->quant);
}

uint64_t manifest_bytes(const struct manifest *m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < m->n_files; i++)
        sum += m->files[i].bytes;
    return sum;
}

bool manifest_is_gguf(const struct manifest *m)
{
    const char *path = m->n_files ? m->files[0].path : "";
    size_t n = strlen(path);
    return n > 5 && strcasecmp(path + n - 5, ".gguf") == 0;
}

bool manifest_same(const struct manifest *a, const struct manifest *b)
{
    bool same = strcmp(a->repo, b->repo) == 0 && strcmp(a->commit, b->commit) == 0 &&
                a->n_files == b->n_files;
    for (size_t i = 0; same && i < a->n_files; i++)
        same = strcmp(a->files[i].path, b->files[i].path) == 0 &&
               strcmp(a->files[i].sha256, b->files[i].sha256) == 0;
    return same;
}
