// bench_grammar.c - what token masks cost: percentiles over texts that a grammar takes.
//
//   bench_grammar TOKENIZER [TEXTS]
//
// TOKENIZER: a tokenizer.json, or a model. For each grammar so many random texts (400) are cut into
// tokens and followed, a mask at every token. The first half warms up and is told apart: "cold" are
// its masks, "warm" those of the other texts, which are other texts. CPU time of this thread, in
// microseconds; "accept" is what following the token took, "KB" what the grammar holds in the end.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/sampling/grammar/gbnf.h"
#include "local/sampling/grammar/grammar.h"
#include "local/sampling/grammar/program.h"
#include "local/sampling/grammar/regex.h"
#include "local/sampling/grammar/schema.h"
#include "local/sampling/grammar/vocab.h"
#include "local/tokenizer/tokenizer.h"
#include "timing.h"

static struct error err;
static uint64_t state = 1;

static void must(bool ok)
{
    if (ok)
        return;
    (void)fprintf(stderr, "%s\n", err.text);
    exit(1);
}

static unsigned pick(unsigned n)
{
    return (unsigned)(hash_mix(++state) % n);
}

static double thread_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

// Texts

static void words(struct buf *out, size_t most)
{
    static const char *const list[] = {
        "the",     "record", "naïve", "of",  "Berlin",         "x86-64", "日本語", "is",
        "quickly", "can't",  "42",    "and", "\\\"quoted\\\"", "over",   "A",      "(see below)"};
    size_t start = out->len;
    for (unsigned n = 1 + pick(12); n > 0; n--) {
        const char *word = list[pick(sizeof list / sizeof *list)];
        if (out->len - start + strlen(word) + 1 > most)
            break;
        if (out->len > start)
            buf_char(out, ' ');
        buf_text_add(out, word);
    }
}

static void record(struct buf *out, int depth)
{
    static const char *const kinds[] = {"person", "place", "thing"};
    buf_text_add(out, pick(2) ? "{\"name\": \"" : "{\n  \"name\": \"");
    words(out, 80);
    buf_printf(out, "\", \"age\": %u, \"kind\": \"%s\", \"score\": %u.%u, \"tags\": [", pick(120),
               kinds[pick(3)], pick(10), pick(100));
    for (unsigned i = 0, n = pick(4); i < n; i++) {
        buf_text_add(out, i ? ", \"" : "\"");
        words(out, 30);
        buf_char(out, '"');
    }
    buf_text_add(out, "], \"note\": \"");
    words(out, 200);
    buf_text_add(out, "\", \"parent\": ");
    if (depth > 0 && pick(2))
        record(out, depth - 1);
    else
        buf_text_add(out, "null");
    buf_char(out, '}');
}

static void json_text(struct buf *out)
{
    record(out, 3);
}

static void prose(struct buf *out)
{
    for (unsigned n = 1 + pick(4); n > 0; n--) {
        words(out, 120);
        buf_text_add(out, ".\n");
    }
}

static const char record_schema[] = "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":"
                                    "\"string\"},\"age\":{\"type\":\"integer\",\"minimum\":0,"
                                    "\"maximum\":150},\"kind\":{\"enum\":[\"person\",\"place\","
                                    "\"thing\"]},\"score\":{\"type\":\"number\"},\"tags\":{"
                                    "\"type\":\"array\",\"items\":{\"type\":\"string\"},"
                                    "\"maxItems\":5},\"note\":{\"type\":\"string\"},\"parent\":{"
                                    "\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}},"
                                    "\"required\":[\"name\",\"age\",\"kind\",\"score\",\"tags\","
                                    "\"note\",\"parent\"],\"additionalProperties\":false}";
static const char bounded_schema[] =
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"minLength\":1,"
    "\"maxLength\":90},\"age\":{\"type\":"
    "\"integer\"},\"kind\":{\"type\":\"string\",\"pattern\":\"^[a-z]+$\"},\"score\":{\"type\":"
    "\"number\",\"minimum\":0,"
    "\"maximum\":9999},\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":"
    "40}},\"note\":{\"type\":"
    "\"string\",\"maxLength\":4000},\"parent\":{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}},"
    "\"required\":["
    "\"name\",\"parent\"]}";
static const char json_gbnf[] =
    "root ::= object\nvalue ::= object | array | string | number | \"true\" | \"false\" | "
    "\"null\"\n"
    "object ::= \"{\" ws (pair (\",\" ws pair)*)? \"}\" ws\npair ::= string \":\" ws value\n"
    "array ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1f] | \"\\\\\" [\"\\\\/bfnrt])* \"\\\"\" ws\n"
    "number ::= \"-\"? [0-9]+ (\".\" [0-9]+)? ws\nws ::= [ \\n]{0,20}\n";

