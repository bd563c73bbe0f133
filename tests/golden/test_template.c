// test_template.c - rendered templates against what jinja2, set up by transformers, made of them.
//
// tests/golden/data/template/cases.json holds the variables, then templates of our own that go
// through every feature; published.json holds, for templates that are not ours to ship, only hashes
// of what each conversation of conversations.json becomes. Both come from
// tools/golden/make_template_goldens.py.
//
// With --render it is a filter instead: a JSON case {"template", "variables"} a line in, a JSON
// result {"text", "marks"} or {"error"} a line out; tools/golden/fuzz_templates.py drives it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "local/template/template.h"

#define NOW 1717236489  // 2024-06-01 10:08:09 UTC, as the maker has it

static const struct template_limits limits = {.now = NOW};

// Renders into out, or says why not. True if rendered.
static bool render(const char *source, const json_t *variables, struct rendered *out,
                   struct error *err)
{
    struct template *t = template_open(slice_str(source), err);
    bool ok = t && template_render(t, variables, &limits, out, err);
    template_close(t);
    return ok;
}

static int render_lines(void)
{
    static char line[1 << 22];
    while (fgets(line, sizeof line, stdin)) {
        struct error err = {0};
        struct rendered out = {0};
        struct buf text = {0};
        json_t *j = json_parse(slice_str(line), &err), *result = json_object();
        if (!j) {
            printf("%s\n", err.text);
            return 1;
        }
        if (render(json_get_text(j, "template"), json_object_get(j, "variables"), &out, &err)) {
            json_t *marks = json_array();
            for (size_t i = 0; i < out.n_from_values; i++)
                json_array_append_new(marks,
                                      json_pack("[I,I]", (json_int_t)out.from_values[i].start,
                                                (json_int_t)out.from_values[i].end));
            json_object_set_new(result, "text", json_stringn(buf_text(&out.text), out.text.len));
            json_object_set_new(result, "marks", marks);
        } else {
            json_object_set_new(result, "error", json_string(err.text));
            json_object_set_new(result, "code", json_integer(err.code));
        }
        json_write(&text, result, JSON_STYLE_COMPACT);
        printf("%s\n", buf_text(&text));
        fflush(stdout);
        buf_release(&text);
        rendered_release(&out);
        json_decref(result);
        json_decref(j);
    }
    return 0;
}

static json_t *read_data(const char *name)
{
    char path[256];
    struct error err = {0};
    (void)snprintf(path, sizeof path, "tests/golden/data/template/%s", name);
    json_t *j = json_read_file(path, 64 << 20, &err);
    if (!j)
        fail_msg("%s", err.text);
    return j;
}

// A case says the text, or the error: its line and words that must be in it ("" for any).
static bool case_holds(const json_t *c, const json_t *variables)
{
    struct error err = {0};
    struct rendered out = {0};
    const json_t *text = json_object_get(c, "text");
    bool ok = render(json_get_text(c, "template"), variables, &out, &err);
    bool holds;
    if (text) {
        holds = ok && slice_eq(buf_view(&out.text), json_slice(text));
    } else {
        char where[64] = "template, line ";
        int line = (int)json_integer_value(json_object_get(c, "line"));
        if (line > 0)  // else nobody knows
            (void)snprintf(where, sizeof where, "template, line %d: ", line);
        holds = !ok && strncmp(err.text, where, strlen(where)) == 0 &&
                strstr(err.text, json_get_text(c, "error"));
    }
    if (!holds)
        print_error("%s\n  template %s\n  expected %s\n  got      %s\n", json_get_text(c, "name"),
                    json_get_text(c, "template"),
                    text ? json_string_value(text) : json_get_text(c, "error"),
                    ok ? buf_text(&out.text) : err.text);
    rendered_release(&out);
    return holds;
}

static void our_templates_render_as_jinja2_renders_them(void **state)
{
    (void)state;
    json_t *cases = read_data("cases.json");
    size_t wrong = 0;
    assert_true(json_array_size(cases) > 500);
    for (size_t i = 1; i < json_array_size(cases); i++)
        wrong += !case_holds(json_array_get(cases, i), json_array_get(cases, 0));
    json_decref(cases);
    assert_int_equal(wrong, 0);
}

// What a rendering came to, as published.json has it: the hash of the text, or of an error only
// that there was one and where.
static void describe(const char *source, const json_t *variables, char *out, size_t size)
{
    struct error err = {0};
    struct rendered r = {0};
    if (render(source, variables, &r, &err)) {
        uint64_t hash = UINT64_C(14695981039346656037);  // FNV-1a, as the maker has it
        for (size_t i = 0; i < r.text.len; i++)
            hash = (hash ^ (unsigned char)r.text.ptr[i]) * UINT64_C(1099511628211);
        (void)snprintf(out, size, "%zu:%016llx", r.text.len, (unsigned long long)hash);
    } else {  // Python's own bound on recursion is another one
        bool deep = err.code == ERR_LIMIT && strstr(err.text, "recursion");
        (void)snprintf(out, size, "%s", deep ? "recursion" : err.text);
    }
    rendered_release(&r);
}

static void published_templates_render_as_in_transformers(void **state)
{
    (void)state;
    json_t *conversations = read_data("conversations.json"),
           *published = read_data("published.json");
    const char *file;
    json_t *results;
    size_t wrong = 0, compared = 0;
    json_object_foreach(published, file, results)
    {
        char path[256];
        struct buf source = {0};
        (void)snprintf(path, sizeof path, "../shared/data/templates/%s", file);
        if (!file_read(path, 1 << 20, &source, NULL))
            continue;
        assert_int_equal(json_array_size(results), json_array_size(conversations));
        for (size_t i = 0; i < json_array_size(results); i++) {
            char got[300];
            const char *expected = json_string_value(json_array_get(results, i));
            describe(buf_text(&source), json_array_get(conversations, i), got, sizeof got);
            compared++;
            if (strcmp(got, expected) == 0)
                continue;
            wrong++;
            print_error("%s, conversation %zu\n  expected %s\n  got      %s\n", file, i, expected,
                        got);
        }
        buf_release(&source);
    }
    json_decref(conversations);
    json_decref(published);
    if (compared == 0) {
        print_message("the published templates are not here\n");
        skip();
    }
    assert_int_equal(wrong, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(our_templates_render_as_jinja2_renders_them),
    cmocka_unit_test(published_templates_render_as_in_transformers),
};

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--render") == 0)
        return render_lines();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
