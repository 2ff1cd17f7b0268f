/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_QUEUE_ROW_H
#define STORAGE_MACHINE_QUEUE_ROW_H

#include "node/base/arena.h"
#include "storage/machine/queue_lane.h"

/*
 * Records of the queue while commands change them, one at a time: what is changed in memory is
 * written back with all that follows from it.
 *
 * R1  Each recipient that waits has a destination, and each destination has such a recipient.
 * R2  A recipient that is finished is there only while a notice about it is owed.
 * R3  notice_ms is 0 exactly when none is owed. Else at least one recipient belongs to the
 * notice that is next; what is owed from the moment on at which that is complete belongs to the
 * one behind it. So a number names one notice for good: made again after a crash it is the same
 *     one, or about fewer recipients.
 * R4  due_ms is that of the first destination, without any the notice's.
 * R5  A record without recipients is gone, and its reference to the body.
 */
struct queue_row {
    struct apply *apply;
    bool open;
    uint64_t id;
    Pr__QueueRecord *record; /* NULL: there is none */
    bool changed;            /* set by whoever changes it */
    bool was_held;
    struct queue_places places; /* where it lies as long as it is not written back */
    struct arena row_arena;
};

void queue_row_init(struct queue_row *row, struct apply *apply);
/* Writes back the one before, unless it is the same. What the record is made to point to must
 * live until the next call, or queue_row_close(). */
Pr__QueueRecord *queue_row_open(struct queue_row *row, uint64_t id);
void queue_row_close(struct queue_row *row);

/* NULL when the record has none of that number (any more). */
Pr__QueueDestination *queue_destination(const Pr__QueueRecord *record, uint32_t number);
Pr__QueueRecipient *queue_recipient(const Pr__QueueRecord *record, uint32_t number);

/* The command's time, never 0, and one that much later. */
uint64_t queue_now_ms(const struct apply *apply);
uint64_t queue_later_ms(const struct apply *apply, uint64_t ms);

/* The notice that a recipient belongs to about whom one is owed from now on. */
uint32_t queue_notice_number(const struct apply *apply, const Pr__QueueRecord *record);

void queue_record_store(struct apply *apply, const Pr__QueueRecord *record);

#endif
