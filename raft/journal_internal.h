/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_JOURNAL_INTERNAL_H
#define RAFT_JOURNAL_INTERNAL_H

/* What the files of the journal share. */
#include <pthread.h>

#include "node/base/check.h"
#include "raft/journal.h"
#include "raft/journal_format.h"
#include "raft/log_groups.h"

enum {
    SEGMENT_SIZE_LEAST = 8 * 1024 * 1024,
    SEGMENT_SIZE_MOST = 64 * 1024 * 1024,
    /* So many bytes of live entries move with a write, */
    CLEAN_WITH_WRITE = 256 * 1024,
    /* and so many at once while nothing else is to be written. */
    CLEAN_ALONE = 1024 * 1024,
};

struct journal_segment {
    uint64_t number;
    int fd;
    uint64_t size;
    uint64_t used;    /* where the next batch goes */
    uint64_t live;    /* bytes of live entries, heads included */
    unsigned readers; /* it is not used again while there are any */
    bool damaged;     /* a live entry cannot be read: it stays where it is */
    bool unneeded;    /* the newest segment does not name it: it may go */
};

/* The segment that comes next, made by a thread of its own. */
struct journal_ahead {
    pthread_t thread;
    bool thread_runs;
    pthread_cond_t changed;
    struct journal_segment *ready; /* NULL: not yet */
    struct journal_segment *spare; /* without live entries: its file is used again */
    bool held;                     /* the one that was taken has no batch yet */
    uint64_t number;               /* what it is to be */
    uint64_t size;
    enum err err; /* why there is none; unless it is ERR_IO it goes on trying */
    bool closing;
};

/* An entry of the oldest segment that was live when the cleaner looked. */
struct journal_moving {
    uint32_t group;
    uint64_t index;
};

struct journal_cleaner {
    uint64_t segment; /* 0: none */
    struct journal_moving *moving;
    size_t count;
    size_t room;
    size_t next;
};

struct journal {
    struct entry_log interface;
    struct journal_config config;
    int folder_fd;
    uint64_t salt;
    uint64_t next_batch;
    uint64_t previous; /* check of the last batch */
    struct journal_batch batch;
    struct journal_batch own; /* of checkpoints and seals */
    struct journal_cleaner cleaner;
    size_t moved; /* entries of the batch that only move */
    pthread_t thread;
    bool thread_runs;
    /* Of what follows; the committing thread alone changes segments and groups. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct log_groups groups;
    struct journal_segment **segments; /* ascending; the last one is written */
    unsigned segment_count;
    struct journal_ahead ahead;
    const struct log_write *writes; /* handed over; NULL: none */
    unsigned writes_count;
    bool closing;
    bool failed;
};

/* ---- journal_segment.c ---- */

/* Logs it and translates it. */
enum err journal_complain(const char *event, uint64_t segment, int code);
/* The name of a folder is on disk. */
MUST_CHECK enum err journal_parent_sync(const char *folder);
/* A new, empty segment, on disk with its name. `spare`, if not NULL, is used for it and freed.
 */
MUST_CHECK enum err journal_segment_new(struct journal *journal, uint64_t number, uint64_t size,
                                        struct journal_segment *spare,
                                        struct journal_segment **made);
/* An existing one. ERR_MALFORMED: its head is not as it was written. */
MUST_CHECK enum err journal_segment_open(struct journal *journal, uint64_t number,
                                         struct journal_segment **opened);
/* Makes the file longer. Nothing is in it yet. */
MUST_CHECK enum err journal_segment_grow(struct journal *journal,
                                         struct journal_segment *segment, uint64_t size);
/* With its file, or without. Sets NULL; accepts NULL. */
void journal_segment_remove(struct journal *journal, struct journal_segment **segment);
void journal_segment_close(struct journal_segment **segment);
void journal_segment_add(struct journal *journal, struct journal_segment *segment);
struct journal_segment *journal_segment_find(const struct journal *journal, uint64_t number);
MUST_CHECK enum err journal_write_at(int fd, uint64_t at, struct bytes bytes);
/* Returns false when there are not so many bytes. */
bool journal_read_at(int fd, uint64_t at, uint8_t *bytes, size_t len);

/* ---- journal_ahead.c ---- */

/* `ready`: what was found to be the next; NULL: it is to be made. */
void journal_ahead_start(struct journal *journal, struct journal_segment *ready);
void journal_ahead_stop(struct journal *journal);
/* Waits for it. The caller holds the lock. The next one is not made before journal_ahead_go():
 * opening knows of one segment without batches, a second would look as if one between them had
 * been lost. */
MUST_CHECK enum err journal_ahead_take(struct journal *journal,
                                       struct journal_segment **segment);
void journal_ahead_go(struct journal *journal);
/* What has no live entries any more. The caller holds the lock. */
void journal_ahead_give(struct journal *journal, struct journal_segment *segment);

/* ---- journal_load.c ---- */

/* `sealed`: the last segment with batches is; the one behind it has none yet. */
MUST_CHECK enum err journal_load(struct journal *journal, bool *sealed);

/* ---- journal_commit.c: the committing thread's ---- */

/* The writes handed over, and what the cleaner has, as one batch; then into the index. */
MUST_CHECK enum err journal_commit(struct journal *journal, const struct log_write *writes,
                                   unsigned count);
/* The segment, which is the last, gets the state of all groups, and room for `needed` bytes. */
MUST_CHECK enum err journal_segment_begin(struct journal *journal,
                                          struct journal_segment *segment, uint64_t needed);

/* ---- journal_clean.c: the committing thread's ---- */

/* Live entries of the oldest segment into the batch, at most so many bytes of data. Returns
 * whether there were any. */
bool journal_clean_add(struct journal *journal, size_t bytes_max);
/* They are on disk. The caller holds the lock. */
void journal_clean_done(struct journal *journal);
/* Which segments are needed still goes into the batch. */
void journal_clean_name(struct journal *journal, struct journal_batch *batch);
/* The batch is on disk: those that it does not name go. */
void journal_clean_segments(struct journal *journal);
void journal_cleaner_fini(struct journal_cleaner *cleaner);

/* ---- journal_read.c ---- */

unsigned journal_read(struct journal *journal, uint32_t group, uint64_t first, unsigned count,
                      size_t bytes_max, bool changes_only, struct entry *entries);

#endif
