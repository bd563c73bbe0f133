// logits_file.h - predictions of a model over a text, kept to be compared with another model's.
//
// Little-endian, one after another:
//   char[8]  "HEARTHLG"
//   u32      version (1), ctx, n_vocab, n_windows
//   i32      tokens [n_windows][ctx], as they were computed (BOS in its place)
//   rows     [n_windows][ctx - 1 - ctx / 2], each:
//     f32    log probability of the token that came
//     f16    distance below the likeliest token's logit [n_vocab]
// A distance keeps 11 bits whatever its size, so what is likely is kept most exactly.
// Not trusted when read: sizes are checked against the file's before anything is believed.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/fresh_file.h"

struct error;

enum { LOGITS_BLOCK = 32 };  // rows that are read or written at once

struct logits_header {
    int ctx, n_vocab, n_windows;
};
struct logits_file {
    FILE *f;
    struct fresh_file fresh;  // where it is written
    const char *path;         // borrowed
    struct logits_header header;
    unsigned char *rows;  // [LOGITS_BLOCK] as in the file
};

static inline int logits_rows(int ctx)  // scored in a window
{
    return ctx - 1 - ctx / 2;
}
static inline size_t logits_row_bytes(const struct logits_file *l)
{
    return sizeof(float) + (size_t)l->header.n_vocab * sizeof(uint16_t);
}

// It appears under its name when it is closed after all rows were written. Refused at once if the
// disk has no room for it.
bool logits_file_create(struct logits_file *l, const char *path, struct logits_header header,
                        const int32_t *tokens, struct error *err);
// Checks that the file holds predictions of these very tokens.
bool logits_file_open(struct logits_file *l, const char *path, struct logits_header header,
                      const int32_t *tokens, struct error *err);
// Row i of the block that was read last, or that is to be written next.
float logits_file_logprob(const struct logits_file *l, int i);
void logits_file_set_logprob(struct logits_file *l, int i, float logprob);
uint16_t *logits_file_distances(const struct logits_file *l, int i);  // [n_vocab]
bool logits_file_read(struct logits_file *l, int n_rows, struct error *err);
bool logits_file_write(struct logits_file *l, int n_rows, struct error *err);
bool logits_file_close(struct logits_file *l, struct error *err);  // false if not all was written
void logits_file_drop(struct logits_file *l);  // closes it; one that was written to is gone
