/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_RAFT_DISK_H
#define TESTS_UNIT_RAFT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Stands between a test and the disk: the target is linked with --wrap of the calls below
 * (disk_test() in tests/raft.cmake). A flush costs nothing. In a folder that is watched it is
 * known what a power loss leaves, and calls can be made to fail.
 */

/* ---- power loss ---- */

/*
 * Called before each flush in the watched folder, under a lock that holds up further ones; with
 * what disk_lose() needs.
 */
typedef void disk_flushing(void *context);

/* The folder must be empty; it is watched from its next opening on. */
void disk_watch(const char *folder, disk_flushing *flushing, void *context);
void disk_unwatch(void);
void disk_lock(void);
void disk_unlock(void);

enum disk_loss {
    DISK_ALL_OLD,   /* what was flushed and nothing else */
    DISK_ALL_NEW,   /* what was written, though not flushed */
    DISK_FIRST,     /* of each file the first sectors that were written since */
    DISK_LAST,      /* the last ones */
    DISK_RANDOM,    /* any of them */
    DISK_NAMES_OLD, /* contents are new, names are old */
    DISK_LOSSES
};
/* Makes the folder `to` what a power loss might leave. `seed`: of the chances. */
void disk_lose(enum disk_loss loss, uint64_t seed, const char *to);

/* ---- calls that fail ---- */

struct disk_faults {
    unsigned write_fails_at; /* the so manieth pwrite from now on, and all behind it; 0: none */
    unsigned flush_fails_at; /* fsync and fdatasync */
    unsigned read_fails_at;  /* pread */
    int code;
    bool once;          /* but none behind it */
    bool short_writes;  /* each write writes a part */
    uint64_t room;      /* bytes that files may become longer by; the rest is ENOSPC */
    bool room_is_limit; /* whether there is such a limit */
    /* Counted: */
    unsigned writes;
    unsigned flushes;
    unsigned reads;
    unsigned open_files;
};
/* Sets what is to fail, and zeroes the counters but open_files. */
void disk_faults_set(const struct disk_faults *faults);
struct disk_faults disk_faults_get(void);

#endif
