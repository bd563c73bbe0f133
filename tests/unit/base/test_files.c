// test_files.c - files that appear whole or not at all, and the control groups above a process.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/cgroup.h"
#include "base/error.h"
#include "base/fresh_file.h"
#include "base/mapping.h"
#include "../../support/temp_folder.h"

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void expect_text(const char *path, const char *text)
{
    struct buf all = {0};
    struct error err = {0};
    assert_true(file_read(path, 1000, &all, &err));
    assert_string_equal(buf_text(&all), text);
    buf_release(&all);
}

static void folder_with_path(char folder[200], char path[300])
{
    assert_true(temp_home(folder, 200));
    (void)snprintf(path, 300, "%s/file", folder);
}

static void a_file_is_the_old_one_until_it_is_whole(void **state)
{
    (void)state;
    char folder[200], path[300];
    struct fresh_file f;
    folder_with_path(folder, path);
    write_text(path, "old");
    assert_true(fresh_file_open(&f, path));
    assert_true(fputs("new", f.f) >= 0);
    expect_text(path, "old");
    fresh_file_drop(&f);
    expect_text(path, "old");
    assert_true(fresh_file_open(&f, path));
    assert_true(fputs("new", f.f) >= 0);
    assert_true(fresh_file_finish(&f));
    expect_text(path, "new");
    fresh_file_drop(&f);
    expect_text(path, "new");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);  // nothing else is left in it
}

// A process that is killed while it writes leaves nothing behind, where files may have no name.
static void a_writer_that_is_killed_leaves_nothing(void **state)
{
    (void)state;
    char folder[200], path[300];
    struct fresh_file f;
    folder_with_path(folder, path);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fresh_file_open(&f, path) && fputs("new", f.f) >= 0 && fflush(f.f) == 0 && f.nameless
                  ? kill(getpid(), SIGKILL)
                  : 7);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 7)
        skip();
    assert_true(WIFSIGNALED(status));
    assert_int_equal(rmdir(folder), 0);
}

// The name beside the path that a nameless file would get first may be taken.
static void a_name_that_is_taken_is_left_alone(void **state)
{
    (void)state;
    char folder[200], path[300], taken[340];
    struct fresh_file f;
    folder_with_path(folder, path);
    (void)snprintf(taken, sizeof taken, "%s.%ld-0.tmp", path, (long)getpid());
    write_text(taken, "theirs");
    assert_true(fresh_file_open(&f, path));
    assert_true(fputs("ours", f.f) >= 0);
    assert_true(fresh_file_finish(&f));
    expect_text(path, "ours");
    expect_text(taken, "theirs");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(taken), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void what_is_no_file_is_written_to_as_it_is(void **state)
{
    (void)state;
    struct fresh_file f;
    assert_true(fresh_file_open(&f, "/dev/null"));
    assert_true(fputs("text", f.f) >= 0);
    assert_true(fresh_file_finish(&f));
    assert_true(fresh_file_open(&f, "/dev/full"));
    assert_true(fputs("text", f.f) >= 0);
    assert_false(fresh_file_finish(&f));
    assert_false(fresh_file_open(&f, "/nonexistent/folder/file"));
    struct stat st;
    assert_true(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
}

struct visited {
    char folders[2000];
    const char *root;
};

static void note(void *self, const char *folder, bool version_2)
{
    struct visited *v = self;
    size_t used = strlen(v->folders);
    assert_memory_equal(folder, v->root, strlen(v->root));
    (void)snprintf(v->folders + used, sizeof v->folders - used, "%d:%s ", version_2 ? 2 : 1,
                   folder + strlen(v->root));
}

static void groups_are_visited_up_to_the_root(void **state)
{
    (void)state;
    static const char *const made[] = {"/mount",        "/mount/a",        "/mount/a/b",
                                       "/mount/memory", "/mount/memory/x", "/mount/memory/x/y",
                                       "/mount/cpu",    "/mount/cpu/z"};
    static const struct {
        const char *groups, *controller, *visited;
    } cases[] = {
        {"0::/a/b\n", "memory", "2:/a/b 2:/a 2: "},
        {"0::/\n", "memory", "2: "},
        {"0::/gone/b\n", "cpu", "2: "},  // of a container that is told its host's path
        {"5:memory:/x/y\n", "memory", "1:/memory/x/y 1:/memory/x 1:/memory "},
        {"5:memory:/x/y\n3:cpu,cpuacct:/z\n0::/a\n", "cpu", "1:/cpu/z 1:/cpu 2:/a 2: "},
        {"5:cpuacct:/x\n4:cpuset:/z\nnonsense\n7:cpu\n8:cpu:z\n\n", "cpu", ""},
    };
    enum { N_MADE = sizeof made / sizeof *made };
    char home[200], path[400], mount[300];
    assert_true(temp_home(home, sizeof home));
    for (int i = 0; i < N_MADE; i++) {
        (void)snprintf(path, sizeof path, "%s%s", home, made[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    (void)snprintf(mount, sizeof mount, "%s/mount", home);
    (void)snprintf(path, sizeof path, "%s/groups", home);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct visited v = {.root = mount};
        write_text(path, cases[i].groups);
        cgroup_each_in(path, mount, cases[i].controller, note, &v);
        assert_string_equal(v.folders, cases[i].visited);
    }
    struct visited v = {.root = mount};
    cgroup_each_in("/nonexistent", mount, "cpu", note, &v);
    assert_string_equal(v.folders, "");
    temp_remove(home);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_the_old_one_until_it_is_whole),
        cmocka_unit_test(a_writer_that_is_killed_leaves_nothing),
        cmocka_unit_test(a_name_that_is_taken_is_left_alone),
        cmocka_unit_test(what_is_no_file_is_written_to_as_it_is),
        cmocka_unit_test(groups_are_visited_up_to_the_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
