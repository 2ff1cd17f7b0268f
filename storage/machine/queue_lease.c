/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QueueLease. No clock is asked whether a lease is over: an asker who says what lies there has
 * watched it for the whole of its time. A pair of lease and renewals is never there again, so
 * that it cannot have been another one meanwhile: renewals count on over all leases of a
 * destination. That holds where nobody has it, too: since the asker has read whom it is to be
 * sent to, nobody else has sent it, and a question or a renewal that comes late, when what it
 * was for has been reported, takes nothing.
 */
#include "storage/machine/queue_row.h"

static enum err lease_check(struct apply *apply, const Pr__QueueLease *call)
{
    if (call->lease == 0)
        return apply_refuse(apply, ERR_INVALID, "a lease without number");
    if (call->lease_ms == 0 || call->lease_ms > QUEUE_LEASE_MS_MAX)
        return apply_refuse(apply, ERR_INVALID, "a lease of %u ms", call->lease_ms);
    if (call->n_items == 0)
        return apply_refuse(apply, ERR_INVALID, "a lease of nothing");
    if (call->n_items > QUEUE_ITEMS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "%zu destinations; %d are the most",
                            call->n_items, QUEUE_ITEMS_MAX);
    for (size_t i = 0; i < call->n_items; i++)
        if (call->items[i]->item == NULL)
            return apply_refuse(apply, ERR_INVALID, "item %zu names nothing", i);
    return ERR_OK;
}

static bool can_have(const Pr__QueueLease *call, const Pr__QueueLeaseItem *item,
                     const Pr__QueueDestination *destination)
{
    return destination->lease == call->lease || (destination->lease == item->seen_lease &&
                                                 destination->renewals == item->seen_renewals);
}

static bool item_lease(struct apply *apply, struct queue_row *row, const Pr__QueueLease *call,
                       const Pr__QueueLeaseItem *item)
{
    Pr__QueueRecord *record = queue_row_open(row, item->item->id);
    Pr__QueueDestination *destination =
        record != NULL ? queue_destination(record, item->item->destination) : NULL;

    /* Who sends what is held now is to stop. */
    if (destination == NULL || record->held || !can_have(call, item, destination))
        return false;
    destination->lease = call->lease;
    destination->node_id = call->node_id;
    destination->renewals++;
    destination->due_ms = queue_later_ms(apply, call->lease_ms);
    row->changed = true;
    return true;
}

enum err apply_queue_lease(struct apply *apply)
{
    const Pr__QueueLease *call = apply->command->queue_lease;
    Pr__Outcome *outcome = apply->outcome;
    struct queue_row row;
    enum err err;

    if ((err = lease_check(apply, call)) != ERR_OK)
        return err;
    outcome->queue_items =
        arena_alloc(apply->arena, call->n_items * sizeof(*outcome->queue_items));
    queue_row_init(&row, apply);
    for (size_t i = 0; i < call->n_items; i++)
        if (item_lease(apply, &row, call, call->items[i]))
            outcome->queue_items[outcome->n_queue_items++] = call->items[i]->item;
    queue_row_close(&row);
    return ERR_OK;
}
