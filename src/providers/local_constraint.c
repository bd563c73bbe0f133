// local_constraint.c - grammars of requests, compiled once and shared by those who ask for the
// same.
//
// A model keeps the last ones, found by what was asked (key_of), byte by byte; what none of its
// requests holds any more goes when there are too many or they take too much memory. Compiling
// happens on the thread that starts the request, outside of the lock.
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "local/sampling/grammar/gbnf.h"
#include "local/sampling/grammar/grammar.h"
#include "local/sampling/grammar/regex.h"
#include "local/sampling/grammar/schema.h"
#include "local/sampling/grammar/vocab.h"
#include "providers/local_impl.h"

enum { KEPT_MAX = 64, KEPT_BYTES_MAX = 256 << 20, TEXT_BYTES_MAX = 1 << 20 };

struct kept {
    struct buf key;
    struct grammar *grammar;
    uint64_t used;  // when: a count of look-ups
};
struct local_grammars {
    pthread_mutex_t lock;  // of all that follows
    struct grammar_vocab *vocab;
    struct kept items[KEPT_MAX];
    size_t n;
    uint64_t clock;
};

struct local_grammars *local_grammars_new(void)
{
    struct local_grammars *g = memory_array(struct local_grammars, 1);
    pthread_mutex_init(&g->lock, NULL);
    return g;
}

static void drop(struct local_grammars *g, size_t i)
{
    grammar_release(g->items[i].grammar);
    buf_release(&g->items[i].key);
    g->items[i] = g->items[--g->n];
}

void local_grammars_free(struct local_grammars *g)
{
    if (!g)
        return;
    while (g->n)
        drop(g, 0);
    grammar_vocab_free(g->vocab);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

static struct grammar *find(struct local_grammars *g, struct slice key)
{
    for (size_t i = 0; i < g->n; i++)
        if (slice_eq(buf_view(&g->items[i].key), key)) {
            g->items[i].used = ++g->clock;
            return grammar_hold(g->items[i].grammar);
        }
    return NULL;
}

static void make_room(struct local_grammars *g)
{
    for (;;) {
        size_t bytes = 0, oldest = 0;
        for (size_t i = 0; i < g->n; i++) {
            bytes += grammar_bytes(g->items[i].grammar);
            if (g->items[i].used < g->items[oldest].used)
                oldest = i;
        }
        if (g->n == 0 || (g->n < KEPT_MAX && bytes <= KEPT_BYTES_MAX))
            return;
        drop(g, oldest);
    }
}

static void keep(struct local_grammars *g, struct slice key, struct grammar *grammar)
{
    make_room(g);
    struct kept *k = &g->items[g->n++];
    *k = (struct kept){.grammar = grammar_hold(grammar), .used = ++g->clock};
    buf_slice(&k->key, key);
}

static const struct grammar_vocab *vocab_of(const struct local_model *m)
{
    struct local_grammars *g = m->grammars;
    struct grammar_mark marks[ANSWER_MARKS];
    size_t n = local_marks_of_grammar(m, marks);
    pthread_mutex_lock(&g->lock);
    if (!g->vocab)
        g->vocab = grammar_vocab_new(m->tokenizer, marks, n);
    pthread_mutex_unlock(&g->lock);
    return g->vocab;
}

static struct program *compile(const struct chat_constraint *c, struct error *err)
{
    struct program *p = NULL;
    json_t *object;
    switch (c->kind) {
    case CONSTRAINT_JSON_OBJECT:
        object = json_pack("{ss}", "type", "object");
        p = schema_compile(object, err);
        json_decref(object);
        break;
    case CONSTRAINT_JSON_SCHEMA: p = schema_compile(c->schema, err); break;
    case CONSTRAINT_REGEX: p = regex_compile(c->text, err); break;
    case CONSTRAINT_GBNF: p = gbnf_compile(c->text, err); break;
    case CONSTRAINT_NONE: (void)error_set(err, ERR_INTERNAL, "no such constraint"); break;
    }
    return p;
}

// What a model of this format may answer; false if no more is asked of it than the constraint says.
static bool answer_of(const struct local_model *m, const struct chat_request *req,
                      enum answer_begins begins, struct answer_grammar *out)
{
    *out = (struct answer_grammar){
        .shape = m->shape,
        .control = m->control,
        .begins = begins,
        .tools = local_tools(req),
        .only = req->tool_choice == TOOLS_NAMED ? req->tool_name : NULL,
        .must_call = req->tool_choice == TOOLS_REQUIRED || req->tool_choice == TOOLS_NAMED,
        .one_call = req->one_tool_call,
        .strict = req->strict_tools,
        .known = req->known_tools,
        .text = &req->constraint,
    };
    if (m->shape.format == ANSWER_PLAIN && !out->must_call)
        out->tools = NULL;
    bool plain = !out->tools && out->shape.format != ANSWER_HARMONY &&
                 out->shape.format != ANSWER_COHERE && out->shape.thinking == THINKING_NONE;
    return req->input == INPUT_MESSAGES && (m->chat_template || out->must_call) && !plain &&
           answer_grammar_needed(out);
}

// What a grammar is found by: all that it is made of.
static bool key_of(const struct answer_grammar *a, const struct chat_constraint *c, struct buf *key,
                   struct error *err)
{
    buf_printf(key, "%d ", (int)c->kind);
    if (a)
        buf_printf(key, "%d %d %d%d%d %zu %s", (int)a->begins, a->tools != NULL, a->must_call,
                   a->one_call, a->strict, a->only ? strlen(a->only) : 0, a->only ? a->only : "");
    if (a && a->tools)
        json_write(key, a->tools, JSON_STYLE_COMPACT);
    if (c->kind == CONSTRAINT_JSON_SCHEMA)
        json_write(key, c->schema, JSON_STYLE_COMPACT);
    else
        buf_slice(key, c->text);
    return !key->overflow ||
           error_set(err, ERR_LIMIT, "a grammar, schema or tools of more than %d bytes",
                     TEXT_BYTES_MAX);
}

bool local_grammar(const struct local_model *m, const struct chat_request *req,
                   enum answer_begins begins, struct grammar **out, struct error *err)
{
    struct local_grammars *g = m->grammars;
    const struct chat_constraint *c = &req->constraint;
    struct answer_grammar answer;
    bool whole = answer_of(m, req, begins, &answer);
    struct buf key = {.max_bytes = TEXT_BYTES_MAX};
    *out = NULL;
    if (c->kind == CONSTRAINT_NONE && !whole)
        return true;
    if (!key_of(whole ? &answer : NULL, c, &key, err)) {
        buf_release(&key);
        return false;
    }
    pthread_mutex_lock(&g->lock);
    *out = find(g, buf_view(&key));
    pthread_mutex_unlock(&g->lock);
    if (!*out) {
        struct program *p = whole ? answer_grammar_compile(&answer, err) : compile(c, err);
        if (p) {
            *out = grammar_new(p, vocab_of(m), 0);
            pthread_mutex_lock(&g->lock);
            keep(g, buf_view(&key), *out);
            pthread_mutex_unlock(&g->lock);
        }
    }
    buf_release(&key);
    return *out != NULL;
}
