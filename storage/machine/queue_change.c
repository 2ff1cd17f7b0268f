/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QueueChange: what an operator, or a policy, does to messages that wait. */
#include "storage/machine/directory.h"
#include "storage/machine/queue_row.h"

/* A destination that is being tried may still be reported, but not tried any longer. */
static bool hold(struct apply *apply, struct queue_row *row)
{
    const char *reason = apply->command->queue_change->reason;
    Pr__QueueRecord *record = row->record;

    if (!record->held || *reason != '\0')
        record->held_reason = (char *)(uintptr_t)reason; /* else the first stays */
    record->held = true;
    return true;
}

static bool release(struct apply *apply, struct queue_row *row)
{
    (void)apply;
    if (!row->record->held)
        return false;
    row->record->held = false;
    row->record->held_reason = (char *)(uintptr_t)protobuf_c_empty_string;
    return true;
}

static bool drop(struct apply *apply, struct queue_row *row)
{
    (void)apply;
    row->record->n_recipients = 0; /* R5 */
    return true;
}

/* What is due already keeps its place, and so does what is being tried. One that is held is due
 * at once when it is released. */
static bool retry(struct apply *apply, struct queue_row *row)
{
    uint64_t now_ms = queue_now_ms(apply);

    for (size_t i = 0; i < row->record->n_destinations; i++) {
        Pr__QueueDestination *destination = row->record->destinations[i];
        if (destination->lease == 0 && destination->due_ms > now_ms)
            destination->due_ms = now_ms;
    }
    return true;
}

static bool (*const actions[])(struct apply *apply, struct queue_row *row) = {
    [PR__QUEUE_CHANGE__ACTION__HOLD] = hold,
    [PR__QUEUE_CHANGE__ACTION__RELEASE] = release,
    [PR__QUEUE_CHANGE__ACTION__DROP] = drop,
    [PR__QUEUE_CHANGE__ACTION__RETRY] = retry,
};

/* What one command moves is bounded, whatever lies there. */
static enum err work_check(struct apply *apply, const Pr__QueueChange *call)
{
    size_t bytes = 0;
    size_t destinations = 0;

    for (size_t i = 0; i < call->n_ids; i++) {
        struct arena record_arena;
        struct key key;
        struct bytes row;
        const Pr__QueueRecord *record;
        if (db_get(apply->txn, TABLE_QUEUE, key_number(&key, apply->group, call->ids[i]),
                   &row) != ERR_OK)
            continue;
        bytes += row.len;
        arena_init(&record_arena);
        record =
            directory_unpack(apply->txn, row, &pr__queue_record__descriptor, &record_arena);
        destinations += record != NULL ? record->n_destinations : 0;
        arena_fini(&record_arena);
        if (bytes > QUEUE_CHANGE_BYTES_MAX || destinations > QUEUE_CHANGE_DESTINATIONS_MAX)
            return apply_refuse(apply, ERR_TOOBIG,
                                "the recipients of these %zu messages: ask for fewer",
                                call->n_ids);
    }
    return ERR_OK;
}

static enum err change_check(struct apply *apply, const Pr__QueueChange *call)
{
    if ((size_t)call->action >= sizeof(actions) / sizeof(*actions))
        return apply_refuse(apply, ERR_UNSUPPORTED, "a change that is not known");
    if (call->n_ids == 0)
        return apply_refuse(apply, ERR_INVALID, "a change of nothing");
    if (call->n_ids > QUEUE_CHANGE_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu messages; %d are the most", call->n_ids,
                            QUEUE_CHANGE_MAX);
    if (!queue_text_valid(call->reason, QUEUE_REASON_SIZE_MAX))
        return apply_refuse(apply, ERR_INVALID, "a reason that cannot be");
    return work_check(apply, call);
}

enum err apply_queue_change(struct apply *apply)
{
    const Pr__QueueChange *call = apply->command->queue_change;
    struct queue_row row;
    enum err err;

    if ((err = change_check(apply, call)) != ERR_OK)
        return err;
    queue_row_init(&row, apply);
    for (size_t i = 0; i < call->n_ids; i++) {
        /* Each by itself: the same one named twice is changed twice. */
        if (queue_row_open(&row, call->ids[i]) != NULL && actions[call->action](apply, &row)) {
            row.changed = true;
            apply->outcome->id++;
        }
        queue_row_close(&row);
    }
    return ERR_OK;
}
