#include "summarize/plan.h"

#include "base/memory.h"
#include "documents/document.h"
#include "summarize/breaks.h"
#include "summarize/units.h"

enum {
    DEFAULT_WORDS = 150,
    MIN_ROOM = 24,     // tokens: less is no summary
    MERGE_FAN_IN = 4,  // summaries that one merge takes in at least
    JOIN_TOKENS = 3,   // what stands between two units, and where tokens meet differently
};

// What is at hand while a plan is made.
struct planner {
    struct plan *plan;
    const struct asker *caller;
    struct splitter *splitter;
    struct document *const *documents;
    const struct summary_options *options;
    struct units units;
};

int plan_room(const struct budget *b, int words)
{
    enum { ENDING = 16 };
    return (int)((double)words * b->per_word * 1.5) + ENDING;
}

static int words_in(const struct budget *b, int room)
{
    int words = (int)((double)(room - 16) / (b->per_word * 1.5));
    return words < 10 ? 10 : words;
}

void plan_leave_out(struct plan *p, const char *where, const char *why)
{
    memory_grow(p->left_out, p->left_out_capacity, p->n_left_out + 1);
    p->left_out[p->n_left_out++] = (struct summary_part){.where = where, .why = why};
}

struct prompt plan_prompt(const struct plan *p, const struct summary_options *o,
                          enum prompt_task task)
{
    return (struct prompt){.task = task,
                           .style = o->style,
                           .ask = o->ask,
                           .language = o->language,
                           .title = p->no_title ? slice_of("", 0) : p->title,
                           .section = slice_of("", 0),
                           .text = slice_of("", 0)};
}

static bool count_unit(void *self, struct slice text, int64_t *n, struct error *err)
{
    const struct planner *pl = self;
    return count_text(pl->caller, text, n, err);
}

// Tokens of every unit, of every document, and how many tokens a word takes here.
static bool measure(struct planner *pl, struct error *err)
{
    struct plan *p = pl->plan;
    for (size_t i = 0; i < pl->units.n; i++) {
        struct unit *u = &pl->units.items[i];
        if (!count_text(pl->caller, u->text, &u->tokens, err))
            return false;
        p->document_tokens[u->document] += u->tokens;
        p->n_tokens += u->tokens;
        p->n_words += count_words(u->text);
        if (pl->caller->progress && i % 256 == 0 &&
            !pl->caller->progress(pl->caller->progress_self, (int)i, (int)pl->units.n, "counting"))
            return error_set(err, ERR_CANCELLED, "stopped");
    }
    double per_word = p->n_words > 0 ? (double)p->n_tokens / (double)p->n_words : 1;
    p->budget.per_word = per_word < 1 ? 1 : per_word > 8 ? 8 : per_word;
    return true;
}

// The longest header that any part may carry.
static bool header_tokens(struct planner *pl, enum prompt_task task, int64_t *n, struct error *err)
{
    struct plan *p = pl->plan;
    struct prompt prompt = plan_prompt(p, pl->options, task);
    prompt.words = p->budget.words;
    for (size_t i = 0; i < pl->units.n && task == PROMPT_SUMMARIZE; i++) {
        const struct unit *u = &pl->units.items[i];
        struct slice title = slice_str(pl->documents[u->document]->title);
        if (!p->no_section && u->section.len > prompt.section.len)
            prompt.section = u->section;
        if (!p->no_title && title.len > prompt.title.len)
            prompt.title = title;
    }
    return count_prompt(pl->caller, &prompt, n, err);
}

// How much goes where. In a small context the summaries of parts are shorter, so that a merge
// always takes in several and the tree comes to an end.
static bool make_budget(struct planner *pl, int ctx, struct error *err)
{
    struct plan *p = pl->plan;
    struct budget *b = &p->budget;
    int64_t header = 0, merge_header = 0;
    b->ctx = ctx;
    b->margin = ctx / 64 < 8 ? 8 : ctx / 64;
    b->words = pl->options->words > 0 ? pl->options->words : DEFAULT_WORDS;
    if (b->words > p->n_words * 3 / 5)  // a summary is shorter than its text
        b->words = (int)(p->n_words * 3 / 5);
    b->words = b->words < 10 ? 10 : b->words;
    b->final_room = plan_room(b, b->words);
    if (b->final_room > ctx / 3) {
        b->final_room = ctx / 3;
        b->words = words_in(b, b->final_room);
    }
    if (!header_tokens(pl, PROMPT_SUMMARIZE, &header, err))
        return false;
    p->no_section = header > ctx / 4;
    if (p->no_section && !header_tokens(pl, PROMPT_SUMMARIZE, &header, err))
        return false;
    p->no_title = header > ctx / 4;
    if (p->no_title && !header_tokens(pl, PROMPT_SUMMARIZE, &header, err))
        return false;
    if (!header_tokens(pl, PROMPT_MERGE, &merge_header, err))
        return false;
    int64_t room = (ctx - merge_header - b->final_room - b->margin) / MERGE_FAN_IN;
    b->part_room = (int)(room < b->final_room ? room : b->final_room);
    b->part_words = words_in(b, b->part_room);
    b->part_words = b->part_words < b->words ? b->part_words : b->words;
    b->part_tokens = (int)(ctx - header - b->part_room - b->margin);
    b->merge_tokens = (int)(ctx - merge_header - b->part_room - b->margin);
    return true;
}

