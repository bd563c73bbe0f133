// keys.c - keys: made, revoked, and found by their hash in memory.
//
// A key is 256 random bits, so that a fast hash of it (SHA-256) is as safe to keep as a slow one:
// there is nothing to guess from. It is found by that hash, and hashes are compared in constant
// time. The writer reads what changed within LEDGER_POLL_MS; a key that nobody knows makes it look
// at once, so that a key just made elsewhere works, but not more often than that.
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "ledger/ledger_impl.h"
#include "ledger/money.h"
#include "ledger/sql.h"

enum {
    HASH_BYTES = 32,
    HASH_TEXT_BYTES = 65,
    RANDOM_LETTERS = 43,
    ID_LETTERS = 16,
    FIND_WAIT_MS = 100,
    FIND_PAUSE_S = 5,
};
static const char prefix[] = "sk-hearth-";

struct known_list {
    struct known_key **items;
    size_t n, capacity;
    int64_t changed;
};

static void known_free(struct known_key *k)
{
    if (!k)
        return;
    free(k->name);
    free(k->owner);
    free(k->models);
    free(k);
}

static void hash_text(const unsigned char hash[HASH_BYTES], char out[HASH_TEXT_BYTES])
{
    for (int i = 0; i < HASH_BYTES; i++)
        (void)snprintf(out + 2 * (ptrdiff_t)i, 3, "%02x", hash[i]);
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hash(const char *text, unsigned char hash[HASH_BYTES])
{
    for (int i = 0; i < HASH_BYTES; i++, text += 2) {
        if (hex(text[0]) < 0 || hex(text[1]) < 0)
            return false;
        hash[i] = (unsigned char)(hex(text[0]) * 16 + hex(text[1]));
    }
    return *text == 0;
}

// A row of KEY_COLUMNS. One whose texts are none (a damaged database) is nobody's key.
static void keep_key(void *self, const struct store_value *row, int n)
{
    struct known_list *all = self;
    unsigned char hash[HASH_BYTES];
    if (n != 22 || !row[1].text || !row[2].text || !row[3].text || !row[4].text || !row[5].text ||
        !row[6].text || row[0].number <= 0 || !read_hash(row[2].text, hash))
        return;
    struct known_key *k = memory_array(struct known_key, 1);
    memory_grow(all->items, all->capacity, all->n + 1);
    all->items[all->n++] = k;
    memcpy(k->hash, hash, sizeof hash);
    k->number = (uint64_t)row[0].number;
    (void)snprintf(k->id, sizeof k->id, "%s", row[1].text);
    (void)snprintf(k->hint, sizeof k->hint, "%s", row[3].text);
    k->name = memory_text(row[4].text);
    k->owner = memory_text(row[5].text);
    k->models = memory_text(row[6].text);
    k->created_s = row[7].number;
    k->expires_s = row[8].number;
    k->revoked_s = row[9].number;
    for (int i = 0; i < LEDGER_PERIODS; i++)
        k->budgets[i] = row[10 + i].number;
    k->requests_per_minute = row[13].number;
    k->tokens_per_minute = row[14].number;
    k->concurrency = (int)row[15].number;
    k->admin = row[16].number != 0;
    k->local_only = row[17].number != 0;
    k->priority = (int)row[18].number;
    k->weight = (int)row[19].number;
    k->share_prefixes = row[20].number != 0;
}

static void fill(const struct known_key *k, struct ledger_key *out)
{
    *out = (struct ledger_key){.created_s = k->created_s,
                               .expires_s = k->expires_s,
                               .revoked_s = k->revoked_s,
                               .budget_day = k->budgets[0],
                               .budget_month = k->budgets[1],
                               .budget_total = k->budgets[2],
                               .requests_per_minute = k->requests_per_minute,
                               .tokens_per_minute = k->tokens_per_minute,
                               .concurrency = k->concurrency,
                               .admin = k->admin,
                               .local_only = k->local_only,
                               .priority = k->priority,
                               .weight = k->weight,
                               .share_prefixes = k->share_prefixes,
                               .number = k->number};
    memcpy(out->id, k->id, sizeof out->id);
    memcpy(out->hint, k->hint, sizeof out->hint);
    (void)snprintf(out->name, sizeof out->name, "%s", k->name);
    (void)snprintf(out->owner, sizeof out->owner, "%s", k->owner);
    (void)snprintf(out->models, sizeof out->models, "%s", k->models);
}

static size_t bucket_of(const struct ledger *l, const unsigned char hash[HASH_BYTES])
{
    uint64_t first;
    memcpy(&first, hash, sizeof first);
    return first & (l->n_buckets - 1);
}

static void insert(struct ledger *l, struct known_key *k)
{
    k->next = l->buckets[bucket_of(l, k->hash)];
    l->buckets[bucket_of(l, k->hash)] = k;
    l->n_keys++;
}

static void widen(struct ledger *l, size_t n)
{
    struct known_key **old = l->buckets;
    size_t n_old = l->n_buckets;
    if (n_old >= n)
        return;
    l->n_buckets = n_old ? n_old : 64;
    while (l->n_buckets < n)
        l->n_buckets *= 2;
    l->buckets = memory_array(struct known_key *, l->n_buckets);
    l->n_keys = 0;
    for (size_t i = 0; i < n_old; i++)
        for (struct known_key *k = old[i], *next; k; k = next) {
            next = k->next;
            insert(l, k);
        }
    free(old);
}

static struct known_key **find(struct ledger *l, const unsigned char hash[HASH_BYTES])
{
    struct known_key **at = &l->buckets[bucket_of(l, hash)];
    while (*at && CRYPTO_memcmp((*at)->hash, hash, HASH_BYTES) != 0)
        at = &(*at)->next;
    return at;
}

void keys_forget(struct ledger *l)
{
    for (size_t i = 0; i < l->n_buckets; i++)
        for (struct known_key *k = l->buckets[i], *next; k; k = next) {
            next = k->next;
            known_free(k);
        }
    free(l->buckets);
    l->buckets = NULL;
    l->n_buckets = l->n_keys = 0;
}

bool keys_refresh(struct ledger *l, int64_t since, struct error *err)
{
    struct known_list all = {0};
    struct store_value v = {.number = since};
    bool ok = l->ops->run(l->store, sql_keys_since, &v, 1, keep_key, &all, err);
    pthread_mutex_lock(&l->lock);
    if (ok && since < 0)
        keys_forget(l);
    if (ok)
        widen(l, l->n_keys + all.n + 1);
    for (size_t i = 0; i < all.n; i++) {
        struct known_key *k = all.items[i], **at = ok ? find(l, k->hash) : NULL;
        if (at && *at) {
            k->next = (*at)->next;
            known_free(*at);
            *at = k;
        } else if (at) {
            insert(l, k);
        } else {
            known_free(k);
        }
    }
    if (l->n_keys)
        atomic_store(&l->has_keys, true);
    pthread_mutex_unlock(&l->lock);
    free(all.items);
    return ok;
}

bool ledger_has_keys(struct ledger *l)
{
    return atomic_load(&l->has_keys);
}

// The writer looks at the database, and this waits until it has, or cannot. With the lock held.
static bool look_now(struct ledger *l, int wait_ms)
{
    uint64_t mine = ++l->poll_asked;
    int64_t until = clock_ns() + wait_ms * INT64_C(1000000);
    struct timespec t = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    pthread_cond_signal(&l->work);
    while (l->poll_done < mine && !l->failing)
        if (pthread_cond_timedwait(&l->progress, &l->lock, &t) == ETIMEDOUT)
            break;
    return l->poll_done >= mine;
}

static const struct known_key *find_known(struct ledger *l, const unsigned char hash[HASH_BYTES])
{
    return l->n_buckets ? *find(l, hash) : NULL;
}

static bool unreadable(struct ledger *l, struct error *err)
{
    error_set(err, ERR_BUSY, "the keys cannot be read at the moment");
    if (err)
        err->retry_after_s = 1;
    (void)l;
    return false;
}

bool ledger_key_find(struct ledger *l, const char *secret, size_t secret_len,
                     struct ledger_key *out, struct error *err)
{
    const int64_t second = 1000000000;
    unsigned char hash[HASH_BYTES];
    (void)SHA256((const unsigned char *)secret, secret_len, hash);
    pthread_mutex_lock(&l->lock);
    const struct known_key *k = find_known(l, hash);
    int64_t now_ns = ledger_kernel_ns(), now_s = ledger_now_s(l);
    if (!k && now_ns - l->forced_ns > LEDGER_POLL_MS * INT64_C(1000000)) {
        // Who asks may be the thread that serves everybody: a database that hangs is not waited for
        // again and again.
        l->forced_ns = now_ns;
        if (!look_now(l, FIND_WAIT_MS))
            l->forced_ns = now_ns + FIND_PAUSE_S * second;
        k = find_known(l, hash);
    }
    // A known key serves for a while without the database; an unknown one may be new in it.
    int64_t age_ns = ledger_kernel_ns() - l->keys_read_ns;
    bool stale = age_ns > (k ? l->options.lease_s : 2) * second;
    bool good = k && !k->revoked_s && (!k->expires_s || now_s < k->expires_s);
    if (good && !stale)
        fill(k, out);
    pthread_mutex_unlock(&l->lock);
    if (stale)
        return unreadable(l, err);
    return good || error_set(err, ERR_KEY, "this key is not valid");
}

// Random bytes as digits of base 62, the last first: a long division of the whole.
static void random_letters(char *out, size_t n)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    unsigned char bytes[HASH_BYTES];
    ssize_t got = getrandom(bytes, sizeof bytes, 0);
    assert(got == (ssize_t)sizeof bytes);
    (void)got;
    for (size_t i = 0; i < n; i++) {
        unsigned int rest = 0;
        for (size_t b = 0; b < sizeof bytes; b++) {
            rest = rest * 256 + bytes[b];
            bytes[b] = (unsigned char)(rest / 62);
            rest %= 62;
        }
        out[i] = digits[rest];
    }
    out[n] = 0;
    OPENSSL_cleanse(bytes, sizeof bytes);
}

