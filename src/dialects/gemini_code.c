#include "dialects/gemini_code.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "dialects/gemini.h"

enum { FENCE_MIN = 3 };

static const json_t *code_of(const json_t *part)
{
    return gemini_member(part, "executableCode", "executable_code", NULL);
}

static const json_t *result_of(const json_t *part)
{
    return gemini_member(part, "codeExecutionResult", "code_execution_result", NULL);
}

bool gemini_is_code(const json_t *part)
{
    return json_is_object(code_of(part)) || json_is_object(result_of(part));
}

static struct slice text_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_string(v) ? json_slice(v) : slice_str("");
}

// Longer than any run of backticks inside.
static size_t fence_of(struct slice text)
{
    size_t longest = 0, run = 0;
    for (size_t i = 0; i < text.len; i++) {
        run = text.ptr[i] == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest < FENCE_MIN ? FENCE_MIN : longest + 1;
}

static void write_fence(size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++)
        buf_char(out, '`');
}

static void write_fenced(struct slice language, struct slice text, struct buf *out)
{
    size_t fence = fence_of(text);
    buf_char(out, '\n');
    write_fence(fence, out);
    for (size_t i = 0; i < language.len; i++)
        if (isalnum((unsigned char)language.ptr[i]))
            buf_char(out, (char)tolower((unsigned char)language.ptr[i]));
    buf_char(out, '\n');
    buf_slice(out, text);
    if (text.len && text.ptr[text.len - 1] != '\n')
        buf_char(out, '\n');
    write_fence(fence, out);
    buf_char(out, '\n');
}

void gemini_code_text(const json_t *part, struct buf *out)
{
    const json_t *code = code_of(part), *result = result_of(part);
    struct slice language = text_of(code, "language"), outcome = text_of(result, "outcome");
    if (json_is_object(code)) {
        bool named = !slice_is(language, "LANGUAGE_UNSPECIFIED");
        write_fenced(named ? language : slice_str(""), text_of(code, "code"), out);
        return;
    }
    if (slice_is(outcome, "OUTCOME_FAILED"))
        buf_text_add(out, "\nThe code failed:\n");
    else if (slice_is(outcome, "OUTCOME_DEADLINE_EXCEEDED"))
        buf_text_add(out, "\nThe code took too long:\n");
    write_fenced(slice_str(""), text_of(result, "output"), out);
}
