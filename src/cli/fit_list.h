// fit_list.h - the parts that `hearth fit` with and without a model share.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct fit_machine;
struct fit_wish;
struct json_t;

// `hearth fit` without a model: the list of open models with a context and type of keys
// and values; ctx 0: LISTED_CTX. Returns the status.
int fit_list_print(const struct fit_wish *wish, bool json);

struct json_t *fit_devices_json(const struct fit_machine *m);  // a new array
void fit_print_devices(const struct fit_machine *m);
void fit_print_json(struct json_t *o);  // prints the value and gives it back
