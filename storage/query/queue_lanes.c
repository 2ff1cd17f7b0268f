/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What there is to do in the queue, for whoever sends. */
#include "node/base/check.h"
#include "storage/machine/directory.h"
#include "storage/machine/queue_lane.h"
#include "storage/query/queue.h"
#include "storage/query/view.h"
#include "storage/schema/entry.h"

static size_t page_limit(uint32_t asked)
{
    return asked != 0 && asked < QUERY_QUEUE_LIMIT_MAX ? asked : QUERY_QUEUE_LIMIT_MAX;
}

static bool lane_asked(const Pr__QueueLane *asked, struct queue_lane *lane)
{
    *lane = (struct queue_lane){
        .domain = bytes_of(asked->domain),
        .queue_class = asked->class_,
        .tenant_id = asked->tenant_id,
    };
    return queue_lane_valid(lane);
}

/* ---- lanes ---- */

/* A row of queue_due. */
static bool due_read(struct db_txn *txn, struct bytes key, struct queue_lane *lane,
                     uint64_t *due_ms)
{
    struct bytes behind = key_behind_group(key);
    bool valid = queue_lane_read(bytes_skip(behind, sizeof(*due_ms)), lane);

    if (valid)
        *due_ms = key_last_u64(bytes_from(behind.at, sizeof(*due_ms)));
    else
        db_fail(txn, ERR_MALFORMED);
    return valid;
}

static void lane_add(struct arena *arena, const struct queue_lane *lane, uint64_t due_ms,
                     Pr__QueueLanesAnswer *answer)
{
    Pr__QueueLane *made = arena_alloc(arena, sizeof(*made));

    pr__queue_lane__init(made);
    made->domain = arena_string(arena, lane->domain);
    made->class_ = lane->queue_class;
    made->tenant_id = lane->tenant_id;
    made->due_ms = due_ms;
    answer->lanes[answer->n_lanes++] = made;
}

/* The first row behind `from`, which may be there and is passed then. */
static bool seek_behind(struct db_cursor *cursor, struct bytes from, struct bytes *key)
{
    struct bytes row;
    bool more = db_cursor_seek(cursor, from, key, &row);

    return more && bytes_equal(*key, from) ? db_cursor_next(cursor, key, &row) : more;
}

/* Of the first lane that is due later. */
static uint64_t due_behind(struct db_txn *txn, uint32_t group, uint64_t until_ms)
{
    struct key prefix;
    struct key from;
    struct bytes key;
    struct bytes row;
    struct queue_lane lane;
    struct db_cursor *cursor;
    uint64_t due_ms = 0;

    if (until_ms == UINT64_MAX)
        return 0;
    cursor = db_cursor_open(txn, TABLE_QUEUE_DUE, key_group(&prefix, group));
    if (db_cursor_seek(cursor, key_number(&from, group, until_ms + 1), &key, &row))
        due_read(txn, key, &lane, &due_ms);
    db_cursor_close(&cursor);
    return due_ms;
}

static struct bytes lanes_from(struct key *key, uint32_t group, const Pr__QueueLanes *call,
                               const struct queue_lane *after)
{
    struct key lane;

    if (call->after == NULL)
        return key_group(key, group);
    return key_queue_due(key, group, call->after->due_ms,
                         key_behind_group(queue_lane_key(&lane, group, after)));
}

enum err query_queue_lanes(struct db_txn *txn, uint32_t group, const Pr__QueueLanes *call,
                           struct arena *arena, Pr__QueueLanesAnswer *answer)
{
    size_t limit = page_limit(call->limit);
    struct queue_lane lane = {.tenant_id = 0};
    struct db_cursor *cursor;
    struct key prefix;
    struct key from;
    struct bytes key;
    struct bytes row;

    if (call->after != NULL && !lane_asked(call->after, &lane))
        return ERR_INVALID;
    answer->lanes = arena_alloc(arena, limit * sizeof(*answer->lanes));
    cursor = db_cursor_open(txn, TABLE_QUEUE_DUE, key_group(&prefix, group));
    for (bool more = seek_behind(cursor, lanes_from(&from, group, call, &lane), &key); more;
         more = db_cursor_next(cursor, &key, &row)) {
        uint64_t due_ms;
        if (!due_read(txn, key, &lane, &due_ms) || due_ms > call->until_ms)
            break;
        answer->more = answer->n_lanes == limit;
        if (answer->more)
            break;
        lane_add(arena, &lane, due_ms, answer);
    }
    db_cursor_close(&cursor);
    answer->next_due_ms = due_behind(txn, group, call->until_ms);
    answer->clock_ms = machine_clock_ms(txn, group, 0);
    return query_error(txn, true);
}

