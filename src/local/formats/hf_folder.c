#include "local/formats/hf_folder.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "local/formats/shown.h"

bool hf_is_plain(const char *name)
{
    return name[0] != 0 && name[0] != '.' && !strchr(name, '/') && strlen(name) <= 255;
}

// Not a pipe or a device, which could block or never end.
static bool is_regular(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool hf_member(const char *folder, const char *name, char *path, size_t path_bytes)
{
    if (!hf_is_plain(name))
        return false;
    int n = snprintf(path, path_bytes, "%s/%s", folder, name);
    return n > 0 && (size_t)n < path_bytes && is_regular(path);
}

bool hf_read_text(const char *folder, const char *name, size_t max_bytes, struct buf *text,
                  struct error *err)
{
    char path[4096];
    return !hf_member(folder, name, path, sizeof path) || file_read(path, max_bytes, text, err);
}

bool hf_read_object(const char *folder, const char *name, size_t max_bytes, struct json_t **value,
                    struct error *err)
{
    char path[4096];
    *value = NULL;
    if (!hf_member(folder, name, path, sizeof path))
        return true;
    json_t *v = json_read_file(path, max_bytes, err);
    if (v && !json_is_object(v)) {
        json_decref(v);
        return error_set(err, ERR_FORMAT, "'%s': not a JSON object", shown_path(path).text);
    }
    *value = v;
    return v != NULL;
}
