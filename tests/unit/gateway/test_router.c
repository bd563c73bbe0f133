// test_router.c - whom a request is sent to, in which order, and why to nobody.
//
// Time is made up, lots are counted, so that nothing here depends on the machine.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "gateway/router.h"
#include "providers/provider.h"

#define S INT64_C(1000000000)
enum { MAX = 8 };

static struct provider providers[MAX * MAX];

struct scene {
    struct router *r;
    struct router_facts facts[MAX];
    struct router_need need;
    struct router_step steps[ROUTER_STEPS_MAX];
    struct error err;
    size_t n;
};

// n candidates, the first n_local of them local, each with so many replicas.
static struct scene scene(enum config_policy policy, size_t n, size_t n_local, size_t n_replicas)
{
    static const char *const names[MAX] = {"c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"};
    struct scene s = {.r = router_new(), .need = {.answer_tokens = -1, .now_ns = 1000 * S}};
    struct router_replica replicas[MAX][ROUTER_STEPS_MAX];
    struct router_candidate c[MAX];
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n_replicas; k++)
            replicas[i][k].provider = &providers[i * MAX + k % MAX];
        c[i] = (struct router_candidate){.provider_name = i < n_local ? "local" : "vendor",
                                         .model = names[i],
                                         .shown = names[i],
                                         .local = i < n_local,
                                         .weight = (int)i + 1,
                                         .replicas = replicas[i],
                                         .n_replicas = n_replicas};
        s.facts[i] = (struct router_facts){.context = 1000,
                                           .tools = true,
                                           .schema = true,
                                           .vision = true,
                                           .known = true,
                                           .able = true};
    }
    assert_true(router_add(s.r, "r", policy, false, 2, c, n, &s.err));
    return s;
}

static void plan(struct scene *s)
{
    error_clear(&s->err);
    s->n = router_plan(s->r, "r", &s->need, s->facts, s->steps, &s->err);
    assert_true((s->n == 0) == (s->err.code != ERR_NONE));
}

// "c1 c0": the candidates of the plan, each once.
static void expect(struct scene *s, const char *candidates)
{
    char text[128] = "";
    size_t len = 0;
    plan(s);
    for (size_t i = 0; i < s->n; i++)
        if (i == 0 || s->steps[i].candidate != s->steps[i - 1].candidate)
            len += (size_t)snprintf(text + len, sizeof text - len, "%sc%zu", len ? " " : "",
                                    s->steps[i].candidate);
    assert_string_equal(text, candidates);
}

static void ends(struct scene *s, size_t candidate, size_t replica, struct router_outcome o)
{
    struct router_step step = {candidate, replica};
    o.now_ns = s->need.now_ns;
    router_began(s->r, "r", step, &s->need);
    router_ended(s->r, "r", step, &o);
}

static void fails(struct scene *s, size_t candidate, size_t replica, int times)
{
    for (int i = 0; i < times; i++)
        ends(s, candidate, replica, (struct router_outcome){.failed = true});
}

static void routes_are_told_by_name(void **state)
{
    struct scene s = scene(POLICY_FIXED, 2, 1, 1);
    size_t n;
    struct router_candidate none = {.shown = "x"};
    (void)state;
    assert_int_equal(router_n_routes(s.r), 1);
    assert_string_equal(router_route_name(s.r, 0), "r");
    const struct router_candidate *c = router_candidates(s.r, "r", &n);
    assert_int_equal(n, 2);
    assert_string_equal(c[1].shown, "c1");
    assert_null(router_candidates(s.r, "x", &n));
    assert_int_equal(n, 0);
    assert_false(router_add(s.r, "r", POLICY_FIXED, false, 0, c, 2, &s.err));
    assert_int_equal(s.err.code, ERR_USAGE);
    assert_false(router_add(s.r, "q", POLICY_FIXED, false, 0, c, 0, &s.err));
    assert_false(router_add(s.r, "q", POLICY_FIXED, false, 0, &none, 1, &s.err));
    assert_int_equal(router_plan(s.r, "x", &s.need, s.facts, s.steps, &s.err), 0);
    assert_int_equal(s.err.code, ERR_NOT_FOUND);
    router_free(s.r);
}

static void fixed_keeps_the_order_written(void **state)
{
    struct scene s = scene(POLICY_FIXED, 3, 1, 1);
    (void)state;
    expect(&s, "c0 c1 c2");
    fails(&s, 0, 0, 2);  // not yet so often that it rests
    expect(&s, "c0 c1 c2");
    router_free(s.r);
}

