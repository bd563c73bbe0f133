// test_engine_story.c - a trained model through tokenizer, engine and detokenizer (where the shared
// data is present): the text llama2.c's run.c prints, alone and beside sampled neighbours.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/engine/engine.h"
#include "local/formats/model_file.h"
#include "local/models/model.h"
#include "local/tokenizer/tokenizer.h"

#define MODELS "../shared/data/models/"

struct served {
    struct model_file *file;
    struct backend *cpu;
    struct model *model;
    struct tokenizer *tokenizer;
    struct engine *engine;
};

static void open_served(struct served *s)
{
    struct error err;
    if (!file_exists(MODELS "stories260K.gguf")) {
        print_message("skip %s is not here\n", MODELS "stories260K.gguf");
        skip();
    }
    s->file = model_file_open(MODELS "stories260K.gguf", MODEL_ALL, &err);
    s->cpu = backend_cpu_new(&(struct cpu_options){.threads = 1}, &err);
    s->model = s->file ? model_load(s->file, s->cpu, NULL, &err) : NULL;
    s->tokenizer = s->model ? tokenizer_open(s->file, &err) : NULL;
    s->engine = s->tokenizer ? engine_new(s->model, s->tokenizer, NULL, &err) : NULL;
    if (!s->engine)
        fail_msg("%s", err.text);
    assert_int_equal(engine_ctx(s->engine), 512);
}

static void close_served(struct served *s)
{
    engine_free(s->engine);
    tokenizer_close(s->tokenizer);
    model_free(s->model);
    model_file_close(s->file);
    backend_free(s->cpu);
}

static struct engine_answer *tell(struct served *s, const char *text, float temperature, int n,
                                  const char *stop)
{
    struct error err;
    struct tokens prompt = {0};
    assert_true(
        tokenizer_encode(s->tokenizer, slice_str(text), TOKENIZE_ADD_SPECIAL, &prompt, &err));
    struct engine_request r = {.prompt = prompt.ids,
                               .n_prompt = prompt.n,
                               .max_tokens = n,
                               .n_top = -1,
                               .skip_special = true};
    struct slice stops[] = {slice_str(stop)};
    r.stops = stops;
    r.n_stops = stop != NULL;
    sampling_defaults(&r.sampling);
    r.sampling.temperature = temperature;
    struct engine_answer *a = engine_submit(s->engine, &r, &err);
    if (!a)
        fail_msg("%s", err.text);
    tokens_release(&prompt);
    return a;
}

static enum finish_reason listen(struct engine_answer *a, struct buf *out)
{
    enum finish_reason why = FINISH_NONE;
    struct engine_event ev;
    while (engine_next(a, &ev)) {
        buf_slice(out, ev.text);
        if (ev.kind == ENGINE_FINISH)
            why = ev.finish;
    }
    engine_answer_free(a);
    return why;
}

static void the_story_is_the_reference_s_alone_and_in_company(void **state)
{
    (void)state;
    struct served s;
    struct error err;
    struct buf want = {0}, got = {0};
    open_served(&s);
    assert_true(file_read(MODELS "stories260K.greedy200.txt", 1 << 16, &want, &err));
    while (want.len && want.ptr[want.len - 1] == '\n')
        want.len--;
    for (int n_neighbours = 0; n_neighbours <= 12; n_neighbours += 6) {
        struct engine_answer *neighbours[12];
        for (int i = 0; i < n_neighbours; i++)
            neighbours[i] = tell(&s, "Once upon a time, Tim", 1.0f, 50 + 20 * i, NULL);
        buf_clear(&got);
        buf_text_add(&got, "Once upon a time");
        (void)listen(tell(&s, "Once upon a time", 0, 197, NULL), &got);
        assert_true(want.len > 300 && got.len >= want.len);
        assert_memory_equal(got.ptr, want.ptr, want.len);
        for (int i = 0; i < n_neighbours; i++)
            (void)listen(neighbours[i], &got);
    }
    buf_release(&got);
    buf_release(&want);
    close_served(&s);
}

static void a_stop_string_of_several_tokens_cuts_the_story(void **state)
{
    (void)state;
    struct served s;
    struct buf got = {0};
    open_served(&s);
    assert_int_equal(listen(tell(&s, "Once upon a time", 0, 100, "a big, red"), &got), FINISH_STOP);
    const char *before = "One day, she saw ";
    size_t n = strlen(before);
    assert_true(got.len > n);
    assert_memory_equal(got.ptr + got.len - n, before, n);
    buf_release(&got);
    close_served(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_story_is_the_reference_s_alone_and_in_company),
        cmocka_unit_test(a_stop_string_of_several_tokens_cuts_the_story),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
