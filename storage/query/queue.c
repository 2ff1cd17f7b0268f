/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/queue.h"

#include "storage/machine/directory.h"
#include "storage/machine/greylist.h"
#include "storage/machine/sending.h"
#include "storage/query/view.h"
#include "storage/schema/address.h"
#include "storage/schema/entry.h"

/* The group's row; all zero where there is none. */
static void group_load(struct db_txn *txn, uint32_t group, struct group_record *record)
{
    struct key key;
    struct bytes row;

    *record = (struct group_record){0};
    if (db_get(txn, TABLE_META, key_group(&key, group), &row) == ERR_OK &&
        !group_decode(row, record))
        db_fail(txn, ERR_MALFORMED);
}

/* ---- the queue ---- */

static bool record_first(struct db_txn *txn, uint32_t group, uint64_t *time_ms)
{
    struct arena record_arena;
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_QUEUE, key_group(&prefix, group));
    Pr__QueueRecord *record = NULL;

    arena_init(&record_arena);
    if (db_cursor_first(cursor, &key, &row))
        record = directory_unpack(txn, row, &pr__queue_record__descriptor, &record_arena);
    if (record != NULL)
        *time_ms = record->time_ms;
    arena_fini(&record_arena);
    db_cursor_close(&cursor);
    return record != NULL;
}

/* The row of the first lane begins with its time. */
static uint64_t due_next(struct db_txn *txn, uint32_t group)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_QUEUE_DUE, key_group(&prefix, group));
    uint64_t due_ms = 0;

    if (db_cursor_first(cursor, &key, &row))
        due_ms = key_last_u64(bytes_from(key.at, prefix.len + sizeof(due_ms)));
    db_cursor_close(&cursor);
    return due_ms;
}

void query_queue_counts(struct db_txn *txn, uint32_t group, struct queue_counts *counts)
{
    struct group_record record;

    group_load(txn, group, &record);
    *counts = (struct queue_counts){.messages = record.queue, .held = record.queue_held};
    record_first(txn, group, &counts->oldest_ms);
    counts->oldest_due_ms = due_next(txn, group);
}

Pr__QueueRecord *query_queue_record(struct db_txn *txn, uint32_t group, uint64_t id,
                                    struct arena *arena)
{
    struct key key;

    return directory_load(txn, TABLE_QUEUE, key_number(&key, group, id),
                          &pr__queue_record__descriptor, arena);
}

static bool same_text(struct bytes one, struct bytes other)
{
    if (one.len != other.len)
        return false;
    for (size_t i = 0; i < one.len; i++) {
        uint8_t a = one.at[i];
        uint8_t b = other.at[i];
        a = a >= 'A' && a <= 'Z' ? (uint8_t)(a + 32) : a;
        b = b >= 'A' && b <= 'Z' ? (uint8_t)(b + 32) : b;
        if (a != b)
            return false;
    }
    return true;
}

static bool goes_to(const Pr__QueueRecord *record, struct bytes wanted)
{
    for (size_t i = 0; i < record->n_recipients; i++) {
        struct bytes local;
        struct bytes domain;
        if (address_split(bytes_of(record->recipients[i]->address), &local, &domain) &&
            same_text(domain, wanted))
            return true;
    }
    return false;
}

static bool is_wanted(const Pr__QueueRecord *record, const Pr__QueueList *call)
{
    struct bytes sender = bytes_of(call->sender);
    struct bytes domain = bytes_of(call->domain);
    struct bytes delivery = bytes_of_field(call->delivery_id);

    if (delivery.len > 0 && !bytes_equal(bytes_of_field(record->delivery_id), delivery))
        return false;
    if (sender.len > 0 &&
        (record->envelope == NULL || !same_text(bytes_of(record->envelope->sender), sender)))
        return false;
    return domain.len == 0 || goes_to(record, domain);
}

static void page_add(Pr__QueueListAnswer *answer, uint32_t group, Pr__QueueRecord *record)
{
    answer->groups[answer->n_groups++] = group;
    answer->messages[answer->n_messages++] = record;
}

static bool row_wanted(struct db_txn *txn, struct bytes row, const Pr__QueueList *call)
{
    struct arena record_arena;
    Pr__QueueRecord *record;
    bool wanted;

    if (*call->sender == '\0' && *call->domain == '\0' && call->delivery_id.len == 0)
        return true;
    arena_init(&record_arena);
    record = directory_unpack(txn, row, &pr__queue_record__descriptor, &record_arena);
    wanted = record != NULL && is_wanted(record, call);
    arena_fini(&record_arena);
    return wanted;
}

enum err query_queue_list(struct db_txn *txn, uint32_t group, const Pr__QueueList *call,
                          uint64_t *after, struct arena *arena, Pr__QueueListAnswer *answer)
{
    size_t limit = call->limit != 0 && call->limit < QUERY_QUEUE_LIMIT_MAX
                       ? call->limit
                       : QUERY_QUEUE_LIMIT_MAX;
    uint64_t from = call->id != 0 ? call->id : *after + 1;
    size_t bytes = 0;
    struct db_cursor *cursor;
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes row;
    bool more;

    answer->messages = arena_alloc(arena, limit * sizeof(*answer->messages));
    answer->groups = arena_alloc(arena, limit * sizeof(*answer->groups));
    if (from == 0) /* behind the last id there can be */
        return query_error(txn, true);
    cursor = db_cursor_open(txn, TABLE_QUEUE, key_group(&prefix, group));
    more = db_cursor_seek(cursor, key_number(&at, group, from), &key, &row);
    for (unsigned looks = 0; more; looks++, more = db_cursor_next(cursor, &key, &row)) {
        if (call->id != 0 && key_last_u64(key) != call->id)
            break;
        answer->more = answer->n_messages == limit || looks == QUERY_QUEUE_LOOKS_MAX ||
                       bytes >= QUERY_QUEUE_BYTES_MAX;
        if (answer->more)
            break;
        *after = key_last_u64(key);
        if (!row_wanted(txn, row, call))
            continue;
        Pr__QueueRecord *record =
            directory_unpack(txn, row, &pr__queue_record__descriptor, arena);
        if (record == NULL)
            break;
        page_add(answer, group, record);
        bytes += row.len;
    }
    db_cursor_close(&cursor);
    return query_error(txn, true);
}

/* ---- what is counted and remembered by the group's clock ---- */

void query_sending(struct db_txn *txn, uint32_t group, uint64_t account_id, uint64_t *in_hour,
                   uint64_t *in_day)
{
    struct group_record record;
    struct sending_record sending;

    group_load(txn, group, &record);
    sending_load(txn, group, account_id, record.clock_ms, &sending);
    *in_hour = sending_in_hour(&sending);
    *in_day = sending_in_day(&sending);
}

void query_greylist(struct db_txn *txn, uint32_t group, struct bytes key,
                    struct greylist_view *view)
{
    struct group_record record;
    struct greylist_record greylist;

    *view = (struct greylist_view){.known = false};
    group_load(txn, group, &record);
    if (key.len != GREYLIST_KEY_SIZE ||
        !greylist_load(txn, group, key, record.clock_ms, &greylist))
        return;
    view->known = true;
    view->passed = greylist.passed;
    view->first_ms = greylist.first_ms;
    view->refresh =
        record.clock_ms - greylist.seen_ms >= (greylist.expires_ms - greylist.seen_ms) / 2;
}
