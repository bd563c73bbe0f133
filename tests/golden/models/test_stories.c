// test_stories.c - a real trained model (where the shared data is present): its greedy text from
// the GGUF file and from the Hugging Face folder is what llama2.c's run.c prints.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/formats/gguf.h"
#include "local/formats/model_file.h"

#include "../../support/forward.h"

#define MODELS "../shared/data/models/"
enum { STEPS = 201 };  // the beginning of the text, and 200 tokens

// Pieces of the GGUF file's vocabulary, joined; U+2581 is a space, the first one is dropped.
static void decode(const int32_t *tokens, int n, struct buf *out)
{
    struct error err;
    struct gguf *g = gguf_open(MODELS "stories260K.gguf", &err);
    assert_non_null(g);
    const struct gguf_value *v = gguf_find(g, "tokenizer.ggml.tokens");
    struct slice *pieces = memory_array(struct slice, v->n);
    const unsigned char *cursor = v->data;
    for (uint64_t i = 0; i < v->n; i++)
        assert_true(gguf_next_text(v, &cursor, &pieces[i]));
    for (int i = 0; i < n; i++) {
        struct slice p = pieces[tokens[i]];
        if (p.len == 6 && p.ptr[0] == '<' && p.ptr[1] == '0') {
            buf_char(out, (char)strtoul(p.ptr + 3, NULL, 16));
            continue;
        }
        for (size_t k = 0; k < p.len; k++) {
            bool space = k + 3 <= p.len && memcmp(p.ptr + k, "\xE2\x96\x81", 3) == 0;
            if (!space || i)
                buf_char(out, space ? ' ' : p.ptr[k]);
            k += space ? 2 : 0;
        }
    }
    free(pieces);
    gguf_close(g);
}

static void check(const char *path)
{
    struct error err = {0};
    struct buf got = {0}, want = {0};
    int32_t tokens[STEPS] = {1};
    if (!file_exists(path)) {
        print_message("skip %s is not here\n", path);
        skip();
    }
    struct backend *cpu = backend_cpu_new(&(struct cpu_options){.threads = 1}, &err);
    struct model_file *file = model_file_open(path, MODEL_ALL, &err);
    struct model *m = file ? model_load(file, cpu, NULL, &err) : NULL;
    if (!m)
        fail_msg("%s", err.text);
    struct forward f;
    forward_open(&f, m, model_kv_default(m), 1, STEPS);
    forward_greedy(&f, tokens, 1, STEPS, 1);
    forward_close(&f);
    decode(tokens + 1, STEPS - 1, &got);
    assert_true(file_read(MODELS "stories260K.greedy200.txt", 1 << 16, &want, &err));
    while (want.len && want.ptr[want.len - 1] == '\n')
        want.len--;
    assert_true(want.len > 300 && got.len >= want.len);
    assert_memory_equal(got.ptr, want.ptr, want.len);
    buf_release(&got);
    buf_release(&want);
    model_free(m);
    model_file_close(file);
    backend_free(cpu);
}

static void gguf_file_tells_the_reference_story(void **state)
{
    (void)state;
    check(MODELS "stories260K.gguf");
}

static void folder_tells_the_reference_story(void **state)
{
    (void)state;
    check(MODELS "stories260K");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_file_tells_the_reference_story),
        cmocka_unit_test(folder_tells_the_reference_story),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
