/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single rows of a transaction. */
#include "node/base/check.h"
#include "storage/db/db.h"
#include "storage/db/lmdb.h"

enum err db_note(struct db_txn *txn, int code)
{
    enum err err = err_from_lmdb(code);

    if (err != ERR_OK && err != ERR_NOTFOUND && txn->err == ERR_OK)
        txn->err = err;
    return err;
}

enum err db_error(const struct db_txn *txn)
{
    return txn->err;
}

void db_fail(struct db_txn *txn, enum err err)
{
    CHECK(err != ERR_OK);
    if (txn->err == ERR_OK)
        txn->err = err;
}

uint64_t db_txn_number(const struct db_txn *txn)
{
    return txn->txn != NULL ? mdb_txn_id(txn->txn) : 0;
}

enum err db_get(struct db_txn *txn, enum db_table table, struct bytes key, struct bytes *value)
{
    MDB_val mdb_key = val_of_bytes(key);
    MDB_val mdb_value = {0, NULL};
    enum err err;

    *value = bytes_from(NULL, 0);
    if (txn->err != ERR_OK)
        return txn->err;
    err = db_note(txn, mdb_get(txn->txn, txn->db->tables[table], &mdb_key, &mdb_value));
    if (err == ERR_OK)
        *value = bytes_from(mdb_value.mv_data, mdb_value.mv_size);
    return err;
}

void db_put(struct db_txn *txn, enum db_table table, struct bytes key, struct bytes value)
{
    MDB_val mdb_key = val_of_bytes(key);
    MDB_val mdb_value = val_of_bytes(value);

    if (txn->err != ERR_OK)
        return;
    key_changed(txn, table, key);
    db_note(txn, mdb_put(txn->txn, txn->db->tables[table], &mdb_key, &mdb_value, 0));
}

void db_reserve(struct db_txn *txn, enum db_table table, struct bytes key, size_t len,
                uint8_t **room)
{
    MDB_val mdb_key = val_of_bytes(key);
    MDB_val mdb_value = {len, NULL};

    *room = NULL;
    if (txn->err != ERR_OK)
        return;
    key_changed(txn, table, key);
    if (db_note(txn, mdb_put(txn->txn, txn->db->tables[table], &mdb_key, &mdb_value,
                             MDB_RESERVE)) == ERR_OK)
        *room = mdb_value.mv_data;
}

bool db_delete(struct db_txn *txn, enum db_table table, struct bytes key)
{
    MDB_val mdb_key = val_of_bytes(key);

    if (txn->err != ERR_OK)
        return false;
    key_changed(txn, table, key);
    return db_note(txn, mdb_del(txn->txn, txn->db->tables[table], &mdb_key, NULL)) == ERR_OK;
}
