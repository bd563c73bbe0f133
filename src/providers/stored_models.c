#include "providers/stored_models.h"

#include <stdlib.h>

#include "base/memory.h"
#include "hub/store.h"

uint64_t stored_models_mark(void)
{
    struct store store;
    return store_open(&store, NULL) ? store_mark(&store) : 0;
}

char **stored_models(size_t *n)
{
    struct store store;
    struct manifest_list list = {0};
    if (store_open(&store, NULL))
        store_list(&store, &list);
    char **names = memory_array(char *, list.n + 1);
    for (size_t i = 0; i < list.n; i++) {
        char shown[MANIFEST_SHOWN_BYTES];
        manifest_shown(&list.items[i], shown);
        names[i] = memory_text(shown);
    }
    *n = list.n;
    manifest_list_release(&list);
    return names;
}

void stored_models_free(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}
