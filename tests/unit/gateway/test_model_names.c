// test_model_names.c - what the models of a server are called, while the store changes below it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../support/temp_folder.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "gateway/model_names.h"
#include "hub/store_impl.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define SHA256 "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
#define GIT "ce013625030ba8dba906f756967f9e9ca394464a"

static char home[64];
static struct store store;

static int set_up(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
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

// A name of one file with "hello\n", the way that `hearth pull` publishes it.
static void publish(const char *called, const char *quant)
{
    struct manifest m = {.commit = COMMIT, .revision = "main", .pulled = "2026-11-25T18:15:40Z"};
    struct error err = {0};
    char path[STORE_PATH_BYTES];
    (void)snprintf(m.name, sizeof m.name, "%s", called);
    (void)snprintf(m.quant, sizeof m.quant, "%s", quant);
    (void)snprintf(m.repo, sizeof m.repo, "acme/%s", called);
    m.files = arena_new(&m.memory, struct manifest_file, 1);
    m.n_files = 1;
    m.files[0] = (struct manifest_file){"model.gguf", 6, SHA256, GIT};
    store_path(&store, path, "blobs/sha256-%s", SHA256);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs("hello\n", f) >= 0, 1);
    (void)fclose(f);
    store_name_git(&store, GIT, SHA256);
    if (store_publish(&store, &m, &err) != STORE_PUBLISHED)
        fail_msg("%s", err.text);
    manifest_release(&m);
}

static void take_away(const char *called)
{
    struct manifest m;
    uint64_t freed = 0;
    assert_true(store_find(&store, called, &m, NULL));
    assert_true(store_remove(&store, &m, &freed, NULL));
    manifest_release(&m);
}

// The ids in their order, a space behind each.
static void shows(struct model_names *m, const char *wanted)
{
    struct buf ids = {0};
    for (size_t i = 0, n = model_names_count(m); i < n; i++)
        buf_printf(&ids, "%s ", model_names_at(m, i)->id);
    assert_string_equal(buf_text(&ids), wanted);
    assert_null(model_names_at(m, model_names_count(m)));
    buf_release(&ids);
}

static const char *found(struct model_names *m, const char *name)
{
    struct error err = {0};
    const struct model_name *n = model_names_find(m, name, &err);
    return n ? n->id : "";
}

static void nothing_is_shown_before_it_was_added(void **state)
{
    struct model_names *m = model_names_new();
    struct error err = {0};
    (void)state;
    publish("small", "q8_0");
    shows(m, "");
    assert_false(model_names_any(m));
    assert_null(model_names_find(m, "small:q8_0", &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_null(model_names_find(m, NULL, &err));
    assert_false(model_names_add(m, "/no/such/file", &err));
    model_names_free(m);
    take_away("small:q8_0");
}

static void what_is_pulled_later_is_there_at_once(void **state)
{
    struct model_names *m = model_names_new();
    struct error err = {0};
    (void)state;
    assert_true(model_names_add(m, "src/gateway", &err));
    model_names_follow_store(m);
    shows(m, "gateway ");
    publish("small", "q8_0");
    assert_string_equal(found(m, "small:q8_0"), "small:q8_0");  // without the list being asked for
    shows(m, "gateway small:q8_0 ");
    publish("small", "q4_0");  // in a folder that is there already
    publish("apple", "q8_0");
    shows(m, "gateway apple:q8_0 small:q4_0 small:q8_0 ");
    const struct model_name *held = model_names_find(m, "small:q4_0", &err);
    take_away("small:q4_0");
    shows(m, "gateway apple:q8_0 small:q8_0 ");
    assert_string_equal(held->id, "small:q4_0");  // whoever has it may still read it
    publish("small", "q4_0");
    assert_ptr_equal(model_names_find(m, "small:q4_0", &err), held);
    take_away("small:q4_0");
    take_away("small:q8_0");
    take_away("apple:q8_0");
    shows(m, "gateway ");
    model_names_free(m);
}

static void ids_that_are_taken_stay_so(void **state)
{
    struct model_names *m = model_names_new();
    struct error err = {0};
    (void)state;
    assert_true(model_names_add(m, "src/gateway", &err));
    assert_false(model_names_add(m, "tests/unit/gateway", &err));
    assert_int_equal(err.code, ERR_USAGE);
    publish("small", "q8_0");
    assert_true(model_names_add(m, "local/small:q8_0", &err));
    model_names_follow_store(m);
    shows(m, "gateway small:q8_0 ");
    take_away("small:q8_0");
    shows(m, "gateway small:q8_0 ");  // it was asked for by name
    model_names_free(m);
}

static void names_may_say_local_and_leave_out_the_quantization(void **state)
{
    struct model_names *m = model_names_new();
    struct error err = {0};
    (void)state;
    assert_true(model_names_add(m, "src/gateway", &err));
    model_names_follow_store(m);
    publish("small", "q8_0");
    assert_string_equal(found(m, NULL), "gateway");
    assert_string_equal(found(m, ""), "gateway");
    assert_string_equal(found(m, "local/gateway"), "gateway");
    assert_string_equal(found(m, "local/small:q8_0"), "small:q8_0");
    assert_string_equal(found(m, "small"), "small:q8_0");
    assert_string_equal(found(m, "local/small"), "small:q8_0");
    publish("small", "q4_0");
    shows(m, "gateway small:q4_0 small:q8_0 ");
    assert_null(model_names_find(m, "small", &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    for (const char *const *p =
             (const char *const[]){"local/", "local/local/gateway", "smal", "src/gateway",
                                   "small:", "openai/gateway", ":q8_0", NULL};
         *p; p++) {
        assert_null(model_names_find(m, *p, &err));
        assert_int_equal(err.code, ERR_NOT_FOUND);
    }
    take_away("small:q4_0");
    take_away("small:q8_0");
    model_names_free(m);
}

static void a_configuration_names_its_default_and_its_routes(void **state)
{
    const char *const routes[] = {"a", "b"}, *const same[] = {"gateway"};
    struct model_names *m = model_names_new();
    struct error err = {0};
    (void)state;
    publish("small", "q8_0");
    assert_true(model_names_set_routes(m, "local/small:q8_0", routes, 2, &err));
    shows(m, "small:q8_0 a b ");
    const struct model_name *held = model_names_find(m, "a", &err);
    assert_true(model_names_set_routes(m, NULL, routes, 1, &err));
    shows(m, "a ");
    assert_ptr_equal(model_names_find(m, NULL, &err), held);
    assert_false(model_names_set_routes(m, "local/nowhere", routes, 2, &err));
    assert_false(model_names_set_routes(m, "src/gateway", same, 1, &err));
    assert_int_equal(err.code, ERR_USAGE);
    shows(m, "a ");  // as before
    assert_true(model_names_add(m, "src/gateway", &err));
    model_names_free(m);

    m = model_names_new();
    assert_true(model_names_add(m, "src/gateway", &err));
    assert_true(model_names_set_routes(m, "local/small:q8_0", routes, 2, &err));
    shows(m, "gateway small:q8_0 a b ");  // what was added is meant by who names none
    assert_true(model_names_set_routes(m, "src/gateway", NULL, 0, &err));
    shows(m, "gateway ");
    take_away("small:q8_0");
    model_names_free(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_shown_before_it_was_added),
        cmocka_unit_test(what_is_pulled_later_is_there_at_once),
        cmocka_unit_test(ids_that_are_taken_stay_so),
        cmocka_unit_test(a_configuration_names_its_default_and_its_routes),
        cmocka_unit_test(names_may_say_local_and_leave_out_the_quantization),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
