// redact_gather.c - every text of a request, one after the other.
#include "gateway/redact_impl.h"

static void gather_json(const json_t *v, struct buf *out)
{
    const char *key;
    size_t key_len, i;
    json_t *item;
    if (json_is_string(v)) {
        buf_slice(out, slice_of(json_string_value(v), json_string_length(v)));
        buf_char(out, '\n');
    }
    json_array_foreach(v, i, item) gather_json(item, out);
    json_object_keylen_foreach((json_t *)v, key, key_len, item)
    {
        buf_add(out, key, key_len);
        buf_char(out, '\n');
        gather_json(item, out);
    }
}

static void gather_text(struct slice text, struct buf *out)
{
    buf_slice(out, text);
    buf_char(out, '\n');
}

// Not what is only the vendor's (blobs): there placeholders of earlier requests may be, which stand
// for the same.
void redact_gather(const struct chat_request *in, struct buf *out)
{
    gather_text(in->text, out);
    for (size_t i = 0; i < in->n_messages; i++) {
        gather_text(in->messages[i].text, out);
        gather_json(in->messages[i].raw, out);
        gather_json(in->messages[i].parts, out);
    }
    for (size_t i = 0; i < in->n_inputs; i++)
        gather_text(in->inputs[i].text, out);
    for (size_t i = 0; i < in->n_prompts; i++)
        gather_text(in->prompts[i].text, out);
    for (size_t i = 0; i < in->sampling.n_stops; i++)
        gather_text(in->sampling.stops[i], out);
    gather_json(in->tools, out);
    gather_json(in->extras, out);
    gather_json(in->constraint.schema, out);
    gather_text(in->constraint.text, out);
}