/* ---- what is in one ---- */

/* As QueueReadAnswer says. */
static void record_cut(Pr__QueueRecord *record, uint32_t destination)
{
    size_t recipients = 0;
    size_t destinations = 0;

    for (size_t i = 0; i < record->n_recipients; i++) {
        Pr__QueueRecipient *recipient = record->recipients[i];
        if (destination == 0 ? recipient->tell && recipient->notice <= record->notices
                             : recipient->destination == destination &&
                                   recipient->state == PR__QUEUE_RECIPIENT__STATE__WAITING)
            record->recipients[recipients++] = recipient;
    }
    record->n_recipients = recipients;
    if (destination == 0)
        return;
    for (size_t i = 0; i < record->n_destinations; i++)
        if (record->destinations[i]->number == destination)
            record->destinations[destinations++] = record->destinations[i];
    record->n_destinations = destinations;
}

struct page {
    struct db_txn *txn;
    uint32_t group;
    struct arena *arena;
    Pr__QueueReadAnswer *answer;
    size_t bytes;      /* in the answer */
    size_t read_bytes; /* of the records that it is made of */
};

/* Only what is wanted of it goes into the arena. */
static void page_add(struct page *page, const struct queue_place *place)
{
    ProtobufCAllocator allocator = arena_allocator(page->arena);
    struct buffer packed = BUFFER_EMPTY;
    struct arena record_arena;
    struct key key;
    struct bytes row;
    Pr__QueueRecord *record;

    if (db_get(page->txn, TABLE_QUEUE, key_number(&key, page->group, place->id), &row) !=
        ERR_OK) {
        db_fail(page->txn, ERR_MALFORMED);
        return;
    }
    page->read_bytes += row.len;
    arena_init(&record_arena);
    record = directory_unpack(page->txn, row, &pr__queue_record__descriptor, &record_arena);
    if (record != NULL) {
        record_cut(record, place->destination);
        message_pack(&record->base, &packed);
        page->bytes += buffer_len(&packed);
        record =
            pr__queue_record__unpack(&allocator, buffer_len(&packed), buffer_bytes(&packed).at);
        CHECK(record != NULL);
        page->answer->messages[page->answer->n_messages++] = record;
        buffer_fini(&packed);
    }
    arena_fini(&record_arena);
}

static struct bytes read_from(struct key *key, uint32_t group, const Pr__QueueRead *call,
                              struct bytes lane)
{
    return key_queue_place(key, group, lane, call->after_due_ms,
                           call->after != NULL ? call->after->id : 0,
                           call->after != NULL ? call->after->destination : 0);
}

enum err query_queue_read(struct db_txn *txn, uint32_t group, const Pr__QueueRead *call,
                          struct arena *arena, Pr__QueueReadAnswer *answer)
{
    struct page page = {.txn = txn, .group = group, .arena = arena, .answer = answer};
    size_t limit = page_limit(call->limit);
    struct queue_lane lane;
    struct queue_place place;
    struct db_cursor *cursor;
    struct key prefix;
    struct key from;
    struct bytes all;
    struct bytes key;
    struct bytes row;

    if (call->lane == NULL || !lane_asked(call->lane, &lane))
        return ERR_INVALID;
    answer->messages = arena_alloc(arena, limit * sizeof(*answer->messages));
    all = queue_lane_key(&prefix, group, &lane);
    cursor = db_cursor_open(txn, TABLE_QUEUE_LANE, all);
    for (bool more =
             seek_behind(cursor, read_from(&from, group, call, key_behind_group(all)), &key);
         more && queue_place_read(key, &place) && place.due_ms <= call->until_ms;
         more = db_cursor_next(cursor, &key, &row)) {
        answer->more = answer->n_messages == limit || page.bytes >= QUERY_QUEUE_BYTES_MAX ||
                       page.read_bytes >= QUERY_QUEUE_READ_BYTES_MAX;
        if (answer->more)
            break;
        page_add(&page, &place);
    }
    db_cursor_close(&cursor);
    return query_error(txn, true);
}
