/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/db/db.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "node/base/check.h"
#include "node/base/file_ahead.h"
#include "storage/db/lmdb.h"

enum { IDLE_READERS_MAX = 64 };

#define TABLE_NAME(name, text) [TABLE_##name] = text,
static const char *const table_names[TABLE_COUNT] = {DB_TABLES(TABLE_NAME)};
#undef TABLE_NAME

const char *db_table_name(enum db_table table)
{
    return table_names[table];
}

enum err err_from_lmdb(int code)
{
    switch (code) {
    case MDB_SUCCESS:
        return ERR_OK;
    case MDB_NOTFOUND:
        return ERR_NOTFOUND;
    case MDB_KEYEXIST:
        return ERR_EXISTS;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case MDB_BAD_VALSIZE:
    case MDB_TXN_FULL:
        return ERR_TOOBIG;
    case MDB_READERS_FULL:
        return ERR_BUSY;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return ERR_MALFORMED;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    default:
        return ERR_IO;
    }
}

static int tables_open(struct db *db)
{
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(db->env, NULL, 0, &txn);

    for (unsigned i = 0; i < TABLE_COUNT && code == MDB_SUCCESS; i++)
        code = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &db->tables[i]);
    if (code == MDB_SUCCESS)
        return mdb_txn_commit(txn);
    if (txn != NULL)
        mdb_txn_abort(txn);
    return code;
}

enum err db_open(const char *folder, uint64_t map_bytes, struct db **db)
{
    struct db *opened = calloc(1, sizeof(*opened));
    int code;

    CHECK(opened != NULL);
    CHECK(pthread_mutex_init(&opened->lock, NULL) == 0);
    *db = NULL;
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        code = errno;
        goto fail;
    }
    if ((code = mdb_env_create(&opened->env)) != MDB_SUCCESS)
        goto fail;
    if ((code = mdb_env_set_mapsize(opened->env, map_bytes)) != MDB_SUCCESS)
        goto fail;
    if ((code = mdb_env_set_maxdbs(opened->env, TABLE_COUNT)) != MDB_SUCCESS)
        goto fail;
    if ((code = mdb_env_set_maxreaders(opened->env, DB_READERS_MAX)) != MDB_SUCCESS)
        goto fail;
    code = mdb_env_open(opened->env, folder, MDB_NOMETASYNC | MDB_NOTLS, 0600);
    if (code != MDB_SUCCESS)
        goto fail;
    /* Slots of readers that died with an earlier process would pin old pages. */
    if ((code = mdb_reader_check(opened->env, NULL)) != MDB_SUCCESS)
        goto fail;
    if ((code = tables_open(opened)) != MDB_SUCCESS)
        goto fail;
    *db = opened;
    return ERR_OK;

fail:
    db_close(&opened);
    /* ENOENT and the like are no answer to a look-up here. */
    return code == ENOENT || code == MDB_NOTFOUND ? ERR_NOTFOUND : err_from_lmdb(code);
}

void db_close(struct db **db)
{
    struct db *closing = *db;

    if (closing == NULL)
        return;
    CHECK(closing->reading == 0);
    while (closing->idle != NULL) {
        struct db_txn *txn = closing->idle;
        closing->idle = txn->next;
        mdb_txn_abort(txn->txn);
        free(txn);
    }
    if (closing->env != NULL)
        mdb_env_close(closing->env);
    pthread_mutex_destroy(&closing->lock);
    free(closing);
    *db = NULL;
}

enum err db_sync(struct db *db)
{
    /* Whatever the reason: what was to be written is gone from memory, and the next sync may
     * say that all is well. */
    return mdb_env_sync(db->env, 1) == MDB_SUCCESS ? ERR_OK : ERR_IO;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Under the lock. */
static void reading_add(struct db *db, struct db_txn *txn)
{
    txn->begun_ms = now_ms();
    txn->previous = NULL;
    txn->next = db->first_read;
    if (txn->next != NULL)
        txn->next->previous = txn;
    db->first_read = txn;
    db->reading++;
}

static void reading_remove(struct db *db, struct db_txn *txn)
{
    if (txn->previous != NULL)
        txn->previous->next = txn->next;
    else
        db->first_read = txn->next;
    if (txn->next != NULL)
        txn->next->previous = txn->previous;
    db->reading--;
}

/* One that is idle, or a new one. */
static struct db_txn *idle_take(struct db *db)
{
    struct db_txn *txn;

    pthread_mutex_lock(&db->lock);
    txn = db->idle;
    if (txn != NULL) {
        db->idle = txn->next;
        db->idle_count--;
    } else {
        txn = calloc(1, sizeof(*txn));
        CHECK(txn != NULL);
        txn->db = db;
    }
    reading_add(db, txn);
    pthread_mutex_unlock(&db->lock);
    return txn;
}

struct db_txn *db_read_begin(struct db *db)
{
    struct db_txn *txn = idle_take(db);

