// fuzz_prices.c - any bytes as a price table, Hearth's or LiteLLM's, and as a decimal: read or
// refused; what is read keeps within its bounds, is written and read back the same.
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/decimal.h"
#include "base/error.h"
#include "gateway/price_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_price(const struct price_table *t, size_t i)
{
    const struct price *p = &t->items[i];
    check(p->rates.input >= 0 && p->rates.input <= PRICE_RATE_MAX && p->rates.output >= 0);
    check(p->context >= 0 && p->max_output >= 0 && price_day_good(p->from));
    check(price_table_find(t, p->provider, p->model, p->from) == p);
    for (int64_t prompt = 1; prompt < 2000000; prompt *= 7) {
        struct chat_usage u = {.prompt_tokens = prompt,
                               .cached_tokens = prompt / 3,
                               .cache_write_1h_tokens = prompt / 2,
                               .completion_tokens = prompt / 5,
                               .reasoning_tokens = prompt / 9};
        int64_t cost = price_of(p, &u);
        check(cost >= 0 && cost <= price_bound(p, prompt, prompt / 5, 1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    struct price_table t, again;
    struct error err = {0};
    int64_t value;
    (void)decimal_scaled(text, 12, &value, NULL);
    if (!price_table_read(&t, text, "fuzz", "2026-11-26", &err)) {
        check(err.code && err.text[0]);
        price_table_release(&t);
        return 0;
    }
    struct buf written = {0}, twice = {0};
    for (size_t i = 0; i < t.n; i++)
        check_price(&t, i);
    price_table_write(&t, &written);
    check(price_table_read(&again, buf_view(&written), "again", "2026-11-26", NULL) &&
          again.n == t.n);
    price_table_write(&again, &twice);
    check(slice_eq(buf_view(&written), buf_view(&twice)));
    buf_release(&written);
    buf_release(&twice);
    price_table_release(&t);
    price_table_release(&again);
    return 0;
}
