// ledger_db.h - a database for a ledger's test: a file of SQLite, or a PostgreSQL server of its
// own, with a socket in a temporary folder and no port, that ends with the test.
#pragma once
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "ledger/ledger_impl.h"
#include "temp_folder.h"

struct ledger_db {
    char folder[256], where[512], program[512];
    pid_t server;  // 0: SQLite
};

static inline void ledger_db_sqlite(struct ledger_db *db)
{
    *db = (struct ledger_db){0};
    if (!folder_new(db->folder, sizeof db->folder))
        abort();
    (void)snprintf(db->where, sizeof db->where, "sqlite:%s/ledger.db", db->folder);
}

// Runs a program of PostgreSQL's as somebody who is not root, which it refuses, in silence.
static inline pid_t ledger_db_start(char *const argv[])
{
    pid_t child = fork();
    if (child != 0)
        return child;
    const struct passwd *other = geteuid() == 0 ? getpwnam("nobody") : NULL;
    if (other && (setgid(other->pw_gid) != 0 || setuid(other->pw_uid) != 0))
        _exit(1);
    (void)prctl(PR_SET_PDEATHSIG, SIGINT);
    if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr) || chdir("/") != 0)
        _exit(1);
    (void)setenv("LC_ALL", "C", 1);
    (void)execv(argv[0], argv);
    _exit(127);
}

static inline void ledger_db_run(struct ledger_db *db)
{
    char data[300];
    (void)snprintf(data, sizeof data, "%s/data", db->folder);
    char *const run[] = {db->program,          "-D", data,        "-k", db->folder,           "-c",
                         "listen_addresses=",  "-c", "fsync=off", "-c", "shared_buffers=8MB", "-c",
                         "max_connections=40", NULL};
    db->server = ledger_db_start(run);
}

static inline void ledger_db_halt(struct ledger_db *db)
{
    (void)kill(db->server, SIGINT);  // it ends its connections, and then itself
    (void)waitpid(db->server, NULL, 0);
}

static inline void ledger_db_drop(struct ledger_db *db)
{
    if (db->server > 0)
        ledger_db_halt(db);
    temp_remove(db->folder);
}

// False where PostgreSQL or the ledger's driver is not installed.
static inline bool ledger_db_postgres(struct ledger_db *db)
{
    glob_t found;
    char initdb[512], data[300];
    struct error err;
    int status = 1;
    *db = (struct ledger_db){0};
    bool is_here = glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0;
    if (is_here)
        (void)snprintf(initdb, sizeof initdb, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    if (!is_here)
        return false;
    (void)snprintf(db->program, sizeof db->program, "%.*spostgres", (int)strlen(initdb) - 6,
                   initdb);
    (void)snprintf(db->folder, sizeof db->folder, "/tmp/hearth-pg-XXXXXX");
    if (!mkdtemp(db->folder) || chmod(db->folder, 0777) != 0)
        abort();
    (void)snprintf(data, sizeof data, "%s/data", db->folder);
    char *const make[] = {initdb,  "-D", data, "-U",   "hearth",     "-A",
                          "trust", "-N", "-E", "UTF8", "--locale=C", NULL};
    (void)waitpid(ledger_db_start(make), &status, 0);
    if (status != 0) {
        temp_remove(db->folder);
        return false;
    }
    ledger_db_run(db);
    (void)snprintf(db->where, sizeof db->where, "postgresql:///postgres?host=%s&user=hearth",
                   db->folder);
    for (int i = 0; i < 600; i++) {
        struct ledger *l = ledger_open(db->where, &err);
        ledger_close(l);
        if (l || err.code == ERR_UNSUPPORTED) {
            if (!l)
                ledger_db_drop(db);
            return l != NULL;
        }
        (void)usleep(50000);
    }
    (void)fprintf(stderr, "PostgreSQL did not start: %s\n", err.text);
    abort();
}

// The one that a test program works on, made and dropped around a group of its tests.
static struct ledger_db db;

static inline int ledger_db_setup(void **state)
{
    (void)state;
    ledger_db_sqlite(&db);
    return 0;
}

static inline int ledger_db_teardown(void **state)
{
    (void)state;
    ledger_db_drop(&db);
    return 0;
}
