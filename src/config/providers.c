// providers.c - the sections "providers" and "redactions".
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/utf8.h"
#include "config/config.h"
#include "config/rows.h"
#include "config/sections.h"
#include "config/tree.h"

#define ROW(f, how, ...)                                                                           \
    {                                                                                              \
#f, how, offsetof(struct config_provider, f), __VA_ARGS__                                  \
    }
#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
enum { PROVIDER_NAME_BYTES = 63, URLS_MAX = 32, RULE_NAME_BYTES = 32, RULES_MAX = 256 };
enum { PATTERN_MAX_BYTES = 4096, WORD_MAX_BYTES = 4096 };

static bool read_dialect(struct reader *r, const struct row *m, const struct tree_node *v,
                         void *field)
{
    static const char *const names[] = {"openai", "anthropic", "gemini", "google"};
    for (size_t i = 0; v->kind == TREE_TEXT && i < COUNT(names); i++)
        if (slice_is(v->text, names[i])) {
            *(const char **)field = names[i];
            return true;
        }
    return reader_fault(r, v, "'%s' must be openai, anthropic or gemini", m->name);
}

// A variable's name: also what keeps most keys from being written here.
static bool read_key_env(struct reader *r, const struct row *m, const struct tree_node *v,
                         void *field)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    const char *name;
    if (!row_text(r, m, v, &name))
        return false;
    if (!*name || (*name >= '0' && *name <= '9') || name[strspn(name, letters)] ||
        row_looks_secret(name))
        return reader_fault(r, v,
                            "'%s' must be the name of a variable; the key itself is never written "
                            "here",
                            m->name);
    *(const char **)field = name;
    return true;
}

static bool check_url(struct reader *r, const struct tree_node *at, const char *url)
{
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    for (const unsigned char *c = (const unsigned char *)url; *c; c++)
        if (*c <= ' ' || *c >= 0x7F)
            scheme = 0;
    size_t host = scheme ? strcspn(url + scheme, "/?#") : 0;
    if (host == 0)
        return reader_fault(r, at, "'base_url' must be a web address, https://...");
    if (memchr(url + scheme, '@', host) || strpbrk(url, "?#"))
        return reader_fault(r, at,
                            "'base_url' must have no user, password, '?' or '#': a key goes by "
                            "key_env or key_file");
    return true;
}

static bool read_base_urls(struct reader *r, const struct row *m, const struct tree_node *v,
                           void *field)
{
    struct config_provider *p = field;
    if (p->n_base_urls)
        return reader_fault(r, v, "'base_url' and 'base_urls' are one: write only the second");
    if (!row_texts(r, m->name, v, URLS_MAX, &p->base_urls, &p->n_base_urls))
        return false;
    for (size_t i = 0; i < p->n_base_urls; i++)
        if (!check_url(r, v->kind == TREE_LIST ? v->items[i] : v, p->base_urls[i]))
            return false;
    return true;
}

static bool read_health(struct reader *r, const struct row *m, const struct tree_node *v,
                        void *field)
{
    const char *path = NULL;
    if (!row_text(r, m, v, &path))
        return false;
    for (const char *c = path; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '#')
            return reader_fault(r, v, "'health' must be a path of a URL, such as /health");
    *(const char **)field = path;
    return path[0] == '/' ||
           reader_fault(r, v, "'health' must begin with '/': it is a path on the host of base_url");
}

// What a provider must say that is not one of the three vendors.
static bool complete_provider(struct reader *r, const struct tree_node *key,
                              struct config_provider *p)
{
    static const char *const known[][2] = {
        {"openai", "openai"}, {"anthropic", "anthropic"}, {"google", "gemini"}};
    const char *own = NULL;
    for (size_t i = 0; i < COUNT(known); i++)
        if (strcmp(p->name, known[i][0]) == 0)
            own = known[i][1];
    if (p->key_env && p->key_file)
        return reader_fault(r, key, "'%s' has both key_env and key_file", p->name);
    if (p->health_every_s > 0 && !p->health)
        return reader_fault(r, key, "'%s' has 'health_every_s', but no 'health'", p->name);
    if (own && !p->dialect)
        p->dialect = own;
    if (!p->dialect)
        return reader_fault(r, key, "'%s' needs 'dialect': openai, anthropic or gemini", p->name);
    return own || p->n_base_urls || reader_fault(r, key, "'%s' needs 'base_url'", p->name);
}

static bool check_provider_name(struct reader *r, const struct tree_node *key)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    struct slice name = key->text;
    if (!name.len || name.len > PROVIDER_NAME_BYTES || name.ptr[0] == '.' ||
        name.ptr[strspn(name.ptr, letters)])
        return reader_fault(r, key,
                            "the name of a provider has from 1 to %d of a-z, 0-9, '-', '_', '.'",
                            PROVIDER_NAME_BYTES);
    return !slice_is(name, "local") || reader_fault(r, key, "local is this machine itself");
}

