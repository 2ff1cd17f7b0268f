/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_RAFT_LOG_MODEL_H
#define TESTS_UNIT_RAFT_LOG_MODEL_H

#include <pthread.h>

#include "raft/log.h"

/*
 * What a log must show, in memory, and random writes to it. An entry's bytes follow from its
 * stamp, which no other entry has; so one that lies where another should is seen.
 */
enum {
    MODEL_GROUPS = 8,
    MODEL_ENTRIES_MAX = 300,
    MODEL_MEMBERS_MAX = 700,
    MODEL_WRITES_MAX = 4,
    MODEL_COUNT_MAX = 12,
};

struct model_entry {
    uint64_t term;
    uint64_t stamp;
    uint32_t len;
    uint8_t type;
};

struct model_group {
    bool exists;
    struct log_state state; /* the members are in `members` */
    uint8_t members[MODEL_MEMBERS_MAX];
    struct model_entry entries[MODEL_ENTRIES_MAX]; /* of state.first_index, … */
};

/* May be copied. */
struct model {
    struct model_group groups[MODEL_GROUPS];
};

/* A write of several groups, with its memory. */
struct model_writes {
    struct log_write writes[MODEL_WRITES_MAX];
    unsigned count;
    struct entry entries[MODEL_WRITES_MAX][MODEL_COUNT_MAX];
    struct model_entry planned[MODEL_WRITES_MAX][MODEL_COUNT_MAX];
    uint8_t members[MODEL_WRITES_MAX][MODEL_MEMBERS_MAX];
};

struct model_random {
    uint64_t state;
    uint64_t stamps;
    unsigned large_of; /* one of so many entries is larger than 64 KiB; 0: none */
};

uint64_t model_random(struct model_random *random, uint64_t below);

void model_data(uint64_t stamp, uint8_t *data, size_t len);
/* An allowed write to what the model has; `writes` is to be given to model_writes_free(). */
void model_writes_make(const struct model *model, struct model_random *random,
                       struct model_writes *writes);
void model_writes_free(struct model_writes *writes);
void model_apply(struct model *model, const struct model_writes *writes);

/* NULL, or what the log has otherwise: groups, bytes, and all entries, read in pieces. */
const char *model_differs(const struct model *model, struct entry_log *log,
                          struct model_random *random);

/* The same, but an entry may be one that cannot be read. */
const char *model_differs_readable(const struct model *model, struct entry_log *log);

/* ---- a log's writes, waited for ---- */

struct log_waiter {
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned written;
    enum err err;
};

#define LOG_WAITER_INIT                                                                        \
    {                                                                                          \
        .lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER                    \
    }

/* For the log's config; the context is the waiter. */
void log_waiter_written(void *context, enum err err);
enum err log_waiter_write(struct log_waiter *waiter, struct entry_log *log,
                          const struct log_write *writes, unsigned count);

/* ---- folders ---- */

/* Removes what is in it, and the folder. */
void folder_remove(const char *folder);
void folder_copy(const char *from, const char *to);

#endif