static void local_only_means_that_nothing_leaves(void **state)
{
    struct scene s = scene(POLICY_LOCAL_ONLY, 3, 2, 1);
    (void)state;
    expect(&s, "c0 c1");
    router_free(s.r);
    s = scene(POLICY_CHEAPEST, 3, 2, 1);
    s.need.local_only = true;
    expect(&s, "c0 c1");
    s.facts[0].able = s.facts[1].able = false;
    s.facts[1].why = "it is broken";
    expect(&s, "");
    assert_int_equal(s.err.code, ERR_FORBIDDEN);
    assert_non_null(strstr(s.err.text, "c1: it is broken"));
    assert_non_null(strstr(s.err.text, "c2: nothing may leave this machine"));
    router_free(s.r);
}

static void local_first_spills_when_the_queue_is_longer(void **state)
{
    struct scene s = scene(POLICY_LOCAL_FIRST, 4, 2, 1);
    (void)state;
    expect(&s, "c0 c1 c2 c3");
    s.facts[0].waiting = 2;  // as long as may be
    expect(&s, "c0 c1 c2 c3");
    s.facts[0].waiting = 3;
    expect(&s, "c1 c2 c3 c0");
    s.facts[1].waiting = 9;
    expect(&s, "c2 c3 c0 c1");
    s.need.local_only = true;
    expect(&s, "c0 c1");
    router_free(s.r);
}

static void cheapest_takes_unpriced_ones_last(void **state)
{
    struct scene s = scene(POLICY_CHEAPEST, 4, 1, 1);
    (void)state;
    s.facts[0].price = 7;  // a local one that costs what the machine does
    s.facts[1].price = -1;
    s.facts[2].price = 9;
    s.facts[3].price = 5;
    expect(&s, "c3 c0 c2 c1");
    router_free(s.r);
}

static void fastest_goes_by_what_was_measured(void **state)
{
    struct scene s = scene(POLICY_FASTEST, 3, 1, 1);
    (void)state;
    expect(&s, "c0 c1 c2");
    // First event and tokens: c0 is quick to begin and slow to go on.
    ends(&s, 0, 0, (struct router_outcome){true, false, S / 10, 10 * S, 100, 0});
    expect(&s, "c1 c2 c0");  // who was never measured finds out
    router_began(s.r, "r", (struct router_step){1, 0}, &s.need);
    expect(&s, "c2 c0 c1");  // but one request does
    router_ended(s.r, "r", (struct router_step){1, 0},
                 &(struct router_outcome){true, false, S, 2 * S, 100, s.need.now_ns});
    ends(&s, 2, 0, (struct router_outcome){true, false, S / 2, 6 * S, 100, 0});
    expect(&s, "c1 c2 c0");
    s.need.answer_tokens = 2;
    expect(&s, "c0 c2 c1");
    router_free(s.r);
}

static void the_fastest_is_doubted_once_in_a_while(void **state)
{
    struct scene s = scene(POLICY_FASTEST, 2, 0, 1);
    int others = 0;
    (void)state;
    ends(&s, 0, 0, (struct router_outcome){true, false, S, 2 * S, 100, 0});
    ends(&s, 1, 0, (struct router_outcome){true, false, 2 * S, 3 * S, 100, 0});
    for (uint64_t i = 0; i < 1000; i++) {
        s.need.seed = i;
        expect(&s, "c0 c1");
    }
    s.need.now_ns += 100 * S;
    ends(&s, 0, 0, (struct router_outcome){true, false, S, 2 * S, 100, 0});
    for (uint64_t i = 0; i < 16000; i++) {
        s.need.seed = i;
        plan(&s);
        others += s.steps[0].candidate == 1;
    }
    assert_in_range(others, 850, 1150);  // of 16,000, one of 16
    fails(&s, 1, 0, 1);                  // tried, if in vain: not again for a while
    for (uint64_t i = 0; i < 100; i++) {
        s.need.seed = i;
        expect(&s, "c0 c1");
    }
    router_free(s.r);
}