static bool check_budget(const struct planner *pl, struct error *err)
{
    const struct budget *b = &pl->plan->budget;
    if (b->part_room >= MIN_ROOM && b->part_tokens >= 2 * b->part_room)
        return true;
    return error_set(err, ERR_LIMIT,
                     "the model's context of %d tokens is too small: beside the instructions, %d "
                     "are left for a part of the text and %d for its summary",
                     b->ctx, b->part_tokens > 0 ? b->part_tokens : 0,
                     b->part_room > 0 ? b->part_room : 0);
}

// Divides a unit that is too long for a part; pieces follow each other in the list.
static bool split_unit(struct planner *pl, struct units *out, const struct unit *u,
                       struct error *err)
{
    struct plan *p = pl->plan;
    struct slice rest = u->text;
    int64_t max = p->budget.part_tokens / 3;
    for (bool first = true; rest.len > 0; first = false) {
        size_t bytes = 0;
        if (!splitter_prefix(pl->splitter, rest, max, count_unit, pl, &bytes, err))
            return false;
        if (bytes == 0) {
            bytes = splitter_character(pl->splitter, rest);
            plan_leave_out(p,
                           arena_printf(&p->arena, "%s, bytes %zu-%zu",
                                        pl->documents[u->document]->path, u->start, u->end),
                           arena_printf(&p->arena,
                                        "a single character of %zu bytes does not fit a part",
                                        bytes));
        } else {
            struct unit piece = *u;
            piece.text = slice_of(rest.ptr, bytes);
            piece.continues = !first;
            if (!count_text(pl->caller, piece.text, &piece.tokens, err))
                return false;
            memory_grow(out->items, out->capacity, out->n + 1);
            out->items[out->n++] = piece;
        }
        rest = slice_sub(rest, bytes, rest.len);
    }
    return true;
}

static bool split_long_units(struct planner *pl, struct error *err)
{
    struct units out = {0};
    bool ok = true;
    for (size_t i = 0; i < pl->units.n && ok; i++) {
        const struct unit *u = &pl->units.items[i];
        if (u->tokens + JOIN_TOKENS > pl->plan->budget.part_tokens) {
            ok = split_unit(pl, &out, u, err);
        } else {
            memory_grow(out.items, out.capacity, out.n + 1);
            out.items[out.n++] = *u;
        }
    }
    free(pl->units.items);
    pl->units = out;
    return ok;
}

// Makes the text and header of units[from..to) and counts the prompt.
static bool write_part(struct planner *pl, size_t from, size_t to, struct plan_part *part,
                       int words, struct error *err)
{
    struct plan *p = pl->plan;
    const struct unit *first = &pl->units.items[from];
    bool single = pl->units.items[to - 1].document == first->document;
    struct buf text = {0};
    units_write(&pl->units, from, to, &text);
    *part = (struct plan_part){.document = first->document,
                               .start = first->start,
                               .end = pl->units.items[to - 1].end,
                               .text = slice_of(text.ptr ? text.ptr : "", text.len)};
    if (single && !p->no_title)
        part->title = slice_str(pl->documents[first->document]->title);
    if (single && !p->no_section)
        part->section = first->section;
    struct prompt prompt = plan_prompt(p, pl->options, PROMPT_SUMMARIZE);
    prompt.words = words;
    prompt.title = part->title;
    prompt.section = part->section;
    prompt.text = part->text;
    bool ok = count_prompt(pl->caller, &prompt, &part->prompt_tokens, err);
    part->text = slice_of(arena_text(&p->arena, buf_view(&text)), text.len);
    buf_release(&text);
    return ok;
}

