// fuzz_template.c - any bytes as a template, rendered with a conversation that has some of
// everything. Bounds are small, so that reaching them is cheap: what must never happen is a
// crash, a hang, or memory beyond the bound. Every span of caller's bytes must lie in the text.
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/json.h"
#include "local/template/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char conversation[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\"be kind\"},{\"role\":\"user\",\"content\":"
    "\"Gr\u00fc\u00dfe <|x|> & \\n 'q'\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["
    "{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1.5,\"y\":[1,2,{\"z\":true}]}}}]},"
    "{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":\"part\"}]}],"
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],"
    "\"s\":\"Hello, World\",\"n\":7,\"f\":2.5,\"l\":[3,1,2],\"d\":{\"a\":1,\"b\":null},"
    "\"add_generation_prompt\":true,\"bos_token\":\"<s>\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static json_t *variables;
    static const struct template_limits limits = {
        .max_steps = 200000, .max_output = 1 << 18, .max_depth = 60, .now = 1717236489};
    struct error err = {0};
    struct rendered out = {0};
    if (!variables)
        variables = json_parse(slice_str(conversation), &err);
    assert(variables);
    struct template *t = template_open(slice_of((const char *)data, size), &err);
    if (!t) {
        assert(err.code != ERR_NONE && err.text[0]);
        return 0;
    }
    if (template_render(t, variables, &limits, &out, &err)) {
        size_t last = 0;
        assert(out.text.len <= limits.max_output);
        for (size_t i = 0; i < out.n_from_values; i++) {
            assert(out.from_values[i].start >= last);
            assert(out.from_values[i].start < out.from_values[i].end);
            last = out.from_values[i].end;
        }
        assert(last <= out.text.len);
    } else {
        assert(err.code != ERR_NONE && err.text[0]);
    }
    rendered_release(&out);
    template_close(t);
    return 0;
}
