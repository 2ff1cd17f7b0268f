/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/queue_lane.h"

#include "node/base/check.h"

enum {
    LANE_BEHIND_DOMAIN = 1 + 1 + 8, /* NUL, class, tenant */
    PLACE_BEHIND_LANE = 8 + 8 + 4,  /* due time, queue id, destination */
    GROUP_SIZE = 4,
};

_Static_assert(GROUP_SIZE + QUEUE_DOMAIN_SIZE_MAX + LANE_BEHIND_DOMAIN + PLACE_BEHIND_LANE <=
                   DB_KEY_SIZE_MAX,
               "a lane's rows have keys");

bool queue_lane_read(struct bytes behind, struct queue_lane *lane)
{
    if (behind.len < LANE_BEHIND_DOMAIN || behind.at[behind.len - LANE_BEHIND_DOMAIN] != 0)
        return false;
    *lane = (struct queue_lane){
        .domain = bytes_from(behind.at, behind.len - LANE_BEHIND_DOMAIN),
        .queue_class = (Pr__QueueClass)behind.at[behind.len - 9],
        .tenant_id = key_last_u64(behind),
    };
    return true;
}

bool queue_lane_valid(const struct queue_lane *lane)
{
    return lane->domain.len <= QUEUE_DOMAIN_SIZE_MAX &&
           (unsigned)lane->queue_class <= PR__QUEUE_CLASS__QUEUE_BULK;
}

struct bytes queue_lane_key(struct key *key, uint32_t group, const struct queue_lane *lane)
{
    return key_queue_lane(key, group, lane->domain, (uint8_t)lane->queue_class,
                          lane->tenant_id);
}

bool queue_place_read(struct bytes key, struct queue_place *place)
{
    struct bytes behind = key_behind_group(key);

    if (behind.len < LANE_BEHIND_DOMAIN + PLACE_BEHIND_LANE)
        return false;
    place->lane = bytes_from(behind.at, behind.len - PLACE_BEHIND_LANE);
    place->due_ms = key_last_u64(bytes_from(key.at, key.len - 12));
    place->id = key_last_u64(bytes_from(key.at, key.len - 4));
    place->destination = key_last_u32(key);
    return true;
}

/* ---- rows ---- */

/* When the lane's first is due; 0: it is empty. */
static uint64_t lane_first(const struct apply *apply, struct bytes lane)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct queue_place place = {.due_ms = 0};
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, TABLE_QUEUE_LANE, key_name(&prefix, apply->group, lane));

    if (db_cursor_first(cursor, &key, &row) && !queue_place_read(key, &place))
        db_fail(apply->txn, ERR_MALFORMED);
    db_cursor_close(&cursor);
    return place.due_ms;
}

static void due_move(struct apply *apply, struct bytes lane, uint64_t from_ms, uint64_t to_ms)
{
    struct key key;

    if (from_ms == to_ms)
        return;
    if (from_ms != 0)
        db_delete(apply->txn, TABLE_QUEUE_DUE,
                  key_queue_due(&key, apply->group, from_ms, lane));
    if (to_ms != 0)
        db_put(apply->txn, TABLE_QUEUE_DUE, key_queue_due(&key, apply->group, to_ms, lane),
               bytes_from(NULL, 0));
}

/* Due times are never 0: that is where it does not lie in the lane. */
static void place_move(struct apply *apply, const struct queue_place *place, uint64_t from_ms,
                       uint64_t to_ms)
{
    uint64_t first_ms = lane_first(apply, place->lane);
    struct key key;

    if (from_ms != 0)
        db_delete(apply->txn, TABLE_QUEUE_LANE,
                  key_queue_place(&key, apply->group, place->lane, from_ms, place->id,
                                  place->destination));
    if (to_ms != 0)
        db_put(apply->txn, TABLE_QUEUE_LANE,
               key_queue_place(&key, apply->group, place->lane, to_ms, place->id,
                               place->destination),
               bytes_from(NULL, 0));
    due_move(apply, place->lane, first_ms, lane_first(apply, place->lane));
    if (to_ms != 0 && (from_ms == 0 || to_ms < from_ms))
        apply->events->queue_due = true;
}

/* ---- what a record has there ---- */

static void place_add(struct queue_places *places, struct bytes domain, uint32_t destination,
                      uint64_t due_ms)
{
    CHECK(due_ms != 0 && places->count < sizeof(places->at) / sizeof(*places->at));
    places->at[places->count].domain = domain;
    places->at[places->count].destination = destination;
    places->at[places->count++].due_ms = due_ms;
}

void queue_places_of(const Pr__QueueRecord *record, struct queue_places *places)
{
    places->count = 0;
    if (record->held)
        return;
    if (record->notice_ms != 0)
        place_add(places, bytes_from(NULL, 0), 0, record->notice_ms);
    for (size_t i = 0; i < record->n_destinations; i++)
        place_add(places, bytes_of(record->destinations[i]->domain),
                  record->destinations[i]->number, record->destinations[i]->due_ms);
}

void queue_places_change(struct apply *apply, const Pr__QueueRecord *record,
                         const struct queue_places *from, const struct queue_places *to)
{
    size_t old = 0;
    size_t new = 0;

    while (old < from->count || new < to->count) {
        uint32_t gone = old < from->count ? from->at[old].destination : UINT32_MAX;
        uint32_t come = new < to->count ? to->at[new].destination : UINT32_MAX;
        uint64_t from_ms = gone <= come ? from->at[old].due_ms : 0;
        uint64_t to_ms = come <= gone ? to->at[new].due_ms : 0;
        struct queue_lane lane = {
            .domain = gone <= come ? from->at[old].domain : to->at[new].domain,
            .queue_class = record->class_,
            .tenant_id = record->tenant_id,
        };
        struct key key;
        struct queue_place place = {
            .lane = key_behind_group(queue_lane_key(&key, apply->group, &lane)),
            .id = record->id,
            .destination = gone <= come ? gone : come,
        };
        if (from_ms != to_ms)
            place_move(apply, &place, from_ms, to_ms);
        old += gone <= come;
        new += come <= gone;
    }
}
