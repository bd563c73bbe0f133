// test_sampling_golden.c - surviving tokens and their probabilities against transformers' own
// logits processors, chained as generate() chains them (tools/golden/make_sampling.py).
//
// The set must be the same; each probability within 2e-6 of theirs relatively (float32 there).
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/sampling/filters.h"
#include "local/sampling/sampler.h"

enum { VOCAB_MAX = 256 };

static float number(const json_t *o, const char *key, double fallback)
{
    json_get_f64(o, key, &fallback);
    return (float)fallback;
}

static void read_options(const json_t *o, struct sampling *s, struct logit_bias *bias)
{
    sampling_defaults(s);
    int64_t top_k = 0;
    json_get_i64(o, "top_k", &top_k);
    s->top_k = (int)top_k;
    s->temperature = number(o, "temperature", 1);
    s->top_p = number(o, "top_p", 1);
    s->min_p = number(o, "min_p", 0);
    s->typical_p = number(o, "typical_p", 1);
    s->repetition_penalty = number(o, "repetition_penalty", 1);
    const json_t *list = json_object_get(o, "bias");
    s->n_logit_bias = json_array_size(list);
    s->logit_bias = bias;
    for (size_t i = 0; i < s->n_logit_bias; i++) {
        const json_t *pair = json_array_get(list, i);
        bias[i].token = (int32_t)json_integer_value(json_array_get(pair, 0));
        bias[i].bias = (float)json_number_value(json_array_get(pair, 1));
    }
}

// What the sampler makes of the logits before it draws: a greedy pick applies bias and penalties in
// place, the filters do the rest.
static void survivors(const json_t *c, struct candidates *out)
{
    struct logit_bias bias[8];
    struct sampling s;
    read_options(json_object_get(c, "options"), &s, bias);
    assert_true(sampling_check(&s, NULL));
    const json_t *list = json_object_get(c, "logits");
    int n = (int)json_array_size(list);
    assert_true(n > 0 && n <= VOCAB_MAX);
    float logits[VOCAB_MAX];
    for (int i = 0; i < n; i++)
        logits[i] = (float)json_number_value(json_array_get(list, (size_t)i));

    struct sampling greedy = s;
    greedy.temperature = 0;
    struct sampler *sampler = sampler_new(&greedy, n, 0);
    const json_t *prompt = json_object_get(c, "prompt");
    for (size_t i = 0; i < json_array_size(prompt); i++)
        sampler_accept(sampler, (int32_t)json_integer_value(json_array_get(prompt, i)), false);
    int32_t best = sampler_pick(sampler, logits, 0, NULL, NULL, NULL, 0, NULL);
    assert_true(best >= 0);
    sampler_free(sampler);
    filters_apply(out, logits, n, logits[best], &s);
}

static void survivors_are_those_of_transformers(void **state)
{
    (void)state;
    struct error err;
    json_t *all = json_read_file("tests/golden/data/sampling.json", 1 << 20, &err);
    if (!all)
        fail_msg("%s", err.text);
    const json_t *cases = json_object_get(all, "cases");
    assert_true(json_array_size(cases) > 40);
    struct candidates c = {0};
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *one = json_array_get(cases, i);
        survivors(one, &c);
        const json_t *kept = json_object_get(one, "kept");
        if (c.n != json_array_size(kept))
            fail_msg("case %zu: %zu survive, not %zu", i, c.n, json_array_size(kept));
        double p[VOCAB_MAX] = {0};
        for (size_t k = 0; k < c.n; k++)
            p[candidate_id(c.keys[k])] = candidate_weight(c.keys[k]) / c.mass;
        for (size_t k = 0; k < c.n; k++) {
            const json_t *pair = json_array_get(kept, k);
            json_int_t id = json_integer_value(json_array_get(pair, 0));
            double want = json_number_value(json_array_get(pair, 1));
            if (fabs(p[id] - want) > 2e-6 * want + 1e-9)
                fail_msg("case %zu: token %d has %.9g, not %.9g", i, (int)id, p[id], want);
        }
    }
    candidates_release(&c);
    json_decref(all);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(survivors_are_those_of_transformers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
