// summarize.c - see summarize.h: a plan, its parts asked all at once, their summaries merged level
// by level until one is left.
//
// The tree ends: every merge takes in at least two summaries and gives one.
#include "summarize/summarize.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "documents/document.h"
#include "gateway/gateway.h"
#include "summarize/breaks.h"
#include "summarize/plan.h"
#include "summarize/quotations.h"
#include "summarize/sentences.h"

// The summary of parts first..last.
struct node {
    struct buf text;
    int64_t tokens;
    size_t first, last;
};

struct job {
    struct plan plan;
    struct asker caller;
    struct splitter *splitter;
    struct quotations *quotations;
    const struct summary_options *options;
    struct document *const *documents;
    size_t n_documents;
    bool *lost;  // one per part: it could not be summarized
    struct node *nodes;
    size_t n_nodes, mended;
    int levels;
};

struct owned_summary {
    struct summary s;  // first: what callers see
    struct arena arena;
};

static const char *part_name(struct job *j, size_t first, size_t last)
{
    const struct plan_part *a = &j->plan.parts[first], *b = &j->plan.parts[last];
    const char *path = j->documents[a->document]->path;
    if (first == last)
        return arena_printf(&j->plan.arena, "%s, part %zu (bytes %zu-%zu)", path, first + 1,
                            a->start, a->end);
    return arena_printf(&j->plan.arena, "%s, parts %zu-%zu (up to byte %zu of %s)", path, first + 1,
                        last + 1, b->end, j->documents[b->document]->path);
}

static void tell(struct job *j, size_t first, size_t last, const char *why)
{
    plan_leave_out(&j->plan, part_name(j, first, last), why);
}

static bool count_for_node(void *self, struct slice text, int64_t *n, struct error *err)
{
    const struct job *j = self;
    return count_text(&j->caller, text, n, err);
}

// Takes an answer as the summary of parts first..last: whole sentences, each once. One that did not
// come to its end is used as far as its sentences are whole and it had room at first, since longer
// ones would not fit the merges.
static bool take_answer(struct job *j, struct call *call, bool last, struct node *node,
                        struct error *err)
{
    struct sentence_set seen = {0};
    if (call->cut) {
        size_t bytes = 0;
        sentences_cut_whole(j->splitter, &call->text);
        if (!splitter_prefix(j->splitter, buf_view(&call->text), call->max_tokens, count_for_node,
                             j, &bytes, err))
            return false;
        tell(j, node->first, node->last,
             call->looped
                 ? "the model began to repeat itself; the sentences before that are used"
                 : arena_printf(&j->plan.arena,
                                "its summary did not end within %d tokens; the sentences up to "
                                "there are used",
                                call->attempts > 1 ? call->max_room : call->max_tokens));
        call->text.len = bytes;
    }
    buf_clear(&node->text);
    sentences_without_repeats(j->splitter, buf_view(&call->text), &seen, &node->text);
    sentence_set_release(&seen);
    if (j->options->style != STYLE_OUTLINE)  // its headings stand where they stand
        j->mended +=
            quotations_restore(j->quotations, j->splitter, &call->prompt, last, &node->text);
    return true;
}

static int retry_room(const struct job *j, int64_t prompt_tokens, int room)
{
    int64_t left = j->plan.budget.ctx - prompt_tokens;
    return (int)(left < 2 * (int64_t)room ? left : 2 * (int64_t)room);
}

// The first level: every part, at once.
static bool summarize_parts(struct job *j, struct error *err)
{
    struct plan *p = &j->plan;
    const struct budget *b = &p->budget;
    struct call *calls = memory_array(struct call, p->n_parts);
    struct error last = {0};
    for (size_t i = 0; i < p->n_parts; i++) {
        const struct plan_part *part = &p->parts[i];
        struct call *c = &calls[i];
        c->prompt = plan_prompt(p, j->options, PROMPT_SUMMARIZE);
        c->prompt.words = p->direct ? b->words : b->part_words;
        c->prompt.title = part->title;
        c->prompt.section = part->section;
        c->prompt.text = part->text;
        c->max_tokens = p->direct ? b->final_room : b->part_room;
        c->max_room = retry_room(j, part->prompt_tokens, c->max_tokens);
    }
    j->caller.what = "summarizing";
    j->caller.drafting = p->direct && j->caller.draft;
    bool ok = calls_run(&j->caller, calls, p->n_parts, err);
    for (size_t i = 0; i < p->n_parts; i++) {
        struct node node = {.first = i, .last = i};
        if (ok && calls[i].error.code) {
            tell(j, i, i, arena_text(&p->arena, slice_str(calls[i].error.text)));
            j->lost[i] = true;
            last = calls[i].error;
        } else if (ok) {
            ok = take_answer(j, &calls[i], p->direct, &node, err);
            j->nodes[j->n_nodes++] = node;
        }
        buf_release(&calls[i].text);
    }
    free(calls);
    j->levels = 1;
    if (ok && j->n_nodes == 0)
        ok = error_set(err, last.code, "no part could be summarized: %s", last.text);
    return ok;
}

