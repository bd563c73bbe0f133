// tokenizer_help.h - opens tokenizers from JSON texts, for the tests of this folder.
#pragma once
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "local/formats/model_file.h"
#include "local/tokenizer/tokenizer.h"

// A folder with config.json and one or two more files; "" content leaves a file out.
struct folder {
    char path[64];
    struct model_file *file;
    struct tokenizer *t;
};

static inline void folder_put(const struct folder *f, const char *name, const void *bytes,
                              size_t len)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", f->path, name);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

static inline void folder_make(struct folder *f)
{
    *f = (struct folder){0};
    (void)snprintf(f->path, sizeof f->path, "/tmp/test_tokenizer.XXXXXX");
    assert_non_null(mkdtemp(f->path));
    folder_put(f, "config.json", "{}", 2);
}

static inline bool folder_open(struct folder *f, struct error *err)
{
    f->file = model_file_open(f->path, MODEL_NO_WEIGHTS, err);
    f->t = f->file ? tokenizer_open(f->file, err) : NULL;
    return f->t != NULL;
}

static inline void folder_remove(struct folder *f)
{
    static const char *const names[] = {"config.json",
                                        "tokenizer.json",
                                        "tokenizer.model",
                                        "tokenizer_config.json",
                                        "vocab.json",
                                        "merges.txt",
                                        "generation_config.json",
                                        "added_tokens.json",
                                        "special_tokens_map.json"};
    tokenizer_close(f->t);
    model_file_close(f->file);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[160];
        (void)snprintf(path, sizeof path, "%s/%s", f->path, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(f->path), 0);
}

// Opens {"model": ..., ...} given as text.
static inline struct folder open_json(const char *json)
{
    struct folder f;
    struct error err = {0};
    folder_make(&f);
    folder_put(&f, "tokenizer.json", json, strlen(json));
    if (!folder_open(&f, &err)) {
        print_error("%s\n", err.text);
        fail();
    }
    return f;
}

// "1 2 3" for the ids of a text.
static inline const char *ids_of(const struct tokenizer *t, const char *text, unsigned flags)
{
    static char shown[512];
    struct tokens ids = {0};
    struct error err = {0};
    size_t at = 0;
    assert_true(tokenizer_encode(t, slice_str(text), flags, &ids, &err));
    shown[0] = 0;
    for (size_t i = 0; i < ids.n && at < sizeof shown - 16; i++)
        at += (size_t)snprintf(shown + at, sizeof shown - at, i ? " %d" : "%d", (int)ids.ids[i]);
    tokens_release(&ids);
    return shown;
}

// The error of a tokenizer.json that must not open.
static inline const char *refusal(const char *json)
{
    static struct error err;
    struct folder f;
    err = (struct error){0};
    folder_make(&f);
    folder_put(&f, "tokenizer.json", json, strlen(json));
    assert_false(folder_open(&f, &err));
    folder_remove(&f);
    return err.text;
}
