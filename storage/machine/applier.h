/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_APPLIER_H
#define STORAGE_MACHINE_APPLIER_H

#include "raft/machine.h"
#include "storage/db/db.h"
#include "storage/machine/machine.h"

/*
 * The replicator's state machine: a thread a lane, a lane an environment; a batch is one
 * transaction. The threads only apply; what comes back is posted by `applied`.
 */
struct applier;

struct applier_config {
    struct db **lanes; /* group g lives in lane g % lane_count */
    unsigned lane_count;
    bool witness; /* this node keeps no state of mail groups, only their logs */
    /*
     * From a lane's thread, after the commit: post it to the loop, which calls
     * replicator_batch_applied(). `events` live as long as the batch. An error means that the
     * state cannot be written: the process must end.
     */
    void (*applied)(void *context, struct machine_batch *batch,
                    const struct machine_events *events, enum err err);
    /* From a lane's thread: what was applied cannot be brought to disk. The process must end;
     * the lane writes nothing more, and says so of the next batch. May be NULL. */
    void (*failed)(void *context, enum err err);
    /* raft/machine.h; in the replicator's thread. */
    void (*fetch)(void *context, uint32_t group, uint64_t source, uint64_t index);
    void (*fetch_stop)(void *context, uint32_t group);
    void (*forget)(void *context, uint32_t group);
    void *context;
};

/* NULL, and a line in the log, when a lane cannot be read. */
struct applier *applier_new(const struct applier_config *config);
/* Waits for the lanes to finish what they were given; they take nothing more. The replicator,
 * which has batches of theirs, is freed between the two. */
void applier_stop(struct applier *applier);
/* Stops first, if that was not done. */
void applier_free(struct applier **applier);
struct machine *applier_interface(struct applier *applier);

/* What a fetch has come to, both on disk when this is called; from the replicator's thread. The
 * first: the mark of storage/machine/local.h is there. The second: it is gone, and the state is
 * that of `index`. */
void applier_partial(struct applier *applier, uint32_t group);
void applier_whole(struct applier *applier, uint32_t group, uint64_t index);
/* Nothing is left of it, on disk. */
void applier_forgotten(struct applier *applier, uint32_t group);

#endif
