// test_packed.c - packed weights kept on disk: every start answers the same bits, whatever has
// become of the file or of the folder, and the folder stays within its bound.
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "local/formats/model_file.h"
#include "local/models/convert.h"
#include "local/models/model.h"
#include "local/models/packed_impl.h"

#include "../../support/cpu_group.h"
#include "../../support/forward.h"
#include "../../support/temp_folder.h"
#include "../../support/tiny_model.h"

enum { N_TOKENS = 8, VOCAB_MAX = 160, PATH_BYTES = 1400 };

struct world {
    char home[64];  // holds the folder of packed files
    char *model;    // a tiny model's folder
    struct packed_options packed;
};

static void world_init(struct world *w, const char *golden, enum dtype dtype)
{
    *w = (struct world){.packed = {.min_bytes = 1}};
    json_t *g = tiny_golden(golden);
    w->model = temp_folder();
    tiny_model_write(g, w->model, &(struct tiny_options){.dtype = dtype});
    json_decref(g);
    assert_true(folder_new(w->home, sizeof w->home));
    (void)snprintf(w->packed.folder, sizeof w->packed.folder, "%s/some/packed", w->home);
    // A file that was only just written might change without a trace, and is not kept.
    (void)nanosleep(&(struct timespec){.tv_nsec = 130000000}, NULL);
}

static void world_release(struct world *w)
{
    temp_folder_remove(w->model);
    temp_remove(w->home);
}

// Names of the folder's files that end so; the last one goes to path. No folder: none.
static int files(const struct world *w, const char *ending, char path[PATH_BYTES])
{
    DIR *d = opendir(w->packed.folder);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t len = strlen(e->d_name), end = strlen(ending);
        if (len < end || strcmp(e->d_name + len - end, ending) != 0)
            continue;
        n++;
        (void)snprintf(path, PATH_BYTES, "%s/%s", w->packed.folder, e->d_name);
    }
    if (d)
        (void)closedir(d);
    return n;
}

static bool is_mapped(const char *part)
{
    char line[2048];
    bool found = false;
    FILE *f = fopen("/proc/self/maps", "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        found |= strstr(line, part) != NULL;
    (void)fclose(f);
    return found;
}

// Loads, gives the logits, says whether the weights lay in a file.
static bool start(const struct world *w, const struct mix *mix, bool keep, float *logits)
{
    struct error err = {0};
    struct forward f;
    const int32_t tokens[N_TOKENS] = {3, 5, 7, 11, 13, 17, 19, 23};
    struct model_options o = {.max_rows = N_TOKENS, .max_wanted = N_TOKENS, .mix = mix};
    if (keep)
        o.packed = w->packed;
    struct model_file *file = model_file_open(w->model, MODEL_ALL, &err);
    struct model *m = file ? model_load(file, cpu, &o, &err) : NULL;
    if (!m)
        fail_msg("%s", err.text);
    assert_true(model_n_vocab(m) <= VOCAB_MAX);
    bool mapped = is_mapped(".packed");
    forward_open(&f, m, DTYPE_F32, 1, N_TOKENS);
    forward_text(&f, tokens, N_TOKENS, N_TOKENS, N_TOKENS, logits);
    forward_close(&f);
    model_free(m);
    model_file_close(file);
    assert_false(is_mapped(".packed"));
    return mapped;
}

static void starts_the_same(const struct world *w, const float *expected, bool mapped)
{
    static float logits[N_TOKENS * VOCAB_MAX];
    memset(logits, 0, sizeof logits);
    assert_int_equal(start(w, NULL, true, logits), mapped);
    assert_memory_equal(logits, expected, sizeof logits);
}

static void every_start_answers_the_same_bits(void **state)
{
    (void)state;
    // Transposed and tied embeddings, experts, fused and plain matrices.
    static const char *const names[] = {"gpt2", "mixtral", "gemma2", "phi3", "llama-odd"};
    static const enum dtype types[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_F32, DTYPE_F16};
    static float logits[3][N_TOKENS * VOCAB_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct world w;
        char path[PATH_BYTES];
        world_init(&w, names[i], types[i]);
        assert_false(start(&w, NULL, false, logits[0]));
        assert_int_equal(files(&w, "", path), 0);
        assert_true(start(&w, NULL, true, logits[1]));
        assert_int_equal(files(&w, ".packed", path), 1);
        assert_int_equal(files(&w, ".tmp", path), 0);
        assert_true(start(&w, NULL, true, logits[2]));
        assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
        assert_memory_equal(logits[0], logits[2], sizeof logits[0]);
        world_release(&w);
    }
}

static void each_rounding_has_its_own_file(void **state)
{
    (void)state;
    struct world w;
    struct error err;
    const struct mix *q8 = NULL, *q4 = NULL;
    char path[PATH_BYTES];
    static float plain[N_TOKENS * VOCAB_MAX], kept[N_TOKENS * VOCAB_MAX];
    world_init(&w, "qwen3", DTYPE_BF16);
    assert_true(convert_mix("q8_0", &q8, &err) && convert_mix("q4_0", &q4, &err));
    const struct mix *mixes[] = {q8, q4, NULL};
    for (int i = 0; i < 3; i++) {
        assert_false(start(&w, mixes[i], false, plain));
        for (int again = 0; again < 2; again++) {
            assert_true(start(&w, mixes[i], true, kept));
            assert_memory_equal(plain, kept, sizeof plain);
        }
        assert_int_equal(files(&w, ".packed", path), i + 1);
    }
    world_release(&w);
}

static void write_byte(const char *path, off_t at, unsigned char change)
{
    unsigned char c = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && pread(fd, &c, 1, at) == 1);
    c ^= change;
    assert_true(pwrite(fd, &c, 1, at) == 1);
    (void)close(fd);
}