static bool plain_text(const char *text, size_t capacity, const char *what, struct error *err)
{
    size_t n = strnlen(text, capacity);
    if (n == capacity)
        return error_set(err, ERR_USAGE, "a key's %s is at most %zu bytes long", what,
                         capacity - 1);
    bool ok = utf8_valid(text, n);
    for (size_t i = 0; i < n; i++)
        ok = ok && (unsigned char)text[i] >= 0x20 && text[i] != 0x7F;
    return ok || error_set(err, ERR_USAGE, "a key's %s is text without control characters", what);
}

static bool check_new(const struct ledger_key *in, struct error *err)
{
    if (!plain_text(in->name, sizeof in->name, "name", err) ||
        !plain_text(in->owner, sizeof in->owner, "owner", err) ||
        !plain_text(in->models, sizeof in->models, "list of models", err))
        return false;
    if (!in->name[0])
        return error_set(err, ERR_USAGE, "a key needs a name");
    const int64_t budgets[] = {in->budget_day, in->budget_month, in->budget_total};
    for (int i = 0; i < LEDGER_PERIODS; i++)
        if (budgets[i] < -1 || budgets[i] > MONEY_MAX)
            return error_set(err, ERR_USAGE, "a budget is between 0 and 4000000 dollars");
    if (in->requests_per_minute < 0 || in->tokens_per_minute < 0 || in->concurrency < 0 ||
        in->expires_s < 0)
        return error_set(err, ERR_USAGE, "a key's bounds are not negative");
    if (in->priority < -LEDGER_PRIORITY_MAX || in->priority > LEDGER_PRIORITY_MAX)
        return error_set(err, ERR_USAGE, "a key's priority is between -%d and %d",
                         LEDGER_PRIORITY_MAX, LEDGER_PRIORITY_MAX);
    if (in->weight < 0 || in->weight > LEDGER_WEIGHT_MAX)
        return error_set(err, ERR_USAGE, "a key's weight is between 1 and %d", LEDGER_WEIGHT_MAX);
    return true;
}

