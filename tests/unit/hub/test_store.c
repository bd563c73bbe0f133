// test_store.c - names, the blobs that they share, unfinished downloads: in a store of its own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../support/temp_folder.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mapping.h"
#include "hub/part.h"
#include "hub/store_impl.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static char home[64];
static struct store store;

static int set_up(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);  // broken manifests are meant to be there
    return temp_home(home, sizeof home) && store_open(&store, NULL) && store_prepare(&store, NULL)
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    temp_remove(home);
    return unsetenv("HEARTH_HOME");
}

// A blob of this content; returns its name.
static void blob(const char *content, char sha256[65], char git[41])
{
    struct part p;
    struct error err = {0};
    char id[PART_ID_BYTES];
    uint64_t n = strlen(content);
    (void)snprintf(id, sizeof id, "git-%040llx", (unsigned long long)n);
    if (part_open(&p, &store, id, n, true, &err) != PART_OPEN ||
        !part_write(&p, 0, slice_str(content), &err))
        fail_msg("%s", err.text);
    while (part_hash(&p, 3, &err))
        continue;
    assert_true(part_is_whole(&p));
    part_hashes(&p, sha256, git);
    assert_true(part_finish(&p, sha256, &err));
}

// A name of files "0", "1", ... with these contents, separated by spaces.
static void name(const char *name, const char *quant, const char *repo, const char *contents,
                 struct manifest *m)
{
    *m = (struct manifest){.commit = COMMIT, .revision = "main", .pulled = "2026-11-25T18:15:40Z"};
    (void)snprintf(m->name, sizeof m->name, "%s", name);
    (void)snprintf(m->quant, sizeof m->quant, "%s", quant);
    (void)snprintf(m->repo, sizeof m->repo, "%s", repo);
    m->files = arena_new(&m->memory, struct manifest_file, 8);
    for (const char *p = contents; *p;) {
        size_t n = strcspn(p, " ");
        char *content = arena_text(&m->memory, slice_of(p, n));
        struct manifest_file *f = &m->files[m->n_files];
        f->path = arena_printf(&m->memory, "sub/%zu%s", m->n_files, quant[0] ? ".gguf" : "");
        f->bytes = n;
        blob(content, f->sha256, f->git);
        store_name_git(&store, f->git, f->sha256);
        m->n_files++;
        p += n + (p[n] == ' ');
    }
}

static void publish(const char *called, const char *quant, const char *repo, const char *contents)
{
    struct manifest m;
    struct error err = {0};
    name(called, quant, repo, contents, &m);
    if (store_publish(&store, &m, &err) != STORE_PUBLISHED)
        fail_msg("%s", err.text);
    manifest_release(&m);
}

static void removed(const char *called, uint64_t freed_wanted)
{
    struct manifest m;
    uint64_t freed = 0;
    assert_true(store_find(&store, called, &m, NULL));
    assert_true(store_remove(&store, &m, &freed, NULL));
    assert_int_equal(freed, freed_wanted);
    manifest_release(&m);
}

static size_t n_entries(const char *folder)
{
    char path[STORE_PATH_BYTES];
    size_t n = 0;
    store_path(&store, path, "%s", folder);
    DIR *d = opendir(path);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    if (d)
        (void)closedir(d);
    return n;
}

