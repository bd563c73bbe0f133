// fuzz_model_config.c - a lying config, or lying GGUF keys, against the tensors that are there.
//
// The input is a GGUF file, or a config.json, a line "%%", and lines "name dim dim ...": those
// tensors (64 KiB in all) make the folder's model.safetensors. They are of F32, or as the name says
// ("name:I32 dim dim"); "name:U8 =text" holds that text. So packed weights can be written, too.
// What loads also computes one step, once as it is and once rounded while it loads. Nothing may
// crash, hang or take memory beyond what the tensors justify.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/models/convert.h"
#include "local/models/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 1 << 16, TENSORS_MAX = 200 };

static struct backend *cpu;
static char folder[512], config_path[600], weights_path[600], gguf_path[600];

static void clean_up(void)
{
    (void)unlink(config_path);
    (void)unlink(weights_path);
    (void)unlink(gguf_path);
    (void)rmdir(folder);
    backend_free(cpu);
}

static void start(void)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(folder, sizeof folder, "%s/hearth-fuzz-XXXXXX", base ? base : P_tmpdir);
    if (!mkdtemp(folder))
        abort();
    (void)snprintf(config_path, sizeof config_path, "%s/config.json", folder);
    (void)snprintf(weights_path, sizeof weights_path, "%s/model.safetensors", folder);
    (void)snprintf(gguf_path, sizeof gguf_path, "%s/model.gguf", folder);
    cpu = backend_cpu_new(&(struct cpu_options){.threads = 1}, NULL);
    if (!cpu || atexit(clean_up) != 0)
        abort();
}

static void write_file(const char *path, const void *content, size_t len)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(content, 1, len, f) != len || fclose(f) != 0)
        abort();
}

// Where the tensors' bytes are put.
static unsigned char bytes[BYTES_MAX];

static size_t size_of(const char *type)
{
    static const struct {
        const char *type;
        size_t bytes;
    } sizes[] = {{"F32", 4},  {"I32", 4},     {"I64", 8}, {"F16", 2},
                 {"BF16", 2}, {"F8_E4M3", 1}, {"U8", 1},  {"I8", 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (strcmp(sizes[i].type, type) == 0)
            return sizes[i].bytes;
    return 0;
}

// Small numbers for floats, all kinds of codes for integers, groups 0 and 1 for orders of columns.
static void fill(unsigned char *to, const char *name, const char *type, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float f = (float)(i % 17) * 0.05f - 0.4f;
        uint16_t half = type[0] == 'B' ? f32_to_bf16(f) : f32_to_f16(f);
        uint32_t word = strstr(name, "g_idx") ? i % 2 : (uint32_t)i * 2654435761u;
        if (strcmp(type, "F32") == 0)
            memcpy(to + 4 * i, &f, 4);
        else if (size_of(type) == 2)
            memcpy(to + 2 * i, &half, 2);
        else if (strcmp(type, "I32") == 0)
            memcpy(to + 4 * i, &word, 4);
        else if (strcmp(type, "I64") == 0)
            memcpy(to + 8 * i, (uint64_t[]){i}, 8);
        else
            to[i] = (unsigned char)(word >> 24 & (type[0] == 'F' ? 0x3F : 0xFF));
    }
}

// "name" or "name:TYPE", of a line; false if it is neither.
static int split_name(const char *line, size_t len, char *name, char *type)
{
    const char *colon = memchr(line, ':', len);
    size_t n = colon ? (size_t)(colon - line) : len, t = colon ? len - n - 1 : 0;
    if (n == 0 || n >= 200 || t >= 12 || (colon && t == 0))
        return 0;
    memcpy(name, line, n);
    name[n] = 0;
    (void)snprintf(type, 12, "%.*s", colon ? (int)t : 3, colon ? colon + 1 : "F32");
    return size_of(type) > 0;
}

// One line of the list into the header; gives how many bytes it takes, 0 if it is no tensor.
static size_t add_tensor(struct buf *header, const char *line, size_t len, size_t at)
{
    char name[200], type[12];
    size_t n = 0, total = 1;
    while (n < len && line[n] != ' ')
        n++;
    if (n == len || !split_name(line, n, name, type))
        return 0;
    struct buf shape = {0};
    bool text = n + 1 < len && line[n + 1] == '=';
    if (text)
        buf_printf(&shape, "%zu", total = len - n - 2);
    while (!text && n < len && total <= BYTES_MAX) {
        size_t dim = 0;
        for (n++; n < len && line[n] >= '0' && line[n] <= '9' && dim <= BYTES_MAX; n++)
            dim = dim * 10 + (size_t)(line[n] - '0');
        buf_printf(&shape, "%s%zu", shape.len ? "," : "", dim);
        total *= dim;
        if (n < len && line[n] != ' ')
            break;
    }
    size_t size = total <= BYTES_MAX ? total * size_of(type) : 0;
    if (size > 0 && size + at <= BYTES_MAX) {
        buf_printf(header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                   header->len ? "," : "{", name, type, buf_text(&shape), at, at + size);
        fill(bytes + at, name, type, total);
        if (text && size == total)
            memcpy(bytes + at, line + n + 2, total);
    } else {
        size = 0;
    }
    buf_release(&shape);
    return size;
}

static void write_weights(const char *list, size_t len)
{
    struct buf header = {0}, file = {0};
    size_t at = 0;
    int n = 0;
    for (const char *p = list, *end = list + len; p < end && n < TENSORS_MAX; n++) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        size_t line = (size_t)((eol ? eol : end) - p);
        at += add_tensor(&header, p, line, at);
        p += line + 1;
    }
    buf_text_add(&header, header.len ? "}" : "{}");
    uint64_t header_len = header.len;
    buf_add(&file, &header_len, sizeof header_len);
    buf_slice(&file, buf_view(&header));
    buf_add(&file, bytes, at);
    write_file(weights_path, file.ptr, file.len);
    buf_release(&header);
    buf_release(&file);
}