static void weights_are_kept(void **state)
{
    enum { N = 100000 };
    struct scene s = scene(POLICY_WEIGHTED, 4, 2, 1);
    int first[4] = {0}, second[4] = {0};
    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        s.need.seed = i;
        plan(&s);
        assert_int_equal(s.n, 4);
        first[s.steps[0].candidate]++;
        second[s.steps[1].candidate] += s.steps[0].candidate == 3;
    }
    for (int i = 0; i < 4; i++) {
        double p = (i + 1) / 10., sigma = sqrt(N * p * (1 - p));
        assert_true(fabs(first[i] - N * p) < 5 * sigma);
        // Of what is left where the last of them goes first, again by weight.
        double q = i < 3 ? (i + 1) / 6. : 0;
        assert_true(fabs(second[i] - first[3] * q) <= 5 * sqrt(first[3] * q * (1 - q)));
    }
    s.need.session = "a conversation";  // goes where it went before, also when others cannot
    plan(&s);
    size_t home = s.steps[0].candidate;
    for (uint64_t i = 0; i < 100; i++) {
        s.need.seed = i;
        s.facts[(home + 1 + i % 3) % 4].able = i % 2;
        plan(&s);
        assert_int_equal(s.steps[0].candidate, home);
    }
    router_free(s.r);
}

static void who_cannot_serve_it_whole_is_left_out(void **state)
{
    struct scene s = scene(POLICY_FIXED, 3, 1, 1);
    (void)state;
    s.need.tools = true;
    s.facts[0].tools = false;
    expect(&s, "c1 c2");
    s.facts[0].known = false;  // nobody knows: it may be tried
    expect(&s, "c0 c1 c2");
    s.need.schema = s.need.vision = true;
    s.facts[1].schema = false;
    s.facts[2].vision = false;
    expect(&s, "c0");
    s.facts[0].able = false;
    expect(&s, "");
    assert_int_equal(s.err.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(s.err.text, "c1: it keeps to no schema; c2: it sees no images"));
    s.need = (struct router_need){.answer_tokens = 100, .prompt_tokens = 900, .now_ns = S};
    s.facts[0].able = true;
    expect(&s, "c0 c1 c2");
    s.need.prompt_tokens = 901;
    s.facts[1].context = 0;
    s.facts[2].context = 2000;
    expect(&s, "c1 c2");
    s.facts[1].max_output = 99;
    s.facts[2].context = 1000;
    expect(&s, "");
    assert_int_equal(s.err.code, ERR_CONTEXT);
    assert_non_null(strstr(s.err.text, "c0: its context is of 1000 tokens, this takes up to 901"));
    s.need = (struct router_need){.answer_tokens = -1, .tokens = true, .now_ns = S};
    s.facts[0].no_tokens = true;
    expect(&s, "c1 c2");
    s.need.embeddings = s.facts[1].no_embeddings = true;
    s.need.logprobs = s.facts[2].no_logprobs = true;
    expect(&s, "");
    router_free(s.r);
}

static void who_fails_rests_and_is_asked_once_after(void **state)
{
    struct scene s = scene(POLICY_FIXED, 2, 0, 1);
    struct router_step first = {0, 0};
    (void)state;
    fails(&s, 0, 0, 3);
    expect(&s, "c1 c0");  // last, in case
    fails(&s, 1, 0, 4);
    expect(&s, "");
    assert_int_equal(s.err.code, ERR_BUSY);
    assert_int_equal(s.err.retry_after_s, 1);
    s.need.now_ns += S;
    expect(&s, "c0 c1");
    router_began(s.r, "r", first, &s.need);  // the probe
    expect(&s, "");
    assert_int_equal(s.err.code, ERR_BUSY);
    s.need.now_ns += S;
    expect(&s, "c1 c0");
    router_ended(s.r, "r", first, &(struct router_outcome){.now_ns = s.need.now_ns});
    expect(&s, "c0 c1");  // its client left: nobody is wiser
    ends(&s, 0, 0, (struct router_outcome){.answered = true, .tokens = -1, .total_ns = -1});
    fails(&s, 1, 0, 20);
    s.need.now_ns += 29 * S;
    expect(&s, "c0 c1");
    fails(&s, 0, 0, 3);
    expect(&s, "");
    s.need.now_ns += S;
    expect(&s, "c0 c1");
    router_free(s.r);
}

static void routes_share_what_is_known_of_a_model(void **state)
{
    struct scene s = scene(POLICY_FIXED, 2, 0, 1);
    size_t n;
    (void)state;
    const struct router_candidate *c = router_candidates(s.r, "r", &n);
    assert_true(router_add(s.r, "q", POLICY_FIXED, false, 0, c, n, &s.err));
    fails(&s, 0, 0, 3);
    n = router_plan(s.r, "q", &s.need, s.facts, s.steps, &s.err);
    assert_int_equal(n, 2);
    assert_int_equal(s.steps[0].candidate, 1);
    router_free(s.r);
}

