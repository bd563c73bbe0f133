// test_engine_constraint.c - the engine's loop with grammars: texts fit, guesses change nothing,
// and what goes wrong is one sequence's.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/memory.h"
#include "local/engine/engine.h"
#include "local/sampling/grammar/gbnf.h"
#include "local/sampling/grammar/grammar.h"
#include "local/sampling/grammar/regex.h"
#include "local/sampling/grammar/vocab.h"
#include "../../support/scripted_model.h"

static struct grammar_vocab *vocab;  // the scripted model's: bytes; all else is control

static int set_up(void **state)
{
    (void)state;
    static char bytes[256];
    static struct slice texts[SCRIPTED_VOCAB];
    for (int i = 0; i < SCRIPTED_VOCAB; i++) {
        bytes[i % 256] = (char)i;
        texts[i] = i < 256 ? slice_of(&bytes[i], 1) : slice_str("");
    }
    vocab = grammar_vocab_of(texts, NULL, SCRIPTED_VOCAB);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    grammar_vocab_free(vocab);
    return 0;
}

static const struct scripted_options roomy = {
    .ctx = 2048, .max_rows = 256, .max_seqs = 16, .n_pages = 600};
static const struct scripted_options with_draft = {
    .ctx = 2048, .max_rows = 256, .max_seqs = 16, .n_pages = 600, .draft_rows = 64};
static const struct scripted_options crowded = {
    .ctx = 256, .max_rows = 64, .max_seqs = 6, .n_pages = 9, .no_prefix_cache = true};

static struct grammar *grammar(const char *gbnf)
{
    struct error err;
    struct program *p = gbnf_compile(slice_str(gbnf), &err);
    if (!p)
        fail_msg("%s", err.text);
    return grammar_new(p, vocab, 0);
}

static const int32_t ends[] = {SCRIPT_END};

static struct engine_request request(struct grammar *g, int32_t *prompt, int32_t first, float t)
{
    *prompt = first;
    struct engine_request r = {.prompt = prompt,
                               .n_prompt = 1,
                               .max_tokens = 120,
                               .n_top = -1,
                               .ends = ends,
                               .n_ends = 1,
                               .grammar = g};
    sampling_defaults(&r.sampling);
    r.sampling.temperature = t;
    return r;
}

struct result {
    struct buf text[8];
    int n_tokens[8];
    enum finish_reason finish[8];
    struct error error[8];
    size_t accepted;
};

static struct result *collect(struct engine_answer *a)
{
    struct result *r = memory_new(1, sizeof *r);
    struct engine_event ev;
    assert_non_null(a);
    while (engine_next(a, &ev)) {
        buf_slice(&r->text[ev.choice], ev.text);
        r->n_tokens[ev.choice] += ev.kind == ENGINE_TOKEN;
        if (ev.kind == ENGINE_FINISH) {
            r->finish[ev.choice] = ev.finish;
            r->error[ev.choice] = ev.error;
        }
        if (ev.kind == ENGINE_DONE)
            r->accepted = ev.usage.accepted_tokens;
    }
    engine_answer_free(a);
    return r;
}

static void result_free(struct result *r)
{
    for (int i = 0; i < 8; i++)
        buf_release(&r->text[i]);
    free(r);
}

static struct engine_answer *submit(struct engine *e, const struct engine_request *r)
{
    struct error err;
    struct engine_answer *a = engine_submit(e, r, &err);
    if (!a)
        fail_msg("%s", err.text);
    return a;
}

static bool fits(struct grammar *g, const struct buf *text, bool whole)
{
    struct place m = {0};
    struct error err;
    bool ok = place_init(&m, g, &err) && place_accept_bytes(&m, buf_view(text), &err) &&
              (!whole || place_can_end(&m));
    place_release(&m);
    return ok;
}

static const char pairs[] = "root ::= pair{3,12} \".\"?\npair ::= [a-f] (\"1\" | \"22\") \", \"";

static void texts_fit_their_grammar(void **state)
{
    (void)state;
    struct grammar *g = grammar(pairs);
    struct engine *e = scripted_engine(&roomy, NULL, 0);
    for (int i = 0; i < 20; i++) {
        int32_t prompt;
        struct engine_request r = request(g, &prompt, i, i % 2 ? 0 : 1.5f);
        r.n_choices = 1 + i % 4;
        r.sampling.seed = (uint64_t)i;
        r.max_tokens = i % 5 ? 120 : 7;
        struct result *got = collect(submit(e, &r));
        for (int k = 0; k < r.n_choices; k++) {
            bool whole = got->finish[k] == FINISH_STOP;
            assert_true(whole || got->finish[k] == FINISH_LENGTH);
            assert_true(whole || got->n_tokens[k] == r.max_tokens);
            assert_true(whole == (i % 5 != 0));
            assert_true(fits(g, &got->text[k], whole));
        }
        result_free(got);
    }
    engine_free(e);
    grammar_release(g);
}