enum kind { SCHEMA, GBNF, REGEX };
static const struct bench_case {
    const char *name;
    enum kind kind;
    const char *text;
    void (*make)(struct buf *out);
} cases[] = {
    {"schema of a record", SCHEMA, record_schema, json_text},
    {"schema with lengths", SCHEMA, bounded_schema, json_text},
    {"any JSON object", SCHEMA, "{\"type\":\"object\"}", json_text},
    {"JSON as GBNF", GBNF, json_gbnf, json_text},
    {"regex, lines", REGEX, "([^\\n]{1,120}\\.\\n){1,9}", prose},
};

static struct program *compile(const struct bench_case *c)
{
    struct program *p = NULL;
    if (c->kind == SCHEMA) {
        json_t *schema = json_parse(slice_str(c->text), &err);
        must(schema != NULL);
        p = schema_compile(schema, &err);
        json_decref(schema);
    } else {
        p = c->kind == GBNF ? gbnf_compile(slice_str(c->text), &err)
                            : regex_compile(slice_str(c->text), &err);
    }
    must(p != NULL);
    return p;
}

struct samples {
    double *us;
    size_t n, capacity;
};

static void sample(struct samples *s, double us)
{
    memory_grow(s->us, s->capacity, s->n + 1);
    s->us[s->n++] = us;
}

static void print_samples(const char *name, struct samples *s)
{
    qsort(s->us, s->n, sizeof *s->us, by_value);
    double total = 0;
    for (size_t i = 0; i < s->n; i++)
        total += s->us[i];
    (void)printf(
        "  %-7s %7zu: median %7.1f  p90 %7.1f  p99 %7.1f  p99.9 %8.1f  max %8.1f  mean %6.1f\n",
        name, s->n, s->us[s->n / 2], s->us[s->n * 9 / 10], s->us[s->n * 99 / 100],
        s->us[s->n * 999 / 1000], s->us[s->n - 1], total / (double)s->n);
    free(s->us);
    *s = (struct samples){0};
}

static void follow(struct grammar *g, const struct tokens *ids, uint32_t *mask, size_t n_words,
                   struct samples *masks, struct samples *accepts)
{
    struct place m = {0};
    must(place_init(&m, g, &err));
    for (size_t i = 0; i < ids->n; i++) {
        double start = thread_us();
        must(place_mask(&m, mask, n_words, &err));
        double middle = thread_us();
        uint32_t token = (uint32_t)ids->ids[i];
        must((mask[token / 32] >> token % 32 & 1) ||
             error_set(&err, ERR_INTERNAL, "a token of the text is not in its mask"));
        must(place_accept(&m, ids->ids[i], &err));
        sample(masks, middle - start);
        sample(accepts, thread_us() - middle);
    }
    place_release(&m);
}

static void run_case(const struct bench_case *c, const struct tokenizer *t,
                     const struct grammar_vocab *v, int n_texts)
{
    size_t n_words = ((size_t)v->n_tokens + 31) / 32;
    uint32_t *mask = memory_array(uint32_t, n_words);
    struct samples cold = {0}, warm = {0}, accepts = {0};
    double start = thread_us();
    struct program *p = compile(c);
    double compiled = thread_us() - start;
    (void)printf("%s: compiled in %.2f ms, %zu nodes\n", c->name, compiled * 1e-3, p->n_nodes);
    struct grammar *g = grammar_new(p, v, 0);
    for (int i = 0; i < n_texts; i++) {
        struct buf text = {0};
        struct tokens ids = {0};
        c->make(&text);
        must(tokenizer_encode(t, buf_view(&text), TOKENIZE_PLAIN, &ids, &err));
        follow(g, &ids, mask, n_words, i < n_texts / 2 ? &cold : &warm, &accepts);
        tokens_release(&ids);
        buf_release(&text);
    }
    print_samples("cold", &cold);
    print_samples("warm", &warm);
    print_samples("accept", &accepts);
    (void)printf("  %zu KB, begun %zu times\n", grammar_bytes(g) >> 10,
                 (size_t)grammar_n_spaces(g));
    grammar_release(g);
    free(mask);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "bench_grammar TOKENIZER [TEXTS]\n");
        return 2;
    }
    int n_texts = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 400;
    struct buf json = {0};
    struct model_file *file = NULL;
    struct tokenizer *t;
    if (strstr(argv[1], ".json")) {
        must(file_read(argv[1], (size_t)256 << 20, &json, &err));
        t = tokenizer_open_json(buf_view(&json), &err);
    } else {
        file = model_file_open(argv[1], MODEL_NO_WEIGHTS, &err);
        must(file != NULL);
        t = tokenizer_open(file, &err);
    }
    must(t != NULL);
    double start = thread_us();
    struct grammar_vocab *v = grammar_vocab_new(t, NULL, 0);
    (void)printf("%d tokens, tree of %zu nodes made in %.0f ms, %zu KB\n", (int)v->n_tokens,
                 v->tree.n, (thread_us() - start) * 1e-3, grammar_vocab_bytes(v) >> 10);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        run_case(&cases[i], t, v, n_texts > 1 ? n_texts : 2);
    grammar_vocab_free(v);
    tokenizer_close(t);
    model_file_close(file);
    buf_release(&json);
    return 0;
}