static void the_least_loaded_replica_comes_first(void **state)
{
    struct scene s = scene(POLICY_FIXED, 1, 0, 4);
    (void)state;
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < (k ^ 2); i++)
            router_began(s.r, "r", (struct router_step){0, k}, &s.need);
    for (s.need.seed = 0; s.need.seed < 20; s.need.seed++) {
        plan(&s);
        assert_int_equal(s.n, 4);
        for (size_t k = 0; k < 4; k++)
            assert_int_equal(s.steps[k].replica, k ^ 2);
    }
    fails(&s, 0, 2, 1);  // the least loaded has just failed: it comes last
    plan(&s);
    assert_int_equal(s.steps[0].replica, 3);
    assert_int_equal(s.steps[3].replica, 2);
    fails(&s, 0, 2, 2);  // now it rests: it is not even tried
    plan(&s);
    assert_int_equal(s.n, 3);
    router_free(s.r);
}

static size_t home_of(struct scene *s, uint64_t prefix)
{
    s->need.prefix = prefix;
    plan(s);
    return s->steps[0].replica;
}

static void a_prefix_keeps_its_replica_when_another_dies(void **state)
{
    enum { N = 4000 };
    struct scene s = scene(POLICY_FIXED, 1, 0, 4);
    static size_t homes[N];
    int n[4] = {0};
    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        s.need.seed = i;
        n[homes[i] = home_of(&s, i * 977 + 1)]++;
    }
    for (int k = 0; k < 4; k++)
        assert_in_range(n[k], 860, 1140);
    fails(&s, 0, 1, 3);
    for (uint64_t i = 0; i < N; i++) {
        s.need.seed = ~i;
        size_t home = home_of(&s, i * 977 + 1);
        assert_int_not_equal(home, 1);
        assert_true(homes[i] == 1 || home == homes[i]);
    }
    router_free(s.r);
}

static void a_home_that_is_much_busier_is_passed_by(void **state)
{
    struct scene s = scene(POLICY_FIXED, 1, 0, 3);
    (void)state;
    size_t home = home_of(&s, 42);
    for (int i = 0; i < 4; i++)
        router_began(s.r, "r", (struct router_step){0, home}, &s.need);
    assert_int_equal(home_of(&s, 42), home);
    router_began(s.r, "r", (struct router_step){0, home}, &s.need);
    size_t second = home_of(&s, 42);
    assert_int_not_equal(second, home);
    router_began(s.r, "r", (struct router_step){0, second}, &s.need);
    assert_int_equal(home_of(&s, 42), second);  // where its prefix is now, too
    s.need.session = "s";
    size_t of_session = home_of(&s, 42);
    for (uint64_t i = 0; i < 50; i++)  // the session decides before the prefix
        assert_int_equal(home_of(&s, i), of_session);
    router_free(s.r);
}

static void many_replicas_leave_a_step_to_everybody(void **state)
{
    struct scene s = scene(POLICY_FIXED, 3, 0, ROUTER_STEPS_MAX);
    (void)state;
    expect(&s, "c0 c1 c2");
    assert_int_equal(s.n, ROUTER_STEPS_MAX);
    router_free(s.r);
}

static bool can(const struct scene *s, size_t i, size_t n_local)
{
    const struct router_facts *f = &s->facts[i];
    int64_t answer = s->need.answer_tokens > 0 ? s->need.answer_tokens : 0;
    return f->able &&
           !(f->known && ((s->need.tools && !f->tools) || (s->need.schema && !f->schema) ||
                          (s->need.vision && !f->vision))) &&
           !(s->need.local_only && i >= n_local) &&
           (!f->context || s->need.prompt_tokens + answer <= f->context) &&
           (!f->max_output || answer <= f->max_output);
}

// Any plan has exactly those who can, each replica at most once, replicas together.
static void check_plan(const struct scene *s, size_t n, size_t n_local)
{
    bool seen[MAX][MAX] = {{0}};
    size_t candidates = 0, expected = 0;
    for (size_t i = 0; i < n; i++)
        expected += can(s, i, n_local);
    for (size_t i = 0; i < s->n; i++) {
        struct router_step st = s->steps[i];
        assert_true(can(s, st.candidate, n_local));
        assert_false(seen[st.candidate][st.replica]);
        if (i == 0 || s->steps[i - 1].candidate != st.candidate) {
            for (size_t k = 0; k < MAX; k++)
                assert_false(seen[st.candidate][k]);
            candidates++;
        }
        seen[st.candidate][st.replica] = true;
    }
    if (s->n)
        assert_int_equal(candidates, expected);
    else if (expected)
        assert_int_equal(s->err.code, ERR_BUSY);
}

static uint64_t draw(uint64_t *seed, uint64_t m)
{
    return hash_mix(*seed = hash_mix(*seed)) % m;
}