static void keep_number(void *self, const struct store_value *row, int n)
{
    if (n)
        *(int64_t *)self = row[0].number;
}

// The first number of a database; others follow it. No two databases count from the same one: what
// a process still has of a file that was replaced is nobody's in the next, and not that of whoever
// has the same place there.
static int64_t first_number(void)
{
    uint64_t bits = 0;
    ssize_t got = getrandom(&bits, sizeof bits, 0);
    assert(got == (ssize_t)sizeof bits);
    (void)got;
    return (int64_t)(bits >> 12 | 1);
}

static bool insert_key(struct ledger *l, struct store *s, struct ledger_key *k, const char *hash,
                       struct error *err)
{
    int64_t number = 0, changed = 0;
    if (!l->ops->run(s, sql_keys_change, NULL, 0, keep_number, &changed, err) ||
        !l->ops->run(s, sql_key_number, NULL, 0, keep_number, &number, err))
        return false;
    if (number == 0)
        number = first_number();
    k->number = (uint64_t)number;
    struct store_value v[] = {{.number = number},
                              {.text = k->id},
                              {.text = hash},
                              {.text = k->hint},
                              {.text = k->name},
                              {.text = k->owner},
                              {.text = k->models},
                              {.number = k->created_s},
                              {.number = k->expires_s},
                              {.number = 0},
                              {.number = k->budget_day},
                              {.number = k->budget_month},
                              {.number = k->budget_total},
                              {.number = k->requests_per_minute},
                              {.number = k->tokens_per_minute},
                              {.number = k->concurrency},
                              {.number = k->admin},
                              {.number = k->local_only},
                              {.number = k->priority},
                              {.number = k->weight},
                              {.number = k->share_prefixes},
                              {.number = changed}};
    return l->ops->run(s, sql_key_insert, v, 22, NULL, NULL, err);
}

