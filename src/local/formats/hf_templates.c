#include "local/formats/hf_templates.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/formats/hf_folder.h"

enum { TEMPLATE_BYTES_MAX = 4 << 20 };

static const char suffix[] = ".jinja";
static const char more_folder[] = "additional_chat_templates";

static bool add_file(struct hf_templates *t, const char *folder, const char *file,
                     struct slice name, struct error *err)
{
    char path[4096];
    if (t->n_files == HF_TEMPLATES_MAX || !hf_member(folder, file, path, sizeof path))
        return true;
    t->files[t->n_files].name = memory_text_n(name.ptr, name.len);
    struct buf *text = &t->files[t->n_files++].text;
    return hf_read_text(folder, file, TEMPLATE_BYTES_MAX, text, err);
}

static int is_template(const struct dirent *e)
{
    size_t len = strlen(e->d_name), end = sizeof suffix - 1;
    return len > end && strcmp(e->d_name + len - end, suffix) == 0;
}

static bool add_more(struct hf_templates *t, const char *folder, struct error *err)
{
    char path[4096];
    struct dirent **files = NULL;
    bool ok = true;
    int n = snprintf(path, sizeof path, "%s/%s", folder, more_folder);
    if (n < 0 || (size_t)n >= sizeof path)
        return true;
    n = scandir(path, &files, is_template, alphasort);
    for (int i = 0; i < n; i++) {
        struct slice name = slice_str(files[i]->d_name);
        name.len -= sizeof suffix - 1;
        ok = ok && add_file(t, path, files[i]->d_name, name, err);
        free(files[i]);
    }
    free(files);
    return ok;
}

bool hf_templates_open(struct hf_templates *t, const char *folder, struct error *err)
{
    *t = (struct hf_templates){0};
    return add_file(t, folder, "chat_template.jinja", slice_str("default"), err) &&
           add_more(t, folder, err) &&
           hf_read_object(folder, "chat_template.json", TEMPLATE_BYTES_MAX, &t->json, err);
}

void hf_templates_release(struct hf_templates *t)
{
    for (size_t i = 0; i < t->n_files; i++) {
        free(t->files[i].name);
        buf_release(&t->files[i].text);
    }
    json_decref(t->json);
    *t = (struct hf_templates){0};
}

bool hf_templates_empty(const struct hf_templates *t)
{
    return t->n_files == 0 && !t->json;
}

// In the member "chat_template": a string is the default, a list has names.
static struct slice find_in(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, "chat_template");
    size_t i;
    json_t *item;
    if (json_is_string(value) && strcmp(name, "default") == 0)
        return json_slice(value);
    json_array_foreach((json_t *)value, i, item)
    {
        const char *its = json_get_text(item, "name");
        const json_t *text = json_object_get(item, "template");
        if (its && json_is_string(text) && strcmp(its, name) == 0)
            return json_slice(text);
    }
    return (struct slice){0};
}

struct slice hf_templates_find(const struct hf_templates *t, const struct json_t *tokenizer_config,
                               const char *name)
{
    for (size_t i = 0; i < t->n_files; i++)
        if (t->files[i].text.len && strcmp(t->files[i].name, name) == 0)
            return buf_view(&t->files[i].text);
    struct slice text = find_in(t->json, name);
    return text.len ? text : find_in(tokenizer_config, name);
}