static void hashes_are_those_of_sha256_and_git(void **state)
{
    char sha256[65], git[41];
    (void)state;
    blob("hello\n", sha256, git);
    assert_string_equal(sha256, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    assert_string_equal(git, "ce013625030ba8dba906f756967f9e9ca394464a");
    assert_true(store_has_blob(&store, sha256, 6));
    assert_false(store_has_blob(&store, sha256, 7));
}

static void a_name_is_found_with_and_without_quantization(void **state)
{
    struct manifest m;
    struct error err = {0};
    char path[STORE_PATH_BYTES], shown[MANIFEST_SHOWN_BYTES];
    (void)state;
    publish("m", "q4_0", "owner/M-GGUF", "aaa bbbb");
    assert_true(store_find(&store, "M:Q4_0", &m, &err));
    assert_int_equal(manifest_bytes(&m), 7);
    assert_string_equal(m.files[1].git[0] ? m.repo : "", "owner/M-GGUF");
    assert_true(store_model_path(&store, &m, path, &err));
    assert_string_equal(path + strlen(path) - 10, "sub/0.gguf");
    assert_true(store_name_of_path(&store, path, shown));
    assert_string_equal(shown, "m:q4_0");
    manifest_release(&m);
    assert_true(store_find(&store, "m", &m, &err));
    manifest_release(&m);
    publish("m", "q8_0", "owner/M-GGUF", "ccccc");
    assert_false(store_find(&store, "m", &m, &err));
    assert_non_null(strstr(err.text, "m:q4_0, m:q8_0"));
    assert_false(store_find(&store, "m:f16", &m, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_false(store_find(&store, "other", &m, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_false(store_find(&store, "../m", &m, &err));
    assert_false(store_find(&store, "m:../q4_0", &m, &err));
    assert_true(store_has_repo(&store, "OWNER/m-gguf", shown));
    assert_string_equal(shown, "m:q4_0");
    assert_false(store_has_repo(&store, "owner/other", shown));
}

static void rm_keeps_what_another_name_uses(void **state)
{
    (void)state;
    publish("one", "", "owner/one", "shared only1");
    publish("two", "", "owner/two", "shared only-two");
    assert_int_equal(n_entries("blobs"), 6);  // three blobs, and their git ids
    removed("one", 5);
    assert_int_equal(n_entries("blobs"), 4);
    struct manifest m;
    char path[STORE_PATH_BYTES];
    assert_true(store_find(&store, "two", &m, NULL));
    assert_true(store_model_path(&store, &m, path, NULL));
    manifest_release(&m);
    removed("two", 14);
    assert_int_equal(n_entries("blobs"), 0);
    assert_int_equal(n_entries("names"), 0);
    assert_int_equal(n_entries("files"), 0);
}

static void a_new_commit_takes_the_place_of_the_old(void **state)
{
    struct manifest m;
    struct error err = {0};
    (void)state;
    publish("m", "", "owner/m", "same old1");
    publish("m", "", "owner/m", "same new-one");
    assert_true(store_find(&store, "m", &m, NULL));
    assert_int_equal(manifest_bytes(&m), 11);
    manifest_release(&m);
    assert_int_equal(n_entries("blobs"), 4);
    name("m", "", "stranger/m", "x", &m);
    assert_int_equal(store_publish(&store, &m, &err), STORE_FAILED);
    assert_non_null(strstr(err.text, "--name"));
    manifest_release(&m);
}

static void a_blob_that_was_removed_meanwhile_is_noticed(void **state)
{
    struct manifest m;
    char path[STORE_PATH_BYTES];
    (void)state;
    name("m", "", "owner/m", "abc", &m);
    store_path(&store, path, "blobs/sha256-%s", m.files[0].sha256);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(store_publish(&store, &m, NULL), STORE_BLOBS_GONE);
    manifest_release(&m);
}

static void damage_is_told_and_not_opened(void **state)
{
    struct manifest m;
    struct manifest_list list;
    struct error err = {0};
    char path[STORE_PATH_BYTES], folder[STORE_PATH_BYTES];
    (void)state;
    publish("m", "q4_0", "owner/m", "abc");
    assert_true(store_find(&store, "m", &m, NULL));
    store_files_path(&store, &m, folder);
    assert_true(store_model_path(&store, &m, path, NULL));
    assert_int_equal(unlink(path), 0);
    assert_false(store_model_path(&store, &m, path, &err));
    assert_non_null(strstr(err.text, "pull owner/m again"));
    manifest_release(&m);
    store_path(&store, folder, "names/m");
    assert_true(folder_add(folder, "q4_0.json", "{}", 2));
    assert_true(folder_add(folder, "not-a-manifest", "{}", 2));
    store_list(&store, &list);
    assert_int_equal(list.n, 0);
    assert_int_equal(list.n_broken, 1);
    manifest_list_release(&list);
    assert_false(store_find(&store, "m", &m, &err));
    assert_int_equal(err.code, ERR_FORMAT);
}

static void a_part_goes_on_where_it_was(void **state)
{
    struct part p, q;
    struct error err = {0};
    char sha256[65], git[41], path[STORE_PATH_BYTES];
    (void)state;
    assert_int_equal(part_open(&p, &store, "sha256-x", 10, false, &err), PART_OPEN);
    assert_true(part_write(&p, 4, slice_str("456"), &err));
    assert_int_equal(part_open(&q, &store, "sha256-x", 10, false, &err), PART_BUSY);
    part_close(&p);
    assert_int_equal(part_allocated(&store, "sha256-x", 10), 10);
    assert_int_equal(part_open(&p, &store, "sha256-x", 10, false, &err), PART_OPEN);
    assert_int_equal(ranges_bytes(&p.done), 3);
    assert_false(part_hash(&p, 100, &err));
    assert_true(part_write(&p, 0, slice_str("0123"), &err));
    assert_true(part_write(&p, 7, slice_str("789"), &err));
    assert_true(part_hash(&p, 100, &err));
    part_hashes(&p, sha256, git);
    assert_string_equal(sha256, "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882");
    assert_true(part_restart(&p, &err));
    assert_int_equal(ranges_bytes(&p.done), 0);
    assert_true(part_write(&p, 0, slice_str("xx"), &err));
    part_close(&p);
    // A record for a file that is not there any more is not believed.
    store_path(&store, path, "blobs/sha256-x.part");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(part_open(&p, &store, "sha256-x", 10, false, &err), PART_OPEN);
    assert_int_equal(ranges_bytes(&p.done), 0);
    part_discard(&p);
    assert_int_equal(n_entries("blobs"), 0);
}

static void a_manifest_is_read_as_it_was_written(void **state)
{
    struct manifest m, again = {0};
    struct buf text = {0};
    (void)state;
    name("m", "q4_0", "owner/m", "abc de", &m);
    manifest_write(&m, &text);
    assert_true(manifest_read(&again, buf_view(&text), NULL));
    assert_true(manifest_same(&m, &again));
    assert_string_equal(again.files[1].git, m.files[1].git);
    assert_string_equal(again.pulled, m.pulled);
    manifest_release(&again);
    // Every member is needed, and none may be of another kind.
    static const char *const keys[] = {"\"repo\"", "\"commit\"", "\"revision\"", "\"pulled\"",
                                       "\"path\"", "\"bytes\"",  "\"sha256\"",   "\"files\""};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct error err = {0};
        char *at = strstr(text.ptr, keys[i]);
        at[1] = 'X';
        assert_false(manifest_read(&again, buf_view(&text), &err));
        assert_int_equal(err.code, ERR_FORMAT);
        manifest_release(&again);
        at[1] = keys[i][1];
    }
    manifest_release(&m);
    buf_release(&text);
}

#define IN_A_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
int main(void)
{
    static const struct CMUnitTest tests[] = {
        IN_A_STORE(hashes_are_those_of_sha256_and_git),
        IN_A_STORE(a_name_is_found_with_and_without_quantization),
        IN_A_STORE(rm_keeps_what_another_name_uses),
        IN_A_STORE(a_new_commit_takes_the_place_of_the_old),
        IN_A_STORE(a_blob_that_was_removed_meanwhile_is_noticed),
        IN_A_STORE(damage_is_told_and_not_opened),
        IN_A_STORE(a_part_goes_on_where_it_was),
        IN_A_STORE(a_manifest_is_read_as_it_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