static bool read_provider(struct reader *r, const struct tree_node *key, const struct tree_node *v,
                          struct config_provider *p)
{
    static const struct row rows[] = {
        ROW(dialect, read_dialect, 0, 0),
        {"base_url", read_base_urls, 0, 0, 0},
        {"base_urls", read_base_urls, 0, 0, 0},
        ROW(key_env, read_key_env, 0, 0),
        ROW(key_file, row_path, 0, 0),
        ROW(ca_file, row_path, 0, 0),
        ROW(connect_s, row_number, 0.001, 86400),
        ROW(first_s, row_number, 0.001, 86400),
        ROW(between_s, row_number, 0.001, 86400),
        ROW(total_s, row_number, 0.001, 86400),
        ROW(retries, row_int, 0, 10),
        ROW(breaker_failures, row_int, 1, 1000),
        ROW(breaker_rest_s, row_number, 0.001, 86400),
        ROW(health, read_health, 0, 0),
        ROW(health_every_s, row_number, 0.01, 86400),
    };
    return check_provider_name(r, key) && rows_read(r, v, rows, COUNT(rows), "a provider", p) &&
           complete_provider(r, key, p);
}

bool section_providers(struct reader *r, const struct row *m, const struct tree_node *v, void *c)
{
    struct config *config = c;
    if (tree_is_null(v))
        return true;
    if (v->kind != TREE_MAP)
        return reader_fault(r, v, "'%s' must be a map from names to providers", m->name);
    config->providers = arena_new(r->arena, struct config_provider, v->n);
    for (size_t i = 0; i < v->n; i++) {
        const struct tree_node *key = v->items[2 * i];
        struct config_provider *p = &config->providers[i];
        *p = (struct config_provider){.name = arena_text(r->arena, key->text),
                                      .retries = -1,
                                      .line = key->line,
                                      .column = key->column};
        if (!read_provider(r, key, v->items[2 * i + 1], p))
            return false;
        config->n_providers++;
    }
    return true;
}

static bool read_words(struct reader *r, const struct row *m, const struct tree_node *v,
                       void *field)
{
    struct config_redaction *rule = field;
    if (!row_texts(r, m->name, v, TREE_MAX_NODES, &rule->words, &rule->n_words))
        return false;
    for (size_t i = 0; i < rule->n_words; i++) {
        size_t len = strlen(rule->words[i]);
        if (len > WORD_MAX_BYTES || !utf8_valid(rule->words[i], len))
            return reader_fault(r, v->kind == TREE_LIST ? v->items[i] : v,
                                "a word has at most %d bytes", WORD_MAX_BYTES);
    }
    return true;
}

static bool read_redaction(struct reader *r, const struct tree_node *v,
                           struct config_redaction *rule)
{
    static const struct row rows[] = {
        {"pattern", row_text, offsetof(struct config_redaction, pattern), 0, 0},
        {"words", read_words, 0, 0, 0},
    };
    if (!rows_read(r, v, rows, COUNT(rows), "a redaction", rule))
        return false;
    if (!rule->pattern == !rule->n_words)
        return reader_fault(r, v, "a redaction has either 'pattern' or 'words'");
    return !rule->pattern || (*rule->pattern && strlen(rule->pattern) <= PATTERN_MAX_BYTES) ||
           reader_fault(r, v, "a pattern has from 1 to %d bytes", PATTERN_MAX_BYTES);
}

// What stands for a text is made of the name: "[PHONE_NUMBER_1]" of "phone-number".
static bool check_rule_name(struct reader *r, const struct tree_node *key,
                            const struct config_redaction *before, size_t n)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if (!key->text.len || key->text.len > RULE_NAME_BYTES ||
        key->text.ptr[strspn(key->text.ptr, letters)])
        return reader_fault(r, key,
                            "the name of a redaction has from 1 to %d letters, digits, '-', '_'",
                            RULE_NAME_BYTES);
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(before[i].name, key->text.ptr) == 0)
            return reader_fault(r, key, "'%s' is here a second time, first in line %d",
                                key->text.ptr, before[i].line);
    return true;
}

bool section_redactions(struct reader *r, const struct row *m, const struct tree_node *v, void *c)
{
    struct config *config = c;
    if (tree_is_null(v))
        return true;
    if (v->kind != TREE_MAP)
        return reader_fault(r, v, "'%s' must be a map from names to rules", m->name);
    if (v->n > RULES_MAX)
        return reader_fault(r, v, "'%s' has more than %d rules", m->name, RULES_MAX);
    config->redactions = arena_new(r->arena, struct config_redaction, v->n);
    for (size_t i = 0; i < v->n; i++) {
        const struct tree_node *key = v->items[2 * i];
        struct config_redaction *rule = &config->redactions[i];
        if (!check_rule_name(r, key, config->redactions, i))
            return false;
        *rule = (struct config_redaction){
            .name = arena_text(r->arena, key->text), .line = key->line, .column = key->column};
        if (!read_redaction(r, v->items[2 * i + 1], rule))
            return false;
        config->n_redactions++;
    }
    return true;
}
