// charge.h - what tokens of this machine cost in the books, where the configuration charges for
// them (`cost:` with `charge:`); else they cost nothing there.
//
// From the same figures and by the same method as `hearth cost` (local_cost.h, docs/cost.md), but
// nothing is assumed: the configuration has them all. Threads: before prices are shared.
#pragma once

struct config_cost;
struct prices;

void charge_local(struct prices *p, const struct config_cost *f);
