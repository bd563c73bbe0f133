#include "dialects/media.h"

#include "base/buf.h"
#include "dialects/dialect.h"

enum { TYPE_MAX = 64 };

bool media_is_shown(const struct dialect *d, const struct chat_event *e)
{
    return d->shows == SHOWS_ALL ||
           (d->shows == SHOWS_IMAGES && slice_starts(e->media_type, slice_str("image/")));
}

static size_t bytes_of(struct slice base64)
{
    while (base64.len && base64.ptr[base64.len - 1] == '=')
        base64.len--;
    return base64.len * 3 / 4;
}

void media_name(const struct chat_event *e, struct buf *out)
{
    struct slice type = slice_sub(e->media_type, 0, TYPE_MAX);
    for (size_t i = 0; i < type.len; i++)
        buf_char(out, type.ptr[i] > ' ' && type.ptr[i] < 0x7f ? type.ptr[i] : '?');
    buf_printf(out, "%s%zu bytes", type.len ? ", " : "", bytes_of(e->media));
}

void media_note(const struct chat_event *e, struct buf *out)
{
    buf_text_add(out, "\n[left out, since answers of this format have no place for it: ");
    media_name(e, out);
    buf_text_add(out, "]\n");
}
