/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_JOURNAL_H
#define RAFT_JOURNAL_H

#include "raft/log.h"

/*
 * The log in files of its own: segments that are only ever appended to. A write of any groups
 * is one batch, one write and one flush; an index per group in memory, rebuilt at start from
 * the heads of the batches, tells where each entry lies. The next segment is prepared ahead, so
 * that no write waits for the file system's journal. Segments without live entries are used
 * again; when little of what lies there is live, the oldest one's entries move to the end.
 * journal_format.h has the bytes.
 */
struct journal;

struct journal_config {
    const char *folder;     /* made if missing, 0700 */
    uint64_t segment_bytes; /* of a segment; 0: 8 to 64 MiB, by how much lies in the log */
    /* Called from the committing thread when a write is durable or failed; post it to the
     * replicator's thread. */
    void (*written)(void *context, enum err err);
    void *context;
};

/*
 * What the last flush did not bring to the disk is dropped: nobody was told that it is there.
 * ERR_MALFORMED: something is damaged or missing before the end of the log, which is logged;
 * such a node must not vote under its old id.
 */
MUST_CHECK enum err journal_open(const struct journal_config *config, struct journal **journal);
/* Waits for a write under way. */
void journal_close(struct journal **journal);
struct entry_log *journal_interface(struct journal *journal);

struct journal_statistics {
    uint64_t file_bytes; /* of all segments */
    uint64_t used_bytes; /* batches in them */
    uint64_t live_bytes; /* entries that are still part of a group's log */
    unsigned segments;
};
void journal_statistics(struct journal *journal, struct journal_statistics *statistics);

/*
 * Makes a journal in `folder`, which must not be there yet, with all that the LMDB log in
 * `lmdb_folder` has. Afterwards both are complete, and the journal is on disk. ERR_FULL: there
 * is no room. An interrupted one leaves `folder`.tmp, which is removed by the next.
 */
MUST_CHECK enum err journal_import(const char *folder, const char *lmdb_folder,
                                   uint64_t map_bytes);

/* A folder that a journal lies in goes, with its files. Nothing happens when there is none. */
void journal_files_remove(const char *folder);

#endif
