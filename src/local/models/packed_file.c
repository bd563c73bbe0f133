#include "local/models/packed_file.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"

enum { VERSION = 1 };

struct tail {
    char magic[8];
    uint32_t version, zero;
    uint64_t key[2];
    uint64_t data_bytes;
    uint64_t sums_checksum;
    uint64_t checksum;  // of the members above
};
_Static_assert(sizeof(struct tail) == 56, "no holes: the tail is written as it lies in memory");

static const char magic[8] = {'H', 'E', 'A', 'R', 'T', 'H', 'P', 'K'};

uint64_t packed_end_bytes(const struct packed_shape *s)
{
    return packed_n_chunks(s->data_bytes) * sizeof(uint64_t) + sizeof(struct tail);
}

uint64_t packed_file_bytes(const struct packed_shape *s)
{
    return s->data_bytes + packed_end_bytes(s);
}

void packed_end_write(const struct packed_shape *s, const uint64_t *sums, void *out)
{
    size_t sums_bytes = (size_t)packed_n_chunks(s->data_bytes) * sizeof *sums;
    struct tail t = {.version = VERSION,
                     .key = {s->key[0], s->key[1]},
                     .data_bytes = s->data_bytes,
                     .sums_checksum = checksum_bytes(sums, sums_bytes)};
    memcpy(t.magic, magic, sizeof magic);
    t.checksum = checksum_bytes(&t, offsetof(struct tail, checksum));
    memcpy(out, sums, sums_bytes);
    memcpy((char *)out + sums_bytes, &t, sizeof t);
}

bool packed_end_read(const struct packed_shape *s, const void *end, size_t len, uint64_t *sums,
                     struct error *err)
{
    struct tail t;
    if (len != packed_end_bytes(s))
        return error_set(err, ERR_FORMAT, "%zu bytes after the data", len);
    size_t sums_bytes = len - sizeof t;
    memcpy(&t, (const char *)end + sums_bytes, sizeof t);
    if (memcmp(t.magic, magic, sizeof magic) != 0 || t.version != VERSION || t.zero != 0)
        return error_set(err, ERR_FORMAT, "not a file of packed weights of version %d", VERSION);
    if (t.checksum != checksum_bytes(&t, offsetof(struct tail, checksum)))
        return error_set(err, ERR_FORMAT, "its tail is damaged");
    if (t.key[0] != s->key[0] || t.key[1] != s->key[1] || t.data_bytes != s->data_bytes)
        return error_set(err, ERR_FORMAT, "it belongs to another model");
    memcpy(sums, end, sums_bytes);
    if (t.sums_checksum != checksum_bytes(sums, sums_bytes))
        return error_set(err, ERR_FORMAT, "its list of checksums is damaged");
    return true;
}