// Everything in one call, if it fits.
static bool try_direct(struct planner *pl, struct error *err)
{
    struct plan *p = pl->plan;
    struct budget *b = &p->budget;
    if (p->n_tokens > b->ctx)
        return true;
    struct plan_part part;
    if (!write_part(pl, 0, pl->units.n, &part, b->words, err))
        return false;
    if (part.prompt_tokens + b->final_room + b->margin > b->ctx)
        return true;
    p->direct = true;
    part.section = slice_of("", 0);
    memory_grow(p->parts, p->parts_capacity, 1);
    p->parts[p->n_parts++] = part;
    return true;
}

// Where the part that begins at `from` ends: full, or nearly full before a heading; never after a
// heading, which belongs to what follows.
static size_t part_end(const struct planner *pl, size_t from, int64_t target)
{
    const struct unit *u = pl->units.items;
    int64_t used = u[from].tokens + JOIN_TOKENS;
    size_t to = from + 1;
    for (; to < pl->units.n && u[to].document == u[from].document; to++) {
        int64_t more = u[to].tokens + JOIN_TOKENS;
        if (used + more > pl->plan->budget.part_tokens || used >= target)
            break;
        if (u[to].kind == BLOCK_HEADING && used * 10 >= target * 7)
            break;
        used += more;
    }
    bool at_end = to >= pl->units.n || u[to].document != u[from].document;
    size_t full = to;
    while (!at_end && to > from + 1 && u[to - 1].kind == BLOCK_HEADING)
        to--;
    return u[to - 1].kind == BLOCK_HEADING ? full : to;
}

static bool pack(struct planner *pl, struct error *err)
{
    struct plan *p = pl->plan;
    const struct budget *b = &p->budget;
    int64_t total = 0;
    for (size_t i = 0; i < pl->units.n; i++)
        total += pl->units.items[i].tokens + JOIN_TOKENS;
    int64_t n = (total + b->part_tokens - 1) / b->part_tokens;
    int64_t target = n > 0 ? total / n + total / n / 16 + 1 : 1;
    for (size_t from = 0; from < pl->units.n;) {
        size_t to = part_end(pl, from, target);
        struct plan_part part;
        for (;; to--) {
            if (!write_part(pl, from, to, &part, b->part_words, err))
                return false;
            if (part.prompt_tokens + b->part_room <= b->ctx || to == from + 1)
                break;
        }
        if (part.prompt_tokens + b->part_room > b->ctx) {
            plan_leave_out(p,
                           arena_printf(&p->arena, "%s, bytes %zu-%zu",
                                        pl->documents[part.document]->path, part.start, part.end),
                           arena_printf(&p->arena, "its %lld tokens do not fit the context of %d",
                                        (long long)part.prompt_tokens, b->ctx));
        } else {
            memory_grow(p->parts, p->parts_capacity, p->n_parts + 1);
            p->parts[p->n_parts++] = part;
        }
        from = to;
    }
    return true;
}

bool plan_make(struct plan *p, const struct asker *c, struct splitter *s,
               struct document *const *documents, size_t n_documents,
               const struct summary_options *o, int ctx, struct error *err)
{
    *p = (struct plan){.title = slice_str(n_documents == 1 ? documents[0]->title : "")};
    struct planner pl = {
        .plan = p, .caller = c, .splitter = s, .documents = documents, .options = o};
    p->document_tokens = memory_array(int64_t, n_documents + 1);
    for (size_t i = 0; i < n_documents; i++) {
        if (documents[i]->n_blocks == 0)
            plan_leave_out(p, arena_text(&p->arena, slice_str(documents[i]->path)),
                           "holds no text");
        units_add_document(&pl.units, documents[i], (int)i, &p->arena);
    }
    bool ok = pl.units.n > 0 || error_set(err, ERR_FORMAT, "%s: holds no text",
                                          n_documents ? documents[0]->path : "nothing given");
    ok = ok && measure(&pl, err) && make_budget(&pl, ctx, err) && try_direct(&pl, err);
    if (ok && !p->direct)
        ok = check_budget(&pl, err) && split_long_units(&pl, err) && pack(&pl, err);
    if (ok && p->n_parts == 0)
        ok = error_set(err, ERR_LIMIT, "nothing of the text fits the model's context");
    free(pl.units.items);
    return ok;
}

void plan_release(struct plan *p)
{
    free(p->parts);
    free(p->left_out);
    free(p->document_tokens);
    arena_release(&p->arena);
}
