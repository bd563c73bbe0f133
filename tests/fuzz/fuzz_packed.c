// fuzz_packed.c - any bytes as the end of a file of packed weights: taken or refused, and what is
// taken is, written again, the same bytes.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "local/models/packed_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What the file must be comes first: one byte says how much data, then its key.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct packed_shape shape = {0};
    struct error err = {0};
    enum { SHAPE_BYTES = 1 + sizeof shape.key };
    if (size < SHAPE_BYTES)
        return 0;
    shape.data_bytes = (uint64_t)data[0] * (PACKED_CHUNK / 4) + 1;
    memcpy(shape.key, data + 1, sizeof shape.key);
    data += SHAPE_BYTES;
    size -= SHAPE_BYTES;
    size_t n = (size_t)packed_n_chunks(shape.data_bytes);
    uint64_t *sums = malloc(n * sizeof *sums);
    if (packed_end_read(&shape, data, size, sums, &err)) {
        if (size != packed_end_bytes(&shape) || packed_file_bytes(&shape) < shape.data_bytes + size)
            abort();
        uint8_t *again = malloc(size);
        packed_end_write(&shape, sums, again);
        if (memcmp(again, data, size) != 0)
            abort();
        free(again);
    } else if (err.code == ERR_NONE || !err.text[0]) {
        abort();
    }
    free(sums);
    return 0;
}