// The summaries of nodes[from..to) one after another; what was said before is not said again.
static void join(struct job *j, size_t from, size_t to, struct buf *out)
{
    struct sentence_set seen = {0};
    for (size_t i = from; i < to; i++) {
        size_t before = out->len;
        if (before)
            buf_text_add(out, "\n\n");
        size_t begin = out->len;
        sentences_without_repeats(j->splitter, buf_view(&j->nodes[i].text), &seen, out);
        if (out->len == begin) {  // nothing new in it
            out->len = before;
        }
    }
    sentence_set_release(&seen);
}

static struct prompt merge_prompt(const struct job *j, bool final, struct slice text)
{
    struct prompt p = plan_prompt(&j->plan, j->options, PROMPT_MERGE);
    p.words = final ? j->plan.budget.words : j->plan.budget.part_words;
    p.text = text;
    return p;
}

// No summary may take more than half of what a merge takes in: then any two fit together.
static bool fit_nodes(struct job *j, struct error *err)
{
    int64_t max = j->plan.budget.merge_tokens / 2 - 4;
    for (size_t i = 0; i < j->n_nodes; i++) {
        struct node *n = &j->nodes[i];
        if (!count_text(&j->caller, buf_view(&n->text), &n->tokens, err))
            return false;
        if (n->tokens <= max)
            continue;
        size_t bytes = 0;
        if (!splitter_prefix(j->splitter, buf_view(&n->text), max, count_for_node, j, &bytes, err))
            return false;
        tell(j, n->first, n->last, "its summary came out too long to be merged whole");
        n->text.len = bytes;
        n->text.ptr[bytes] = 0;
        if (!count_text(&j->caller, buf_view(&n->text), &n->tokens, err))
            return false;
    }
    return true;
}

// Whether the last merge can take in everything that is left.
static bool final_fits(struct job *j, int64_t *prompt_tokens, bool *fits, struct error *err)
{
    const struct budget *b = &j->plan.budget;
    struct buf text = {0};
    join(j, 0, j->n_nodes, &text);
    struct prompt prompt = merge_prompt(j, true, buf_view(&text));
    bool ok = count_prompt(&j->caller, &prompt, prompt_tokens, err);
    buf_release(&text);
    *fits = ok && *prompt_tokens + b->final_room + b->margin <= b->ctx;
    return ok;
}

// How many nodes from `from` on one merge takes in: at least two where there are two.
static size_t group_end(const struct job *j, size_t from, int64_t target)
{
    int64_t used = j->nodes[from].tokens + 4;
    size_t to = from + 1;
    for (; to < j->n_nodes; to++) {
        int64_t more = j->nodes[to].tokens + 4;
        if (to >= from + 2 && (used + more > j->plan.budget.merge_tokens || used >= target))
            break;
        used += more;
    }
    return to;
}

struct merge {
    size_t from, to;
    struct buf text;
};

static size_t make_groups(struct job *j, bool final, struct merge *merges)
{
    int64_t total = 0;
    for (size_t i = 0; i < j->n_nodes; i++)
        total += j->nodes[i].tokens + 4;
    int64_t max = j->plan.budget.merge_tokens, groups = (total + max - 1) / max;
    int64_t target = total / (groups ? groups : 1) + 1;
    size_t n = 0;
    for (size_t from = 0; from < j->n_nodes; n++) {
        merges[n].from = from;
        merges[n].to = from = final ? j->n_nodes : group_end(j, from, target);
        join(j, merges[n].from, merges[n].to, &merges[n].text);
    }
    return n;
}

// A merge that looped early has lost most of what it was given: it counts as failed.
static bool lost_most(const struct call *call, const struct merge *m)
{
    return call->looped && call->text.len < m->text.len / 4;
}

// The result of a merge becomes one node; where it failed, the summaries stay as they are, joined.
static bool take_merge(struct job *j, struct merge *m, struct call *call, bool last,
                       struct node *out, struct error *err)
{
    *out = (struct node){.first = j->nodes[m->from].first, .last = j->nodes[m->to - 1].last};
    if (m->to - m->from == 1) {
        buf_slice(&out->text, buf_view(&j->nodes[m->from].text));
    } else if (call->error.code || lost_most(call, m)) {
        tell(
            j, out->first, out->last,
            arena_printf(&j->plan.arena,
                         "merging failed (%s); the summaries of its parts stand "
                         "one after another instead",
                         call->error.code ? call->error.text : "the model began to repeat itself"));
        buf_slice(&out->text, buf_view(&m->text));
    } else {
        return take_answer(j, call, last, out, err);
    }
    return true;
}