// A world whose one model was started once: its packed file is at `path`, what it answered in
// `logits`.
static void world_with_a_file(struct world *w, char *path, float *logits)
{
    world_init(w, "llama-grouped", DTYPE_F32);
    (void)start(w, NULL, true, logits);
    assert_int_equal(files(w, ".packed", path), 1);
}

static void a_damaged_file_is_noticed_and_made_again(void **state)
{
    (void)state;
    struct world w;
    struct stat st;
    char path[PATH_BYTES];
    static float logits[N_TOKENS * VOCAB_MAX];
    world_with_a_file(&w, path, logits);
    assert_int_equal(stat(path, &st), 0);
    int64_t size = (int64_t)st.st_size;
    assert_true(size > 20000);
    const int64_t places[] = {0,         7,         4096,      size / 2,  size - 57,
                              size - 64, size - 56, size - 48, size - 40, size - 32,
                              size - 24, size - 16, size - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        write_byte(path, places[i], (unsigned char)(1 << i % 8));
        struct stat before, after;
        assert_int_equal(stat(path, &before), 0);
        starts_the_same(&w, logits, true);
        assert_int_equal(stat(path, &after), 0);
        assert_true(before.st_ino != after.st_ino);  // it was made again
    }
    const int64_t cuts[] = {0, 1, 55, 4096, size - 57, size - 1, size + 1, 2 * size};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        assert_int_equal(truncate(path, cuts[i]), 0);
        starts_the_same(&w, logits, true);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, size);
    }
    assert_int_equal(files(&w, "", path), 3);  // it, . and ..
    world_release(&w);
}

static void what_others_may_have_written_is_not_believed(void **state)
{
    (void)state;
    struct world w;
    struct stat st;
    char path[PATH_BYTES], other[PATH_BYTES + 8];
    static float logits[N_TOKENS * VOCAB_MAX];
    world_with_a_file(&w, path, logits);
    assert_int_equal(chmod(path, 0666), 0);
    starts_the_same(&w, logits, true);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    // A link, a pipe (which must not make us wait) and a folder in its place.
    (void)snprintf(other, sizeof other, "%s.other", path);
    assert_true(rename(path, other) == 0 && symlink(other, path) == 0);
    starts_the_same(&w, logits, true);
    assert_true(lstat(path, &st) == 0 && S_ISREG(st.st_mode));
    assert_true(remove(path) == 0 && mkfifo(path, 0600) == 0);
    starts_the_same(&w, logits, true);
    assert_true(remove(path) == 0 && mkdir(path, 0700) == 0);
    starts_the_same(&w, logits, true);  // a file that could not get its name
    starts_the_same(&w, logits, true);
    world_release(&w);
}

