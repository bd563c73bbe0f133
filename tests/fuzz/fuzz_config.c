// fuzz_config.c - any bytes as a configuration file: read, or refused in one line with a place.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_config(const struct config *c)
{
    for (size_t i = 0; i < c->n_routes; i++) {
        const struct config_route *r = &c->routes[i];
        check(config_find_route(c, r->name) == r && r->n_candidates > 0 && r->line > 0);
        for (size_t k = 0; k < r->n_candidates; k++)
            check(r->candidates[k].model[0] && r->candidates[k].weight >= 0 &&
                  !config_find_route(c, r->candidates[k].model));
    }
    for (size_t i = 0; i < c->n_providers; i++) {
        const struct config_provider *p = &c->providers[i];
        check(config_find_provider(c, p->name) == p && p->dialect && !(p->key_env && p->key_file));
        for (size_t k = 0; k < p->n_base_urls; k++)
            check(strncmp(p->base_urls[k], "http", 4) == 0);
    }
    for (size_t i = 0; i < c->n_redactions; i++)
        check(!c->redactions[i].pattern == (c->redactions[i].n_words > 0));
    check(c->port >= -1 && c->port <= 65535);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c;
    struct error err = {0};
    if (config_parse((const char *)data, size, "f", &c, &err)) {
        check_config(&c);
        config_release(&c);
        return 0;
    }
    check(err.code != ERR_NONE && strncmp(err.text, "f", 1) == 0 && !c.owned);
    check(strncmp(err.text, "f, line ", 8) == 0 || err.code == ERR_LIMIT);
    for (const char *at = err.text; *at; at++)
        check((unsigned char)*at >= 0x20 && *at != 0x7F);
    return 0;
}