static bool merge_level(struct job *j, bool final, struct error *err)
{
    const struct budget *b = &j->plan.budget;
    struct merge *merges = memory_array(struct merge, j->n_nodes);
    size_t n = make_groups(j, final, merges), n_calls = 0;
    struct call *calls = memory_array(struct call, n), **call_of = memory_array(struct call *, n);
    struct node *out = memory_array(struct node, n);
    bool ok = true;
    for (size_t i = 0; i < n && ok; i++) {
        if (merges[i].to - merges[i].from == 1)
            continue;  // an odd one waits for the next level
        struct call *c = call_of[i] = &calls[n_calls++];
        int64_t tokens = 0;
        c->prompt = merge_prompt(j, final, buf_view(&merges[i].text));
        ok = count_prompt(&j->caller, &c->prompt, &tokens, err);
        c->max_tokens = final ? b->final_room : b->part_room;
        c->max_room = retry_room(j, tokens, c->max_tokens);
    }
    j->caller.what = "merging";
    j->caller.drafting = final && j->caller.draft;
    j->caller.total = j->caller.done + (int)n_calls + !final;
    ok = ok && calls_run(&j->caller, calls, n_calls, err);
    for (size_t i = 0; i < n; i++) {
        ok = ok && take_merge(j, &merges[i], call_of[i], final, &out[i], err);
        buf_release(&merges[i].text);
        if (call_of[i])
            buf_release(&call_of[i]->text);
    }
    for (size_t i = 0; i < j->n_nodes; i++)
        buf_release(&j->nodes[i].text);
    memcpy(j->nodes, out, n * sizeof *out);
    j->n_nodes = n;
    free(merges);
    free(calls);
    free(call_of);
    free(out);
    j->levels++;
    return ok;
}

static bool merge_all(struct job *j, struct error *err)
{
    while (j->n_nodes > 1) {
        int64_t tokens = 0;
        bool fits = false;
        size_t before = j->n_nodes;
        if (!final_fits(j, &tokens, &fits, err))
            return false;
        if (!fits && !fit_nodes(j, err))
            return false;
        if (!merge_level(j, fits, err))
            return false;
        if (j->n_nodes >= before)
            return error_set(err, ERR_INTERNAL, "merging %zu summaries came to no end", before);
    }
    return true;
}

// What the calls of the levels above the parts will be, from how long summaries are meant to be.
static void foresee(const struct job *j, struct summary *s)
{
    const struct budget *b = &j->plan.budget;
    int64_t answer = (int64_t)((double)b->part_words * b->per_word);
    int64_t header = b->ctx - b->part_room - b->margin - b->merge_tokens;
    size_t n = j->plan.n_parts;
    s->plan.parts = (int)n;
    s->plan.calls = (int)n;
    s->plan.levels = 1;
    for (size_t i = 0; i < n; i++)
        s->plan.prompt_tokens += j->plan.parts[i].prompt_tokens;
    s->plan.completion_tokens =
        (int64_t)n * (j->plan.direct ? (int64_t)((double)b->words * b->per_word) : answer);
    while (n > 1) {
        bool final = header + (int64_t)n * answer + b->final_room + b->margin <= b->ctx;
        size_t fan_in = answer > 0 ? (size_t)(b->merge_tokens / (answer + 4)) : 2;
        fan_in = fan_in < 2 ? 2 : fan_in;
        size_t calls = final ? 1 : (n + fan_in - 1) / fan_in;
        s->plan.prompt_tokens += (int64_t)calls * header + (int64_t)n * answer;
        s->plan.completion_tokens += (int64_t)calls * answer;
        s->plan.calls += (int)calls;
        s->plan.levels++;
        n = calls;
    }
}

static void report(struct job *j, struct owned_summary *o)
{
    struct summary *s = &o->s;
    const struct plan *p = &j->plan;
    s->coverage.parts = (int)p->n_parts;
    for (size_t i = 0; i < p->n_parts; i++)
        s->coverage.used += !j->lost[i];
    s->coverage.skipped = arena_new(&o->arena, struct summary_part, p->n_left_out + 1);
    s->coverage.n_skipped = p->n_left_out;
    for (size_t i = 0; i < p->n_left_out; i++) {
        s->coverage.skipped[i].where = arena_text(&o->arena, slice_str(p->left_out[i].where));
        s->coverage.skipped[i].why = arena_text(&o->arena, slice_str(p->left_out[i].why));
    }
    s->mended = (int)j->mended;
    s->n_documents = j->n_documents;
    s->documents = arena_alloc(&o->arena, j->n_documents + 1, sizeof *s->documents);
    for (size_t i = 0; i < j->n_documents; i++)
        s->documents[i].tokens = p->document_tokens[i];
    s->prompt_tokens = j->caller.prompt_tokens;
    s->completion_tokens = j->caller.completion_tokens;
    s->drafted_tokens = j->caller.drafted_tokens;
    s->accepted_tokens = j->caller.accepted_tokens;
    s->bytes_sent = j->caller.bytes_sent;
    // Without any call, what a plan costs depends on prices, which are not known here.
    s->cost_picousd = j->options->dry_run && !s->local ? -1 : j->caller.cost_picousd;
}

