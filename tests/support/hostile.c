#include "hostile.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"

static bool matches(const char *text, const char *want)
{
    if (strncmp(want, "...", 3) != 0)
        return strcmp(text, want) == 0;
    size_t n = strlen(text), m = strlen(want + 3);
    return n >= m && strcmp(text + n - m, want + 3) == 0;
}

static const char *wanted_error(const char *file, const struct hostile *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(table[i].file, file) == 0)
            return table[i].error;
    return NULL;
}

void check_hostile(const char *folder, const struct hostile *table, size_t n, hostile_open open_it)
{
    DIR *d = opendir(folder);
    const struct dirent *e;
    size_t n_failed = 0, n_wrong = 0;
    assert_non_null(d);
    while ((e = readdir(d))) {
        char path[1024];
        struct error err = {0};
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        const char *want = wanted_error(e->d_name, table, n);
        bool ok = open_it(path, &err);
        bool right = want ? !ok && matches(err.text, want) && !strchr(err.text, '\n') : ok;
        n_failed += want != NULL;
        n_wrong += !right;
        if (!right)
            print_error("%s: %s\n  wanted: %s\n", e->d_name, ok ? "opened" : err.text,
                        want ? want : "no error");
        if (!want && strncmp(e->d_name, "good", 4) != 0)
            fail_msg("%s: nothing says what its error must be", e->d_name);
    }
    (void)closedir(d);
    assert_int_equal(n_wrong, 0);
    assert_int_equal(n_failed, n);
}
