/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "tests/sim/db_memory_internal.h"

#define TABLE_NAME(name, text) [TABLE_##name] = text,
static const char *const table_names[TABLE_COUNT] = {DB_TABLES(TABLE_NAME)};
#undef TABLE_NAME

const char *db_table_name(enum db_table table)
{
    return table_names[table];
}

static void version_drop(struct db_version *version)
{
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        tree_drop(version->tables[i]);
    *version = (struct db_version){0};
}

static void version_set(struct db_version *to, const struct db_version *from)
{
    struct db_version older = *to;

    for (unsigned i = 0; i < TABLE_COUNT; i++)
        to->tables[i] = tree_hold(from->tables[i]);
    to->number = from->number;
    version_drop(&older);
}

enum err db_open(const char *folder, uint64_t map_bytes, struct db **db)
{
    (void)folder;
    *db = calloc(1, sizeof(**db));
    CHECK(*db != NULL);
    (*db)->map_bytes = map_bytes;
    return ERR_OK;
}

void db_close(struct db **db)
{
    struct db *closing = *db;

    if (closing == NULL)
        return;
    CHECK(closing->reading == 0 && !closing->writing && closing->watches == NULL);
    version_drop(&closing->committed);
    version_drop(&closing->durable);
    free(closing);
    *db = NULL;
}

enum err db_sync(struct db *db)
{
    version_set(&db->durable, &db->committed);
    return ERR_OK;
}

void db_memory_crash(struct db *db, bool lose_last)
{
    CHECK(db->reading == 0 && !db->writing);
    if (lose_last)
        version_set(&db->committed, &db->durable);
    else
        version_set(&db->durable, &db->committed);
}

struct db_memory_point {
    struct db_version version;
};

struct db_memory_point *db_memory_survivor(struct db *db, bool lose_last)
{
    struct db_memory_point *point = calloc(1, sizeof(*point));

    CHECK(point != NULL);
    version_set(&point->version, lose_last ? &db->durable : &db->committed);
    return point;
}

void db_memory_survive(struct db *db, struct db_memory_point **point)
{
    CHECK(db->reading == 0 && !db->writing);
    version_set(&db->committed, &(*point)->version);
    version_set(&db->durable, &(*point)->version);
    version_drop(&(*point)->version);
    free(*point);
    *point = NULL;
}

struct db_memory_point *db_memory_point_new(struct db_txn *txn)
{
    struct db_memory_point *point = calloc(1, sizeof(*point));

    CHECK(point != NULL);
    version_set(&point->version, &txn->version);
    return point;
}

void db_memory_point_return(struct db_txn *txn, struct db_memory_point **point)
{
    CHECK(txn->cursors == 0);
    version_set(&txn->version, &(*point)->version);
    version_drop(&(*point)->version);
    free(*point);
    *point = NULL;
}

static struct db_txn *txn_begin(struct db *db, bool write)
{
    struct db_txn *txn = calloc(1, sizeof(*txn));

    CHECK(txn != NULL);
    txn->db = db;
    txn->write = write;
    version_set(&txn->version, &db->committed);
    return txn;
}

struct db_txn *db_read_begin(struct db *db)
{
    db->reading++;
    return txn_begin(db, false);
}

struct db_txn *db_write_begin(struct db *db)
{
    CHECK(!db->writing); /* one thread: nobody would end the other */
    struct db_txn *txn = txn_begin(db, true);
    db->writing = true;
    txn->version.number++;
    return txn;
}

/* A transaction that changed nothing writes no meta page, and makes nothing durable. */
static bool txn_changed(const struct db_txn *txn)
{
    return memcmp(txn->version.tables, txn->db->committed.tables,
                  sizeof(txn->version.tables)) != 0;
}

enum err db_commit(struct db_txn **txn)
{
    struct db_txn *ending = *txn;
    enum err err = ending->err;

    if (ending->write && err == ERR_OK && txn_changed(ending)) {
        version_set(&ending->db->durable, &ending->db->committed);
        version_set(&ending->db->committed, &ending->version);
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
    if (ending->write)
        ending->db->writing = false;
    else
        ending->db->reading--;
    version_drop(&ending->version);
    free(ending);
}

enum err db_note_error(struct db_txn *txn, enum err err)
{
    if (err != ERR_OK && err != ERR_NOTFOUND && txn->err == ERR_OK)
        txn->err = err;
    return err;
}

uint64_t db_txn_number(const struct db_txn *txn)
{
    return txn->version.number;
}

enum err db_error(const struct db_txn *txn)
{
    return txn->err;
}

void db_fail(struct db_txn *txn, enum err err)
{
    CHECK(err != ERR_OK);
    db_note_error(txn, err);
}

enum err db_get(struct db_txn *txn, enum db_table table, struct bytes key, struct bytes *value)
{
    *value = bytes_from(NULL, 0);
    if (txn->err != ERR_OK)
        return txn->err;
    if (key.len == 0)
        return db_note_error(txn, ERR_TOOBIG);
    return tree_get(txn->version.tables[table], key, value) ? ERR_OK : ERR_NOTFOUND;
}

void db_reserve(struct db_txn *txn, enum db_table table, struct bytes key, size_t len,
                uint8_t **room)
{
    struct tree **tree = &txn->version.tables[table];

    *room = NULL;
    if (txn->err != ERR_OK)
        return;
    db_watches_tell(txn, table, key);
    if (!txn->write)
        db_note_error(txn, ERR_DENIED);
    else if (key.len == 0 || key.len > DB_KEY_SIZE_MAX)
        db_note_error(txn, ERR_TOOBIG);
    else
        *tree = tree_put(*tree, key, len, room);
}

void db_put(struct db_txn *txn, enum db_table table, struct bytes key, struct bytes value)
{
    uint8_t *room;

    db_reserve(txn, table, key, value.len, &room);
    if (room != NULL && value.len > 0)
        memcpy(room, value.at, value.len);
}

bool db_delete(struct db_txn *txn, enum db_table table, struct bytes key)
{
    struct tree **tree = &txn->version.tables[table];
    struct bytes value;

    if (txn->err != ERR_OK)
        return false;
    db_watches_tell(txn, table, key);
    if (!txn->write || key.len == 0) {
        db_note_error(txn, txn->write ? ERR_TOOBIG : ERR_DENIED);
        return false;
    }
    if (!tree_get(*tree, key, &value))
        return false;
    *tree = tree_delete(*tree, key);
    return true;
}

void db_statistics(struct db *db, struct db_statistics *statistics)
{
    *statistics = (struct db_statistics){.map_bytes = db->map_bytes, .readers = db->reading};
}

void db_table_statistics(struct db *db, enum db_table table, uint64_t *rows, uint64_t *bytes)
{
    struct tree_walk walk;
    struct bytes key;
    struct bytes value;

    *rows = *bytes = 0;
    tree_walk_seek(&walk, db->committed.tables[table], bytes_from(NULL, 0));
    while (tree_walk_next(&walk, &key, &value)) {
        ++*rows;
        *bytes += key.len + value.len;
    }
}
