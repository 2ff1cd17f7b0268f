/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replicator's thread hands a write over and reads; the committing thread alone writes. It
 * changes the index after the flush, under the lock, so that a reader finds only what is on
 * disk. A write or a flush that fails is reported once and never repeated: what is on disk is
 * unknown then, and the process must end.
 */
#include "raft/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "raft/journal_internal.h"

/* Whether there is something to move while nothing is to be written. The caller holds the lock.
 */
static void idle_work(struct journal *journal)
{
    while (journal->writes == NULL && !journal->closing && !journal->failed) {
        pthread_mutex_unlock(&journal->lock);
        enum err err = journal_commit(journal, NULL, 0);
        bool moved = journal->moved > 0;
        pthread_mutex_lock(&journal->lock);
        if (err != ERR_OK)
            journal->failed = true; /* the next write is told */
        if (!moved)
            return;
    }
}

static void *committing_thread(void *context)
{
    struct journal *journal = context;

    pthread_mutex_lock(&journal->lock);
    for (;;) {
        while (journal->writes == NULL && !journal->closing)
            pthread_cond_wait(&journal->wake, &journal->lock);
        if (journal->writes == NULL)
            break;
        pthread_mutex_unlock(&journal->lock);
        enum err err = journal->failed
                           ? ERR_IO
                           : journal_commit(journal, journal->writes, journal->writes_count);
        pthread_mutex_lock(&journal->lock);
        if (err != ERR_OK)
            journal->failed = true;
        journal->writes = NULL;
        pthread_mutex_unlock(&journal->lock);
        journal->config.written(journal->config.context, err);
        pthread_mutex_lock(&journal->lock);
        idle_work(journal);
    }
    pthread_mutex_unlock(&journal->lock);
    return NULL;
}

/* ---- the interface ---- */

static void journal_write_op(struct entry_log *interface, const struct log_write *writes,
                             unsigned count)
{
    struct journal *journal = (struct journal *)interface;

    pthread_mutex_lock(&journal->lock);
    CHECK(journal->writes == NULL && count > 0);
    journal->writes = writes;
    journal->writes_count = count;
    pthread_cond_signal(&journal->wake);
    pthread_mutex_unlock(&journal->lock);
}

static unsigned journal_groups_op(struct entry_log *interface, struct log_state *states,
                                  unsigned max)
{
    struct journal *journal = (struct journal *)interface;

    pthread_mutex_lock(&journal->lock);
    unsigned count = journal->groups.count;
    for (unsigned i = 0; i < count && i < max; i++)
        states[i] = journal->groups.items[i]->state;
    pthread_mutex_unlock(&journal->lock);
    return count;
}

static unsigned journal_read_op(struct entry_log *interface, uint32_t group, uint64_t first,
                                unsigned count, size_t bytes_max, struct entry *entries)
{
    return journal_read((struct journal *)interface, group, first, count, bytes_max, false,
                        entries);
}

static unsigned journal_scan_op(struct entry_log *interface, uint32_t group, uint64_t first,
                                unsigned count, struct entry *entries)
{
    return journal_read((struct journal *)interface, group, first, count, SIZE_MAX, true,
                        entries);
}

static uint64_t journal_bytes_op(struct entry_log *interface, uint32_t group)
{
    struct journal *journal = (struct journal *)interface;

    pthread_mutex_lock(&journal->lock);
    const struct log_index *index = log_groups_find(&journal->groups, group);
    uint64_t bytes = index != NULL ? index->bytes : 0;
    pthread_mutex_unlock(&journal->lock);
    return bytes;
}

static const struct entry_log_ops ops = {
    .write = journal_write_op,
    .groups = journal_groups_op,
    .read = journal_read_op,
    .scan = journal_scan_op,
    .bytes = journal_bytes_op,
};

struct entry_log *journal_interface(struct journal *journal)
{
    return &journal->interface;
}

void journal_statistics(struct journal *journal, struct journal_statistics *statistics)
{
    *statistics = (struct journal_statistics){0};
    pthread_mutex_lock(&journal->lock);
    statistics->segments = journal->segment_count;
    for (unsigned i = 0; i < journal->segment_count; i++) {
        statistics->file_bytes += journal->segments[i]->size;
        statistics->used_bytes += journal->segments[i]->used;
        statistics->live_bytes += journal->segments[i]->live;
    }
    if (journal->ahead.ready != NULL)
        statistics->file_bytes += journal->ahead.ready->size;
    pthread_mutex_unlock(&journal->lock);
}

