#include "cli/thoughts.h"

#include <stdio.h>

#include "base/buf.h"
#include "chat/chat.h"
#include "dialects/media.h"

void thoughts_print(struct thoughts *t, const struct chat_event *e)
{
    bool thought = e->kind == CHAT_REASONING;
    if ((e->kind != CHAT_TEXT && !thought) || e->text.len == 0)
        return;
    if (thought && !t->open)
        (void)fputs("<think>\n", stdout);
    if (!thought)
        thoughts_end(t);
    t->open = thought;
    (void)fwrite(e->text.ptr, 1, e->text.len, stdout);
    (void)fflush(stdout);
}

void thoughts_end(struct thoughts *t)
{
    if (t->open)
        (void)fputs("\n</think>\n\n", stdout);
    t->open = false;
}

void thoughts_miss(const struct chat_event *e)
{
    struct buf name = {0};
    if (e->kind != CHAT_MEDIA)
        return;
    media_name(e, &name);
    (void)fprintf(stderr, "not shown, since it is no text: %s\n", buf_text(&name));
    buf_release(&name);
}
