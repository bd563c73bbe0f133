// pull.c - plans and carries out the download of one model.
#include "hub/pull.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/error.h"
#include "base/memory.h"
#include "hub/store_impl.h"
#include "local/formats/shown.h"

// A disk is not filled to its last byte: others need to write too.
enum { ROUNDS_MAX = 3, RESERVE_BYTES = 1 << 20 };

static bool check_words(const char *revision, const char *name, struct error *err)
{
    if (revision && !name_is_revision(revision))
        return error_set(err, ERR_USAGE, "--revision: '%s' is none",
                         shown_name(slice_str(revision)).text);
    if (name && !name_is_stored(name))
        return error_set(
            err, ERR_USAGE,
            "--name: '%s' cannot be one: lower case letters, digits, '.', '_' and '-', "
            "not at its start",
            shown_name(slice_str(name)).text);
    return true;
}

static bool choose_name(struct pull *p, const char *name, struct error *err)
{
    if (name)
        (void)snprintf(p->name, sizeof p->name, "%s", name);
    else
        name_of_repo(p->repo.repo, p->name);
    if (!name_is_stored(p->name))
        return error_set(err, ERR_USAGE,
                         "%s gives no name that can be used: choose one with --name", p->repo.repo);
    return store_check_name(p->store, p->name, p->repo.repo, err);
}

bool pull_plan(struct pull *p, struct hub *h, const struct store *s,
               const struct hub_reference *ref, const char *revision, const char *name,
               struct error *err)
{
    *p = (struct pull){.store = s, .hub = h};
    if (!check_words(revision, name, err) ||
        !hub_repo_resolve(h, ref->repo, revision, &p->repo, err) ||
        !hub_choose(&p->repo, ref->quant, &p->choice, err) || !choose_name(p, name, err))
        return false;
    p->files = memory_array(struct download_file, p->choice.n_files);
    for (size_t i = 0; i < p->choice.n_files; i++)
        p->files[i].file = p->choice.files[i];
    p->n_missing = download_missing(s, p->files, p->choice.n_files);
    return true;
}

void pull_release(struct pull *p)
{
    free(p->files);
    hub_choice_release(&p->choice);
    hub_repo_release(&p->repo);
    *p = (struct pull){0};
}

static bool check_space(const struct pull *p, struct error *err)
{
    struct statvfs fs;
    uint64_t need = download_space(p->store, p->files, p->choice.n_files);
    if (need == 0 || statvfs(p->store->root, &fs) != 0)
        return true;
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes >= need && free_bytes - need >= RESERVE_BYTES + need / 100)
        return true;
    return error_set(err, ERR_IO,
                     "%s: %.1f MB are still to be stored, and the disk of '%s' has %.1f MB free",
                     p->repo.repo, (double)need / 1e6, shown_path(p->store->root).text,
                     (double)free_bytes / 1e6);
}

// What the name will be.
static void make_manifest(const struct pull *p, struct manifest *m)
{
    time_t now = time(NULL);
    struct tm utc;
    *m = (struct manifest){0};
    (void)snprintf(m->name, sizeof m->name, "%s", p->name);
    (void)snprintf(m->quant, sizeof m->quant, "%s", p->choice.quant);
    (void)snprintf(m->repo, sizeof m->repo, "%s", p->repo.repo);
    (void)snprintf(m->revision, sizeof m->revision, "%s", p->repo.revision);
    (void)snprintf(m->commit, sizeof m->commit, "%s", p->repo.commit);
    if (gmtime_r(&now, &utc))
        (void)strftime(m->pulled, sizeof m->pulled, "%Y-%m-%dT%H:%M:%SZ", &utc);
    m->n_files = p->choice.n_files;
    m->files = arena_new(&m->memory, struct manifest_file, m->n_files);
    for (size_t i = 0; i < m->n_files; i++) {
        const struct hub_file *f = p->files[i].file;
        m->files[i].path = arena_text(&m->memory, slice_str(f->path));
        m->files[i].bytes = f->bytes;
        memcpy(m->files[i].sha256, p->files[i].sha256, sizeof m->files[i].sha256);
        memcpy(m->files[i].git, f->git, sizeof m->files[i].git);
    }
}

bool pull_run(struct pull *p, const struct download_options *o, struct manifest *m,
              struct error *err)
{
    size_t n = p->choice.n_files;
    *m = (struct manifest){0};
    if (!store_prepare(p->store, err))
        return false;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        for (size_t i = 0; i < n; i++)
            p->files[i].sha256[0] = 0;
        (void)download_missing(p->store, p->files, n);
        if (!check_space(p, err) ||
            !download_run(p->hub, p->store, &p->repo, p->files, n, o, &p->n_received, err))
            return false;
        manifest_release(m);
        make_manifest(p, m);
        enum store_published done = store_publish(p->store, m, err);
        if (done != STORE_BLOBS_GONE)
            return done == STORE_PUBLISHED;
    }
    return error_set(err, ERR_IO, "%s: its files are removed as fast as they come", p->repo.repo);
}
