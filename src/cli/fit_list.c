// fit_list.c - `hearth fit` without a model: open models by size, judged for this machine.
#include "cli/fit_list.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/shown_bytes.h"
#include "cli/command.h"
#include "local/eval/probe.h"
#include "local/models/footprint.h"
#include "local/quantize/mix.h"
#include "providers/fit.h"
#include "providers/model_list.h"

struct row {
    const struct listed_model *model;
    uint64_t parameters;
    struct fit_option fit;
};

static void judge(struct row *r, const struct fit_wish *wished, const struct fit_machine *m)
{
    struct model_facts *f = memory_array(struct model_facts, 1);
    struct footprint *p = memory_array(struct footprint, 1);
    struct fit_wish wish = *wished;
    wish.ctx = wish.ctx ? wish.ctx : LISTED_CTX;
    if (!wished->ctx && r->model->ctx < LISTED_CTX)
        wish.ctx = r->model->ctx;
    listed_model_facts(r->model, f);
    footprint_of_mix(f, mix_find(r->model->quant), p);
    r->parameters = listed_model_parameters(r->model, p);
    fit_place(f, p, &wish, m, &r->fit);
    free(f);
    free(p);
}

static json_t *row_json(const struct row *r, bool suggested)
{
    json_t *o = json_object();
    json_object_set_new(o, "repo", json_string(r->model->repo));
    json_object_set_new(o, "quant", json_string(r->model->quant));
    json_object_set_new(o, "license", json_string(r->model->licence));
    json_object_set_new(o, "parameters", json_integer((json_int_t)r->parameters));
    json_object_set_new(o, "context", json_integer(r->model->ctx));
    json_object_set_new(o, "thinks", json_boolean(r->model->thinks));
    json_object_set_new(o, "weights_bytes", json_integer((json_int_t)r->fit.weights_bytes));
    json_object_set_new(o, "kv_bytes", json_integer((json_int_t)r->fit.kv_bytes));
    json_object_set_new(o, "fits", json_boolean(r->fit.fits));
    json_object_set_new(o, "suggested", json_boolean(suggested));
    json_object_set_new(o, "tokens_per_s",
                        r->fit.tokens_per_s > 0 ? json_real(r->fit.tokens_per_s) : json_null());
    return o;
}

static void print_row(const struct row *r, bool suggested)
{
    char name[80], speed[32] = "-";
    const struct fit_option *f = &r->fit;
    (void)snprintf(name, sizeof name, "%s:%s", r->model->repo, r->model->quant);
    if (f->tokens_per_s > 0)
        (void)snprintf(speed, sizeof speed, "%.1f", f->tokens_per_s);
    (void)printf(
        "%c %-48s %6.2f %10s %9s %9s %8d %-4s %8s %s\n", suggested ? '*' : ' ', name,
        (double)r->parameters / 1e9, r->model->licence, shown_bytes((double)f->weights_bytes).text,
        shown_bytes((double)(f->weights_bytes + f->kv_bytes + f->scratch_bytes)).text,
        r->model->ctx, f->fits ? "yes" : "no", speed, r->model->thinks ? "thinks first" : "");
}

static void print_table(const struct fit_machine *m, const struct fit_wish *wish,
                        const struct listed_model *suggested)
{
    fit_print_devices(m);
    (void)printf("\n  %-48s %6s %10s %9s %9s %8s %-4s %8s\n", "hearth pull", "10^9", "licence",
                 "download", "memory", "context", "fits", "tokens/s");
    struct row r = {0};
    for (size_t i = 0; (r.model = listed_model_at(i)); i++) {
        r.fit = (struct fit_option){0};
        judge(&r, wish, m);
        print_row(&r, r.model == suggested);
    }
    (void)printf("\nmemory: with %d tokens of context. Bytes are computed from shapes; `hearth fit "
                 "REPO` asks the hub.\n",
                 wish->ctx ? wish->ctx : LISTED_CTX);
    if (suggested)
        (void)printf("* suggested for this machine: hearth pull %s:%s\n", suggested->repo,
                     suggested->quant);
}

int fit_list_print(const struct fit_wish *wish, bool json)
{
    struct fit_machine m;
    fit_machine_read(&m, true);
    const struct listed_model *suggested =
        listed_model_suggest(m.device[0].free_bytes, probe_cores());
    if (!json) {
        print_table(&m, wish, suggested);
        return EXIT_DONE;
    }
    json_t *o = json_object(), *models = json_array();
    struct row r = {0};
    for (size_t i = 0; (r.model = listed_model_at(i)); i++) {
        r.fit = (struct fit_option){0};
        judge(&r, wish, &m);
        json_array_append_new(models, row_json(&r, r.model == suggested));
    }
    json_object_set_new(o, "devices", fit_devices_json(&m));
    json_object_set_new(o, "models", models);
    fit_print_json(o);
    return EXIT_DONE;
}
