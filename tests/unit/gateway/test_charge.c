// test_charge.c - what the configuration charges for tokens of this machine, by hand; a table's
// entry comes first.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "config/config.h"
#include "gateway/charge.h"
#include "gateway/prices.h"
#include "../../support/temp_folder.h"

static struct prices *charged(const char *yaml)
{
    char home[200], path[300];
    struct error err = {0};
    struct config c;
    assert_true(temp_home(home, sizeof home));
    (void)snprintf(path, sizeof path, "%s/prices.json", home);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs("{\"unit\":\"usd_per_million_tokens\",\"models\":[{\"provider\":\"local\","
                      "\"model\":\"listed\",\"from\":\"2020-01-01\",\"source\":\"test\","
                      "\"input\":7,\"output\":8}]}",
                      f) >= 0);
    assert_int_equal(fclose(f), 0);
    struct prices *p = prices_open(path, &err);
    assert_non_null(p);
    if (!config_parse(yaml, strlen(yaml), "f", &c, &err))
        fail_msg("%s", err.text);
    charge_local(p, &c.cost);
    config_release(&c);  // nothing of it is borrowed
    temp_remove(home);
    return p;
}

// $3.60 an hour at full use is a tenth of a cent a second.
static void seconds_become_tokens(void **state)
{
    (void)state;
    struct prices *p =
        charged("cost: {usd_per_hour: 3.6, utilization: 1, charge: {\n"
                "  a: {prefill: 1000, decode: 100}, '*': {prefill: 10, decode: 1}}}");
    const struct price *a = prices_local(p, "local/a"), *b = prices_local(p, "b");
    assert_non_null(a);
    assert_ptr_equal(a, prices_local(p, "a"));
    assert_ptr_equal(a, prices_named(p, "local/a"));
    assert_int_equal(a->rates.input, 1000000);
    assert_int_equal(a->rates.output, 10000000);
    assert_int_equal(b->rates.output, 1000000000);
    struct chat_usage u = {
        .prompt_tokens = 30, .cached_tokens = 20, .completion_tokens = 4, .reasoning_tokens = 3};
    assert_int_equal(price_of(a, &u), 10 * 1000000 + 4 * 10000000);  // what is cached costs nothing
    assert_true(price_bound(a, 30, 4, 1) >= 30 * 1000000 + 4 * 10000000);
    assert_int_equal(prices_named(p, "local/listed")->rates.input, 7000000);  // a table's is first
    prices_free(p);
}

// $876.60 over a year are 0.10 an hour, 100 W at 0.20 are 0.02; a quarter of the hours bear it.
static void a_machine_of_ones_own_is_hardware_and_power(void **state)
{
    (void)state;
    struct prices *p = charged("cost: {watts: 100, usd_per_kwh: 0.2, hardware_usd: 876.6, "
                               "hardware_years: 1, utilization: 0.25,\n"
                               "  charge: {a: {prefill: 1000, decode: 100}}}");
    const struct price *a = prices_local(p, "a");
    assert_non_null(a);
    assert_int_equal(a->rates.input, 133333);  // 0.48 / 3,600 / 1,000, in picodollars
    assert_int_equal(a->rates.output, 1333333);
    assert_null(prices_local(p, "b"));
    prices_free(p);
}

static void nothing_is_charged_that_was_not_asked_for(void **state)
{
    (void)state;
    struct prices *p = charged("cost: {usd_per_hour: 3.6, utilization: 1}");
    assert_null(prices_local(p, "a"));
    assert_null(prices_named(p, "local/a"));
    prices_free(p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(seconds_become_tokens),
    cmocka_unit_test(a_machine_of_ones_own_is_hardware_and_power),
    cmocka_unit_test(nothing_is_charged_that_was_not_asked_for),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
