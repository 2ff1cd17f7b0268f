/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The environment has two tables: "entries" (sequence -> record) and "states" (group -> state).
 * The replicator's thread hands a write over and reads; the committing thread alone writes. It
 * changes the index after the commit, under the lock, so that a reader finds only what is on
 * disk. A commit that fails is reported once and never repeated: what is on disk is unknown
 * then, and the process must end.
 */
#include "raft/log_lmdb.h"

#include <errno.h>
#include <stdlib.h>

#include "node/base/log.h"
#include "raft/coding.h"
#include "raft/frame.h"
#include "raft/log_lmdb_internal.h"

enum err log_err_from_lmdb(int code)
{
    switch (code) {
    case 0:
        return ERR_OK;
    case MDB_NOTFOUND:
        return ERR_NOTFOUND;
    case MDB_MAP_FULL:
    case ENOSPC:
        return ERR_FULL;
    default:
        return ERR_IO;
    }
}

enum err log_complain(const char *event, int code)
{
    log_error(NULL, event, LOG_FIELDS(LOG_TEXT("error", mdb_strerror(code))));
    return log_err_from_lmdb(code);
}

static void *committing_thread(void *context)
{
    struct log_lmdb *log = context;
    pthread_mutex_lock(&log->lock);
    for (;;) {
        while (log->writes == NULL && !log->closing)
            pthread_cond_wait(&log->wake, &log->lock);
        if (log->writes == NULL)
            break;
        pthread_mutex_unlock(&log->lock);
        enum err err = log->failed ? ERR_IO : log_writes_commit(log);
        pthread_mutex_lock(&log->lock);
        if (err == ERR_OK)
            log_writes_index(log);
        else
            log->failed = true;
        log->writes = NULL;
        pthread_mutex_unlock(&log->lock);
        log->config.written(log->config.context, err);
        pthread_mutex_lock(&log->lock);
    }
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

static void log_write_op(struct entry_log *interface, const struct log_write *writes,
                         unsigned count)
{
    struct log_lmdb *log = (struct log_lmdb *)interface;
    pthread_mutex_lock(&log->lock);
    CHECK(log->writes == NULL && count > 0);
    log->writes = writes;
    log->writes_count = count;
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->lock);
}

static unsigned log_groups_op(struct entry_log *interface, struct log_state *states,
                              unsigned max)
{
    struct log_lmdb *log = (struct log_lmdb *)interface;
    pthread_mutex_lock(&log->lock);
    unsigned count = log->groups.count;
    for (unsigned i = 0; i < count && i < max; i++)
        states[i] = log->groups.items[i]->state;
    pthread_mutex_unlock(&log->lock);
    return count;
}

/* Copies the positions out, so that the lock is not held while the disk is read. */
static unsigned positions_copy(struct log_lmdb *log, uint32_t group, uint64_t first,
                               unsigned count, size_t bytes_max, struct log_position *positions,
                               size_t *bytes)
{
    unsigned got = 0;
    pthread_mutex_lock(&log->lock);
    const struct log_index *index = log_groups_find(&log->groups, group);
    while (index != NULL && got < count && (got == 0 || *bytes < bytes_max)) {
        const struct log_position *position = log_index_at(index, first + got);
        if (position == NULL)
            break;
        positions[got++] = *position;
        *bytes += position->len;
    }
    pthread_mutex_unlock(&log->lock);
    return got;
}

