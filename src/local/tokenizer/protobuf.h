// protobuf.h - reads the fields of a protocol buffer one by one; nothing in it is trusted.
// Source: protobuf.dev/programming-guides/encoding.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct protobuf_field {
    uint32_t number;
    enum { PROTOBUF_VARINT, PROTOBUF_FIXED64, PROTOBUF_BYTES, PROTOBUF_FIXED32 = 5 } wire;
    uint64_t value;      // varint and fixed
    struct slice bytes;  // PROTOBUF_BYTES
};
// 1: a field, and *message moves behind it; 0: the end; -1: broken.
int protobuf_next(struct slice *message, struct protobuf_field *field);
float protobuf_float(const struct protobuf_field *field);  // of PROTOBUF_FIXED32
