// test_config.c - what a configuration says, and where it says what is wrong.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../support/temp_folder.h"
#include "base/buf.h"
#include "base/error.h"
#include "config/config.h"
#include "config/tree.h"

static struct config parsed(const char *text)
{
    struct config c;
    struct error err = {0};
    if (!config_parse(text, strlen(text), "f", &c, &err))
        fail_msg("%s", err.text);
    return c;
}

static void refused(const char *text, const char *why)
{
    struct config c;
    struct error err = {0};
    assert_false(config_parse(text, strlen(text), "f", &c, &err));
    if (!strstr(err.text, why))
        fail_msg("for:\n%s\nexpected '%s' in '%s'", text, why, err.text);
    assert_null(c.owned);
}

static void nothing_written_is_the_defaults(void **state)
{
    static const char *const empty[] = {"", "# nothing\n", "---\n", "~", "{}", "models:\n"};
    (void)state;
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        struct config c = parsed(empty[i]);
        assert_int_equal(c.n_routes + c.n_providers + c.n_redactions, 0);
        assert_int_equal(c.port, -1);
        assert_null(c.ledger);
        assert_null(c.egress_log);
        assert_false(c.allow_vendors);
        assert_true(c.cost.watts < 0 && c.cost.utilization < 0);
        config_release(&c);
    }
}

static void everything_of_a_file_is_read(void **state)
{
    struct config c = parsed("default_model: a\n"
                             "allow_vendors: true\n"
                             "models:\n"
                             "  a:\n"
                             "    candidates: [local/x, {model: groq/y, weight: 3}]\n"
                             "    policy: weighted\n"
                             "    spill_queue: 7\n"
                             "    redact: false\n"
                             "  b: openai/gpt-4o\n"
                             "  c: {candidates: [x.gguf, openai/z], local_only: true}\n"
                             "providers:\n"
                             "  groq: {dialect: google, base_url: 'https://h/v1', key_env: G,\n"
                             "    connect_s: 1.5, first_s: 2, between_s: 3, total_s: 4,\n"
                             "    retries: 0, breaker_failures: 9, breaker_rest_s: 0.5,\n"
                             "    health: '/up?a=1', health_every_s: 3}\n"
                             "  openai: {base_urls: ['http://a', 'http://b'], key_file: /k, "
                             "ca_file: /c}\n"
                             "redactions: {Mail: {pattern: 'a@b'}, who: {words: [Ann, 42]}}\n"
                             "server: {host: '::1', port: 0}\n"
                             "ledger: postgresql://me@h/db\n"
                             "prices: /p\n"
                             "egress_log: none\n"
                             "cost: {watts: 100, utilization: .5, usd_per_kwh: 0,\n"
                             "  hardware_usd: 0, hardware_years: 1,\n"
                             "  charge: {'q:q8_0': {prefill: 9, decode: .5}}}\n");
    (void)state;
    assert_string_equal(c.default_model, "a");
    assert_true(c.prices_line == 20 && c.prices_column == 9);
    assert_true(c.allow_vendors);
    assert_int_equal(c.n_routes, 3);
    const struct config_route *a = config_find_route(&c, "a");
    assert_int_equal(a->n_candidates, 2);
    assert_int_equal(a->candidates[0].weight, 1);
    assert_string_equal(a->candidates[1].model, "groq/y");
    assert_int_equal(a->candidates[1].weight, 3);
    assert_int_equal(a->candidates[1].line, 5);
    assert_int_equal(a->candidates[1].column, 27);
    assert_int_equal(a->policy, POLICY_WEIGHTED);
    assert_int_equal(a->spill_queue, 7);
    assert_false(a->redact || a->local_only);
    assert_int_equal(a->line, 4);
    assert_int_equal(a->column, 3);
    const struct config_route *b = config_find_route(&c, "b");
    assert_string_equal(b->candidates[0].model, "openai/gpt-4o");
    assert_int_equal(b->policy, POLICY_FIXED);
    assert_true(b->redact);
    assert_true(config_find_route(&c, "c")->local_only);
    assert_null(config_find_route(&c, "d"));
    const struct config_provider *g = config_find_provider(&c, "groq");
    assert_string_equal(g->dialect, "google");
    assert_string_equal(g->base_urls[0], "https://h/v1");
    assert_string_equal(g->key_env, "G");
    assert_true(g->connect_s == 1.5 && g->first_s == 2 && g->between_s == 3 && g->total_s == 4);
    assert_true(g->retries == 0 && g->breaker_failures == 9 && g->breaker_rest_s == 0.5);
    assert_string_equal(g->health, "/up?a=1");
    assert_true(g->health_every_s == 3);
    const struct config_provider *o = config_find_provider(&c, "openai");
    assert_string_equal(o->dialect, "openai");
    assert_int_equal(o->n_base_urls, 2);
    assert_string_equal(o->key_file, "/k");
    assert_true(o->retries == -1 && o->breaker_failures == 0 && o->connect_s == 0);
    assert_null(o->health);
    assert_string_equal(c.redactions[0].name, "Mail");
    assert_string_equal(c.redactions[0].pattern, "a@b");
    assert_string_equal(c.redactions[1].words[1], "42");
    assert_string_equal(c.host, "::1");
    assert_int_equal(c.port, 0);
    assert_string_equal(c.ledger, "postgresql://me@h/db");
    assert_string_equal(c.egress_log, "");
    assert_true(c.cost.watts == 100 && c.cost.utilization == .5 && c.cost.usd_per_hour < 0);
    assert_int_equal(c.cost.n_charge, 1);
    assert_string_equal(c.cost.charge[0].model, "q:q8_0");
    assert_true(c.cost.charge[0].prefill == 9 && c.cost.charge[0].decode == .5);
    config_release(&c);
}

