// choose.c - which files of a repository make the model that is wanted.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/memory.h"
#include "hub/hub.h"
#include "hub/names.h"

enum { PARTS_MAX = 999, SHARD_SUFFIX = 15 };  // "-00001-of-00002"

// A GGUF file's path taken apart. The stem is the path without ".gguf" and the number of the part.
struct gguf_name {
    struct slice stem;
    int part, n_parts;  // 1 of 1 for a file that is whole
};

static bool ends_with(struct slice s, const char *end)
{
    size_t n = strlen(end);
    return s.len >= n && strncasecmp(s.ptr + s.len - n, end, n) == 0;
}

static struct slice base_name(struct slice path)
{
    const char *slash = memrchr(path.ptr, '/', path.len);
    size_t from = slash ? (size_t)(slash + 1 - path.ptr) : 0;
    return slice_sub(path, from, path.len);
}

static bool contains(struct slice s, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.len; i++)
        if (strncasecmp(s.ptr + i, word, n) == 0)
            return true;
    return false;
}

static bool read_part(struct slice *stem, int *part, int *n_parts)
{
    char suffix[SHARD_SUFFIX + 1];
    int used = 0;
    if (stem->len <= SHARD_SUFFIX)
        return false;
    (void)snprintf(suffix, sizeof suffix, "%.*s", SHARD_SUFFIX,
                   stem->ptr + stem->len - SHARD_SUFFIX);
    if (suffix[0] != '-' || strspn(suffix + 1, "0123456789") != 5 ||
        strncmp(suffix + 6, "-of-", 4) != 0 || strspn(suffix + 10, "0123456789") != 5 ||
        sscanf(suffix, "-%5d-of-%5d%n", part, n_parts, &used) != 2 || used != SHARD_SUFFIX)
        return false;
    stem->len -= SHARD_SUFFIX;
    return true;
}

// False for what is no model: other files, projectors of images, importance matrices.
static bool read_gguf_name(const char *path, struct gguf_name *out)
{
    struct slice s = slice_str(path), base = base_name(s);
    if (!ends_with(s, ".gguf") || base.len <= 5 || contains(base, "mmproj") ||
        contains(base, "imatrix"))
        return false;
    *out = (struct gguf_name){.stem = slice_sub(s, 0, s.len - 5), .part = 1, .n_parts = 1};
    (void)read_part(&out->stem, &out->part, &out->n_parts);
    return true;
}

// q4_k_m, iq4_xs, f16, bf16, tq1_0, mxfp4_moe: how quantizations are written in names.
static bool looks_like_quant(struct slice s)
{
    static const char *const begins[] = {"q", "iq", "tq", "f", "bf", "fp", "mxfp", "nvfp"};
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        size_t n = strlen(begins[i]);
        if (s.len > n && strncasecmp(s.ptr, begins[i], n) == 0 && s.ptr[n] >= '1' &&
            s.ptr[n] <= '9' &&
            (s.len == n + 1 || s.ptr[n + 1] == '_' || s.ptr[0] == 'f' || s.ptr[0] == 'F' ||
             s.ptr[0] == 'b' || s.ptr[0] == 'B'))
            return true;
    }
    return false;
}

// The last word of a name, after '-' or '.'; the whole of one that has no other.
static struct slice last_word(struct slice s)
{
    size_t from = s.len;
    while (from > 0 && s.ptr[from - 1] != '-' && s.ptr[from - 1] != '.' && s.ptr[from - 1] != '/')
        from--;
    return slice_sub(s, from, s.len);
}

// The quantization that a stem names: by its last word, else by its folder's; "UD-" belongs to it.
static void quant_of(struct slice stem, char quant[HUB_QUANT_BYTES])
{
    struct slice word = last_word(stem), base = base_name(stem);
    quant[0] = 0;
    if (!looks_like_quant(word) && base.len < stem.len) {
        stem.len -= base.len + 1;
        word = last_word(stem);
    }
    if (!looks_like_quant(word) || word.len + 3 >= HUB_QUANT_BYTES)
        return;
    struct slice before = slice_sub(stem, 0, stem.len - word.len);
    if (ends_with(before, "-UD-") || ends_with(before, ".UD-"))
        word = slice_of(word.ptr - 3, word.len + 3);
    (void)snprintf(quant, HUB_QUANT_BYTES, "%.*s", (int)word.len, word.ptr);
    name_lower(quant);
    if (!name_is_quant(quant))
        quant[0] = 0;
}

