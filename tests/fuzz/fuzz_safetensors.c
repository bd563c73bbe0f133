// fuzz_safetensors.c - any bytes as a safetensors file: opened or refused, and all of it read.
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "local/formats/model_file.h"
#include "local/formats/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double sum;  // what is read must not be optimized away

static void read_tensor(const struct model_tensor *t)
{
    float value;
    uint64_t n = 1;
    const uint64_t each = (uint64_t)dtype_info(t->dtype)->block_bytes;
    for (int i = 0; i < t->n_dims; i++)
        n *= (uint64_t)t->shape[i];
    if (n == 0 || n * each != t->bytes)
        abort();
    for (uint64_t i = 0; i < n; i++) {
        dtype_to_f32(t->dtype, (const char *)t->data + i * each, &value, 1);
        sum += (double)value;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct safetensors *s = safetensors_open_memory(data, size, &err);
    if (!s) {
        if (err.code == ERR_NONE || !err.text[0])
            abort();
        return 0;
    }
    for (size_t i = 0; i < safetensors_n_tensors(s); i++) {
        const struct model_tensor *t = safetensors_tensor(s, i);
        if (safetensors_find(s, t->name) != t || safetensors_unreadable(s, t->name))
            abort();
        read_tensor(t);
    }
    const struct raw_tensor *raw = safetensors_raw(s, "ids");
    if (raw && (!safetensors_unreadable(s, "ids") || raw->bytes == 0 || raw->n_dims > 4))
        abort();
    for (uint64_t i = 0; raw && i < raw->bytes; i++)
        sum += ((const unsigned char *)raw->data)[i];
    safetensors_close(s);
    return 0;
}
