// anthropic_models.c - GET /v1/models and /v1/models/{id} of who sends "anthropic-version".
//
// The list is one page, whatever was asked for.
// Source: the types of the official Python package `anthropic` 2.14, types/model_info.py.
#include <time.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/anthropic.h"
#include "dialects/dialect.h"

static void write_model(const struct dialect_model *m, struct buf *out)
{
    char when[32] = "1970-01-01T00:00:00Z";  // the vendor's word for what is not known
    time_t seconds = (time_t)m->created;
    struct tm utc;
    if (gmtime_r(&seconds, &utc))
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    buf_text_add(out, "{\"type\":\"model\",\"id\":");
    json_write_text(out, slice_str(m->id));
    buf_text_add(out, ",\"display_name\":");
    json_write_text(out, slice_str(m->id));
    buf_printf(out, ",\"created_at\":\"%s\",\"lifecycle\":\"active\"", when);
    if (m->context > 0)
        buf_printf(out, ",\"max_input_tokens\":%d,\"max_tokens\":%d", m->context, m->context);
    buf_char(out, '}');
}

static void write_id(const char *key, const struct dialect_model *m, struct buf *out)
{
    buf_printf(out, ",\"%s\":", key);
    if (m)
        json_write_text(out, slice_str(m->id));
    else
        buf_text_add(out, "null");
}

static void write_models(const struct dialect_model *models, size_t n, struct buf *out)
{
    buf_text_add(out, "{\"data\":[");
    dialect_write_each(models, n, write_model, out);
    buf_text_add(out, "],\"has_more\":false");
    write_id("first_id", n ? &models[0] : NULL, out);
    write_id("last_id", n ? &models[n - 1] : NULL, out);
    buf_char(out, '}');
}

const struct dialect dialect_anthropic_models = {
    .name = "anthropic_models",
    .id_header = "request-id",
    .limits = LIMITS_ANTHROPIC,
    .write_models = write_models,
    .write_model = write_model,
    .write_error = anthropic_write_error,
};
