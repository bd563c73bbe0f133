#include "local/eval/logits_file.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "numbers are written as they lie in memory"
#endif

static const char magic[8] = "HEARTHLG";
enum { VERSION = 1, HEAD_BYTES = 24 };

static bool failed(const struct logits_file *l, const char *what, struct error *err)
{
    return error_set(err, ERR_IO, "%s '%s': %s", what, l->path, strerror(errno));
}

static void forget(struct logits_file *l)
{
    if (l->f && l->f != l->fresh.f)
        (void)fclose(l->f);
    fresh_file_drop(&l->fresh);
    free(l->rows);
    *l = (struct logits_file){0};
}

static size_t n_tokens(struct logits_header h)
{
    return (size_t)h.n_windows * (size_t)h.ctx;
}

static uint64_t whole_size(struct logits_header h)
{
    uint64_t rows = (uint64_t)h.n_windows * (uint64_t)logits_rows(h.ctx);
    return HEAD_BYTES + (uint64_t)n_tokens(h) * 4 + rows * (4 + (uint64_t)h.n_vocab * 2);
}

static bool has_room(const struct logits_file *l, struct error *err)
{
    struct statvfs fs;
    uint64_t bytes = whole_size(l->header);
    log_info("%s: %.1f MB of predictions", l->path, (double)bytes * 1e-6);
    if (!l->fresh.temporary || fstatvfs(fileno(l->f), &fs) != 0)
        return true;
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return bytes <= free_bytes ||
           error_set(err, ERR_IO, "'%s' would take %.1f GB, and %.1f GB are free there", l->path,
                     (double)bytes * 1e-9, (double)free_bytes * 1e-9);
}

bool logits_file_create(struct logits_file *l, const char *path, struct logits_header h,
                        const int32_t *tokens, struct error *err)
{
    *l = (struct logits_file){.path = path, .header = h};
    if (!fresh_file_open(&l->fresh, path))
        return failed(l, "create", err);
    l->f = l->fresh.f;
    l->rows = memory_new(LOGITS_BLOCK, logits_row_bytes(l));
    uint32_t numbers[4] = {VERSION, (uint32_t)h.ctx, (uint32_t)h.n_vocab, (uint32_t)h.n_windows};
    bool ok = has_room(l, err);
    if (ok && (fwrite(magic, sizeof magic, 1, l->f) != 1 ||
               fwrite(numbers, sizeof numbers, 1, l->f) != 1 ||
               fwrite(tokens, sizeof *tokens, n_tokens(h), l->f) != n_tokens(h)))
        ok = failed(l, "write", err);
    if (!ok)
        forget(l);
    return ok;
}

static bool check_tokens(struct logits_file *l, const int32_t *tokens, struct error *err)
{
    for (size_t i = 0; i < n_tokens(l->header); i++) {
        int32_t token;
        if (fread(&token, sizeof token, 1, l->f) != 1)
            return failed(l, "read", err);
        if (token != tokens[i])
            return error_set(err, ERR_USAGE,
                             "'%s' was made from another text or tokenizer: token %zu is %" PRId32
                             " there and %" PRId32 " here",
                             l->path, i, token, tokens[i]);
    }
    return true;
}

static bool check(struct logits_file *l, const int32_t *tokens, struct error *err)
{
    char head[sizeof magic];
    uint32_t n[4];
    if (fread(head, sizeof head, 1, l->f) != 1 || fread(n, sizeof n, 1, l->f) != 1 ||
        memcmp(head, magic, sizeof magic) != 0)
        return error_set(err, ERR_FORMAT, "'%s' is no file of saved logits", l->path);
    if (n[0] != VERSION)
        return error_set(err, ERR_UNSUPPORTED, "'%s': version %" PRIu32 ", not %d", l->path, n[0],
                         VERSION);
    const struct logits_header *h = &l->header;
    if (n[1] != (uint32_t)h->ctx || n[2] != (uint32_t)h->n_vocab || n[3] != (uint32_t)h->n_windows)
        return error_set(err, ERR_USAGE,
                         "'%s' holds %" PRIu32 " windows of %" PRIu32 " tokens, vocabulary %" PRIu32
                         "; here it is %d, %d and %d",
                         l->path, n[3], n[1], n[2], h->n_windows, h->ctx, h->n_vocab);
    if (fseek(l->f, 0, SEEK_END) != 0)
        return failed(l, "seek in", err);
    long size = ftell(l->f);
    if (size < 0 || (uint64_t)size != whole_size(*h))
        return error_set(err, ERR_FORMAT, "'%s': %ld bytes, not %" PRIu64, l->path, size,
                         whole_size(*h));
    if (fseek(l->f, HEAD_BYTES, SEEK_SET) != 0)
        return failed(l, "seek in", err);
    return check_tokens(l, tokens, err);
}

bool logits_file_open(struct logits_file *l, const char *path, struct logits_header h,
                      const int32_t *tokens, struct error *err)
{
    *l = (struct logits_file){.f = fopen(path, "rbe"), .path = path, .header = h};
    if (!l->f)
        return failed(l, "open", err);
    if (!check(l, tokens, err)) {
        forget(l);
        return false;
    }
    l->rows = memory_new(LOGITS_BLOCK, logits_row_bytes(l));
    return true;
}

static unsigned char *row(const struct logits_file *l, int i)
{
    assert(i >= 0 && i < LOGITS_BLOCK);
    return l->rows + (size_t)i * logits_row_bytes(l);
}

// A row may begin at any even address, so its float is copied.
float logits_file_logprob(const struct logits_file *l, int i)
{
    float logprob;
    memcpy(&logprob, row(l, i), sizeof logprob);
    return logprob;
}

void logits_file_set_logprob(struct logits_file *l, int i, float logprob)
{
    memcpy(row(l, i), &logprob, sizeof logprob);
}

uint16_t *logits_file_distances(const struct logits_file *l, int i)
{
    return (uint16_t *)(void *)(row(l, i) + sizeof(float));
}

bool logits_file_read(struct logits_file *l, int n_rows, struct error *err)
{
    assert(n_rows <= LOGITS_BLOCK);
    return fread(l->rows, logits_row_bytes(l), (size_t)n_rows, l->f) == (size_t)n_rows ||
           failed(l, "read", err);
}

bool logits_file_write(struct logits_file *l, int n_rows, struct error *err)
{
    assert(n_rows <= LOGITS_BLOCK);
    return fwrite(l->rows, logits_row_bytes(l), (size_t)n_rows, l->f) == (size_t)n_rows ||
           failed(l, "write", err);
}

bool logits_file_close(struct logits_file *l, struct error *err)
{
    bool ok = true;
    if (l->fresh.f) {
        l->f = NULL;
        ok = fresh_file_finish(&l->fresh) || failed(l, "write", err);
    }
    forget(l);
    return ok;
}

void logits_file_drop(struct logits_file *l)
{
    forget(l);
}