// All parts of the model whose first file, of this name, is at `from`; they follow each other, as
// files are sorted.
static bool gather(const struct hub_repo *r, size_t from, struct gguf_name first,
                   struct hub_choice *c, struct error *err)
{
    struct gguf_name other;
    *c = (struct hub_choice){.gguf = true};
    quant_of(first.stem, c->quant);
    if (first.n_parts < 1 || first.n_parts > PARTS_MAX)
        return error_set(err, ERR_FORMAT, "'%s' is one of %d parts", r->files[from].path,
                         first.n_parts);
    c->files = memory_array(const struct hub_file *, (size_t)first.n_parts);
    for (size_t i = from; i < r->n_files; i++) {
        if (!read_gguf_name(r->files[i].path, &other) || !slice_eq(other.stem, first.stem) ||
            other.n_parts != first.n_parts)
            continue;
        if ((size_t)other.part != c->n_files + 1)
            break;
        c->files[c->n_files++] = &r->files[i];
        c->bytes += r->files[i].bytes;
        if (c->n_files == (size_t)first.n_parts)
            return true;
    }
    return error_set(err, ERR_NOT_FOUND, "part %zu of %d of '%s' is missing", c->n_files + 1,
                     first.n_parts, r->files[from].path);
}

// Whether the file at i begins a model: no file before it is of the same stem and number of parts.
static bool begins_model(const struct hub_repo *r, size_t i, struct gguf_name *name)
{
    struct gguf_name before;
    if (!read_gguf_name(r->files[i].path, name))
        return false;
    for (size_t k = i; k > 0; k--) {
        if (!read_gguf_name(r->files[k - 1].path, &before))
            continue;
        if (slice_eq(before.stem, name->stem))
            return before.n_parts != name->n_parts;
        break;
    }
    return true;
}

size_t hub_choices(const struct hub_repo *r, struct hub_choice **choices)
{
    size_t n = 0, capacity = 0;
    struct gguf_name name;
    *choices = NULL;
    for (size_t i = 0; i < r->n_files; i++) {
        struct hub_choice c;
        if (!begins_model(r, i, &name))
            continue;
        if (gather(r, i, name, &c, NULL)) {
            memory_grow(*choices, capacity, n + 1);
            (*choices)[n++] = c;
        } else {
            hub_choice_release(&c);
        }
    }
    return n;
}

void hub_choices_free(struct hub_choice *choices, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hub_choice_release(&choices[i]);
    free(choices);
}

void hub_choice_release(struct hub_choice *c)
{
    free(c->files);
    *c = (struct hub_choice){0};
}

// "-q4_k_m" or ".q4_k_m" at the end of the stem, or the stem itself, or its folder, without case.
static bool stem_matches(struct slice stem, const char *quant)
{
    size_t n = strlen(quant);
    struct slice base = base_name(stem);
    struct slice folder = slice_sub(stem, 0, stem.len > base.len ? stem.len - base.len - 1 : 0);
    folder = base_name(folder);
    if (folder.len == n && ends_with(folder, quant))
        return true;
    if (!ends_with(base, quant))
        return false;
    return base.len == n || base.ptr[base.len - n - 1] == '-' || base.ptr[base.len - n - 1] == '.';
}

// How many models match, the first of them in *found. Exactly what a name says goes before what it
// ends with: "q4_k_xl" is not "ud-q4_k_xl" where there are both.
static size_t find_quant(const struct hub_repo *r, const char *quant, size_t *found)
{
    size_t n_exact = 0, n_ends = 0, exact = 0, ends = 0;
    struct gguf_name name;
    for (size_t i = r->n_files; i-- > 0;) {
        char own[HUB_QUANT_BYTES];
        if (!begins_model(r, i, &name))
            continue;
        quant_of(name.stem, own);
        if (strcasecmp(own, quant) == 0) {
            n_exact++;
            exact = i;
        }
        if (stem_matches(name.stem, quant)) {
            n_ends++;
            ends = i;
        }
    }
    *found = n_exact ? exact : ends;
    return n_exact ? n_exact : n_ends;
}