    if (txn->txn != NULL)
        txn->err = err_from_lmdb(mdb_txn_renew(txn->txn));
    else
        txn->err = err_from_lmdb(mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn->txn));
    return txn;
}

static void blocks_ahead(struct db *db)
{
    MDB_envinfo info;
    MDB_stat stat;
    int fd;

    if (mdb_env_info(db->env, &info) == 0 && mdb_env_stat(db->env, &stat) == 0 &&
        mdb_env_get_fd(db->env, &fd) == 0)
        file_ahead(fd, (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize);
}

struct db_txn *db_write_begin(struct db *db)
{
    struct db_txn *txn = calloc(1, sizeof(*txn));

    CHECK(txn != NULL);
    txn->db = db;
    txn->write = true;
    txn->err = err_from_lmdb(mdb_txn_begin(db->env, NULL, 0, &txn->txn));
    if (txn->err == ERR_OK)
        blocks_ahead(db); /* the write lock is ours */
    return txn;
}

static void read_end(struct db_txn *txn)
{
    struct db *db = txn->db;
    bool kept = false;

    if (txn->txn != NULL)
        mdb_txn_reset(txn->txn);
    pthread_mutex_lock(&db->lock);
    reading_remove(db, txn);
    if (txn->txn != NULL && txn->err == ERR_OK && db->idle_count < IDLE_READERS_MAX) {
        txn->next = db->idle;
        db->idle = txn;
        db->idle_count++;
        kept = true;
    }
    pthread_mutex_unlock(&db->lock);
    if (kept)
        return;
    if (txn->txn != NULL)
        mdb_txn_abort(txn->txn);
    free(txn);
}

enum err db_commit(struct db_txn **txn)
{
    struct db_txn *ending = *txn;
    enum err err = ending->err;

    CHECK(ending->cursors == 0);
    if (ending->write && err == ERR_OK) {
        err = err_from_lmdb(mdb_txn_commit(ending->txn));
        ending->txn = NULL; /* gone, whatever the result */
    }
    db_abort(txn);
    return err;
}

void db_abort(struct db_txn **txn)
{
    struct db_txn *ending = *txn;

    if (ending == NULL)
        return;
    *txn = NULL;
    CHECK(ending->cursors == 0);
    if (!ending->write) {
        read_end(ending);
        return;
    }
    if (ending->txn != NULL)
        mdb_txn_abort(ending->txn);
    free(ending);
}

/* The rows of LMDB's own table of free pages, number 0: each begins with how many it lists. */
static uint64_t free_pages(struct db *db)
{
    struct db_txn *txn = db_read_begin(db);
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val value;
    uint64_t pages = 0;

    if (txn->err == ERR_OK && mdb_cursor_open(txn->txn, 0, &cursor) == MDB_SUCCESS) {
        while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
            size_t count = 0;
            if (value.mv_size >= sizeof(count))
                memcpy(&count, value.mv_data, sizeof(count));
            pages += count;
        }
        mdb_cursor_close(cursor);
    }
    db_abort(&txn);
    return pages;
}

void db_statistics(struct db *db, struct db_statistics *statistics)
{
    MDB_envinfo info;
    MDB_stat stat;

    *statistics = (struct db_statistics){0};
    if (mdb_env_info(db->env, &info) != MDB_SUCCESS || mdb_env_stat(db->env, &stat) != 0)
        return;
    statistics->map_bytes = info.me_mapsize;
    statistics->used_bytes = (info.me_last_pgno + 1) * stat.ms_psize;
    statistics->readers = info.me_numreaders;
    statistics->free_bytes = free_pages(db) * stat.ms_psize;
    pthread_mutex_lock(&db->lock);
    statistics->reading = db->reading;
    for (const struct db_txn *txn = db->first_read; txn != NULL; txn = txn->next)
        if (txn->next == NULL)
            statistics->oldest_read_ms = now_ms() - txn->begun_ms;
    pthread_mutex_unlock(&db->lock);
}

void db_table_statistics(struct db *db, enum db_table table, uint64_t *rows, uint64_t *bytes)
{
    struct db_txn *txn = db_read_begin(db);
    MDB_stat stat = {0};

    *rows = *bytes = 0;
    if (txn->err == ERR_OK && mdb_stat(txn->txn, db->tables[table], &stat) == MDB_SUCCESS) {
        *rows = stat.ms_entries;
        *bytes = (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) *
                 stat.ms_psize;
    }
    db_abort(&txn);
}
