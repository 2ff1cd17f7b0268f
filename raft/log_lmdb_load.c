/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening the environment and finding out what is in it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "raft/coding.h"
#include "raft/log_lmdb_internal.h"

static enum err states_load(struct log_lmdb *log, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    enum err err = ERR_OK;
    int code = mdb_cursor_open(txn, log->states, &cursor);
    CHECK(code == 0);
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); code == 0 && err == ERR_OK;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        struct log_state state;
        err = key.mv_size == 4
                  ? log_state_read(bytes_from(value.mv_data, value.mv_size), &state)
                  : ERR_MALFORMED;
        if (err != ERR_OK)
            break;
        state.group = get_be32(key.mv_data);
        log_groups_add(&log->groups, &state);
    }
    mdb_cursor_close(cursor);
    return err != ERR_OK || code == MDB_NOTFOUND ? err : log_err_from_lmdb(code);
}

static enum err records_load(struct log_lmdb *log, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    enum err err = ERR_OK;
    int code = mdb_cursor_open(txn, log->entries, &cursor);
    CHECK(code == 0);
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); code == 0 && err == ERR_OK;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        struct log_record record;
        err = key.mv_size == 8
                  ? log_record_read(bytes_from(value.mv_data, value.mv_size), &record)
                  : ERR_MALFORMED;
        if (err != ERR_OK)
            break;
        struct log_index *index = log_groups_find(&log->groups, record.group);
        uint64_t sequence = get_be64(key.mv_data);
        err = index != NULL ? log_index_load(index, &record, sequence) : ERR_MALFORMED;
        log->next_sequence = sequence + 1;
    }
    mdb_cursor_close(cursor);
    return err != ERR_OK || code == MDB_NOTFOUND ? err : log_err_from_lmdb(code);
}

/* The name of a new file is as important as what is in it. */
static enum err folder_sync(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    int code = fsync(fd);
    close(fd);
    return code == 0 ? ERR_OK : ERR_IO;
}

enum err log_env_open(struct log_lmdb *log)
{
    const char *folder = log->config.folder;
    MDB_txn *txn = NULL;
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return ERR_IO;
    int code = mdb_env_create(&log->env);
    CHECK(code == 0);
    if ((code = mdb_env_set_mapsize(log->env, log->config.map_bytes)) != 0 ||
        (code = mdb_env_set_maxdbs(log->env, 2)) != 0 ||
        (code = mdb_env_open(log->env, folder, MDB_NOTLS, 0600)) != 0 ||
        (code = mdb_txn_begin(log->env, NULL, 0, &txn)) != 0)
        return log_complain("log does not open", code);
    if ((code = mdb_dbi_open(txn, "entries", MDB_CREATE, &log->entries)) != 0 ||
        (code = mdb_dbi_open(txn, "states", MDB_CREATE, &log->states)) != 0) {
        mdb_txn_abort(txn);
        return log_complain("log does not open", code);
    }
    code = mdb_txn_commit(txn);
    if (code != 0)
        return log_complain("log does not open", code);
    if (folder_sync(folder) != ERR_OK)
        return ERR_IO;
    code = mdb_txn_begin(log->env, NULL, MDB_RDONLY, &txn);
    if (code != 0)
        return log_complain("log does not open", code);
    enum err err = states_load(log, txn);
    if (err == ERR_OK)
        err = records_load(log, txn);
    mdb_txn_abort(txn);
    return err;
}