static void a_model_that_changed_has_another_file(void **state)
{
    (void)state;
    struct world w;
    char path[PATH_BYTES], shard[PATH_BYTES];
    static float before[N_TOKENS * VOCAB_MAX], after[N_TOKENS * VOCAB_MAX];
    world_init(&w, "llama-grouped", DTYPE_F32);
    assert_true(start(&w, NULL, true, before));
    (void)snprintf(shard, sizeof shard, "%s/model.safetensors", w.model);
    struct stat st;
    assert_int_equal(stat(shard, &st), 0);
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    write_byte(shard, (off_t)st.st_size - 3, 0x10);
    assert_int_equal(utimensat(AT_FDCWD, shard, times, 0), 0);  // as if nothing had happened
    assert_false(start(&w, NULL, true, after));                 // too new to tell a change
    (void)nanosleep(&(struct timespec){.tv_nsec = 130000000}, NULL);
    starts_the_same(&w, after, true);
    assert_memory_not_equal(before, after, sizeof before);
    assert_int_equal(files(&w, ".packed", path), 2);
    world_release(&w);
}

static void without_a_place_weights_are_packed_into_memory(void **state)
{
    (void)state;
    struct world w;
    char path[PATH_BYTES];
    static float logits[N_TOKENS * VOCAB_MAX];
    world_init(&w, "llama-grouped", DTYPE_F32);
    (void)start(&w, NULL, false, logits);
    struct packed_options good = w.packed;
    (void)snprintf(w.packed.folder, sizeof w.packed.folder, "/proc/no-such-place/packed");
    starts_the_same(&w, logits, false);
    (void)snprintf(w.packed.folder, sizeof w.packed.folder, "%s/config.json/packed", w.model);
    starts_the_same(&w, logits, false);
    w.packed = good;
    w.packed.max_bytes = 4000;  // less than the weights
    starts_the_same(&w, logits, false);
    assert_int_equal(files(&w, ".packed", path), 0);
    w.packed.max_bytes = 0;
    w.packed.min_bytes = (uint64_t)1 << 30;
    starts_the_same(&w, logits, false);
    w.packed.min_bytes = 0;  // the default is far above a tiny model
    starts_the_same(&w, logits, false);
    assert_int_equal(files(&w, ".packed", path), 0);
    world_release(&w);
}

static bool stop_half_way(void *self, uint64_t done, uint64_t total)
{
    (void)self;
    return done < total / 4;  // in the pass that writes the file
}

