// openai_models.c - GET /v1/models and /v1/models/{id}, but for those who send another vendor's
// headers (server/routes.c).
#include <inttypes.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/openai.h"

static void write_model(const struct dialect_model *m, struct buf *out)
{
    buf_text_add(out, "{\"id\":");
    json_write_text(out, slice_str(m->id));
    buf_printf(out, ",\"object\":\"model\",\"created\":%" PRId64 ",\"owned_by\":", m->created);
    json_write_text(out, slice_str(m->owner));
    if (m->context > 0)  // as vLLM tells it
        buf_printf(out, ",\"max_model_len\":%d", m->context);
    buf_char(out, '}');
}

static void write_models(const struct dialect_model *models, size_t n, struct buf *out)
{
    buf_text_add(out, "{\"object\":\"list\",\"data\":[");
    dialect_write_each(models, n, write_model, out);
    buf_text_add(out, "]}");
}

static const struct dialect_route routes[] = {
    {"GET", "/v1/models", DIALECT_MODELS},
    {"GET", "/v1/models/*", DIALECT_MODEL},
    {0},
};
const struct dialect dialect_openai_models = {
    .name = "openai_models",
    .routes = routes,
    .id_header = "x-request-id",
    .write_models = write_models,
    .write_model = write_model,
    .write_error = openai_write_error,
};
