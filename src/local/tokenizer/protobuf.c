#include "local/tokenizer/protobuf.h"

static bool varint(struct slice *m, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < 10 && i < m->len; i++) {
        uint8_t byte = (uint8_t)m->ptr[i];
        *value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (!(byte & 0x80)) {
            *m = slice_sub(*m, i + 1, m->len);
            return true;
        }
    }
    return false;
}

static bool fixed(struct slice *m, size_t n, uint64_t *value)
{
    if (m->len < n)
        return false;
    *value = 0;
    for (size_t i = 0; i < n; i++)
        *value |= (uint64_t)(uint8_t)m->ptr[i] << (8 * i);
    *m = slice_sub(*m, n, m->len);
    return true;
}

int protobuf_next(struct slice *m, struct protobuf_field *f)
{
    uint64_t key, len;
    if (m->len == 0)
        return 0;
    *f = (struct protobuf_field){0};
    if (!varint(m, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
        return -1;
    f->number = (uint32_t)(key >> 3);
    switch (key & 7) {
    case PROTOBUF_VARINT: f->wire = PROTOBUF_VARINT; return varint(m, &f->value) ? 1 : -1;
    case PROTOBUF_FIXED64: f->wire = PROTOBUF_FIXED64; return fixed(m, 8, &f->value) ? 1 : -1;
    case PROTOBUF_FIXED32: f->wire = PROTOBUF_FIXED32; return fixed(m, 4, &f->value) ? 1 : -1;
    case PROTOBUF_BYTES:
        f->wire = PROTOBUF_BYTES;
        if (!varint(m, &len) || len > m->len)
            return -1;
        f->bytes = slice_sub(*m, 0, len);
        *m = slice_sub(*m, len, m->len);
        return 1;
    default: return -1;  // groups have been gone for long
    }
}

float protobuf_float(const struct protobuf_field *f)
{
    uint32_t bits = (uint32_t)f->value;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
