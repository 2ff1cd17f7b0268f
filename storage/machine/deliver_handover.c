/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The duty to bring a delivery to accounts of other groups. */
#include "record.pb-c.h"
#include "storage/machine/deliver.h"
#include "storage/schema/entry.h"
#include "storage/schema/request_id.h"

enum err deliver_handover_check(struct apply *apply, const Pr__Handover *handover)
{
    if (handover->group == 0 || handover->group == apply->group)
        return apply_refuse(apply, ERR_INVALID, "a hand-over to group %u", handover->group);
    if (handover->n_recipients == 0)
        return apply_refuse(apply, ERR_INVALID, "a hand-over without recipients");
    return ERR_OK;
}

void deliver_handover_store(struct apply *apply, const struct deliver_part *part,
                            const Pr__Handover *handover, uint64_t blob)
{
    Pr__HandoverRecord record = PR__HANDOVER_RECORD__INIT;
    struct buffer packed = BUFFER_EMPTY;
    struct request_id id;
    struct key key;

    memcpy(id.bytes, apply->request_id.at, sizeof(id.bytes));
    id = request_id_of_part(&id, part->number);
    record.group = handover->group;
    record.delivery_id = field_of_bytes(bytes_from(id.bytes, sizeof(id.bytes)));
    record.time_ms = apply->command->time_ms;
    record.blob = blob;
    record.n_recipients = handover->n_recipients;
    record.recipients = handover->recipients;
    message_pack(&record.base, &packed);
    db_put(apply->txn, TABLE_HANDOVER,
           key_number(&key, apply->group, ++apply->record.handovers), buffer_bytes(&packed));
    buffer_fini(&packed);
    apply->events->handover_added = true;
}

enum err apply_handover_done(struct apply *apply)
{
    struct key key;
    struct bytes row;
    struct bytes at =
        key_number(&key, apply->group, apply->command->handover_done->handover_id);
    ProtobufCAllocator allocator = arena_allocator(apply->arena);
    Pr__HandoverRecord *record;

    if (db_get(apply->txn, TABLE_HANDOVER, at, &row) != ERR_OK)
        return ERR_OK; /* done before */
    record = pr__handover_record__unpack(&allocator, row.len, row.at);
    if (record == NULL) {
        db_fail(apply->txn, ERR_MALFORMED);
        return ERR_OK;
    }
    db_delete(apply->txn, TABLE_HANDOVER, at);
    blob_release(apply, record->blob);
    return ERR_OK;
}
