/*
 * sqlite_storm DATABASE JOURNAL-MODE MMAP-BYTES PROCESSES ROWS
 *
 * Several processes write one sqlite database at once, a reader watches, and a writer is killed in the middle of a
 * transaction whose pages are in the file already. Then the database must be whole: every row of the writers, all or
 * nothing of the killed one's transactions, and sqlite's own check content.
 */
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 100, PATIENCE_MS = 120000, LOOK_EVERY_MS = 20, VICTIM = 1000, VICTIM_COMMITS = 3 };

static const char *database, *journal, *mmap_bytes;

static void fail(sqlite3 *db, const char *what) {
    fprintf(stderr, "sqlite_storm: %d: %s: %s\n", (int)getpid(), what, db ? sqlite3_errmsg(db) : "");
    exit(1);
}

static void run(sqlite3 *db, const char *sql) {
    if (sqlite3_exec(db, sql, 0, 0, 0) != SQLITE_OK) fail(db, sql);
}

/* The first column of the first row. */
static const char *ask(sqlite3 *db, const char *sql) {
    static char answer[200];
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, 0) != SQLITE_OK) fail(db, sql);
    if (sqlite3_step(statement) != SQLITE_ROW) fail(db, sql);
    snprintf(answer, sizeof answer, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return answer;
}

static sqlite3 *open_database(void) {
    sqlite3 *db;
    char sql[100];
    if (sqlite3_open(database, &db) != SQLITE_OK) fail(db, "open");
    sqlite3_busy_timeout(db, PATIENCE_MS);
    snprintf(sql, sizeof sql, "PRAGMA journal_mode=%s", journal);
    if (strcasecmp(ask(db, sql), journal) != 0) fail(db, sql);
    snprintf(sql, sizeof sql, "PRAGMA mmap_size=%s", mmap_bytes);
    if (strcmp(ask(db, sql), mmap_bytes) != 0) fail(db, sql);
    /* A small cache: what a transaction changes goes to the file before its end. */
    run(db, "PRAGMA cache_size=8; PRAGMA cache_spill=8");
    return db;
}

static void insert_batch(sqlite3 *db, int writer, int first, int tell) {
    sqlite3_stmt *statement;
    const char *sql = "INSERT INTO t(writer, number, text) VALUES(?, ?, hex(randomblob(60)))";
    run(db, "BEGIN IMMEDIATE");
    if (sqlite3_prepare_v2(db, sql, -1, &statement, 0) != SQLITE_OK) fail(db, sql);
    for (int row = 0; row < BATCH; row++) {
        sqlite3_bind_int(statement, 1, writer);
        sqlite3_bind_int(statement, 2, first + row);
        if (sqlite3_step(statement) != SQLITE_DONE) fail(db, sql);
        sqlite3_reset(statement);
        if (row == BATCH - 10 && tell >= 0) {
            if (write(tell, "x", 1) != 1) fail(0, "pipe");
            pause();
        }
    }
    sqlite3_finalize(statement);
    run(db, "COMMIT");
}

static void write_rows(int writer, int rows) {
    sqlite3 *db = open_database();
    for (int first = 0; first < rows; first += BATCH) insert_batch(db, writer, first, -1);
    sqlite3_close(db);
    exit(0);
}

/* Commits a few times, then says so in the middle of a transaction and waits to be killed. */
static void be_killed(int tell) {
    sqlite3 *db = open_database();
    for (int n = 0; n < VICTIM_COMMITS; n++) insert_batch(db, VICTIM, n * BATCH, -1);
    insert_batch(db, VICTIM, VICTIM_COMMITS * BATCH, tell);
    exit(1);
}

/* Looks again and again until the other end of the pipe is closed, and never sees part of a transaction. */
static void watch(int end) {
    sqlite3 *db = open_database();
    struct pollfd ending = {.fd = end, .events = POLLIN};
    do {
        if (atoi(ask(db, "SELECT count(*) FROM t")) % BATCH != 0) fail(db, "part of a transaction is seen");
    } while (poll(&ending, 1, LOOK_EVERY_MS) == 0);
    sqlite3_close(db);
    exit(0);
}

static void reap(int children) {
    for (int n = 0; n < children; n++) {
        int status;
        if (wait(&status) < 0 || status != 0) fail(0, "a process failed");
    }
}

static void check(int processes, int rows) {
    sqlite3 *db = open_database();
    const char *found = ask(db, "PRAGMA integrity_check");
    if (strcmp(found, "ok") != 0) fail(0, found);
    char sql[100];
    for (int writer = 0; writer < processes; writer++) {
        snprintf(sql, sizeof sql, "SELECT count(DISTINCT number) FROM t WHERE writer=%d", writer);
        if (atoi(ask(db, sql)) != rows) fail(0, "rows are missing");
    }
    snprintf(sql, sizeof sql, "SELECT count(*) FROM t WHERE writer=%d", VICTIM);
    if (atoi(ask(db, sql)) != VICTIM_COMMITS * BATCH) fail(0, "the killed writer's rows are wrong");
    printf("%s: %s rows, integrity ok\n", journal, ask(db, "SELECT count(*) FROM t"));
    sqlite3_close(db);
}

int main(int argc, char **argv) {
    if (argc != 6) return fputs("sqlite_storm DATABASE JOURNAL-MODE MMAP-BYTES PROCESSES ROWS\n", stderr), 2;
    database = argv[1], journal = argv[2], mmap_bytes = argv[3];
    int processes = atoi(argv[4]), rows = atoi(argv[5]) / BATCH * BATCH;
    sqlite3 *db = open_database();
    run(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, writer, number, text); CREATE INDEX i ON t(writer, number)");
    sqlite3_close(db);
    int told[2], ending[2];
    if (pipe(told) != 0 || pipe(ending) != 0) fail(0, "pipe");
    pid_t victim = fork();
    if (victim == 0) be_killed(told[1]);
    char byte;
    close(told[1]);
    for (int writer = 0; writer < processes; writer++) {
        if (fork() == 0) {
            close(ending[1]);
            write_rows(writer, rows);
        }
    }
    if (fork() == 0) {
        close(ending[1]);
        watch(ending[0]);
    }
    if (read(told[0], &byte, 1) != 1 || kill(victim, SIGKILL) != 0) fail(0, "the victim is gone");
    int status;
    if (waitpid(victim, &status, 0) != victim || !WIFSIGNALED(status)) fail(0, "the victim was not killed");
    reap(processes);
    close(ending[1]);
    reap(1);
    check(processes, rows);
    return 0;
}
