// fuzz_gguf.c - any bytes as a GGUF file: opened or refused, and all of it read.
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "local/formats/gguf.h"
#include "local/formats/model_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double sum;  // what is read must not be optimized away

static void read_value(const struct gguf_value *v)
{
    const unsigned char *cursor = v->data;
    struct slice text;
    int64_t i;
    double d;
    while (gguf_next_text(v, &cursor, &text))
        for (size_t k = 0; k < text.len; k++)
            sum += text.ptr[k];
    for (uint64_t k = 0; v->type == GGUF_ARRAY && k < v->n; k++) {
        if (gguf_item_i64(v, k, &i))
            sum += (double)i;
        if (gguf_item_f64(v, k, &d))
            sum += d;
    }
}

static void read_key(const struct gguf *g, const char *key)
{
    struct slice text;
    uint64_t u;
    int64_t i;
    double d;
    bool b;
    sum += gguf_get_u64(g, key, &u) + gguf_get_i64(g, key, &i) + gguf_get_f64(g, key, &d) +
           gguf_get_bool(g, key, &b);
    if (gguf_get_text(g, key, &text) && text.len)
        sum += text.ptr[0] + text.ptr[text.len - 1];
}

static void read_tensor(const struct gguf *g, const struct model_tensor *t)
{
    float values[256];
    const struct dtype_info *info = dtype_info(t->dtype);
    if (gguf_find_tensor(g, t->name) != t || t->bytes % (uint64_t)info->block_bytes != 0)
        abort();
    for (uint64_t at = 0; at < t->bytes; at += (uint64_t)info->block_bytes) {
        dtype_to_f32(t->dtype, (const char *)t->data + at, values, (size_t)info->block_len);
        sum += (double)values[info->block_len - 1];
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct gguf *g = gguf_open_memory(data, size, &err);
    if (!g) {
        if (err.code == ERR_NONE || !err.text[0])
            abort();
        return 0;
    }
    for (size_t i = 0; i < gguf_n_values(g); i++)
        read_value(gguf_value(g, i));
    read_key(g, "general.architecture");
    read_key(g, "general.alignment");
    read_key(g, "u64");
    for (size_t i = 0; i < gguf_n_tensors(g); i++)
        read_tensor(g, gguf_tensor(g, i));
    gguf_close(g);
    return 0;
}