static void a_start_that_fails_leaves_nothing(void **state)
{
    (void)state;
    struct world w;
    struct error err = {0};
    char path[PATH_BYTES];
    world_init(&w, "mixtral", DTYPE_F32);
    struct model_file *file = model_file_open(w.model, MODEL_ALL, &err);
    struct model_options o = {.packed = w.packed, .progress = stop_half_way};
    assert_null(model_load(file, cpu, &o, &err));
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_int_equal(files(&w, ".packed", path) + files(&w, ".tmp", path), 0);
    model_file_close(file);
    json_t *g = tiny_golden("mixtral");
    tiny_model_write(
        g, w.model,
        &(struct tiny_options){.poison = "model.layers.2.block_sparse_moe.experts.1.w2.weight"});
    json_decref(g);
    (void)nanosleep(&(struct timespec){.tv_nsec = 130000000}, NULL);
    file = model_file_open(w.model, MODEL_ALL, &err);
    o.progress = NULL;
    assert_null(model_load(file, cpu, &o, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    assert_non_null(strstr(err.text, "experts.1.w2"));
    assert_int_equal(files(&w, ".packed", path) + files(&w, ".tmp", path), 0);
    model_file_close(file);
    world_release(&w);
}

static void one_process_writes_at_a_time(void **state)
{
    (void)state;
    struct world w;
    char path[PATH_BYTES], temp[PATH_BYTES + 8], stale[PATH_BYTES];
    static float logits[N_TOKENS * VOCAB_MAX];
    world_with_a_file(&w, path, logits);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(temp, sizeof temp, "%s.tmp", path);
    int other = open(temp, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(other >= 0 && flock(other, LOCK_EX) == 0);
    assert_int_equal(write(other, "half", 4), 4);
    (void)snprintf(stale, sizeof stale, "%s/of-a-crash.packed.tmp", w.packed.folder);
    int left = open(stale, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(left >= 0 && close(left) == 0);
    starts_the_same(&w, logits, false);
    assert_int_equal(access(temp, F_OK), 0);    // it is another's
    assert_int_equal(access(stale, F_OK), -1);  // it was nobody's
    assert_int_equal(close(other), 0);          // the other process died
    starts_the_same(&w, logits, true);
    assert_int_equal(files(&w, ".packed", path), 1);
    assert_int_equal(files(&w, ".tmp", path), 0);
    world_release(&w);
}

// A file of the folder, so many seconds after 1970.
static void put(const struct world *w, const char *name, int64_t bytes, time_t used)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", w->packed.folder, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, bytes) == 0);
    struct timespec times[2] = {{.tv_sec = used}, {.tv_sec = used}};
    assert_int_equal(futimens(fd, times), 0);
    (void)close(fd);
}

static bool has(const struct world *w, const char *name)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", w->packed.folder, name);
    return access(path, F_OK) == 0;
}

static void what_was_not_used_for_longest_goes_first(void **state)
{
    (void)state;
    struct world w;
    struct stat st;
    char path[PATH_BYTES];
    static float logits[N_TOKENS * VOCAB_MAX];
    world_with_a_file(&w, path, logits);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(unlink(path), 0);
    put(&w, "a.packed", 1000, 300);
    put(&w, "b.packed", 1000, 100);
    put(&w, "c.packed", 1000, 200);
    put(&w, "notes.txt", 100000, 50);
    w.packed.max_bytes = (uint64_t)st.st_size + 1500;
    starts_the_same(&w, logits, true);
    assert_true(has(&w, "a.packed") && has(&w, "notes.txt"));
    assert_false(has(&w, "b.packed") || has(&w, "c.packed"));
    // A start that finds its file uses it.
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    starts_the_same(&w, logits, true);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_mtim.tv_sec > 1000);
    world_release(&w);
}

// Sections of odd sizes over several chunks, in pieces of odd sizes.
static void bytes_come_back_as_they_were_written(void **state)
{
    (void)state;
    enum { SECTIONS = 7 };
    static const size_t sizes[SECTIONS] = {1, 3000001, 256, 2 << 20, 255, 4500000, 77};
    struct world w;
    struct error err = {0};
    struct packed_plan plan = {0};
    world_init(&w, "llama-grouped", DTYPE_F32);
    struct model_file *file = model_file_open(w.model, MODEL_ALL, &err);
    struct thread_pool *pool = thread_pool_new(2, NULL);
    for (size_t i = 0; i < SECTIONS; i++)
        packed_plan_add(&plan, i, sizes[i]);
    assert_true(packed_plan_end(&plan, file, 5));
    assert_null(packed_open(&w.packed, &plan, pool, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    struct packed_writer *writer = packed_writer_new(&w.packed, &plan, &err);
    assert_non_null(writer);
    for (size_t i = 0; i < SECTIONS; i++) {
        assert_true(packed_writer_align(writer, &err));
        for (size_t at = 0, n; at < sizes[i]; at += n) {
            n = sizes[i] - at < 700001 ? sizes[i] - at : 700001;
            unsigned char *room = packed_writer_room(writer, n);
            for (size_t k = 0; k < n; k++)
                room[k] = (unsigned char)hash_mix(i << 32 | (at + k));
            assert_true(packed_writer_add(writer, n, &err));
        }
    }
    struct packed *p = packed_writer_end(writer, file, pool, &err);
    assert_non_null(p);
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < SECTIONS; i++) {
            const unsigned char *at = packed_at(p, plan.offsets[i]);
            assert_int_equal((uintptr_t)at % PACKED_ALIGN, 0);
            for (size_t k = 0; k < sizes[i]; k++)
                if (at[k] != (unsigned char)hash_mix(i << 32 | k))
                    fail_msg("section %zu, byte %zu", i, k);
        }
        packed_close(p);
        p = again ? NULL : packed_open(&w.packed, &plan, pool, &err);
    }
    // Less, or more, than was planned is no file.
    writer = packed_writer_new(&w.packed, &plan, &err);
    assert_non_null(packed_writer_room(writer, 5));
    assert_true(packed_writer_add(writer, 5, &err));
    assert_null(packed_writer_end(writer, file, pool, &err));
    packed_plan_release(&plan);
    thread_pool_free(pool);
    model_file_close(file);
    world_release(&w);
}

struct reader {
    const volatile unsigned char *bytes;
    size_t n;
    atomic_bool stop, wrong;
};

static void *read_all_the_time(void *self)
{
    struct reader *r = self;
    while (!atomic_load(&r->stop))
        for (size_t i = 0; i < r->n; i += 4099)
            if (r->bytes[i] != (unsigned char)hash_mix(i))
                atomic_store(&r->wrong, true);
    return NULL;
}

static void weights_move_once_that_would_have_paid(void **state)
{
    (void)state;
    struct packed_trial better = {.old_s = 4e-6, .fresh_s = 3e-6, .copy_s = 50e-6};
    assert_int_equal(packed_uses_to_move(&better), 50);
    assert_true(packed_uses_to_move(&(struct packed_trial){3e-6, 4e-6, 50e-6}) == LONG_MAX);
    assert_true(packed_uses_to_move(&(struct packed_trial){4e-6, 3.9e-6, 50e-6}) == LONG_MAX);
    assert_true(packed_uses_to_move(&(struct packed_trial){0}) == LONG_MAX);
}

static void moved_bytes_stay_what_and_where_they_are(void **state)
{
    (void)state;
    struct world w;
    struct error err = {0};
    struct packed_plan plan = {0};
    struct reader r = {.n = ((size_t)5 << 20) + 123};
    pthread_t thread;
    atomic_bool stop = false;
    world_init(&w, "llama-grouped", DTYPE_F32);
    struct model_file *file = model_file_open(w.model, MODEL_ALL, &err);
    struct thread_pool *pool = thread_pool_new(1, NULL);
    packed_plan_add(&plan, 0, r.n);
    assert_true(packed_plan_end(&plan, file, 5));
    struct packed_writer *writer = packed_writer_new(&w.packed, &plan, &err);
    unsigned char *room = packed_writer_room(writer, r.n);
    for (size_t i = 0; i < r.n; i++)
        room[i] = (unsigned char)hash_mix(i);
    assert_true(packed_writer_add(writer, r.n, &err));
    struct packed *p = packed_writer_end(writer, file, pool, &err);
    assert_non_null(p);
    r.bytes = packed_at(p, 0);
    assert_int_equal(pthread_create(&thread, NULL, read_all_the_time, &r), 0);
    assert_int_equal(packed_move((unsigned char *)packed_at(p, 0), r.n, &stop), 4 << 20);
    assert_true(is_mapped(".packed"));  // its rest
    for (size_t i = 0; i < r.n; i++)
        if (r.bytes[i] != (unsigned char)hash_mix(i))
            fail_msg("byte %zu", i);
    atomic_store(&stop, true);
    assert_int_equal(packed_move((unsigned char *)packed_at(p, 0), r.n, &stop), 0);
    atomic_store(&r.stop, true);
    (void)pthread_join(thread, NULL);
    assert_false(atomic_load(&r.wrong));
    for (int i = 0; i < 100; i++)
        packed_used(p);  // a thread tries whether it should move, and is waited for
    packed_warm_up(p);
    packed_close(p);
    assert_false(is_mapped(".packed"));
    packed_plan_release(&plan);
    thread_pool_free(pool);
    model_file_close(file);
    world_release(&w);
}

static void a_model_that_changes_meanwhile_is_not_kept(void **state)
{
    (void)state;
    struct world w;
    struct error err = {0};
    struct packed_plan plan = {0};
    char path[PATH_BYTES], shard[PATH_BYTES];
    world_init(&w, "llama-grouped", DTYPE_F32);
    struct model_file *file = model_file_open(w.model, MODEL_ALL, &err);
    struct thread_pool *pool = thread_pool_new(1, NULL);
    packed_plan_add(&plan, 1, 64);
    assert_true(packed_plan_end(&plan, file, 5));
    struct packed_writer *writer = packed_writer_new(&w.packed, &plan, &err);
    memset(packed_writer_room(writer, 64), 1, 64);
    assert_true(packed_writer_add(writer, 64, &err));
    (void)snprintf(shard, sizeof shard, "%s/model.safetensors", w.model);
    write_byte(shard, 900, 1);
    assert_null(packed_writer_end(writer, file, pool, &err));
    assert_non_null(strstr(err.text, "changed meanwhile"));
    assert_int_equal(files(&w, ".packed", path) + files(&w, ".tmp", path), 0);
    packed_plan_release(&plan);
    thread_pool_free(pool);
    model_file_close(file);
    world_release(&w);
}

static void the_option_says_whether_where_and_how_much(void **state)
{
    (void)state;
    struct packed_options o;
    struct error err = {0};
    char *home = memory_text(getenv("HOME")), *own = memory_text(getenv("HEARTH_HOME")),
         *cache = memory_text(getenv("XDG_CACHE_HOME"));
    assert_int_equal(setenv("HEARTH_HOME", "/h", 1), 0);
    assert_int_equal(setenv("XDG_CACHE_HOME", "/c", 1), 0);
    assert_int_equal(setenv("HOME", "/me", 1), 0);
    assert_true(packed_options_read(NULL, &o, &err));
    assert_string_equal(o.folder, "/h/packed");
    assert_int_equal(o.max_bytes, 0);
    (void)unsetenv("HEARTH_HOME");
    assert_true(packed_options_read("auto", &o, &err));
    assert_string_equal(o.folder, "/c/hearth/packed");
    (void)setenv("XDG_CACHE_HOME", "relative", 1);
    assert_true(packed_options_read("2.5", &o, &err));
    assert_string_equal(o.folder, "/me/.cache/hearth/packed");
    assert_in_range(o.max_bytes, 2500000000u, 2500000001u);
    (void)unsetenv("HOME");
    assert_true(packed_options_read("auto", &o, &err));
    assert_string_equal(o.folder, "");
    assert_true(packed_options_read("off", &o, &err));
    assert_string_equal(o.folder, "");
    static const char *const wrong[] = {"on", "-1", "0", "nan", "12x", "1e99", "inf"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(packed_options_read(wrong[i], &o, &err));
        assert_int_equal(err.code, ERR_USAGE);
    }
    const char *names[] = {"HOME", "HEARTH_HOME", "XDG_CACHE_HOME"};
    char *values[] = {home, own, cache};
    for (int i = 0; i < 3; i++) {
        (void)(values[i] ? setenv(names[i], values[i], 1) : unsetenv(names[i]));
        free(values[i]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_start_answers_the_same_bits),
        cmocka_unit_test(each_rounding_has_its_own_file),
        cmocka_unit_test(a_damaged_file_is_noticed_and_made_again),
        cmocka_unit_test(what_others_may_have_written_is_not_believed),
        cmocka_unit_test(a_model_that_changed_has_another_file),
        cmocka_unit_test(without_a_place_weights_are_packed_into_memory),
        cmocka_unit_test(a_start_that_fails_leaves_nothing),
        cmocka_unit_test(one_process_writes_at_a_time),
        cmocka_unit_test(what_was_not_used_for_longest_goes_first),
        cmocka_unit_test(bytes_come_back_as_they_were_written),
        cmocka_unit_test(weights_move_once_that_would_have_paid),
        cmocka_unit_test(moved_bytes_stay_what_and_where_they_are),
        cmocka_unit_test(a_model_that_changes_meanwhile_is_not_kept),
        cmocka_unit_test(the_option_says_whether_where_and_how_much),
    };
    return cmocka_run_group_tests(tests, cpu_start, cpu_stop);
}
