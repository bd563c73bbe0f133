#include "local/template/template.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "local/template/parser.h"
#include "local/template/run.h"
#include "local/template/text.h"

#define SOURCE_MAX ((size_t)4 << 20)
#define JSON_DEPTH_MAX 500
#define LOOK_BYTES ((size_t)1 << 20)  // so much more is looked for before it is taken

// "\r\n" and "\r" become "\n"; one newline at the end is dropped, as transformers leaves it set.
static struct slice normalize(struct arena *a, struct slice source)
{
    char *out = arena_alloc(a, source.len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < source.len; i++) {
        char c = source.ptr[i];
        if (c == '\r') {
            c = '\n';
            if (i + 1 < source.len && source.ptr[i + 1] == '\n')
                i++;
        }
        out[n++] = c;
    }
    if (n && out[n - 1] == '\n')
        n--;
    return slice_of(out, n);
}

// Apart, so that no variable of template_open is live across the jump.
static bool parse_guarded(struct parse *p)
{
    if (setjmp(p->failed))
        return false;
    lex(p);
    parse_template(p);
    return true;
}

struct template *template_open(struct slice source, struct error *err)
{
    if (source.len > SOURCE_MAX) {
        error_set(err, ERR_FORMAT, "template: more than %zu bytes", SOURCE_MAX);
        return NULL;
    }
    if (!utf8_valid(source.ptr, source.len)) {
        error_set(err, ERR_FORMAT, "template: not valid UTF-8");
        return NULL;
    }
    struct template *t = memory_array(struct template, 1);
    struct parse p = {.arena = &t->arena, .err = err, .template = t};
    p.source = normalize(&t->arena, source);
    bool ok = parse_guarded(&p);
    free(p.tokens);
    free(p.flags);
    if (ok)
        return t;
    template_close(t);
    return NULL;
}

void template_close(struct template *t)
{
    if (!t)
        return;
    arena_release(&t->arena);
    free(t);
}

void rendered_release(struct rendered *r)
{
    buf_release(&r->text);
    free(r->from_values);
    *r = (struct rendered){0};
}

void run_fail(struct run *r, enum error_code code, const char *format, ...)
{
    char what[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    error_set(r->err, code, "template, line %d: %s", r->line, what);
    longjmp(r->failed, 1);
}

void *run_alloc(struct run *r, size_t n, size_t size)
{
    size_t left = r->max_memory - r->arena.used_bytes;
    if (r->arena.used_bytes > r->max_memory || (size && n > left / size))
        run_fail(r, ERR_LIMIT, "the template uses more memory than it may");
    if (r->arena.used_bytes + n * size > r->looked + LOOK_BYTES) {
        if (!memory_has_room(MEMORY_ROOM + n * size))
            run_fail(r, ERR_MEMORY, "no memory for what it makes");
        r->looked = r->arena.used_bytes + n * size;
    }
    return arena_alloc(&r->arena, n, size);
}

void run_charge(struct run *r, size_t steps)
{
    r->steps += steps;
    if (r->steps > r->max_steps)
        run_fail(r, ERR_LIMIT, "the template takes more steps than it may");
}

void run_enter(struct run *r)
{
    if (++r->nesting > NESTING_MAX)
        run_fail(r, ERR_LIMIT, "nested too deeply");
}

// Templates build control tokens from roles ('<|' + message.role + '|>'), so the well-known ones
// count as the template's own words: they say nothing that a template could not.
static const char *well_known_role(const char *key, const json_t *j)
{
    static const char *const roles[] = {"system", "user",      "assistant", "tool",
                                        "model",  "developer", "function",  "ipython"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles && strcmp(key, "role") == 0; i++) {
        if (json_is_string(j) && slice_is(json_slice(j), roles[i]))
            return roles[i];
    }
    return NULL;
}

// bos_token, eos_token and the like are there to be control tokens. Only at the top, where the
// provider sets them and no request can.
static bool is_token_variable(struct slice name, const json_t *j)
{
    static const char end[] = "_token";
    size_t n = sizeof end - 1;
    return json_is_string(j) && name.len > n && memcmp(name.ptr + name.len - n, end, n) == 0;
}

static struct value from_json(struct run *r, const json_t *j, int depth)
{
    if (depth > JSON_DEPTH_MAX)
        run_fail(r, ERR_LIMIT, "the variables are nested too deeply");
    switch (json_typeof(j)) {
    case JSON_OBJECT: {
        struct dict *d = dict_new(r);
        const char *key;
        size_t key_len;
        json_t *member;
        json_object_keylen_foreach((json_t *)j, key, key_len, member)
        {
            struct value name = text_from_caller(r, slice_of(key, key_len));
            const char *role = well_known_role(key, member);
            dict_set(r, d, name, role ? text_str(r, role) : from_json(r, member, depth + 1));
        }
        return value_dict(d);
    }
    case JSON_ARRAY: {
        struct list *l = list_new(r, json_array_size(j));
        for (size_t i = 0; i < json_array_size(j); i++)
            list_add(r, l, from_json(r, json_array_get(j, i), depth + 1));
        return value_list(l);
    }
    case JSON_STRING: return text_from_caller(r, json_slice(j));
    case JSON_INTEGER: return value_int(json_integer_value(j));
    case JSON_REAL: return value_real(json_real_value(j));
    case JSON_TRUE: return value_bool(true);
    case JSON_FALSE: return value_bool(false);
    case JSON_NULL: return value_none();
    }
    return value_none();
}

// The caller's variables that the template names at all.
static void load_context(struct run *r, const json_t *variables)
{
    const struct template *t = r->template;
    r->context = run_new(r, struct value, t->n_names);
    for (size_t i = 0; i < t->n_names; i++) {
        const json_t *v =
            variables ? json_object_getn(variables, t->names[i].ptr, t->names[i].len) : NULL;
        if (v && is_token_variable(t->names[i], v))
            r->context[i] = text_str(r, json_string_value(v));
        else
            r->context[i] = v ? from_json(r, v, 0) : value_missing();
    }
}

static bool render_guarded(struct run *r, const json_t *variables, struct builder *out)
{
    if (setjmp(r->failed))
        return false;
    *out = builder_new(r);
    r->out = out;
    load_context(r, variables);
    r->top = scope_new(r, NULL, NULL);
    for (size_t i = 0; i < r->template->n_unset; i++)
        scope_set(r, r->top, r->template->unset[i], value_missing());
    exec_body(r, r->top, &r->template->body);
    return true;
}

bool template_render(const struct template *t, const json_t *variables,
                     const struct template_limits *limits, struct rendered *out, struct error *err)
{
    static const struct template_limits defaults = {0};
    const struct template_limits *l = limits ? limits : &defaults;
    struct run r = {.template = t, .err = err, .now = l->now};
    r.max_steps = l->max_steps ? l->max_steps : UINT64_C(20000000);
    r.max_output = l->max_output ? l->max_output : (size_t)64 << 20;
    r.max_depth = l->max_depth ? l->max_depth : 200;
    r.max_memory = ((size_t)64 << 20) + 4 * r.max_output;
    struct builder text;
    bool ok = render_guarded(&r, variables, &text);
    if (ok) {
        rendered_release(out);
        buf_add(&out->text, text.ptr, text.len);
        memory_grow(out->from_values, out->capacity, text.n_marks);
        if (text.n_marks)
            memcpy(out->from_values, text.marks, text.n_marks * sizeof *text.marks);
        out->n_from_values = text.n_marks;
    }
    arena_release(&r.arena);
    return ok;
}
