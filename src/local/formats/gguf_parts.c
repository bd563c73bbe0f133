#include "local/formats/gguf_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/formats/gguf.h"
#include "local/formats/model_file.h"
#include "local/formats/shown.h"

enum { DIGITS = 5, PATH_BYTES = 4096 };
static const char pattern[] = "-00000-of-00000.gguf";  // zeros stand for any digits

bool gguf_part_name(const char *path, struct gguf_part_name *name)
{
    size_t len = strlen(path), end_len = sizeof pattern - 1;
    if (len <= end_len || path[len - end_len - 1] == '/')
        return false;
    const char *end = path + len - end_len;
    for (size_t i = 0; i < end_len; i++)
        if (pattern[i] == '0' ? end[i] < '0' || end[i] > '9' : end[i] != pattern[i])
            return false;
    name->stem_len = len - end_len;
    name->number = (int)strtol(end + 1, NULL, 10);
    name->count = (int)strtol(end + sizeof "-00000-of-" - 1, NULL, 10);
    return true;
}

bool gguf_part_path(const char *path, const struct gguf_part_name *name, int number, char *out,
                    size_t out_bytes)
{
    int n = snprintf(out, out_bytes, "%.*s-%0*d-of-%0*d.gguf", (int)name->stem_len, path, DIGITS,
                     number, DIGITS, name->count);
    return n > 0 && (size_t)n < out_bytes;
}

static bool check_count(const struct gguf *g, uint64_t *count, struct error *err)
{
    *count = 1;
    if (!gguf_find(g, "split.count"))
        return true;
    if (!gguf_get_u64(g, "split.count", count))
        return error_set(err, ERR_FORMAT, "key 'split.count': is not a whole number");
    if (*count > GGUF_PARTS_MAX)
        return error_set(err, ERR_LIMIT, "key 'split.count': %" PRIu64 " parts, at most %d", *count,
                         GGUF_PARTS_MAX);
    return true;
}

// Name and keys of the part that was given must tell the same; else the others cannot be found.
static bool read_name(const char *path, uint64_t no, uint64_t count, struct gguf_part_name *name,
                      struct error *err)
{
    struct gguf_part_name n;
    if (!gguf_part_name(path, &n))
        return error_set(err, ERR_FORMAT,
                         "one of %" PRIu64 " parts, but its name does not end as "
                         "'-00001-of-%05" PRIu64 ".gguf' does, by which the others are found",
                         count, count);
    if (n.number < 1 || (uint64_t)n.number - 1 != no || (uint64_t)n.count != count)
        return error_set(err, ERR_FORMAT,
                         "its name says part %d of %d, its keys number %" PRIu64 " of %" PRIu64
                         " (from 0)",
                         n.number, n.count, no, count);
    *name = n;
    return true;
}

static bool same_text(const struct gguf *a, const struct gguf *b, const char *key)
{
    struct slice x, y;
    return !gguf_get_text(a, key, &x) || !gguf_get_text(b, key, &y) || slice_eq(x, y);
}

static bool same_number(const struct gguf *a, const struct gguf *b, const char *key)
{
    uint64_t x = 0, y = 0;
    return gguf_get_u64(a, key, &x) == gguf_get_u64(b, key, &y) && x == y;
}

// Whether a part is what its name says, and belongs to the first one.
static bool check_part(const struct gguf *first, const struct gguf *g, int number, int count,
                       struct error *err)
{
    uint64_t no, n;
    if (!gguf_get_u64(g, "split.no", &no) || !gguf_get_u64(g, "split.count", &n))
        return error_set(err, ERR_FORMAT, "its keys do not say that it is one of %d parts", count);
    if (no != (uint64_t)number - 1 || n != (uint64_t)count)
        return error_set(err, ERR_FORMAT,
                         "its name says part %d of %d, its keys number %" PRIu64 " of %" PRIu64
                         " (from 0)",
                         number, count, no, n);
    if (!same_number(first, g, "split.tensors.count") ||
        !same_text(first, g, "general.architecture") || !same_text(first, g, "general.name"))
        return error_set(err, ERR_FORMAT, "it belongs to another model than the first part");
    return true;
}

// `tensors` as in gguf_parts_open.
static struct gguf *open_part(const char *path, const struct gguf_part_name *name, int number,
                              struct error *tensors, struct error *err)
{
    char part[PATH_BYTES];
    if (!gguf_part_path(path, name, number, part, sizeof part))
        (void)error_set(err, ERR_LIMIT, "the path of part %d is too long", number);
    else if (!file_exists(part))
        (void)error_set(err, ERR_NOT_FOUND, "part %d of %d is missing: '%s'", number, name->count,
                        shown_path(part).text);
    else
        return tensors ? gguf_open_keys(part, tensors, err) : gguf_open(part, err);
    return NULL;
}

