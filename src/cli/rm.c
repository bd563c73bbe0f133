// rm.c - `hearth rm`: names out of the local store, and what only they used.
#include <stdio.h>

#include "base/shown_bytes.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "hub/store.h"

static bool remove_one(const struct settings *s, const struct store *store, const char *reference,
                       struct error *err)
{
    struct manifest m;
    char shown[MANIFEST_SHOWN_BYTES];
    uint64_t freed = 0;
    bool ok = store_find(store, reference, &m, err) && store_remove(store, &m, &freed, err);
    if (ok && !s->quiet) {
        manifest_shown(&m, shown);
        (void)fprintf(stderr, "removed %s, %s freed\n", shown, shown_bytes((double)freed).text);
    }
    manifest_release(&m);
    return ok;
}

static int run(struct settings *s)
{
    struct store store;
    struct error err = {0};
    int status = EXIT_DONE;
    if (!store_open(&store, &err))
        return fail_error(&err);
    for (size_t i = 0; i < s->words_given.n; i++)
        if (!remove_one(s, &store, s->words_given.items[i], &err))
            status = fail(EXIT_FAILED, &err);
    return status;
}

const struct command command_rm = {
    .name = "rm",
    .arguments = "NAME...",
    .summary = "removes models from the local store",
    .description = "Removes names as `hearth list` prints them, and the files that no other name "
                   "uses. A name without quantization means the only one there is.",
    .options = "",
    .min_words = 1,
    .max_words = -1,
    .run = run,
};
