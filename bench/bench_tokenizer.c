// bench_tokenizer.c - speed of one tokenizer, and a line by line mode for comparisons.
//
//   bench_tokenizer MODEL FILE         time to open, to encode and to decode
//   bench_tokenizer MODEL --encode     a JSON string (or list of bytes) a line -> a JSON array of
//   ids a line bench_tokenizer MODEL --special    the same, with special tokens parsed and added
//   bench_tokenizer MODEL --decode     a JSON array of ids a line -> JSON [text, streamed text]
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "local/formats/model_file.h"
#include "local/tokenizer/tokenizer.h"

static struct error err;

static void must(bool ok)
{
    if (ok)
        return;
    (void)fprintf(stderr, "%s\n", err.text);
    exit(1);
}

// CPU time, so that a busy machine does not change the figure.
static double cpu_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static void measure(const struct tokenizer *t, const char *path, double open_s)
{
    struct buf text = {0}, back = {0};
    struct tokens ids = {0};
    must(file_read(path, (size_t)1 << 30, &text, &err));
    double start = cpu_s();
    must(tokenizer_encode(t, buf_view(&text), TOKENIZE_PLAIN, &ids, &err));
    double encoded = cpu_s();
    must(tokenizer_decode(t, ids.ids, ids.n, false, &back, &err));
    double decoded = cpu_s();
    (void)printf(
        "open %.0f ms; %zu bytes, %zu tokens; encode %.2f MB/s, decode %.2f MB/s of CPU time%s\n",
        open_s * 1e3, text.len, ids.n, (double)text.len / 1e6 / (encoded - start),
        (double)text.len / 1e6 / (decoded - encoded),
        slice_eq(buf_view(&text), buf_view(&back)) ? ", the same again" : "");
    buf_release(&text);
    buf_release(&back);
    tokens_release(&ids);
}

static void encode_line(const struct tokenizer *t, const json_t *line, unsigned flags)
{
    struct tokens ids = {0};
    struct buf bytes = {0};
    for (size_t i = 0; i < json_array_size(line); i++)
        buf_char(&bytes, (char)json_integer_value(json_array_get(line, i)));
    struct slice text = json_is_array(line) ? buf_view(&bytes) : json_slice(line);
    must(tokenizer_encode(t, text, flags, &ids, &err));
    buf_release(&bytes);
    (void)putchar('[');
    for (size_t i = 0; i < ids.n; i++)
        (void)printf(i ? ",%" PRId32 : "%" PRId32, ids.ids[i]);
    (void)puts("]");
    tokens_release(&ids);
}

static void decode_line(const struct tokenizer *t, const json_t *line, bool skip)
{
    struct buf text = {0}, streamed = {0}, json = {0};
    struct detokenizer d;
    detokenizer_init(&d, t, skip);
    struct tokens ids = {0};
    for (size_t i = 0; i < json_array_size(line); i++) {
        tokens_add(&ids, (int32_t)json_integer_value(json_array_get(line, i)));
        detokenizer_push(&d, ids.ids[i], &streamed);
    }
    detokenizer_finish(&d, &streamed);
    must(tokenizer_decode(t, ids.ids, ids.n, skip, &text, &err));
    buf_char(&json, '[');
    json_write_text(&json, buf_view(&text));
    buf_char(&json, ',');
    json_write_text(&json, buf_view(&streamed));
    (void)printf("%s]\n", buf_text(&json));
    tokens_release(&ids);
    buf_release(&text);
    buf_release(&streamed);
    buf_release(&json);
}

static void each_line(const struct tokenizer *t, const char *mode)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    while ((n = getline(&line, &room, stdin)) > 0) {
        json_t *json = json_parse(slice_of(line, (size_t)n), &err);
        must(json != NULL);
        if (strcmp(mode, "--decode") == 0)
            decode_line(t, json, false);
        else if (strcmp(mode, "--decode-skip") == 0)
            decode_line(t, json, true);
        else
            encode_line(t, json,
                        strcmp(mode, "--special") == 0
                            ? TOKENIZE_ADD_SPECIAL | TOKENIZE_PARSE_SPECIAL
                            : TOKENIZE_PLAIN);
        json_decref(json);
    }
    free(line);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: bench_tokenizer MODEL FILE|--encode|--special|--decode\n");
        return 2;
    }
    double start = cpu_s();
    struct model_file *file = model_file_open(argv[1], MODEL_NO_WEIGHTS, &err);
    must(file != NULL);
    struct tokenizer *t = tokenizer_open(file, &err);
    must(t != NULL);
    if (argv[2][0] == '-' && argv[2][1])
        each_line(t, argv[2]);
    else
        measure(t, argv[2], cpu_s() - start);
    tokenizer_close(t);
    model_file_close(file);
    return 0;
}
