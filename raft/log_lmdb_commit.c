/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The committing thread's work: a write of any groups as one transaction. */
#include <stdlib.h>

#include "node/base/file_ahead.h"
#include "node/runtime/metrics.h"
#include "raft/coding.h"
#include "raft/log_lmdb_internal.h"

static int state_put(struct log_lmdb *log, MDB_txn *txn, const struct log_state *state)
{
    uint8_t key[4];
    uint8_t value[LOG_STATE_SIZE_MAX];
    MDB_val key_val = {sizeof(key), key};
    MDB_val value_val = {log_state_write(value, state), value};
    put_be32(key, state->group);
    return mdb_put(txn, log->states, &key_val, &value_val, 0);
}

static int record_delete(struct log_lmdb *log, MDB_txn *txn, uint64_t sequence)
{
    uint8_t key[8];
    MDB_val key_val = {sizeof(key), key};
    put_be64(key, sequence);
    return mdb_del(txn, log->entries, &key_val, NULL);
}

/* Deletes the records that only entries in first..last of the group lie in. */
static int records_delete(struct log_lmdb *log, MDB_txn *txn, const struct log_index *index,
                          uint64_t first, uint64_t last)
{
    const struct log_position *before = log_index_at(index, first - 1);
    const struct log_position *behind = log_index_at(index, last + 1);
    uint64_t deleted = 0;
    int code = 0;
    for (uint64_t i = first; i <= last && code == 0; i++) {
        uint64_t sequence = log_index_at(index, i)->sequence;
        if (sequence == deleted || (before != NULL && before->sequence == sequence) ||
            (behind != NULL && behind->sequence == sequence))
            continue;
        code = record_delete(log, txn, sequence);
        deleted = sequence;
    }
    return code;
}

static void fresh_add(struct log_lmdb *log, const struct log_position *position)
{
    if (log->fresh_count == log->fresh_room) {
        log->fresh_room = log->fresh_room > 0 ? log->fresh_room * 2 : 1024;
        log->fresh = realloc(log->fresh, log->fresh_room * sizeof(*log->fresh));
        CHECK(log->fresh != NULL);
    }
    log->fresh[log->fresh_count++] = *position;
}

static int entries_put(struct log_lmdb *log, MDB_txn *txn, const struct log_write *write)
{
    unsigned done = 0;
    int code = 0;
    while (done < write->count && code == 0) {
        uint8_t key[8];
        size_t size;
        unsigned count = log_record_plan(write->entries + done, write->count - done, &size);
        uint64_t sequence = log->next_sequence++;
        MDB_val key_val = {sizeof(key), key};
        MDB_val value_val = {size, NULL};
        put_be64(key, sequence);
        code = mdb_put(txn, log->entries, &key_val, &value_val, MDB_APPEND | MDB_RESERVE);
        if (code != 0)
            break;
        log_record_write(value_val.mv_data, write->group, write->from + done,
                         write->entries + done, count);
        size_t offset = LOG_RECORD_HEAD_SIZE + (size_t)count * LOG_RECORD_ENTRY_SIZE;
        for (unsigned i = 0; i < count; i++) {
            const struct entry *entry = &write->entries[done + i];
            fresh_add(log, &(struct log_position){.sequence = sequence,
                                                  .term = entry->term,
                                                  .offset = (uint32_t)offset,
                                                  .len = (uint32_t)entry->data.len,
                                                  .type = entry->type});
            offset += entry->data.len;
        }
        done += count;
    }
    return code;
}

/* One group's part of the transaction. The index is as before the transaction. */
static int write_put(struct log_lmdb *log, MDB_txn *txn, const struct log_write *write)
{
    const struct log_index *index = log_groups_find(&log->groups, write->group);
    const struct log_state empty = {.group = write->group, .first_index = 1};
    const struct log_state *before = index != NULL ? &index->state : &empty;
    int code = 0;
    CHECK(index != NULL || write->create);
    if (write->drop || write->reset) {
        CHECK(write->from == 0);
        if (index != NULL && before->last_index >= before->first_index)
            code = records_delete(log, txn, index, before->first_index, before->last_index);
    }
    if (write->from != 0) {
        CHECK(write->count > 0 && write->from >= before->first_index &&
              write->from <= before->last_index + 1);
        /* Trimmed right up to where it is cut: a record across that place goes, too. */
        uint64_t cut = write->from == write->trim_before ? before->first_index : write->from;
        if (index != NULL && write->from <= before->last_index)
            code = records_delete(log, txn, index, cut, before->last_index);
        if (code == 0)
            code = entries_put(log, txn, write);
    }
    /* Only entries that were there before are trimmed away, so the index knows them. */
    if (code == 0 && write->trim_before != 0 && !write->reset) {
        CHECK(index != NULL && write->trim_before > before->first_index &&
              write->trim_before <= before->last_index &&
              (write->from == 0 || write->trim_before <= write->from));
        if (write->from != write->trim_before || write->from > before->last_index)
            code = records_delete(log, txn, index, before->first_index, write->trim_before - 1);
    }
    struct log_state after = log_state_after(before, write);
    if (code == 0 &&
        (write->create || write->set_term || write->trim_before != 0 || write->drop))
        code = state_put(log, txn, &after);
    return code;
}

static void blocks_ahead(struct log_lmdb *log)
{
    MDB_envinfo info;
    MDB_stat stat;
    int fd;

    if (mdb_env_info(log->env, &info) == 0 && mdb_env_stat(log->env, &stat) == 0 &&
        mdb_env_get_fd(log->env, &fd) == 0)
        file_ahead(fd, (uint64_t)(info.me_last_pgno + 1) * stat.ms_psize);
}

enum err log_writes_commit(struct log_lmdb *log)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(log->env, NULL, 0, &txn);
    if (code != 0)
        return log_complain("log: no transaction", code);
    blocks_ahead(log);
    log->fresh_count = 0;
    for (unsigned i = 0; i < log->writes_count && code == 0; i++)
        code = write_put(log, txn, &log->writes[i]);
    if (code != 0) {
        mdb_txn_abort(txn);
        return log_complain("log: write failed", code);
    }
    code = mdb_txn_commit(txn);
    return code == 0 ? ERR_OK : log_complain("log: commit failed", code);
}

/* What is on disk now goes into the index. */
void log_writes_index(struct log_lmdb *log)
{
    const struct log_position *fresh = log->fresh;

    for (unsigned i = 0; i < log->writes_count; i++) {
        const struct log_write *write = &log->writes[i];
        log_groups_write(&log->groups, write, fresh);
        fresh += write->from != 0 ? write->count : 0;
        metric_add(METRIC_RAFT_ENTRIES_WRITTEN, write->count);
    }
    metric_add(METRIC_RAFT_LOG_COMMITS, 1);
}
