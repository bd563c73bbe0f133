// gemini_models.c - GET /v1beta/models and /v1beta/models/MODEL; the same below /v1 of who sends
// Google's headers (server/routes.c).
#include "base/buf.h"
#include "base/json.h"
#include "dialects/gemini.h"

static void write_model(const struct dialect_model *m, struct buf *out)
{
    struct buf name = {0};
    buf_printf(&name, "models/%s", m->id);
    buf_text_add(out, "{\"name\":");
    json_write_text(out, buf_view(&name));
    buf_text_add(out, ",\"displayName\":");
    json_write_text(out, slice_str(m->id));
    if (m->context > 0)
        buf_printf(out, ",\"inputTokenLimit\":%d,\"outputTokenLimit\":%d", m->context, m->context);
    buf_text_add(
        out,
        ",\"supportedGenerationMethods\":[\"generateContent\",\"countTokens\",\"embedContent\"]}");
    buf_release(&name);
}

static void write_models(const struct dialect_model *models, size_t n, struct buf *out)
{
    buf_text_add(out, "{\"models\":[");
    dialect_write_each(models, n, write_model, out);
    buf_text_add(out, "]}");
}

static const struct dialect_route routes[] = {
    {"GET", "/v1beta/models", DIALECT_MODELS}, {"GET", "/v1beta/models/*", DIALECT_MODEL}, {0}};
const struct dialect dialect_gemini_models = {
    .name = "gemini_models",
    .routes = routes,
    .id_header = "x-request-id",
    .limits = LIMITS_NONE,
    .key_in_query = true,
    .write_models = write_models,
    .write_model = write_model,
    .write_error = gemini_write_error,
};
