// read_pipeline.h - the steps that a tokenizer.json states around its model.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct error;
struct json_t;
struct tokenizer;

// Each appends to the tokenizer's steps; `depth` bounds sequences in sequences; `field` is where
// the value stands. A null value is no step. False with err, naming the field.
bool read_normalizer(struct tokenizer *t, const struct json_t *json, const char *field, int depth,
                     struct error *err);
bool read_pretokenizer(struct tokenizer *t, const struct json_t *json, const char *field, int depth,
                       struct error *err);
bool read_decoder(struct tokenizer *t, const struct json_t *json, const char *field, int depth,
                  struct error *err);
bool read_postprocessor(struct tokenizer *t, const struct json_t *json, const char *field,
                        int depth, struct error *err);
// One step made by hand (GGUF, vocab.json). They take over the pattern.
struct pretokenizer;
bool add_pretokenizer(struct tokenizer *t, struct pretokenizer p, const char *field,
                      struct error *err);
bool add_split_regex(struct tokenizer *t, const char *regex, int behavior, bool invert,
                     const char *field, struct error *err);
bool add_byte_level(struct tokenizer *t, bool prefix_space, bool use_regex, const char *field,
                    struct error *err);
bool add_merge(struct tokenizer *t, struct slice a, struct slice b, uint32_t rank,
               struct error *err);
bool bert_pretokenizer(struct tokenizer *t, struct error *err);
