/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_QUEUE_LANE_H
#define STORAGE_MACHINE_QUEUE_LANE_H

#include "storage/machine/queue.h"

/*
 * The order in which the queue is worked off (queue.h):
 *
 * L1  A record that is not held has a row in queue_lane for each destination, at its due time,
 *     and one for its notices while notice_ms is not 0. A record that is held has none.
 * L2  A lane that has rows has one row in queue_due, at the due time of the first of them.
 *
 * So a change of one destination touches its row, and the lane's when its first is another one.
 */
struct queue_lane {
    struct bytes domain; /* empty: notices */
    Pr__QueueClass queue_class;
    uint64_t tenant_id;
};

/* What is behind the group in the key of a row of queue_due, behind its time. False for what is
 * no lane. `domain` points into it. */
bool queue_lane_read(struct bytes behind, struct queue_lane *lane);
/* Whether there can be such a lane. */
bool queue_lane_valid(const struct queue_lane *lane);
/* The prefix of its rows in queue_lane. */
struct bytes queue_lane_key(struct key *key, uint32_t group, const struct queue_lane *lane);

/* A row of queue_lane. */
struct queue_place {
    struct bytes lane; /* as in queue_lane_read() */
    uint64_t due_ms;
    uint64_t id;
    uint32_t destination; /* 0: notices */
};
bool queue_place_read(struct bytes key, struct queue_place *place);

/* Where a record's destinations lie, in the order of their numbers. */
struct queue_places {
    size_t count;
    struct {
        struct bytes domain; /* borrowed from the record */
        uint32_t destination;
        uint64_t due_ms;
    } at[QUEUE_RECORD_RECIPIENTS_MAX + 1];
};
/* Those that the record as it is has to have (L1). */
void queue_places_of(const Pr__QueueRecord *record, struct queue_places *places);
/* Makes them so, from what they are. */
void queue_places_change(struct apply *apply, const Pr__QueueRecord *record,
                         const struct queue_places *from, const struct queue_places *to);

#endif