static void list_models(const struct hub_repo *r, const char *quant, struct buf *out)
{
    struct gguf_name name;
    for (size_t i = 0; i < r->n_files; i++) {
        char own[HUB_QUANT_BYTES];
        if (!begins_model(r, i, &name) || (quant && !stem_matches(name.stem, quant)))
            continue;
        quant_of(name.stem, own);
        struct slice base = base_name(name.stem);
        bool by_quant = own[0] && !quant;
        if (out->len)
            buf_text_add(out, ", ");
        buf_slice(out, by_quant ? slice_str(own) : base);
    }
}

static bool choose_error(const struct hub_repo *r, const char *quant, size_t n, struct error *err)
{
    struct buf list = {0};
    list_models(r, n > 1 && quant[0] ? quant : NULL, &list);
    if (n > 1 && quant[0])
        error_set(err, ERR_NOT_FOUND,
                  "%s: several files are '%s'; add one of these after the colon: %s", r->repo,
                  quant, buf_text(&list));
    else if (quant[0])
        error_set(err, ERR_NOT_FOUND, "%s has no '%s'; there is: %s", r->repo, quant,
                  buf_text(&list));
    else
        error_set(err, ERR_NOT_FOUND, "%s: say which after a colon: %s", r->repo, buf_text(&list));
    buf_release(&list);
    return false;
}

static bool choose_gguf(const struct hub_repo *r, const char *quant, struct hub_choice *out,
                        struct error *err)
{
    static const char *const best[] = {"q4_k_m", "q4_0", "q8_0", "f16", "bf16"};
    struct gguf_name name;
    size_t found = 0, n = 0, only = 0, n_models = 0;
    for (size_t i = 0; i < r->n_files; i++) {
        if (begins_model(r, i, &name)) {
            n_models++;
            only = i;
        }
    }
    if (quant[0])
        n = find_quant(r, quant, &found);
    for (size_t i = 0; !quant[0] && n == 0 && i < sizeof best / sizeof *best; i++)
        if ((n = find_quant(r, best[i], &found)) > 1)
            return choose_error(r, best[i], n, err);
    if (!quant[0] && n == 0 && n_models == 1) {
        found = only;
        n = 1;
    }
    if (n != 1)
        return choose_error(r, quant, n, err);
    return (begins_model(r, found, &name) && gather(r, found, name, out, err)) ||
           error_wrap(err, "%s", r->repo);
}

// What belongs to a checkout: files of the top folder that transformers or we read, and what says
// under which conditions they may be used. No pickles, no code, no second copy of the weights.
static bool of_checkout(const char *path)
{
    static const char *const ends[] = {".json", ".txt", ".model", ".jinja", ".safetensors"};
    static const char *const begins[] = {"license", "licence", "readme", "notice", "use_policy"};
    if (strchr(path, '/') || path[0] == '.' || strncasecmp(path, "consolidated", 12) == 0)
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_with(slice_str(path), ends[i]))
            return true;
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (strncasecmp(path, begins[i], strlen(begins[i])) == 0)
            return !strpbrk(path, ".") || ends_with(slice_str(path), ".md");
    return false;
}

static bool choose_checkout(const struct hub_repo *r, const char *quant, struct hub_choice *out,
                            struct error *err)
{
    bool has_config = false, has_weights = false;
    out->files = memory_array(const struct hub_file *, r->n_files);
    for (size_t i = 0; i < r->n_files; i++) {
        const struct hub_file *f = &r->files[i];
        if (!of_checkout(f->path))
            continue;
        has_config = has_config || strcmp(f->path, "config.json") == 0;
        has_weights = has_weights || ends_with(slice_str(f->path), ".safetensors");
        out->files[out->n_files++] = f;
        out->bytes += f->bytes;
    }
    if (!has_config || !has_weights)
        return error_set(err, ERR_NOT_FOUND,
                         "%s holds no model that can be used: no .gguf file, and no config.json "
                         "with .safetensors",
                         r->repo);
    if (quant[0])
        return error_set(
            err, ERR_UNSUPPORTED,
            "%s holds no GGUF files to choose '%s' from: pull it without, then `hearth "
            "quantize` makes one",
            r->repo, quant);
    return true;
}

bool hub_choose(const struct hub_repo *r, const char *quant, struct hub_choice *out,
                struct error *err)
{
    struct gguf_name name;
    *out = (struct hub_choice){0};
    quant = quant ? quant : "";
    for (size_t i = 0; i < r->n_files; i++)
        if (read_gguf_name(r->files[i].path, &name))
            return choose_gguf(r, quant, out, err);
    return choose_checkout(r, quant, out, err);
}
