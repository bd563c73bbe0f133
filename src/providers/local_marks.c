#include <stdlib.h>

#include "base/memory.h"
#include "local/sampling/grammar/vocab.h"
#include "providers/local_impl.h"

static int mark_of(const struct local_model *m, int32_t token)
{
    for (int i = 0; i < ANSWER_MARKS; i++) {
        const char *mark = answer_mark(&m->shape, i);
        if (mark && tokenizer_find(m->tokenizer, slice_str(mark)) == token)
            return i;
    }
    return -1;
}

// What other models end with may stand inside of an answer of this one.
static void find_ends(struct local_model *m)
{
    size_t n;
    const int32_t *ends = tokenizer_ends(m->tokenizer, &n);
    m->ends = memory_array(int32_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        int mark = mark_of(m, ends[i]);
        if (mark < 0 || !answer_mark_goes_on(&m->shape, mark))
            m->ends[m->n_ends++] = ends[i];
    }
}

void local_marks_find(struct local_model *m, struct slice chat_template,
                      const struct local_options *o)
{
    size_t starts[ANSWER_MARKS], n = 0;
    m->shape = answer_shape_of(chat_template);
    m->habits = local_habits(chat_template);
    if (o->tool_format)
        (void)answer_format_named(o->tool_format, &m->shape.format);
    for (int i = 0; i < ANSWER_MARKS; i++) {
        const char *mark = answer_mark(&m->shape, i);
        int32_t id = mark ? tokenizer_find(m->tokenizer, slice_str(mark)) : -1;
        if (id < 0 || !tokenizer_is_control(m->tokenizer, id))
            continue;
        m->control |= 1u << i;
        starts[n] = m->mark_texts.len;
        m->marks[n++].token = id;
        buf_char(&m->mark_texts, (char)ANSWER_MARK);
        buf_text_add(&m->mark_texts, mark);
    }
    for (size_t i = 0; i < n; i++) {
        size_t end = i + 1 < n ? starts[i + 1] : m->mark_texts.len;
        m->marks[i].text = slice_sub(buf_view(&m->mark_texts), starts[i], end - starts[i]);
    }
    m->n_marks = n;
    find_ends(m);
}

size_t local_marks_of_grammar(const struct local_model *m, struct grammar_mark out[ANSWER_MARKS])
{
    size_t n = 0;
    for (int i = 0; i < ANSWER_MARKS; i++) {
        if (!(m->control >> i & 1))
            continue;
        out[n].token = tokenizer_find(m->tokenizer, slice_str(answer_mark(&m->shape, i)));
        out[n++].number = (uint8_t)i;
    }
    return n;
}

void local_marks_release(struct local_model *m)
{
    buf_release(&m->mark_texts);
    free(m->ends);
}