static void step(struct model *m)
{
    struct kv_cache *kv[BATCH_GROUPS_MAX] = {0};
    int n_groups = model_n_groups(m), ok = 1;
    for (int g = 0; g < n_groups; g++) {
        const struct kv_group *group = model_group(m, g);
        struct kv_shape s = {group->n_layers, group->n_kv_heads, group->head_dim, 1, DTYPE_F32};
        kv[g] = cpu->ops->kv_new(cpu, &s, NULL);
        ok &= kv[g] != NULL;
    }
    struct batch *b = batch_new(2, 1, n_groups, 1);
    float *out = memory_array(float, (size_t)model_n_vocab(m));
    int seq = batch_add_seq(b, 2);
    for (int g = 0; g < n_groups; g++)
        batch_pages(b, g, seq)[0] = 0;
    (void)batch_add_row(b, seq, 0, 0, WANT_NOTHING);
    if (model_ctx(m) > 1)
        (void)batch_add_row(b, seq, model_n_vocab(m) - 1, 1, WANT_LOGITS);
    if (ok)
        model_forward(m, kv, b, out);
    for (int g = 0; g < n_groups; g++)
        if (kv[g])
            cpu->ops->kv_free(cpu, kv[g]);
    batch_free(b);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    const char *text = (const char *)data, *mark = NULL, *path = folder;
    if (!cpu)
        start();
    if (size >= 4 && memcmp(data, "GGUF", 4) == 0) {
        write_file(gguf_path, data, size);
        path = gguf_path;
    } else {
        for (size_t i = 0; !mark && i + 4 <= size; i++)
            mark = memcmp(text + i, "\n%%\n", 4) == 0 ? text + i : NULL;
        write_file(config_path, data, mark ? (size_t)(mark - text) : size);
        write_weights(mark ? mark + 4 : "", mark ? size - (size_t)(mark + 4 - text) : 0);
    }
    struct model_file *file = model_file_open(path, MODEL_ALL, &err);
    struct model_options o = {
        .max_rows = 2, .max_wanted = 2, .max_seqs = 1, .ctx = 64, .threads = 1};
    for (int rounded = 0; file && rounded < 2; rounded++) {
        if (!convert_mix(rounded ? "q8_0" : NULL, &o.mix, &err))
            abort();
        struct model *m = model_load(file, cpu, &o, &err);
        if (m)
            step(m);
        model_free(m);
    }
    model_file_close(file);
    return 0;
}
