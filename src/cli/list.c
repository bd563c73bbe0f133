// list.c - `hearth list`: the models of the local store.
#include <stdio.h>
#include <string.h>

#include "base/shown_bytes.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/stored.h"

static void print_json(const struct store *store, const struct manifest_list *list)
{
    struct buf out = {0};
    json_t *all = json_array();
    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(all, stored_json(store, &list->items[i]));
    json_write(&out, all, JSON_STYLE_SPACED);
    (void)puts(buf_text(&out));
    buf_release(&out);
    json_decref(all);
}

static void print_lines(const struct manifest_list *list)
{
    int width = 0;
    char shown[MANIFEST_SHOWN_BYTES];
    for (size_t i = 0; i < list->n; i++) {
        manifest_shown(&list->items[i], shown);
        width = (int)strlen(shown) > width ? (int)strlen(shown) : width;
    }
    for (size_t i = 0; i < list->n; i++) {
        const struct manifest *m = &list->items[i];
        manifest_shown(m, shown);
        (void)printf("%-*s  %8s  %.10s %.5s  %s\n", width, shown,
                     shown_bytes((double)manifest_bytes(m)).text, m->pulled, m->pulled + 11,
                     m->repo);
    }
}

static int run(struct settings *s)
{
    struct store store;
    struct error err = {0};
    struct manifest_list list;
    if (!store_open(&store, &err))
        return fail_error(&err);
    store_list(&store, &list);
    if (s->json)
        print_json(&store, &list);
    else
        print_lines(&list);
    if (!list.n && !list.n_broken && !s->json && !s->quiet)
        (void)fprintf(stderr, "no models here yet (%s): `hearth pull` gets one\n", store.root);
    manifest_list_release(&list);
    return EXIT_DONE;
}

const struct command command_list = {
    .name = "list",
    .arguments = "",
    .summary = "the models of the local store",
    .description = "Prints a line for each model that was pulled: its name, its size, when it was "
                   "pulled (UTC), and the repository it comes from.",
    .options = "json",
    .min_words = 0,
    .max_words = 0,
    .run = run,
};