static void errors_name_line_and_column(void **state)
{
    static const char *const cases[][2] = {
        {"a: [", "f, line 2, column 1: did not find"},
        {"server: {port: 1}\nmodel: x", "f, line 2, column 1: the configuration has no member"},
        {"models:\n  m:\n    candidate: [x]", "f, line 3, column 5: a route has no member"},
        {"server:\n  port: 70000", "f, line 2, column 9: 'port' must be a whole number from 0 to"},
        {"server: {port: '80'}", "whole number"},
        {"server: {port: 8e1, host: 5}", "column 27: 'host' must be a text: put it in quotes"},
        {"server: {port: 1.5}", "whole number"},
        {"server: {port: 0x50}", "whole number"},
        {"server: [1]", "line 1, column 9: server must be a map"},
        {"- a", "the configuration must be a map"},
        {"allow_vendors: yes", "must be true or false"},
        {"allow_vendors: 'true'", "must be true or false"},
        {"default_model:", "'default_model' must be a text"},
        {"ledger: sqlite\nledger: sqlite", "f, line 2, column 1: 'ledger' is here a second time"},
        {"models:\n  a: x\n  b: y\n  a: z", "line 4, column 3: 'a' is here a second time, first "
                                            "in line 2"},
        {"models: {a: {candidates: [x, x]}}", "a second time"},
        {"models: {a: {candidates: []}}", "must be a list of models"},
        {"models: {a: {policy: fixed}}", "a route without 'candidates'"},
        {"models: {a: {candidates: [{weight: 2}]}}", "without 'model'"},
        {"models: {a: {candidates: [x], policy: best}}", "must be fixed, local-only,"},
        {"models: {a: {candidates: [{model: x, weight: 0}]}}", "weight above 0"},
        {"models: {a: {candidates: [{model: x, weight: -1}]}}", "from 0 to 1000000"},
        {"models: {'a b': x}", "white space"},
        {"models: {local/a: x}", "always means the local store"},
        {"models:\n  a: nobody/x", "f, line 2, column 6: nobody is called 'nobody'"},
        {"default_model: nobody/x", "line 1, column 16: nobody is called 'nobody'"},
        {"models: {a: x, b: {candidates: [a]}}", "'a' is a route, which cannot be a candidate"},
        {"models: {a: a}", "cannot be a candidate"},
        {"models: {a: {candidates: [openai/x], policy: local-only}}", "all its candidates are"},
        {"models: {a: {candidates: [openai/x], local_only: true}}", "all its candidates are"},
        {"providers: {x: {base_url: 'http://h'}}", "'x' needs 'dialect'"},
        {"providers: {x: {dialect: openai}}", "'x' needs 'base_url'"},
        {"providers: {openai: {health_every_s: 3}}", "but no 'health'"},
        {"providers: {openai: {health: up}}", "'health' must begin with '/'"},
        {"providers: {openai: {health: '/a b'}}", "'health' must be a path"},
        {"providers: {x: {dialect: cohere}}", "must be openai, anthropic or gemini"},
        {"providers: {local: {dialect: openai}}", "this machine"},
        {"providers: {A/b: {dialect: openai}}", "the name of a provider"},
        {"providers: {openai: {base_url: 'ftp://h'}}", "must be a web address"},
        {"providers: {openai: {base_url: 'https://'}}", "must be a web address"},
        {"providers: {openai: {base_url: \"https://h/\\u00e9\"}}", "must be a web address"},
        {"providers: {openai: {retries: 11}}", "from 0 to 10"},
        {"providers: {openai: {first_s: 0}}", "'first_s' must be a number"},
        {"providers: {openai: {first_s: nan}}", "'first_s' must be a number"},
        {"providers: {openai: {first_s: .inf}}", "'first_s' must be a number"},
        {"providers: {openai: {key_env: A, key_file: b}}", "both key_env and key_file"},
        {"redactions: {a: {}}", "either 'pattern' or 'words'"},
        {"redactions: {a: {pattern: x, words: [y]}}", "either 'pattern' or 'words'"},
        {"redactions: {a: {words: ['']}}", "must be a list of texts"},
        {"redactions: {A: {pattern: x}, a: {pattern: y}}", "a second time"},
        {"redactions: {'a b': {pattern: x}}", "letters, digits"},
        {"cost: {utilization: 1.1}", "'utilization' must be a number"},
        {"cost: {charge: 5}", "must be a map from up to 1000 models to speeds"},
        {"cost: {charge: {a: {prefill: 1}}}", "a speed has 'prefill' and 'decode'"},
        {"cost: {charge: {a: {prefill: 0, decode: 1}}}", "'prefill' must be a number"},
        {"cost: {charge: {a: {prefill: 1, decode: 1}}, usd_per_hour: 1}", "needs 'utilization'"},
        {"cost: {charge: {a: {prefill: 1, decode: 1}}, watts: 1, usd_per_kwh: 1, "
         "hardware_usd: 1, utilization: 1}",
         "and 'hardware_years'"},
        {"ledger: mysql://h", "must be sqlite"},
        {"a: !!python/object:os.system x", "tags (!...) have no meaning"},
        {"{a: b}: c", "name must be a text"},
        {"ledger: sqlite\n---\nledger: sqlite", "line 2, column 1: a second document"},
        {"ledger: \"a\\0b\"", "NUL"},
        {"a: b\n\xff\n", "f, line 2, column 1: "},
        {"a: \x01", "line 1, column 4: "},
        {"server: {port: 1}\n  x: y: z", "line 2, column 3: did not find"},
        {"<<: {ledger: x}", "no member '<<'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i][0], cases[i][1]);
}

// Wherever a secret was written, the hint says where it belongs, and the error does not tell it.
static void secrets_are_refused_with_a_hint_and_not_repeated(void **state)
{
    static const char *const cases[][2] = {
        {"providers: {openai: {key: sk-hush}}", "key_env or key_file"},
        {"providers: {openai: {api_key: sk-hush}}", "key_env or key_file"},
        {"api_key: hush", "key_env or key_file"},
        {"openai_token: hush", "key_env or key_file"},
        {"server: {password: hush}", "key_env or key_file"},
        {"providers: {openai: {key_env: sk-hush}}", "must be the name of a variable"},
        {"providers: {openai: {key_env: gsk_hush}}", "must be the name of a variable"},
        {"providers: {openai: {key_env: 'a hush'}}", "must be the name of a variable"},
        {"providers: {openai: {key_file: sk-hush}}", "looks like a secret"},
        {"providers: {openai: {base_url: 'https://hush@h/'}}", "key_env or key_file"},
        {"providers: {openai: {base_url: 'https://h/?key=hush'}}", "key_env or key_file"},
        {"ledger: 'postgresql://me:hush@h/db'", "PGPASSWORD"},
        {"ledger: 'postgresql://h/db?password=hush'", "PGPASSWORD"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config c;
        struct error err = {0};
        refused(cases[i][0], cases[i][1]);
        assert_false(config_parse(cases[i][0], strlen(cases[i][0]), "f", &c, &err));
        assert_null(strstr(err.text, "hush"));
    }
}

static void an_alias_means_what_its_anchor_does(void **state)
{
    struct config c = parsed("models: {a: {candidates: &c [x, y]}, b: {candidates: *c}}");
    (void)state;
    assert_string_equal(config_find_route(&c, "b")->candidates[1].model, "y");
    config_release(&c);
    refused("a: &a [*a]", "an alias inside what it stands for");
    refused("a: *b", "an alias of an anchor that is not there");
}

static void bombs_end_early(void **state)
{
    struct buf text = {0};
    (void)state;
    for (int i = 0; i < 100000; i++)
        buf_text_add(&text, "[");
    refused(buf_text(&text), "nested too deeply");
    buf_clear(&text);
    for (int i = 0; i < 100; i++)
        buf_printf(&text, "a%d: &a%d x\n", i, i);
    refused(buf_text(&text), "too many anchors");
    buf_clear(&text);  // 250 rules that share a list of 20,000 words would keep 5 million
    buf_text_add(&text, "redactions:\n  r: {words: &w [");
    for (int i = 0; i < 20000; i++)
        buf_text_add(&text, "w,");
    buf_text_add(&text, "w]}\n");
    for (int i = 0; i < 250; i++)
        buf_printf(&text, "  r%d: {words: *w}\n", i);
    refused(buf_text(&text), "too many values");
    buf_clear(&text);
    for (int i = 0; i < 5000; i++)
        buf_printf(&text, "a%d: x\n", i);
    refused(buf_text(&text), "more than 4096 members");
    buf_clear(&text);
    buf_text_add(&text, "redactions: {r: {words: [");
    for (int i = 0; i < TREE_MAX_NODES; i++)
        buf_text_add(&text, "w,");
    refused(buf_text(&text), "too many values");
    buf_clear(&text);
    while (text.len <= TREE_MAX_BYTES)
        buf_text_add(&text, "# a long comment\n");
    refused(buf_text(&text), "larger than");
    buf_release(&text);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void the_default_file_is_found_and_paths_begin_beside_it(void **state)
{
    char home[200], path[300], expected[400];
    struct config c;
    struct error err = {0};
    (void)state;
    assert_true(temp_home(home, sizeof home));
    assert_true(config_read(NULL, &c, &err));
    assert_null(c.path);
    config_release(&c);
    (void)snprintf(path, sizeof path, "%s/hearth.yaml", home);
    assert_false(config_read(path, &c, &err));
    assert_int_equal(err.code, ERR_IO);
    write_file(path, "prices: p.json\nledger: sqlite:l.db\negress_log: ~/e.log\n");
    assert_int_equal(setenv("HOME", "/house", 1), 0);
    assert_true(config_read(NULL, &c, &err));
    assert_string_equal(c.path, path);
    (void)snprintf(expected, sizeof expected, "%s/p.json", home);
    assert_string_equal(c.prices, expected);
    (void)snprintf(expected, sizeof expected, "sqlite:%s/l.db", home);
    assert_string_equal(c.ledger, expected);
    assert_string_equal(c.egress_log, "/house/e.log");
    assert_int_equal(error_set(&err, ERR_NOT_FOUND, "no model 'x'"), false);
    assert_false(config_wrap(&c, 3, 4, &err));
    (void)snprintf(expected, sizeof expected, "%s, line 3, column 4: no model 'x'", path);
    assert_string_equal(err.text, expected);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    config_release(&c);
    write_file(path, "ledger: 5");
    assert_false(config_read(NULL, &c, &err));
    assert_non_null(strstr(err.text, "hearth.yaml, line 1, column 9: "));
    temp_remove(home);
    assert_int_equal(unsetenv("HEARTH_HOME"), 0);
}

static void the_example_of_the_documentation_is_read(void **state)
{
    struct config c;
    struct error err = {0};
    (void)state;
    if (!config_read("docs/examples/hearth.yaml", &c, &err))
        fail_msg("%s", err.text);
    assert_int_equal(config_find_route(&c, "assistant")->policy, POLICY_LOCAL_FIRST);
    assert_true(config_find_route(&c, "contracts")->local_only);
    assert_int_equal(config_find_provider(&c, "house")->n_base_urls, 2);
    assert_int_equal(c.n_redactions, 3);
    assert_string_equal(c.egress_log, "docs/examples/egress.log");
    config_release(&c);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(nothing_written_is_the_defaults),
    cmocka_unit_test(everything_of_a_file_is_read),
    cmocka_unit_test(errors_name_line_and_column),
    cmocka_unit_test(secrets_are_refused_with_a_hint_and_not_repeated),
    cmocka_unit_test(an_alias_means_what_its_anchor_does),
    cmocka_unit_test(bombs_end_early),
    cmocka_unit_test(the_default_file_is_found_and_paths_begin_beside_it),
    cmocka_unit_test(the_example_of_the_documentation_is_read),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