// The same request on several engines, in company and out of it.
static void guesses_preemption_and_company_change_nothing(void **state)
{
    (void)state;
    const struct scripted_options *all[] = {&roomy, &with_draft, &crowded};
    struct grammar *g = grammar(pairs);
    struct result *first[6] = {0};
    size_t accepted = 0;
    for (int o = 0; o < 3; o++)
        for (int speculate = -1; speculate <= 5; speculate += 3) {
            struct engine *e = scripted_engine(all[o], NULL, 0);
            struct engine_answer *answers[6];
            int32_t prompts[6];
            for (int i = 0; i < 6; i++) {
                struct engine_request r = request(g, &prompts[i], 40 + i, i % 2 ? 0 : 1);
                r.sampling.seed = 9;
                r.n_choices = 2;
                r.speculate = speculate;
                answers[i] = submit(e, &r);
            }
            for (int i = 0; i < 6; i++) {
                struct result *got = collect(answers[i]);
                accepted += got->accepted;
                if (!first[i]) {
                    first[i] = got;
                    continue;
                }
                for (int k = 0; k < 2; k++) {
                    assert_string_equal(buf_text(&got->text[k]), buf_text(&first[i]->text[k]));
                    assert_int_equal(got->finish[k], first[i]->finish[k]);
                }
                result_free(got);
            }
            engine_free(e);
        }
    assert_true(accepted > 0);
    for (int i = 0; i < 6; i++)
        result_free(first[i]);
    grammar_release(g);
}

static void an_end_is_drawn_only_where_the_text_is_whole(void **state)
{
    (void)state;
    const int32_t script[] = {'a', SCRIPT_END, SCRIPT_END, SCRIPT_END, -1};
    const int32_t *scripts[] = {script};
    struct engine *e = scripted_engine(&roomy, scripts, 1);
    struct grammar *g = grammar("root ::= \"a\" [b-y] [b-y] [b-y]*");
    int32_t prompt;
    struct engine_request r = request(g, &prompt, SCRIPT, 0);
    struct result *got = collect(submit(e, &r));
    assert_int_equal(got->finish[0], FINISH_STOP);
    assert_int_equal(got->text[0].len, 3);
    assert_true(fits(g, &got->text[0], true));
    result_free(got);
    // Where nothing can follow no end is needed.
    grammar_release(g);
    g = grammar("root ::= \"ab\"");
    r = request(g, &prompt, SCRIPT, 0);
    r.max_tokens = 2;
    r.n_ends = 0;
    got = collect(submit(e, &r));
    assert_int_equal(got->finish[0], FINISH_STOP);
    assert_string_equal(buf_text(&got->text[0]), "ab");
    result_free(got);
    engine_free(e);
    grammar_release(g);
}

static void what_fails_is_one_sequence(void **state)
{
    (void)state;
    struct error err;
    struct engine *e = scripted_engine(&roomy, NULL, 0);
    struct grammar *good = grammar(pairs);
    struct grammar *many =
        grammar_new(regex_compile(slice_str("((a{1,900}){1,900}){1,900}"), &err), vocab, 1 << 20);
    // A model that has no byte 0xC3 cannot write this.
    struct slice texts[SCRIPTED_VOCAB] = {{0}};
    texts['x'] = slice_str("x");
    struct grammar_vocab *poor = grammar_vocab_of(texts, NULL, SCRIPTED_VOCAB);
    struct grammar *stuck = grammar_new(regex_compile(slice_str("xé"), &err), poor, 0);
    int32_t prompts[4];
    struct engine_request r[4] = {
        request(good, &prompts[0], 1, 1), request(many, &prompts[1], 2, 1),
        request(good, &prompts[2], 3, 1), request(stuck, &prompts[3], 4, 1)};
    struct engine_answer *a[4];
    r[1].max_tokens = 1500;
    r[1].n_ends = 0;
    for (int i = 0; i < 4; i++)
        a[i] = submit(e, &r[i]);
    for (int i = 0; i < 4; i++) {
        struct result *got = collect(a[i]);
        assert_int_equal(got->finish[0], i % 2 ? FINISH_ERROR : FINISH_STOP);
        if (i == 1)
            assert_int_equal(got->error[0].code, ERR_LIMIT);
        if (i == 3)
            assert_non_null(strstr(got->error[0].text, "no token of the model"));
        result_free(got);
    }
    engine_free(e);
    grammar_release(good);
    grammar_release(many);
    grammar_release(stuck);
    grammar_vocab_free(poor);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(texts_fit_their_grammar),
    cmocka_unit_test(guesses_preemption_and_company_change_nothing),
    cmocka_unit_test(an_end_is_drawn_only_where_the_text_is_whole),
    cmocka_unit_test(what_fails_is_one_sequence),
};

int main(void)
{
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
