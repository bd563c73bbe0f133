// packed_plan.c - what is packed and under which key; the option that says whether and where.
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/models/packed_impl.h"

enum {
    SAMPLES = 32,
    SAMPLE_BYTES = 4096,
    TICK_NS = 100000000,  // file systems' times are no coarser on what models are kept on
};

// The key is two hashes of one stream, which never meet.
static void mix_in(uint64_t key[2], const void *bytes, size_t len)
{
    for (int i = 0; i < 2; i++)
        key[i] = hash_bytes(bytes, len, key[i] + (uint64_t)i);
}

void packed_plan_add(struct packed_plan *p, uint64_t what, uint64_t bytes)
{
    uint64_t facts[2] = {what, bytes}, at = p->shape.data_bytes;
    at = (at + PACKED_ALIGN - 1) / PACKED_ALIGN * PACKED_ALIGN;
    memory_grow(p->offsets, p->capacity, p->n + 1);
    p->offsets[p->n++] = at;
    p->shape.data_bytes = at + bytes;
    mix_in(p->shape.key, facts, sizeof facts);
}

// Bytes all over the file, for file systems whose stamps say little.
static void mix_samples(uint64_t key[2], const struct mapping *m)
{
    if (m->len <= (size_t)SAMPLES * SAMPLE_BYTES) {
        mix_in(key, m->ptr, m->len);
        return;
    }
    size_t step = (m->len - SAMPLE_BYTES) / (SAMPLES - 1);
    for (size_t i = 0; i < SAMPLES; i++)
        mix_in(key, m->ptr + i * step, SAMPLE_BYTES);
}

static bool is_settled(const struct file_stamp *s)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    int64_t now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    return s->changed_ns < now - TICK_NS;
}

// Of a path, what people would call the model: letters, digits and a few marks.
static void stem_of(const char *path, char *out, size_t size)
{
    const char *slash = strrchr(path, '/'), *from = slash ? slash + 1 : path;
    size_t n = 0;
    for (; *from && n + 1 < size; from++) {
        char c = *from;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || (c == '.' && n > 0);
        out[n++] = plain ? c : '_';
    }
    out[n] = 0;
}

bool packed_plan_end(struct packed_plan *p, const struct model_file *file, uint64_t layout)
{
    char stem[64];
    uint64_t *key = p->shape.key;
    size_t n = model_file_n_mappings(file);
    if (p->shape.data_bytes == 0 || n == 0)
        return false;
    mix_in(key, &layout, sizeof layout);
    for (size_t i = 0; i < n; i++) {
        const struct mapping *m = model_file_mapping(file, i);
        if (!is_settled(&m->stamp))
            return false;
        mix_in(key, &m->stamp, sizeof m->stamp);
        mix_samples(key, m);
    }
    char *config = json_dumps(model_file_config(file), JSON_COMPACT);
    if (config)  // a folder's: it says how packed weights are to be read
        mix_in(key, config, strlen(config));
    free(config);
    stem_of(model_file_path(file), stem, sizeof stem);
    (void)snprintf(p->name, sizeof p->name, "%s-%016llx%016llx", stem, (unsigned long long)key[0],
                   (unsigned long long)key[1]);
    return true;
}

void packed_plan_release(struct packed_plan *p)
{
    free(p->offsets);
    *p = (struct packed_plan){0};
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

static void find_folder(char *out)
{
    const char *own = variable("HEARTH_HOME"), *cache = variable("XDG_CACHE_HOME");
    const char *home = variable("HOME");
    int n = 0;
    if (own)
        n = snprintf(out, PACKED_FOLDER_BYTES, "%s/packed", own);
    else if (cache && cache[0] == '/')  // its specification says to ignore others
        n = snprintf(out, PACKED_FOLDER_BYTES, "%s/hearth/packed", cache);
    else if (home)
        n = snprintf(out, PACKED_FOLDER_BYTES, "%s/.cache/hearth/packed", home);
    if (n < 0 || n >= PACKED_FOLDER_BYTES)
        out[0] = 0;
}

bool packed_options_read(const char *text, struct packed_options *o, struct error *err)
{
    *o = (struct packed_options){0};
    if (text && strcmp(text, "off") == 0)
        return true;
    if (text && text[0] && strcmp(text, "auto") != 0) {
        char *end;
        errno = 0;
        double gigabytes = strtod(text, &end);
        if (end == text || *end || errno || !(gigabytes > 0 && gigabytes <= 1e6))
            return error_set(err, ERR_USAGE,
                             "disk space for packed weights: '%s' is not auto, off, or a number "
                             "of gigabytes",
                             text);
        o->max_bytes = (uint64_t)(gigabytes * 1e9) + 1;
    }
    find_folder(o->folder);
    return true;
}