/* Fills the entries' data, all in one frame. Returns how many were still there. */
static unsigned data_read(struct log_lmdb *log, const struct log_position *positions,
                          unsigned count, size_t bytes, bool changes_only,
                          struct entry *entries)
{
    MDB_txn *txn;
    struct frame *frame = frame_new(bytes);
    size_t used = 0;
    unsigned got = 0;
    int code = mdb_txn_begin(log->env, NULL, MDB_RDONLY, &txn);
    CHECK(code == 0);
    for (; got < count; got++) {
        const struct log_position *position = &positions[got];
        uint8_t key[8];
        MDB_val key_val = {sizeof(key), key};
        MDB_val value;
        entries[got] = (struct entry){.term = position->term, .type = position->type};
        if (changes_only && position->type != ENTRY_CHANGE)
            continue;
        put_be64(key, position->sequence);
        if (mdb_get(txn, log->entries, &key_val, &value) != 0 ||
            (size_t)position->offset + position->len > value.mv_size)
            break;
        memcpy(frame_memory(frame) + used, (uint8_t *)value.mv_data + position->offset,
               position->len);
        entries[got].data = bytes_from(frame_memory(frame) + used, position->len);
        entries[got].owner = frame_ref(frame);
        used += position->len;
    }
    mdb_txn_abort(txn);
    frame_unref(frame);
    return got;
}

static unsigned entries_read(struct log_lmdb *log, uint32_t group, uint64_t first,
                             unsigned count, size_t bytes_max, bool changes_only,
                             struct entry *entries)
{
    struct log_position *positions = calloc((size_t)count + 1, sizeof(*positions));
    size_t bytes = 0;
    CHECK(positions != NULL);
    count = positions_copy(log, group, first, count, bytes_max, positions, &bytes);
    if (changes_only) {
        bytes = 0;
        for (unsigned i = 0; i < count; i++)
            bytes += positions[i].type == ENTRY_CHANGE ? positions[i].len : 0;
    }
    count = data_read(log, positions, count, bytes, changes_only, entries);
    free(positions);
    return count;
}

static unsigned log_read_op(struct entry_log *interface, uint32_t group, uint64_t first,
                            unsigned count, size_t bytes_max, struct entry *entries)
{
    return entries_read((struct log_lmdb *)interface, group, first, count, bytes_max, false,
                        entries);
}

static unsigned log_scan_op(struct entry_log *interface, uint32_t group, uint64_t first,
                            unsigned count, struct entry *entries)
{
    return entries_read((struct log_lmdb *)interface, group, first, count, SIZE_MAX, true,
                        entries);
}

static uint64_t log_bytes_op(struct entry_log *interface, uint32_t group)
{
    struct log_lmdb *log = (struct log_lmdb *)interface;
    pthread_mutex_lock(&log->lock);
    const struct log_index *index = log_groups_find(&log->groups, group);
    uint64_t bytes = index != NULL ? index->bytes : 0;
    pthread_mutex_unlock(&log->lock);
    return bytes;
}

static const struct entry_log_ops ops = {
    .write = log_write_op,
    .groups = log_groups_op,
    .read = log_read_op,
    .scan = log_scan_op,
    .bytes = log_bytes_op,
};

enum err log_lmdb_open(const struct log_lmdb_config *config, struct log_lmdb **log)
{
    struct log_lmdb *made = calloc(1, sizeof(*made));
    CHECK(made != NULL);
    made->interface.ops = &ops;
    made->config = *config;
    made->next_sequence = 1;
    CHECK(pthread_mutex_init(&made->lock, NULL) == 0);
    CHECK(pthread_cond_init(&made->wake, NULL) == 0);
    enum err err = log_env_open(made);
    if (err != ERR_OK) {
        log_lmdb_close(&made);
        return err;
    }
    CHECK(pthread_create(&made->thread, NULL, committing_thread, made) == 0);
    made->thread_runs = true;
    *log = made;
    return ERR_OK;
}

void log_lmdb_close(struct log_lmdb **pointer)
{
    struct log_lmdb *log = *pointer;
    if (log == NULL)
        return;
    *pointer = NULL;
    if (log->thread_runs) {
        pthread_mutex_lock(&log->lock);
        log->closing = true;
        pthread_cond_signal(&log->wake);
        pthread_mutex_unlock(&log->lock);
        pthread_join(log->thread, NULL);
    }
    if (log->env != NULL)
        mdb_env_close(log->env);
    log_groups_fini(&log->groups);
    free(log->fresh);
    pthread_cond_destroy(&log->wake);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

struct entry_log *log_lmdb_interface(struct log_lmdb *log)
{
    return &log->interface;
}
