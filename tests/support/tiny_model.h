// tiny_model.h - writes the small random models of tests/golden/data/models as folders.
//
// A golden names tensors, shapes, scales and offsets; the numbers come from the same
// counter-based generator as in tools/golden/make_model_goldens.py. Every failure ends the test.
#pragma once
#include <jansson.h>

#include "local/tensor/dtype.h"

struct tiny_options {
    const char *config;  // member of the golden: "config" (NULL too) or "config_4"
    const char *prefix;  // instead of "model." before tensors' names; NULL: as they are
    const char *wrap;    // the config becomes text_config of a model of this type; NULL: not
    enum dtype dtype;    // DTYPE_F32 (0), F16 or BF16
    int n_shards;        // 0: one file without an index
    const char *omit;    // a tensor that is left out; NULL: none
    const char *poison;  // a tensor whose last number becomes NaN; NULL: none
};

// A new empty folder below the system's folder for such things; freed by temp_folder_remove.
char *temp_folder(void);
void temp_folder_remove(char *folder);  // with the files in it

json_t *tiny_golden(const char *name);  // tests/golden/data/models/NAME.json
void tiny_model_write(const json_t *golden, const char *folder, const struct tiny_options *o);
