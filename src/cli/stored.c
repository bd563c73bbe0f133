#include "cli/stored.h"

#include "base/error.h"

json_t *stored_json(const struct store *s, const struct manifest *m)
{
    char shown[MANIFEST_SHOWN_BYTES], path[STORE_PATH_BYTES];
    json_t *o = json_object(), *files = json_array();
    manifest_shown(m, shown);
    for (size_t i = 0; i < m->n_files; i++) {
        json_t *file = json_object();
        json_object_set_new(file, "path", json_string(m->files[i].path));
        json_object_set_new(file, "bytes", json_integer((json_int_t)m->files[i].bytes));
        json_object_set_new(file, "sha256", json_string(m->files[i].sha256));
        json_array_append_new(files, file);
    }
    json_object_set_new(o, "name", json_string(shown));
    json_object_set_new(o, "repo", json_string(m->repo));
    json_object_set_new(o, "revision", json_string(m->revision));
    json_object_set_new(o, "commit", json_string(m->commit));
    json_object_set_new(o, "quant", m->quant[0] ? json_string(m->quant) : json_null());
    json_object_set_new(o, "bytes", json_integer((json_int_t)manifest_bytes(m)));
    json_object_set_new(o, "pulled", json_string(m->pulled));
    json_object_set_new(o, "files", files);
    json_object_set_new(o, "path",
                        store_model_path(s, m, path, NULL) ? json_string(path) : json_null());
    return o;
}
