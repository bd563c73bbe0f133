#include "answer_log.h"

#include <assert.h>
#include <stdio.h>

static const char *word_of(enum chat_event_kind kind)
{
    switch (kind) {
    case CHAT_TEXT: return "text";
    case CHAT_REASONING: return "thought";
    case CHAT_TOOL_CALL: return "call";
    case CHAT_TOOL_ARGUMENTS: return "args";
    default: return "?";
    }
}

static void add(void *self, const struct chat_event *e)
{
    struct answer_log *l = self;
    bool of_call = e->kind == CHAT_TOOL_CALL || e->kind == CHAT_TOOL_ARGUMENTS;
    l->n_events++;
    if (!l->begun || l->kind != e->kind || e->kind == CHAT_TOOL_CALL ||
        (of_call && l->index != e->tool_index)) {
        if (l->begun)
            buf_char(&l->out, '\n');
        buf_printf(&l->out, "%s ", word_of(e->kind));
        if (of_call)
            buf_printf(&l->out, "%d ", e->tool_index);
    }
    if (e->kind == CHAT_TOOL_CALL) {
        assert(e->tool_id && strlen(e->tool_id) == 9 && e->tool_name && *e->tool_name);
        (void)snprintf(l->id, sizeof l->id, "%s", e->tool_id);
        buf_text_add(&l->out, e->tool_name);
    }
    assert(e->kind != CHAT_TOOL_ARGUMENTS || strcmp(e->tool_id, l->id) == 0);
    for (size_t i = 0; i < e->text.len; i++) {
        if (e->text.ptr[i] == '\n')
            buf_text_add(&l->out, "\\n");
        else
            buf_char(&l->out, e->text.ptr[i]);
    }
    l->begun = true;
    l->kind = e->kind;
    l->index = e->tool_index;
}

void answer_log_release(struct answer_log *l)
{
    buf_release(&l->out);
}

struct chat_sink answer_log_sink(struct answer_log *l)
{
    return (struct chat_sink){.push = add, .self = l};
}