static bool run(struct job *j, struct owned_summary *o, struct error *err)
{
    struct summary *s = &o->s;
    if (!count_frame(&j->caller, err))
        return false;
    if (!plan_make(&j->plan, &j->caller, j->splitter, j->documents, j->n_documents, j->options,
                   j->plan.budget.ctx, err))
        return false;
    j->lost = memory_array(bool, j->plan.n_parts);
    j->nodes = memory_array(struct node, j->plan.n_parts);
    for (size_t i = 0; i < j->plan.n_parts && !j->options->dry_run; i++)
        quotations_learn(j->quotations, j->splitter, j->plan.parts[i].text);
    foresee(j, s);
    j->caller.total = s->plan.calls;
    if (!j->options->dry_run) {
        if (!summarize_parts(j, err) || !merge_all(j, err))
            return false;
        s->text = arena_text(&o->arena, buf_view(&j->nodes[0].text));
        s->plan.calls = j->caller.done;
        s->plan.levels = j->levels;
        s->sentences = sentences_trace(j->splitter, slice_str(s->text), j->documents,
                                       j->n_documents, &o->arena, &s->n_sentences);
    }
    report(j, o);
    return true;
}

bool summary_style_named(struct slice name, enum summary_style *style)
{
    static const char *const names[] = {"paragraph", "bullets", "outline"};
    for (int i = 0; i < 3; i++) {
        if (!slice_is(name, names[i]))
            continue;
        *style = (enum summary_style)i;
        return true;
    }
    return false;
}

static bool check_options(const struct summary_options *o, struct error *err)
{
    enum { MAX_WORDS = 20000 };
    if (o->words < 0 || o->words > MAX_WORDS)
        return error_set(err, ERR_USAGE, "a summary of %d words: 1 to %d are possible", o->words,
                         MAX_WORDS);
    if (o->ask && strlen(o->ask) > PROMPT_ASK_BYTES)
        return error_set(err, ERR_USAGE, "the question is longer than %d bytes", PROMPT_ASK_BYTES);
    if (o->language && strlen(o->language) > 60)
        return error_set(err, ERR_USAGE, "the name of a language is longer than 60 bytes");
    return true;
}

struct summary *summarize(struct gateway *g, struct document *const *documents, size_t n_documents,
                          const struct summary_options *o, struct error *err)
{
    struct model_info info;
    int64_t begin = clock_ns();
    if (!check_options(o, err) || !gateway_describe(g, o->model, &info, err))
        return NULL;
    struct job j = {.caller = {.gateway = g,
                               .model = o->model,
                               .who = o->caller,
                               .progress = o->progress,
                               .progress_self = o->progress_self,
                               .draft = o->draft,
                               .draft_self = o->draft_self,
                               .turn = o->turn,
                               .turn_self = o->turn_self},
                    .options = o,
                    .documents = documents,
                    .n_documents = n_documents,
                    .plan.budget.ctx = info.context};
    struct owned_summary *out = memory_array(struct owned_summary, 1);
    out->s.local = info.local;
    j.splitter = splitter_new(err);
    j.quotations = quotations_new();
    bool ok = j.splitter && run(&j, out, err);
    if (o->bytes_sent)
        *o->bytes_sent = j.caller.bytes_sent;
    out->s.model = arena_text(&out->arena, slice_str(info.name));
    out->s.seconds = 1e-9 * (double)(clock_ns() - begin);
    out->s.first_token_s = j.caller.first_ns ? 1e-9 * (double)(j.caller.first_ns - begin) : -1;
    for (size_t i = 0; i < j.n_nodes; i++)
        buf_release(&j.nodes[i].text);
    free(j.nodes);
    free(j.lost);
    plan_release(&j.plan);
    quotations_free(j.quotations);
    splitter_free(j.splitter);
    if (ok)
        return &out->s;
    summary_free(&out->s);
    return NULL;
}

void summary_free(struct summary *s)
{
    if (!s)
        return;
    struct owned_summary *o = (struct owned_summary *)s;
    arena_release(&o->arena);
    free(o);
}
