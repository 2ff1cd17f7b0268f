/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_MACHINE_H
#define RAFT_MACHINE_H

#include "node/base/bytes.h"
#include "node/base/err.h"

/*
 * The state machine that a replicator feeds. The replicator hands over committed commands in
 * batches, at most one batch outstanding per lane; the machine applies a batch in one
 * transaction together with each group's applied index, and tells replicator_batch_applied()
 * from the replicator's thread. Applying is deterministic and total: a command that does not
 * fit gets a reply that says so. A machine that cannot write ends the process.
 */
enum {
    MACHINE_BATCH_COMMANDS_MAX = 128,
    MACHINE_BATCH_BYTES_MAX = 2 * 1024 * 1024,
};

struct machine_command {
    uint32_t group;
    uint64_t index;
    uint64_t term;
    struct bytes
        command;     /* empty for entries that are the replicator's own: only the index moves */
    bool want_reply; /* somebody here waits for it */
    struct bytes reply; /* set by the machine; lives until the batch is given back */
};

struct machine_batch {
    unsigned lane;
    unsigned count;
    struct machine_command commands[MACHINE_BATCH_COMMANDS_MAX];
    void *memory; /* the machine's own, for the replies; freed by release() */
};

struct machine {
    const struct machine_ops *ops;
};

/*
 * WHOLE: what entries 1..applied have made. PARTIAL: a copy from another replica has begun and
 * not ended; it neither applies nor reads, but its log votes. NONE: this node never keeps the
 * state of that group (a witness), only the log.
 *
 * A machine that knows none of this leaves the operations from state() on NULL: it is WHOLE,
 * and a node that needs another's state goes without.
 */
enum machine_state { MACHINE_WHOLE, MACHINE_PARTIAL, MACHINE_NONE };

struct machine_ops {
    /* Lanes apply side by side; a group belongs to one lane for good. */
    unsigned (*lane_of)(struct machine *machine, uint32_t group);
    /* The batch is the machine's until it is given to replicator_batch_applied(), later. */
    void (*apply)(struct machine *machine, struct machine_batch *batch);
    /* After the replies have been handed out: free batch->memory. */
    void (*release)(struct machine *machine, struct machine_batch *batch);
    /* What has been applied (at start: read from the state). */
    uint64_t (*applied)(struct machine *machine, uint32_t group);
    /* What would be there after a power loss: the log is kept from here on. Never more than
     * applied. */
    uint64_t (*durable)(struct machine *machine, uint32_t group);
    /* How whole the group's state is here, over restarts too. */
    enum machine_state (*state)(struct machine *machine, uint32_t group);
    /*
     * Makes the group's state here what it is on node `source`, which must have applied at
     * least `index`; whatever is here already is of use, not trusted. Until
     * replicator_state_fetched() the state is PARTIAL (durably so before the first row
     * changes), nothing of the group is applied and no batch with commands of it is
     * outstanding. state() says PARTIAL as soon as what was here is of no use any more:
     * the old log goes then.
     */
    void (*fetch)(struct machine *machine, uint32_t group, uint64_t source, uint64_t index);
    /* Ends a fetch soon; replicator_state_fetched() comes all the same. */
    void (*fetch_stop)(struct machine *machine, uint32_t group);
    /* The group's log is gone: what is left of its state shall go too. Ends in
     * replicator_state_forgotten(); nothing else is asked of the group until then. */
    void (*forget)(struct machine *machine, uint32_t group);
};

#endif