// Opens what follows the first part, and compares each with it.
static bool open_others(struct gguf_parts *p, const char *path, const struct gguf_part_name *name,
                        struct error *err)
{
    for (int i = 1; i <= name->count; i++) {
        if (i > 1) {
            if (!(p->parts[p->n] = open_part(path, name, i, NULL, err)))
                return false;
            p->n++;
        }
        if (!check_part(p->parts[0], p->parts[i - 1], i, name->count, err))
            return error_wrap(err, "open '%s': part %d", shown_path(path).text, i);
    }
    return true;
}

static bool gather(struct gguf_parts *p, struct error *err)
{
    for (size_t i = 0; i < p->n; i++)
        p->n_tensors += gguf_n_tensors(p->parts[i]);
    if (p->n_tensors > GGUF_TENSORS_MAX)
        return error_set(err, ERR_LIMIT, "%zu tensors in all parts, at most %d are possible",
                         p->n_tensors, GGUF_TENSORS_MAX);
    p->tensors = memory_array(struct model_tensor, p->n_tensors);
    size_t at = 0;
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < gguf_n_tensors(p->parts[i]); k++)
            p->tensors[at++] = *gguf_tensor(p->parts[i], k);
    return tensor_index_build(&p->index, p->tensors, p->n_tensors, err);
}

static bool check_total(const struct gguf_parts *p, struct error *err)
{
    uint64_t n;
    if (p->n == 1 || !gguf_get_u64(p->parts[0], "split.tensors.count", &n) || n == p->n_tensors)
        return true;
    return error_set(err, ERR_FORMAT,
                     "its %zu parts hold %zu tensors, their key 'split.tensors.count' says "
                     "%" PRIu64,
                     p->n, p->n_tensors, n);
}

static void drop_tensors(struct gguf_parts *p)
{
    tensor_index_release(&p->index);
    free(p->tensors);
    p->tensors = NULL;
    p->n_tensors = 0;
}

// The first file is open, so the keys are there: what fails from here on is of the tensors.
static bool open_tensors(struct gguf_parts *p, const char *path, const struct gguf_part_name *name,
                         struct error *err)
{
    if (name->count == 1 || open_others(p, path, name, err)) {
        if (gather(p, err) && check_total(p, err))
            return true;
        (void)error_wrap(err, "open '%s'", shown_path(path).text);
    }
    drop_tensors(p);
    return false;
}

// Opens the file itself or, if it is a later part, the first one. A first part whose name hides the
// others still gives its keys.
static struct gguf *open_first(const char *path, struct gguf_part_name *name, struct error *tensors,
                               struct error *err)
{
    struct error fault = {0};
    uint64_t count, no = 0;
    *name = (struct gguf_part_name){.number = 1, .count = 1};
    struct gguf *g = gguf_open_keys(path, tensors, err);
    if (!g)
        return NULL;
    (void)gguf_get_u64(g, "split.no", &no);
    if (!check_count(g, &count, &fault) ||
        (count > 1 && !read_name(path, no, count, name, &fault))) {
        (void)error_wrap(&fault, "open '%s'", shown_path(path).text);
        *(no == 0 ? tensors : err) = fault;
        if (no == 0)
            return g;
    }
    if (name->number == 1 && fault.code == ERR_NONE)
        return g;
    gguf_close(g);
    return fault.code == ERR_NONE ? open_part(path, name, 1, tensors, err) : NULL;
}

bool gguf_parts_open(struct gguf_parts *p, const char *path, struct error *tensors,
                     struct error *err)
{
    struct gguf_part_name name;
    struct error faults = {0}, ignored = {0};
    err = err ? err : &ignored;
    *p = (struct gguf_parts){0};
    struct gguf *first = open_first(path, &name, &faults, err);
    if (!first)
        return false;
    p->parts = memory_array(struct gguf *, (size_t)name.count);
    p->parts[p->n++] = first;
    bool ok = faults.code == ERR_NONE && open_tensors(p, path, &name, &faults);
    if (tensors)
        *tensors = faults;
    else if (!ok)
        *err = faults;
    return ok || tensors;
}

bool gguf_parts_open_starts(struct gguf_parts *p, const struct file_start *starts, size_t n,
                            struct error *err)
{
    *p = (struct gguf_parts){0};
    p->parts = memory_array(struct gguf *, n);
    for (size_t i = 0; i < n; i++) {
        struct gguf *g = gguf_open_start(starts[i].bytes, starts[i].len, starts[i].file_bytes, err);
        if (!g)
            return error_wrap(err, "part %zu of %zu", i + 1, n);
        p->parts[p->n++] = g;
        if (n > 1 && !check_part(p->parts[0], g, (int)i + 1, (int)n, err))
            return error_wrap(err, "part %zu of %zu", i + 1, n);
    }
    uint64_t count;
    if (!check_count(p->parts[0], &count, err))
        return false;
    if (count > 1 && count != n)
        return error_set(err, ERR_FORMAT, "key 'split.count': %" PRIu64 " parts, %zu are here",
                         count, n);
    return gather(p, err) && check_total(p, err);
}

void gguf_parts_release(struct gguf_parts *p)
{
    drop_tensors(p);
    for (size_t i = 0; i < p->n; i++)
        gguf_close(p->parts[i]);
    free(p->parts);
    *p = (struct gguf_parts){0};
}
