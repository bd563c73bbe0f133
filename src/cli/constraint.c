#include "cli/constraint.h"

#include "base/error.h"
#include "base/json.h"
#include "base/mapping.h"
#include "cli/command.h"

enum { CONSTRAINT_BYTES_MAX = 1 << 20 };

bool constraint_from(struct chat_constraint *out, const struct settings *s,
                     struct constraint_source *source, struct error *err)
{
    *out = (struct chat_constraint){0};
    if ((s->schema != NULL) + (s->grammar != NULL) + (s->regex != NULL) > 1)
        return error_set(err, ERR_USAGE, "only one of --schema, --grammar and --regex");
    if (s->schema) {
        out->kind = CONSTRAINT_JSON_SCHEMA;
        source->schema = json_read_file(s->schema, CONSTRAINT_BYTES_MAX, err);
        out->schema = source->schema;
        return source->schema != NULL;
    }
    if (s->grammar) {
        out->kind = CONSTRAINT_GBNF;
        if (!file_read(s->grammar, CONSTRAINT_BYTES_MAX, &source->text, err))
            return false;
        out->text = buf_view(&source->text);
    }
    if (s->regex) {
        out->kind = CONSTRAINT_REGEX;
        out->text = slice_str(s->regex);
    }
    return true;
}

void constraint_source_release(struct constraint_source *source)
{
    json_decref(source->schema);
    buf_release(&source->text);
    *source = (struct constraint_source){0};
}