// What was changed through the second connection is known to this process when this returns.
static void know(struct ledger *l)
{
    pthread_mutex_lock(&l->lock);
    (void)look_now(l, 2000);
    pthread_mutex_unlock(&l->lock);
}

bool ledger_key_create(struct ledger *l, const struct ledger_key *in,
                       char secret[LEDGER_SECRET_BYTES], struct ledger_key *out, struct error *err)
{
    unsigned char hash[HASH_BYTES];
    char text[HASH_TEXT_BYTES];
    secret[0] = 0;
    if (!check_new(in, err))
        return false;
    struct ledger_key *k = memory_array(struct ledger_key, 1);
    *k = *in;
    (void)snprintf(secret, LEDGER_SECRET_BYTES, "%s", prefix);
    random_letters(secret + sizeof prefix - 1, RANDOM_LETTERS);
    (void)SHA256((const unsigned char *)secret, strlen(secret), hash);
    hash_text(hash, text);
    (void)snprintf(k->hint, sizeof k->hint, "%s", secret + strlen(secret) - 4);
    (void)snprintf(k->id, sizeof k->id, "key_");
    random_letters(k->id + 4, ID_LETTERS);
    pthread_mutex_lock(&l->lock);
    k->created_s = ledger_now_s(l);
    pthread_mutex_unlock(&l->lock);
    k->revoked_s = 0;
    k->weight = k->weight ? k->weight : 1;
    struct store *s = ledger_second(l, err);
    bool ok = s && l->ops->script(s, l->ops->begin, err) && insert_key(l, s, k, text, err) &&
              l->ops->script(s, "COMMIT", err);
    if (s && !ok)
        (void)l->ops->script(s, "ROLLBACK", NULL);
    ledger_second_end(l);
    if (ok)
        know(l);
    else
        OPENSSL_cleanse(secret, LEDGER_SECRET_BYTES);
    if (ok && out)
        *out = *k;
    free(k);
    return ok;
}

bool ledger_keys(struct ledger *l, struct ledger_key **keys, size_t *n, struct error *err)
{
    struct known_list all = {0};
    struct store_value v = {.number = -1};
    struct store *s = ledger_second(l, err);
    bool ok = s && l->ops->run(s, sql_keys_since, &v, 1, keep_key, &all, err);
    ledger_second_end(l);
    *keys = ok ? memory_array(struct ledger_key, all.n + 1) : NULL;
    *n = ok ? all.n : 0;
    for (size_t i = 0; i < all.n; i++) {
        if (ok)
            fill(all.items[i], &(*keys)[i]);
        known_free(all.items[i]);
    }
    free(all.items);
    return ok;
}

static bool revoke(struct ledger *l, struct store *s, const char *id, int64_t now_s,
                   struct error *err)
{
    int64_t changed = 0, number = 0;
    if (!l->ops->run(s, sql_keys_change, NULL, 0, keep_number, &changed, err))
        return false;
    struct store_value v[] = {{.text = id}, {.number = now_s}, {.number = changed}};
    if (!l->ops->run(s, sql_key_revoke, v, 3, keep_number, &number, err))
        return false;
    return number || error_set(err, ERR_NOT_FOUND, "there is no key '%.40s'", id);
}

bool ledger_key_revoke(struct ledger *l, const char *id, struct error *err)
{
    if (strlen(id) >= LEDGER_ID_BYTES || !utf8_valid(id, strlen(id)))
        return error_set(err, ERR_NOT_FOUND, "there is no such key");
    pthread_mutex_lock(&l->lock);
    int64_t now_s = ledger_now_s(l);
    pthread_mutex_unlock(&l->lock);
    struct store *s = ledger_second(l, err);
    bool ok = s && l->ops->script(s, l->ops->begin, err) && revoke(l, s, id, now_s, err) &&
              l->ops->script(s, "COMMIT", err);
    if (s && !ok)
        (void)l->ops->script(s, "ROLLBACK", NULL);
    ledger_second_end(l);
    if (ok)
        know(l);
    return ok;
}
