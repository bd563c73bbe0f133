#include "local/formats/tensor_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "local/formats/model_file.h"
#include "local/formats/shown.h"

static int by_name(const void *a, const void *b)
{
    const struct model_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static int by_address(const void *a, const void *b)
{
    const struct model_tensor *const *x = a, *const *y = b;
    const char *p = (*x)->data, *q = (*y)->data;
    return p < q ? -1 : p > q;
}

bool tensor_index_build(struct tensor_index *x, const struct model_tensor *tensors, size_t n,
                        struct error *err)
{
    x->by_name = memory_array(const struct model_tensor *, n);
    x->n = n;
    for (size_t i = 0; i < n; i++)
        x->by_name[i] = &tensors[i];
    qsort(x->by_name, n, sizeof *x->by_name, by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(x->by_name[i - 1]->name, x->by_name[i]->name) == 0)
            return error_set(err, ERR_FORMAT, "tensor '%s': appears twice",
                             shown_name(slice_str(x->by_name[i]->name)).text);
    return true;
}

void tensor_index_release(struct tensor_index *x)
{
    free(x->by_name);
    *x = (struct tensor_index){0};
}

const struct model_tensor *tensor_index_find(const struct tensor_index *x, const char *name)
{
    struct model_tensor wanted = {.name = name};
    const struct model_tensor *key = &wanted, *const *found = NULL;
    if (x->n)
        found = bsearch(&key, x->by_name, x->n, sizeof *x->by_name, by_name);
    return found ? *found : NULL;
}

bool tensor_index_check_overlap(const struct tensor_index *x, struct error *err)
{
    bool ok = true;
    const struct model_tensor **order = memory_array(const struct model_tensor *, x->n);
    if (x->n)
        memcpy(order, x->by_name, x->n * sizeof *order);
    qsort(order, x->n, sizeof *order, by_address);
    for (size_t i = 1; i < x->n && ok; i++) {
        const struct model_tensor *a = order[i - 1], *b = order[i];
        if ((size_t)((const char *)b->data - (const char *)a->data) < a->bytes)
            ok =
                error_set(err, ERR_FORMAT, "tensor '%s': its bytes overlap those of '%s'",
                          shown_name(slice_str(b->name)).text, shown_name(slice_str(a->name)).text);
    }
    free(order);
    return ok;
}