/* ---- opening ---- */

static enum err folder_open(struct journal *journal)
{
    int code = mkdir(journal->config.folder, 0700);
    if (code != 0 && errno != EEXIST)
        return journal_complain("log: no folder", 0, errno);
    if (code == 0) {
        enum err err = journal_parent_sync(journal->config.folder);
        if (err != ERR_OK)
            return err;
    }
    journal->folder_fd = open(journal->config.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return journal->folder_fd >= 0 ? ERR_OK : journal_complain("log: no folder", 0, errno);
}

static enum err first_segment(struct journal *journal)
{
    struct journal_segment *segment;
    uint64_t size =
        journal->config.segment_bytes != 0 ? journal->config.segment_bytes : SEGMENT_SIZE_LEAST;

    while (journal->salt == 0)
        CHECK(getrandom(&journal->salt, sizeof(journal->salt), 0) == sizeof(journal->salt));
    enum err err = journal_segment_new(journal, 1, size, NULL, &segment);
    if (err == ERR_OK)
        journal_segment_add(journal, segment);
    return err;
}

/* The last segment is the one to be written; what was made for later is ahead of it. */
static enum err segments_arrange(struct journal *journal, bool sealed)
{
    struct journal_segment *ready = NULL;
    enum err err = ERR_OK;

    if (journal->segment_count == 0)
        err = first_segment(journal);
    else if (sealed)
        err = journal_segment_begin(journal, journal->segments[journal->segment_count - 1], 0);
    else if (journal->segment_count > 1 &&
             journal->segments[journal->segment_count - 1]->used == JOURNAL_SEGMENT_HEAD_SIZE)
        ready = journal->segments[--journal->segment_count];
    if (err != ERR_OK)
        return err;
    journal_ahead_start(journal, ready);
    return ERR_OK;
}

enum err journal_open(const struct journal_config *config, struct journal **pointer)
{
    struct journal *journal = calloc(1, sizeof(*journal));
    pthread_condattr_t monotonic;
    bool sealed = false;

    CHECK(journal != NULL);
    journal->interface.ops = &ops;
    journal->config = *config;
    journal->next_batch = 1;
    journal->folder_fd = -1;
    CHECK(pthread_mutex_init(&journal->lock, NULL) == 0);
    CHECK(pthread_cond_init(&journal->wake, NULL) == 0);
    CHECK(pthread_condattr_init(&monotonic) == 0);
    CHECK(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&journal->ahead.changed, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
    enum err err = folder_open(journal);
    if (err == ERR_OK)
        err = journal_load(journal, &sealed);
    if (err == ERR_OK)
        err = segments_arrange(journal, sealed);
    if (err != ERR_OK) {
        journal_close(&journal);
        return err;
    }
    CHECK(pthread_create(&journal->thread, NULL, committing_thread, journal) == 0);
    journal->thread_runs = true;
    *pointer = journal;
    return ERR_OK;
}

void journal_close(struct journal **pointer)
{
    struct journal *journal = *pointer;

    if (journal == NULL)
        return;
    *pointer = NULL;
    if (journal->thread_runs) {
        pthread_mutex_lock(&journal->lock);
        journal->closing = true;
        pthread_cond_signal(&journal->wake);
        pthread_mutex_unlock(&journal->lock);
        pthread_join(journal->thread, NULL);
    }
    journal_ahead_stop(journal);
    for (unsigned i = 0; i < journal->segment_count; i++)
        journal_segment_close(&journal->segments[i]);
    free(journal->segments);
    if (journal->folder_fd >= 0)
        close(journal->folder_fd);
    log_groups_fini(&journal->groups);
    journal_batch_fini(&journal->batch);
    journal_batch_fini(&journal->own);
    journal_cleaner_fini(&journal->cleaner);
    pthread_cond_destroy(&journal->ahead.changed);
    pthread_cond_destroy(&journal->wake);
    pthread_mutex_destroy(&journal->lock);
    free(journal);
}
