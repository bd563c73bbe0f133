// config.h - the configuration file, read into plain values; it builds nothing.
//
// One YAML file (libyaml): --config, else $XDG_CONFIG_HOME/hearth/hearth.yaml (HEARTH_HOME moves
// it). Secrets are named by variable or file, never written in it. Unknown members, wrong types and
// names that nobody defines are errors with line and column. Threads: read only once it is read.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct error;

enum config_policy {
    POLICY_FIXED,  // in the order written
    POLICY_LOCAL_ONLY,
    POLICY_LOCAL_FIRST,  // vendors when the local queue is longer than spill_queue, or cannot
    POLICY_CHEAPEST,
    POLICY_FASTEST,  // as measured
    POLICY_WEIGHTED,
};
struct config_candidate {
    const char *model;  // a model reference: "local/...", a path, "openai/gpt-4o-mini"; no route
    int weight;         // 1 unless written; 0: only after all others
    int line, column;
};
struct config_route {
    const char *name;
    struct config_candidate *candidates;
    size_t n_candidates;
    enum config_policy policy;
    bool local_only;  // no byte of its requests leaves, whatever the candidates are
    int spill_queue;  // of POLICY_LOCAL_FIRST; 0 unless written
    bool redact;      // true unless written: apply the redaction rules to what leaves
    int line, column;
};
struct config_provider {
    const char *name, *dialect;  // "openai", "anthropic", "gemini" (also "google")
    const char **base_urls;      // replicas; none: the vendor's own
    size_t n_base_urls;
    const char *key_env, *key_file, *ca_file;                       // NULL: none
    double connect_s, first_s, between_s, total_s, breaker_rest_s;  // 0: default
    int retries;                                                    // -1: default
    int breaker_failures;                                           // 0: default
    const char *health;     // a path that is asked now and then; NULL: none
    double health_every_s;  // 0: default
    int line, column;
};
struct config_redaction {
    const char *name;     // what stands in its place: "[EMAIL_1]" for "email"
    const char *pattern;  // PCRE2, UTF-8; or NULL:
    const char **words;   // exact texts
    size_t n_words;
    int line, column;
};
struct config_speed {        // of a model on this machine, in tokens a second
    const char *model;       // "qwen:q8_0"; "*": of those that are not named
    double prefill, decode;  // above 0
};
struct config_cost {  // what this machine costs; negative: not stated
    double watts, usd_per_kwh, hardware_usd, hardware_years, usd_per_hour, utilization;
    // Whose tokens are charged for in the books; where there are any, what the machine costs is
    // stated.
    struct config_speed *charge;
    size_t n_charge;
};
struct config {
    const char *path;           // NULL: there was no file
    const char *default_model;  // NULL: none
    struct config_route *routes;
    size_t n_routes;
    struct config_provider *providers;
    size_t n_providers;
    struct config_redaction *redactions;
    size_t n_redactions;
    struct config_cost cost;
    const char *ledger;  // NULL: sqlite
    const char *prices;  // a file; NULL: the default
    int prices_line, prices_column;
    const char *egress_log;  // a file; NULL: egress.log in Hearth's data folder; "": none
    bool allow_vendors;      // vendors' models over HTTP without a route
    const char *host;        // NULL: not written
    int port;                // -1: not written
    void *owned;             // what the texts live in
};
// path NULL: the default, which need not exist. False with err (ERR_FORMAT, ERR_USAGE: line and
// column named; ERR_IO).
bool config_read(const char *path, struct config *out, struct error *err);
// The same from a text; `name` is what errors call it.
bool config_parse(const char *text, size_t len, const char *name, struct config *out,
                  struct error *err);
void config_release(struct config *c);
// NULL if there is none of that name.
const struct config_route *config_find_route(const struct config *c, const char *name);
const struct config_provider *config_find_provider(const struct config *c, const char *name);
// For what is found wrong only later: puts "FILE, line L, column C: " before err's text, keeps its
// code. Returns false.
bool config_wrap(const struct config *c, int line, int column, struct error *err);
