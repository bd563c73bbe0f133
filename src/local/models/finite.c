// finite.c - is every number of a tensor finite? Block formats are asked for their scales only:
// a block whose scales are finite has finite values.
#include <string.h>

#include "local/models/tensors.h"

static bool finite_16(const void *data, uint64_t n, uint16_t exponent)
{
    const char *p = data;
    bool bad = false;
    for (uint64_t i = 0; i < n; i++) {
        uint16_t v;
        memcpy(&v, p + i * 2, 2);
        bad |= (v & exponent) == exponent;
    }
    return !bad;
}

static bool finite_32(const void *data, uint64_t n)
{
    const uint32_t exponent = 0x7F800000;
    const char *p = data;
    bool bad = false;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t v;
        memcpy(&v, p + i * 4, 4);
        bad |= (v & exponent) == exponent;
    }
    return !bad;
}

// Where a block keeps its half-precision scales; -1: none.
static bool scale_offsets(enum dtype dtype, int offsets[2])
{
    offsets[0] = 0;
    offsets[1] = -1;
    switch (dtype) {
    case DTYPE_Q4_0:
    case DTYPE_Q5_0:
    case DTYPE_Q8_0:
    case DTYPE_IQ4_NL:
    case DTYPE_IQ4_XS: return true;
    case DTYPE_Q4_1:
    case DTYPE_Q5_1:
    case DTYPE_Q4_K:
    case DTYPE_Q5_K: offsets[1] = 2; return true;
    case DTYPE_Q2_K:
        offsets[0] = 80;
        offsets[1] = 82;
        return true;
    case DTYPE_Q3_K: offsets[0] = 108; return true;
    case DTYPE_Q6_K: offsets[0] = 208; return true;
    default: return false;
    }
}

bool tensor_finite(enum dtype dtype, const void *data, uint64_t bytes)
{
    const unsigned char *p = data;
    uint64_t block = (uint64_t)dtype_info(dtype)->block_bytes;
    bool ok = true;
    int at[2];
    if (dtype == DTYPE_F32)
        return finite_32(data, bytes / 4);
    if (dtype == DTYPE_F16)
        return finite_16(data, bytes / 2, 0x7C00);
    if (dtype == DTYPE_BF16)
        return finite_16(data, bytes / 2, 0x7F80);
    if (dtype == DTYPE_F8_E4M3)
        for (uint64_t i = 0; i < bytes; i++)
            ok &= (p[i] & 0x7F) != 0x7F;
    if (dtype == DTYPE_MXFP4)  // one byte of exponent
        for (uint64_t i = 0; i < bytes; i += block)
            ok &= p[i] != 0xFF;
    if (!scale_offsets(dtype, at))
        return ok;
    for (uint64_t i = 0; ok && i + block <= bytes; i += block)
        for (int k = 0; k < 2; k++)
            ok &= at[k] < 0 || finite_16(p + i + at[k], 1, 0x7C00);
    return ok;
}
