/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_QUEUE_H
#define STORAGE_QUERY_QUEUE_H

#include "node/base/arena.h"
#include "record.pb-c.h"
#include "storage/db/db.h"
#include "store.pb-c.h"

/* Reads of a group's queue, of what accounts have sent, and of the greylist; each in one read
 * transaction, with answers in `arena`. Thread-safe. */
enum {
    QUERY_QUEUE_LIMIT_MAX = 1000,          /* messages in a page */
    QUERY_QUEUE_LOOKS_MAX = 10000,         /* looked at for one */
    QUERY_QUEUE_BYTES_MAX = 1 << 20,       /* of the records in a page, but for the last */
    QUERY_QUEUE_READ_BYTES_MAX = 16 << 20, /* of the records that its parts are taken from */
};

struct queue_counts {
    uint64_t messages;
    uint64_t held;
    uint64_t oldest_ms;     /* when the first that is there was accepted; 0: there is none */
    uint64_t oldest_due_ms; /* the next attempt or notice of those not held; 0: there is none */
};
void query_queue_counts(struct db_txn *txn, uint32_t group, struct queue_counts *counts);

/* NULL when it is gone. */
Pr__QueueRecord *query_queue_record(struct db_txn *txn, uint32_t group, uint64_t id,
                                    struct arena *arena);

/*
 * A page of the group's queue behind the id *after, in the order of ids: those that the call's
 * filters let through (its id, limit, sender, domain and delivery's id; letters' case does not
 * matter). *after is then the last that was looked at, and answer->more says whether there may
 * be more behind it: a page that ends because enough was looked at can be empty.
 */
enum err query_queue_list(struct db_txn *txn, uint32_t group, const Pr__QueueList *call,
                          uint64_t *after, struct arena *arena, Pr__QueueListAnswer *answer);

/*
 * What there is to do (storage/machine/queue.h): lanes whose first is due at call->until_ms,
 * the earliest first, behind call->after where it is given (its due_ms counts). answer->more
 * says that there are more of them; next_due_ms is that of the first lane due later, clock_ms
 * the group's own at its last command. Lanes show what is leased as well, once the lease is
 * over.
 */
enum err query_queue_lanes(struct db_txn *txn, uint32_t group, const Pr__QueueLanes *call,
                           struct arena *arena, Pr__QueueLanesAnswer *answer);

/*
 * What is due in a lane, the earliest first. Each message is a record with one destination and
 * the recipients of it that wait. In lanes of domain "": with all destinations, and the
 * recipients about whom a notice is owed. The next page begins behind (due_ms of its
 * destination, or notice_ms; id; number of its destination, or 0) of the last message.
 * ERR_INVALID for a lane that cannot be.
 */
enum err query_queue_read(struct db_txn *txn, uint32_t group, const Pr__QueueRead *call,
                          struct arena *arena, Pr__QueueReadAnswer *answer);

/* Recipients that count against an account's limits, by the group's clock. */
void query_sending(struct db_txn *txn, uint32_t group, uint64_t account_id, uint64_t *in_hour,
                   uint64_t *in_day);

/* What the group knows of a key of the greylist, so that a sender who has passed needs no
 * command. */
struct greylist_view {
    bool known;
    bool passed;
    bool refresh; /* half of its time is over: it is to be said that it was seen */
    uint64_t first_ms;
};
void query_greylist(struct db_txn *txn, uint32_t group, struct bytes key,
                    struct greylist_view *view);

/* Counts all rows of queue and greylist of a group again. */
struct queue_recount {
    uint64_t messages;
    uint64_t held;
    uint64_t places; /* of destinations and notices in lanes */
    uint64_t lanes;
    uint64_t keys;
    uint64_t wrong; /* rows that do not fit to one another, and counts that differ */
};
enum err query_queue_recount(struct db_txn *txn, uint32_t group, struct queue_recount *recount);

#endif
