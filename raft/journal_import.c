/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the LMDB log of a release before format 3. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/log.h"
#include "raft/frame.h"
#include "raft/journal_internal.h"
#include "raft/log_lmdb.h"

enum { ENTRIES_AT_ONCE = 1024, BYTES_AT_ONCE = 4 * 1024 * 1024, PATH_SIZE = 4096 };

/* Writes one after the other; each waits until it is on disk. */
struct importing {
    struct entry_log *from;
    struct entry_log *to;
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool under_way;
    enum err err;
};

static void on_written(void *context, enum err err)
{
    struct importing *importing = context;

    pthread_mutex_lock(&importing->lock);
    importing->under_way = false;
    importing->err = err;
    pthread_cond_signal(&importing->done);
    pthread_mutex_unlock(&importing->lock);
}

static void on_nothing(void *context, enum err err)
{
    (void)context;
    (void)err;
}

static enum err write_one(struct importing *importing, const struct log_write *write)
{
    importing->under_way = true;
    importing->to->ops->write(importing->to, write, 1);
    pthread_mutex_lock(&importing->lock);
    while (importing->under_way)
        pthread_cond_wait(&importing->done, &importing->lock);
    pthread_mutex_unlock(&importing->lock);
    return importing->err;
}

static enum err state_import(struct importing *importing, const struct log_state *state)
{
    struct log_write write = {.group = state->group,
                              .create = true,
                              .set_term = true,
                              .term = state->term,
                              .vote = state->vote};
    struct log_write drop = {.group = state->group,
                             .drop = true,
                             .promised_term = state->promised_term,
                             .promised_index = state->promised_index};
    enum err err = write_one(importing, &write);

    /* A group remembers what it promised before it was dropped, and begun again. */
    if (err == ERR_OK &&
        (state->dropped || state->promised_term != 0 || state->promised_index != 0))
        err = write_one(importing, &drop);
    if (err != ERR_OK || state->dropped)
        return err;
    if (state->first_index > 1 || state->base_term != 0 || state->base_members_index != 0 ||
        state->base_members.len > 0) {
        write.reset = true;
        write.trim_before = state->first_index;
        write.base_term = state->base_term;
        write.base_members = state->base_members;
        write.base_members_index = state->base_members_index;
    }
    return write_one(importing, &write);
}

static enum err entries_import(struct importing *importing, const struct log_state *state)
{
    struct entry *entries = calloc(ENTRIES_AT_ONCE, sizeof(*entries));
    enum err err = ERR_OK;

    CHECK(entries != NULL);
    for (uint64_t at = state->first_index; at <= state->last_index && err == ERR_OK;) {
        unsigned got = importing->from->ops->read(importing->from, state->group, at,
                                                  ENTRIES_AT_ONCE, BYTES_AT_ONCE, entries);
        struct log_write write = {
            .group = state->group, .from = at, .entries = entries, .count = got};
        err = got > 0 ? write_one(importing, &write) : ERR_IO;
        for (unsigned i = 0; i < got; i++)
            frame_unref(entries[i].owner);
        at += got;
    }
    free(entries);
    return err;
}

static enum err groups_import(struct importing *importing)
{
    unsigned count = importing->from->ops->groups(importing->from, NULL, 0);
    struct log_state *states = calloc((size_t)count + 1, sizeof(*states));
    enum err err = ERR_OK;

    CHECK(states != NULL);
    importing->from->ops->groups(importing->from, states, count);
    for (unsigned i = 0; i < count && err == ERR_OK; i++) {
        err = state_import(importing, &states[i]);
        if (err == ERR_OK && !states[i].dropped)
            err = entries_import(importing, &states[i]);
    }
    free(states);
    return err;
}

static enum err log_import(const char *folder, const char *lmdb_folder, uint64_t map_bytes)
{
    struct importing importing = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                  .done = PTHREAD_COND_INITIALIZER};
    struct log_lmdb_config from = {
        .folder = lmdb_folder, .map_bytes = map_bytes, .written = on_nothing};
    struct journal_config to = {.folder = folder, .written = on_written, .context = &importing};
    struct log_lmdb *lmdb = NULL;
    struct journal *journal = NULL;
    enum err err = log_lmdb_open(&from, &lmdb);

    if (err == ERR_OK)
        err = journal_open(&to, &journal);
    if (err == ERR_OK) {
        importing.from = log_lmdb_interface(lmdb);
        importing.to = journal_interface(journal);
        err = groups_import(&importing);
    }
    journal_close(&journal);
    log_lmdb_close(&lmdb);
    return err;
}

enum err journal_import(const char *folder, const char *lmdb_folder, uint64_t map_bytes)
{
    char temporary[PATH_SIZE];

    if (snprintf(temporary, sizeof(temporary), "%s.tmp", folder) >= PATH_SIZE)
        return ERR_INVALID;
    journal_files_remove(temporary);
    log_info(NULL, "the log moves to files of its own",
             LOG_FIELDS(LOG_TEXT("from", lmdb_folder), LOG_TEXT("to", folder)));
    enum err err = log_import(temporary, lmdb_folder, map_bytes);
    if (err == ERR_OK && rename(temporary, folder) != 0)
        err = journal_complain("log: no folder", 0, errno);
    if (err != ERR_OK)
        journal_files_remove(temporary); /* its room is wanted */
    return err == ERR_OK ? journal_parent_sync(folder) : err;
}
