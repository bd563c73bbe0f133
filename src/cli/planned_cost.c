#include "cli/planned_cost.h"

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "config/config.h"
#include "gateway/prices.h"
#include "summarize/summarize.h"

int64_t planned_cost(const struct settings *s, const struct summary *plan)
{
    struct config c;
    struct error err = {0};
    int64_t cost = -1;
    if (!config_read(s->config, &c, &err)) {
        log_warn("%s", err.text);
        return -1;
    }
    struct prices *all = prices_open(c.prices, &err);
    const char *named = model_option(s);
    const struct price *p = all && named ? prices_named(all, named) : NULL;
    p = !p && all ? prices_named(all, plan->model) : p;
    if (!all)
        log_warn("%s", err.text);
    if (p)
        cost = price_of_calls(p, plan->plan.calls, plan->plan.prompt_tokens,
                              plan->plan.completion_tokens);
    prices_free(all);
    config_release(&c);
    return cost;
}
