#include "tiny_model.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "tiny model: %s\n", what);
    abort();
}

char *temp_folder(void)
{
    char path[512];
    const char *base = getenv("TMPDIR");
    (void)snprintf(path, sizeof path, "%s/hearth-test-XXXXXX", base ? base : P_tmpdir);
    need(mkdtemp(path) != NULL, "no temporary folder");
    return memory_text(path);
}

void temp_folder_remove(char *folder)
{
    DIR *d = opendir(folder);
    struct dirent *e;
    char path[1024];
    while (d && (e = readdir(d))) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            (void)unlink(path);
    }
    if (d)
        closedir(d);
    (void)rmdir(folder);
    free(folder);
}

json_t *tiny_golden(const char *name)
{
    char path[512];
    struct error err;
    (void)snprintf(path, sizeof path, "tests/golden/data/models/%s.json", name);
    json_t *golden = json_read_file(path, (size_t)8 << 20, &err);
    need(golden != NULL, path);
    return golden;
}

static uint64_t fnv(const char *name)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001B3);
    return h;
}

static void write_file(const char *folder, const char *name, const struct buf *text)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    need(f && fwrite(buf_text(text), 1, text->len, f) == text->len && fclose(f) == 0, path);
}

static void add_numbers(struct buf *out, const json_t *tensor, size_t n, enum dtype dtype,
                        bool poison)
{
    uint64_t seed = fnv(json_string_value(json_array_get(tensor, 0)));
    float scale = (float)json_number_value(json_array_get(tensor, 2));
    float offset = (float)json_number_value(json_array_get(tensor, 3));
    for (size_t i = 0; i < n; i++) {
        float u = (float)(hash_mix(seed + i) >> 40) * 0x1p-23f - 1.0f;
        float v = u * scale + offset;
        uint32_t nan = 0x7FC00000;
        if (poison && i + 1 == n)
            memcpy(&v, &nan, sizeof v);
        uint16_t half = dtype == DTYPE_F16 ? f32_to_f16(v) : f32_to_bf16(v);
        if (dtype == DTYPE_F32)
            buf_add(out, &v, sizeof v);
        else
            buf_add(out, &half, sizeof half);
    }
}

// One safetensors file with the tensors i for which i % n_shards == shard.
static void write_shard(const json_t *golden, const char *folder, const char *file, int shard,
                        const struct tiny_options *o, json_t *map)
{
    static const char *const names[] = {
        [DTYPE_F32] = "F32", [DTYPE_F16] = "F16", [DTYPE_BF16] = "BF16"};
    struct buf header = {0}, data = {0}, all = {0};
    json_t *tensor;
    size_t i;
    int n_shards = o->n_shards ? o->n_shards : 1;
    json_array_foreach(json_object_get(golden, "tensors"), i, tensor)
    {
        const char *plain = json_string_value(json_array_get(tensor, 0));
        char name[256];
        size_t n = 1, from = data.len, k;
        json_t *dim;
        if ((int)(i % (size_t)n_shards) != shard || (o->omit && strcmp(o->omit, plain) == 0))
            continue;
        bool replace = o->prefix && strncmp(plain, "model.", 6) == 0;
        (void)snprintf(name, sizeof name, "%s%s", replace ? o->prefix : "",
                       replace ? plain + 6 : plain);
        json_array_foreach(json_array_get(tensor, 1), k, dim) n *= (size_t)json_integer_value(dim);
        add_numbers(&data, tensor, n, o->dtype, o->poison && strcmp(o->poison, plain) == 0);
        buf_printf(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":", header.len ? "," : "{", name,
                   names[o->dtype]);
        json_write(&header, json_array_get(tensor, 1), JSON_STYLE_COMPACT);
        buf_printf(&header, ",\"data_offsets\":[%zu,%zu]}", from, data.len);
        (void)json_object_set_new(map, name, json_string(file));
    }
    buf_text_add(&header, header.len ? "}" : "{}");
    while (header.len % 8)
        buf_char(&header, ' ');
    uint64_t len = header.len;
    buf_add(&all, &len, sizeof len);
    buf_slice(&all, buf_view(&header));
    buf_slice(&all, buf_view(&data));
    write_file(folder, file, &all);
    buf_release(&header);
    buf_release(&data);
    buf_release(&all);
}

static void write_config(const json_t *golden, const char *folder, const struct tiny_options *o)
{
    struct buf text = {0};
    const json_t *config = json_object_get(golden, o->config ? o->config : "config");
    need(json_is_object(config), "no such config in the golden");
    if (o->wrap)
        buf_printf(&text, "{\"model_type\":\"%s\",\"text_config\":", o->wrap);
    json_write(&text, config, JSON_STYLE_COMPACT);
    if (o->wrap)
        buf_char(&text, '}');
    write_file(folder, "config.json", &text);
    buf_release(&text);
}

void tiny_model_write(const json_t *golden, const char *folder, const struct tiny_options *options)
{
    static const struct tiny_options defaults;
    const struct tiny_options *o = options ? options : &defaults;
    json_t *map = json_object();
    write_config(golden, folder, o);
    if (o->n_shards == 0)
        write_shard(golden, folder, "model.safetensors", 0, o, map);
    for (int i = 0; i < o->n_shards; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", i + 1, o->n_shards);
        write_shard(golden, folder, name, i, o, map);
    }
    if (o->n_shards) {
        struct buf text = {0};
        buf_text_add(&text, "{\"metadata\":{},\"weight_map\":");
        json_write(&text, map, JSON_STYLE_COMPACT);
        buf_char(&text, '}');
        write_file(folder, "model.safetensors.index.json", &text);
        buf_release(&text);
    }
    json_decref(map);
}
