// replay.c - runs one fuzz target over files and folders without a fuzzer.
//
//   replay_fuzz_x [--mutate N] PATH...
//
// With --mutate each file is also tried N times truncated and with flipped bytes, by a fixed
// generator, so that a plain build finds what a parser must survive.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mapping.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int n_files;

// Each input is handed over in a block of exactly its size, so that a sanitizer sees one byte too
// far.
static void run(const char *bytes, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);
    if (len)
        memcpy(exact, bytes, len);
    (void)LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

static void mutate(const struct buf *file, int n, uint64_t seed)
{
    for (int i = 0; i < n && file->len; i++) {
        char *copy = memory_text_n(file->ptr, file->len);
        size_t len = file->len;
        uint64_t r = hash_mix(seed + (uint64_t)i);
        if (i % 3 == 0)
            len = r % file->len;
        else
            for (uint64_t k = 0; k <= r % 4; k++)
                copy[hash_mix(r + k) % file->len] = (char)(hash_mix(r * 31 + k) & 0xFF);
        run(copy, len);
        free(copy);
    }
}

static void replay(const char *path, int n_mutations)
{
    if (file_is_folder(path)) {
        DIR *d = opendir(path);
        struct dirent *e;
        while (d && (e = readdir(d))) {
            char inner[4096];
            if (e->d_name[0] == '.')
                continue;
            (void)snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
            replay(inner, n_mutations);
        }
        if (d)
            closedir(d);
        return;
    }
    struct buf file = {0};
    struct error err;
    if (!file_read(path, (size_t)256 << 20, &file, &err)) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    run(buf_text(&file), file.len);
    mutate(&file, n_mutations, hash_bytes(path, strlen(path), 1));
    buf_release(&file);
    n_files++;
}

int main(int argc, char **argv)
{
    int n_mutations = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mutate") == 0 && i + 1 < argc)
            n_mutations = (int)strtol(argv[++i], NULL, 10);
        else
            replay(argv[i], n_mutations);
    }
    (void)printf("%d files replayed\n", n_files);
    return 0;
}