static void shuffle(struct scene *s, size_t n, uint64_t seed)
{
#define DRAW(m) draw(&seed, m)
    s->need.tools = DRAW(3) == 0;
    s->need.schema = DRAW(3) == 0;
    s->need.vision = DRAW(3) == 0;
    s->need.local_only = DRAW(3) == 0;
    s->need.prompt_tokens = (int64_t)DRAW(900);
    s->need.answer_tokens = (int64_t)DRAW(500) - 1;
    s->need.session = DRAW(2) ? "s" : NULL;
    s->need.prefix = DRAW(3);
    s->need.seed = seed;
    s->need.now_ns += (int64_t)DRAW(2 * (uint64_t)S);
    for (size_t i = 0; i < n; i++)
        s->facts[i] = (struct router_facts){.context = DRAW(2) ? 1000 : 0,
                                            .max_output = DRAW(4) ? 0 : 300,
                                            .tools = DRAW(2),
                                            .schema = DRAW(2),
                                            .vision = DRAW(2),
                                            .known = DRAW(2),
                                            .price = (int64_t)DRAW(5) - 1,
                                            .waiting = (int64_t)DRAW(5),
                                            .able = DRAW(5) != 0};
}

static void random_plans_have_exactly_those_who_can(void **state)
{
    uint64_t seed = 7;
    (void)state;
    for (int policy = POLICY_FIXED; policy <= POLICY_WEIGHTED; policy++)
        for (int round = 0; round < 40; round++) {
            size_t n = 1 + DRAW(5), n_local = DRAW(n + 1), n_replicas = 1 + DRAW(3);
            struct scene s = scene((enum config_policy)policy, n, n_local, n_replicas);
            for (int i = 0; i < 100; i++) {
                shuffle(&s, n, seed = hash_mix(seed));
                s.need.local_only |= policy == POLICY_LOCAL_ONLY;
                plan(&s);
                check_plan(&s, n, n_local);
                for (size_t k = 0; k < s.n && DRAW(3); k++)
                    ends(&s, s.steps[k].candidate, s.steps[k].replica,
                         (struct router_outcome){DRAW(2), DRAW(2), (int64_t)DRAW(3) - 1,
                                                 (int64_t)DRAW(3), (int64_t)DRAW(3), 0});
            }
            router_free(s.r);
        }
}

static void *use_routes(void *arg)
{
    struct scene s = *(struct scene *)arg;
    for (s.need.seed = 0; s.need.seed < 500; s.need.seed++) {
        plan(&s);
        for (size_t i = 0; i < s.n; i++)
            ends(&s, s.steps[i].candidate, s.steps[i].replica,
                 (struct router_outcome){true, i == 1, 1, 2, 3, 0});
    }
    return NULL;
}

static void routes_may_be_added_while_others_are_used(void **state)
{
    struct scene s = scene(POLICY_FASTEST, 3, 1, 2);
    pthread_t threads[3];
    size_t n;
    (void)state;
    const struct router_candidate *c = router_candidates(s.r, "r", &n);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_routes, &s), 0);
    for (int i = 0; i < 100; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "r%d", i);
        assert_true(router_add(s.r, name, POLICY_FIXED, false, 0, c, 3, NULL));
        assert_ptr_equal(router_candidates(s.r, "r", &n), c);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(router_n_routes(s.r), 101);
    router_free(s.r);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(routes_are_told_by_name),
    cmocka_unit_test(fixed_keeps_the_order_written),
    cmocka_unit_test(local_only_means_that_nothing_leaves),
    cmocka_unit_test(local_first_spills_when_the_queue_is_longer),
    cmocka_unit_test(cheapest_takes_unpriced_ones_last),
    cmocka_unit_test(fastest_goes_by_what_was_measured),
    cmocka_unit_test(the_fastest_is_doubted_once_in_a_while),
    cmocka_unit_test(weights_are_kept),
    cmocka_unit_test(who_cannot_serve_it_whole_is_left_out),
    cmocka_unit_test(who_fails_rests_and_is_asked_once_after),
    cmocka_unit_test(routes_share_what_is_known_of_a_model),
    cmocka_unit_test(the_least_loaded_replica_comes_first),
    cmocka_unit_test(a_prefix_keeps_its_replica_when_another_dies),
    cmocka_unit_test(a_home_that_is_much_busier_is_passed_by),
    cmocka_unit_test(many_replicas_leave_a_step_to_everybody),
    cmocka_unit_test(routes_may_be_added_while_others_are_used),
    cmocka_unit_test(random_plans_have_exactly_those_who_can),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
