// test_model_list.c - the sizes that shapes give are those of the published files.
//
// A file is its tensors and a header, mostly the vocabulary: 6 MB for Qwen's, 2 MB for SmolLM2's.
// Sizes of the files as their repositories tell them (in bytes, November 2026); a model that is
// named without a size was not found in a second place and is only bounded.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "local/models/footprint.h"
#include "local/quantize/mix.h"
#include "providers/fit.h"
#include "providers/model_list.h"

static const struct {
    const char *repo;
    double parameters;
    uint64_t file_bytes;
} known[] = {
    {"HuggingFaceTB/SmolLM2-360M-Instruct-GGUF", 0.362e9, 386 * 1000000ull},
    {"Qwen/Qwen2.5-0.5B-Instruct-GGUF", 0.494e9, 491400032},
    {"HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF", 1.71e9, 1055609824},
    {"Qwen/Qwen2.5-1.5B-Instruct-GGUF", 1.54e9, 1117320736},
    {"Qwen/Qwen3-1.7B-GGUF", 1.72e9, 1834426016},
    {"Qwen/Qwen3-4B-GGUF", 4.02e9, 2497280256},
    {"Qwen/Qwen3-30B-A3B-GGUF", 30.5e9, 18556685824},
    {"Qwen/Qwen3-32B-GGUF", 32.8e9, 19762149024},
};

static bool is_near(double x, double want, double share)
{
    return x > want * (1 - share) && x < want * (1 + share);
}

static const struct listed_model *find(const char *repo)
{
    const struct listed_model *m;
    for (size_t i = 0; (m = listed_model_at(i)); i++)
        if (strcmp(m->repo, repo) == 0)
            return m;
    fail_msg("%s is not listed", repo);
    return NULL;
}

static void shapes_give_the_sizes_of_the_files(void **state)
{
    (void)state;
    static struct model_facts f;
    static struct footprint p;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const struct listed_model *m = find(known[i].repo);
        uint64_t header = strstr(m->repo, "SmolLM") ? 2000000 : 5940000;
        listed_model_facts(m, &f);
        footprint_of_mix(&f, mix_find(m->quant), &p);
        if (!is_near((double)p.bytes, (double)(known[i].file_bytes - header), .005))
            fail_msg("%s: %.0f instead of %.0f bytes", m->repo, (double)p.bytes,
                     (double)(known[i].file_bytes - header));
        double parameters = (double)listed_model_parameters(m, &p);
        if (!is_near(parameters, known[i].parameters, .01))
            fail_msg("%s: %.0f parameters", m->repo, parameters);
    }
}

static void every_row_is_complete(void **state)
{
    (void)state;
    static struct model_facts f;
    static struct footprint p;
    const struct listed_model *m;
    uint64_t before = 0;
    for (size_t i = 0; (m = listed_model_at(i)); i++) {
        assert_non_null(strchr(m->repo, '/'));
        assert_non_null(m->licence);
        assert_non_null(mix_find(m->quant));
        listed_model_facts(m, &f);
        footprint_of_mix(&f, mix_find(m->quant), &p);
        assert_true(p.bytes > before / 2);  // roughly in order
        before = p.bytes;
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(m->repo, listed_model_at(k)->repo);
    }
}

static void suggestions_grow_with_the_machine(void **state)
{
    (void)state;
    static const struct {
        double gb;
        int cores;
        const char *repo;
    } machines[] = {
        {0.3, 2, NULL},
        {1.5, 1, "Qwen/Qwen2.5-0.5B-Instruct-GGUF"},
        {2, 2, "Qwen/Qwen2.5-0.5B-Instruct-GGUF"},
        {22, 2, "Qwen/Qwen2.5-1.5B-Instruct-GGUF"},
        {12, 4, "Qwen/Qwen2.5-7B-Instruct-GGUF"},
        {28, 8, "Qwen/Qwen2.5-14B-Instruct-GGUF"},
        {1e6, 128, "Qwen/Qwen2.5-14B-Instruct-GGUF"},
    };
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        const struct listed_model *m =
            listed_model_suggest((uint64_t)(machines[i].gb * 1e9), machines[i].cores);
        const char *repo = m ? m->repo : NULL;
        if ((repo == NULL) != (machines[i].repo == NULL) ||
            (repo && strcmp(repo, machines[i].repo) != 0))
            fail_msg("%.1f GB, %d cores: %s", machines[i].gb, machines[i].cores,
                     repo ? repo : "nothing");
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(shapes_give_the_sizes_of_the_files),
    cmocka_unit_test(every_row_is_complete),
    cmocka_unit_test(suggestions_grow_with_the_machine),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
