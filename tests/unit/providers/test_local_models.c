// test_local_models.c - which models are in memory, and who waits for whose room: with the shipped
// model under several names.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "providers/local_models.h"

static const char shipped[] = "models/hearth-small.gguf";
enum { ROOM_FOR_ONE = 16000000, ROOM_FOR_TWO = 26000000 };

struct folder {
    struct local_models models;
    char *path, one[512], two[512], three[512];
};

// A link of its own is another model, as a copy would be.
static void add_name(const struct folder *f, const char *name, char out[512])
{
    (void)snprintf(out, 512, "%s/%s.gguf", f->path, name);
    assert_int_equal(link(shipped, out), 0);
}

static void folder_init(struct folder *f, uint64_t room)
{
    char here[] = "build/models-XXXXXX";
    assert_non_null(mkdtemp(here));
    f->path = strdup(here);
    add_name(f, "one", f->one);
    add_name(f, "two", f->two);
    add_name(f, "three", f->three);
    local_models_init(
        &f->models,
        &(struct local_options){.threads = 1, .ctx = 64, .max_seqs = 1, .models_memory = room});
}

static void folder_release(struct folder *f)
{
    local_models_release(&f->models);
    (void)unlink(f->one);
    (void)unlink(f->two);
    (void)unlink(f->three);
    (void)rmdir(f->path);
    free(f->path);
}

static struct local_model *taken(struct folder *f, const char *path)
{
    struct error err = {0};
    struct local_model *m = local_models_take(&f->models, path, &err);
    if (!m)
        fail_msg("%s: %s", path, err.text);
    return m;
}

static void must_wait(struct folder *f, const char *path)
{
    struct error err = {0};
    assert_null(local_models_take(&f->models, path, &err));
    assert_int_equal(err.code, ERR_BUSY);
}

static void whoever_comes_after_a_waiting_model_waits_behind_it(void **state)
{
    struct folder f;
    (void)state;
    folder_init(&f, ROOM_FOR_ONE);
    struct local_model *one = taken(&f, f.one);
    assert_true(local_models_ready(&f.models, f.one, false));
    must_wait(&f, f.two);
    assert_false(local_models_ready(&f.models, f.one, false));
    assert_true(local_models_ready(&f.models, f.one, true));
    must_wait(&f, f.three);  // the room will be another one's
    local_models_give(&f.models, one);
    must_wait(&f, f.three);
    struct local_model *two = taken(&f, f.two);
    assert_false(local_models_ready(&f.models, f.one, true));
    assert_true(local_models_ready(&f.models, f.two, false));
    local_models_give(&f.models, two);
    folder_release(&f);
}

static void nobody_waits_for_a_model_that_is_not_tried_again(void **state)
{
    struct folder f;
    (void)state;
    folder_init(&f, ROOM_FOR_ONE);
    struct local_model *one = taken(&f, f.one);
    must_wait(&f, f.two);
    assert_false(local_models_ready(&f.models, f.one, false));
    (void)sleep(3);
    assert_true(local_models_ready(&f.models, f.one, false));
    local_models_give(&f.models, one);
    folder_release(&f);
}

static void only_as_many_leave_as_have_to(void **state)
{
    struct folder f;
    (void)state;
    folder_init(&f, ROOM_FOR_TWO);
    struct local_model *one = taken(&f, f.one), *two = taken(&f, f.two);
    must_wait(&f, f.three);
    assert_false(local_models_ready(&f.models, f.one, false));  // it was used before the other
    assert_true(local_models_ready(&f.models, f.two, false));
    local_models_give(&f.models, one);
    struct local_model *three = taken(&f, f.three);
    assert_true(local_models_ready(&f.models, f.two, false));
    local_models_give(&f.models, two);
    local_models_give(&f.models, three);
    folder_release(&f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(whoever_comes_after_a_waiting_model_waits_behind_it),
    cmocka_unit_test(nobody_waits_for_a_model_that_is_not_tried_again),
    cmocka_unit_test(only_as_many_leave_as_have_to),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
