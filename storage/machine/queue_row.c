/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/queue_row.h"

#include "node/base/check.h"
#include "storage/machine/blob.h"
#include "storage/machine/directory.h"

uint64_t queue_now_ms(const struct apply *apply)
{
    return apply->command->time_ms != 0 ? apply->command->time_ms : 1;
}

uint64_t queue_later_ms(const struct apply *apply, uint64_t ms)
{
    uint64_t now_ms = queue_now_ms(apply);

    return ms < UINT64_MAX - now_ms ? now_ms + ms : UINT64_MAX;
}

Pr__QueueDestination *queue_destination(const Pr__QueueRecord *record, uint32_t number)
{
    for (size_t i = 0; i < record->n_destinations; i++)
        if (record->destinations[i]->number == number)
            return record->destinations[i];
    return NULL;
}

Pr__QueueRecipient *queue_recipient(const Pr__QueueRecord *record, uint32_t number)
{
    for (size_t i = 0; i < record->n_recipients; i++)
        if (record->recipients[i]->number == number)
            return record->recipients[i];
    return NULL;
}

void queue_record_store(struct apply *apply, const Pr__QueueRecord *record)
{
    struct key key;

    directory_store(apply, TABLE_QUEUE, key_number(&key, apply->group, record->id),
                    &record->base);
}

/* ---- what follows from a change ---- */

static void recipients_settle(Pr__QueueRecord *record)
{
    size_t kept = 0;

    for (size_t i = 0; i < record->n_recipients; i++) {
        Pr__QueueRecipient *recipient = record->recipients[i];
        if (recipient->state == PR__QUEUE_RECIPIENT__STATE__WAITING || recipient->tell)
            record->recipients[kept++] = recipient;
    }
    record->n_recipients = kept;
}

static void destinations_settle(Pr__QueueRecord *record)
{
    bool waits[QUEUE_RECORD_RECIPIENTS_MAX + 1] = {false};
    size_t kept = 0;

    for (size_t i = 0; i < record->n_recipients; i++) {
        const Pr__QueueRecipient *recipient = record->recipients[i];
        CHECK(recipient->destination <= QUEUE_RECORD_RECIPIENTS_MAX);
        if (recipient->state == PR__QUEUE_RECIPIENT__STATE__WAITING)
            waits[recipient->destination] = true;
    }
    for (size_t i = 0; i < record->n_destinations; i++) {
        Pr__QueueDestination *destination = record->destinations[i];
        CHECK(destination->number <= QUEUE_RECORD_RECIPIENTS_MAX);
        if (waits[destination->number])
            record->destinations[kept++] = destination;
    }
    record->n_destinations = kept;
}

uint32_t queue_notice_number(const struct apply *apply, const Pr__QueueRecord *record)
{
    bool complete = record->notice_ms != 0 &&
                    record->notice_ms <= queue_later_ms(apply, QUEUE_NOTICE_CLOSED_MS);

    return record->notices + (complete ? 1 : 0);
}

/* Goes on to the next number when nobody belongs to this one any more: each has been told, or
 * something else has become of it. */
static bool notice_owed(Pr__QueueRecord *record)
{
    bool owed = false;
    bool now = false;

    for (size_t i = 0; i < record->n_recipients; i++) {
        const Pr__QueueRecipient *recipient = record->recipients[i];
        owed = owed || recipient->tell;
        now = now || (recipient->tell && recipient->notice <= record->notices);
    }
    if (record->notice_ms != 0 && !now) {
        record->notices++;
        record->notice_ms = 0;
    }
    return owed;
}

/* At once when nothing is under way that the same notice could tell of, else a little later. */
static void notice_settle(const struct apply *apply, Pr__QueueRecord *record)
{
    bool alone = true;
    uint64_t notice_ms;

    if (!notice_owed(record))
        return;
    for (size_t i = 0; i < record->n_destinations; i++)
        alone = alone && record->destinations[i]->lease == 0 &&
                record->destinations[i]->attempts > 0;
    notice_ms = queue_later_ms(apply, alone ? 0 : QUEUE_NOTICE_MS);
    /* Its time is part of its id: it stays when somebody may have begun, by a clock ahead. */
    if (record->notice_ms == 0 || (notice_ms < record->notice_ms &&
                                   queue_notice_number(apply, record) == record->notices))
        record->notice_ms = notice_ms;
}

static void due_settle(Pr__QueueRecord *record)
{
    if (record->n_destinations == 0) {
        record->due_ms = record->notice_ms;
        return;
    }
    record->due_ms = record->destinations[0]->due_ms;
    for (size_t i = 1; i < record->n_destinations; i++)
        if (record->destinations[i]->due_ms < record->due_ms)
            record->due_ms = record->destinations[i]->due_ms;
}

static void record_delete(struct apply *apply, const Pr__QueueRecord *record)
{
    struct key key;

    db_delete(apply->txn, TABLE_QUEUE, key_number(&key, apply->group, record->id));
    apply->record.queue--;
    blob_release(apply, record->blob);
}

static void row_write(struct queue_row *row)
{
    struct apply *apply = row->apply;
    Pr__QueueRecord *record = row->record;
    struct queue_places places = {.count = 0};
    bool gone;

    recipients_settle(record);
    destinations_settle(record);
    notice_settle(apply, record);
    due_settle(record);
    gone = record->n_recipients == 0;
    if (!gone)
        queue_places_of(record, &places);
    queue_places_change(apply, record, &row->places, &places);
    apply->record.queue_held -= row->was_held;
    apply->record.queue_held += record->held && !gone;
    if (gone)
        record_delete(apply, record);
    else
        queue_record_store(apply, record);
}

/* ---- one at a time ---- */

void queue_row_init(struct queue_row *row, struct apply *apply)
{
    *row = (struct queue_row){.apply = apply};
}

void queue_row_close(struct queue_row *row)
{
    if (!row->open)
        return;
    if (row->record != NULL && row->changed)
        row_write(row);
    arena_fini(&row->row_arena);
    row->open = false;
}

Pr__QueueRecord *queue_row_open(struct queue_row *row, uint64_t id)
{
    struct key key;

    if (row->open && row->id == id)
        return row->record;
    queue_row_close(row);
    arena_init(&row->row_arena);
    row->open = true;
    row->id = id;
    row->changed = false;
    row->record =
        directory_load(row->apply->txn, TABLE_QUEUE, key_number(&key, row->apply->group, id),
                       &pr__queue_record__descriptor, &row->row_arena);
    if (row->record == NULL)
        return NULL;
    CHECK(row->record->n_destinations <= QUEUE_RECORD_RECIPIENTS_MAX);
    row->was_held = row->record->held;
    queue_places_of(row->record, &row->places);
    return row->record;
}
