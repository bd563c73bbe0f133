// fuzz_hf_folder.c - any bytes as the files of a Hugging Face folder (tests/support/folder_blob.h):
// opened or refused, with and without weights, and all of it read.
#include <stdint.h>
#include <stdlib.h>

#include "../support/folder_blob.h"
#include "base/error.h"
#include "local/formats/model_file.h"
#include "local/models/pooling.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile double sum;  // what is read must not be optimized away
static char folder[64];

static void remove_folder(void)
{
    folder_remove(folder);
}

static void read_text(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        sum += s.ptr[i];
}

static void read_all(const struct model_file *m)
{
    char path[256];
    read_text(model_file_chat_template(m, NULL));
    read_text(model_file_chat_template(m, "tool_use"));
    if (model_file_member(m, "../config.json", path, sizeof path))
        abort();
    const struct raw_tensor *raw = model_file_raw(m, "ids");
    if (raw && (!model_file_unreadable(m, "ids") || raw->bytes == 0))
        abort();
    if (raw) {
        sum += ((const unsigned char *)raw->data)[0];
        sum += ((const unsigned char *)raw->data)[raw->bytes - 1];
        model_file_forget_raw(m, raw);
    }
    for (size_t i = 0; i < model_file_n_tensors(m); i++) {
        const struct model_tensor *t = model_file_tensor(m, i);
        if (model_file_find(m, t->name) != t || t->bytes == 0)
            abort();
        sum += ((const unsigned char *)t->data)[0];
        sum += ((const unsigned char *)t->data)[t->bytes - 1];
        model_file_forget(m, t);
    }
}

static void read_pooling(const struct model_file *m)
{
    struct error err = {0};
    enum pooling p;
    if (!pooling_of(m, &p, &err) && (err.code == ERR_NONE || !err.text[0]))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char pooling[80];
    if (!folder[0]) {
        if (!folder_new(folder, sizeof folder))
            abort();
        (void)atexit(remove_folder);
    }
    folder_fill(folder, (const char *)data, size);
    (void)snprintf(pooling, sizeof pooling, "%s/1_Pooling", folder);
    (void)symlink(".", pooling);  // so that config.json is that of the pooling too
    for (int parts = MODEL_ALL; parts <= MODEL_NO_WEIGHTS; parts++) {
        struct error err = {0};
        struct model_file *m = model_file_open(folder, (enum model_parts)parts, &err);
        if (!m && (err.code == ERR_NONE || !err.text[0]))
            abort();
        if (m) {
            read_all(m);
            read_pooling(m);
        }
        model_file_close(m);
    }
    folder_clear(folder);
    return 0;
}
