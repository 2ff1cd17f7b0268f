/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/record.h"

#include "storage/machine/record_row.h"
#include "storage/schema/format.h"

struct bytes record_bytes(const struct record *record)
{
    return bytes_from(record->at, record->len);
}

static bool group_has_queue(const struct group_record *group)
{
    return group->queue_ids != 0 || group->greylist != 0 || group->greylist_due_ms != 0;
}

/* Version 2 has the format, version 3 the clock, version 4 the queue and the greylist. A row is
 * written in the oldest version that can hold it, so that a group of an older format keeps the
 * row that its release wrote. */
void group_encode(const struct group_record *group, struct record *record)
{
    record_begin(record);
    if (group->format > FORMAT_FIRST)
        record->at[0] = group_has_queue(group) ? VERSION_4
                        : group->seen_ms != 0  ? VERSION_3
                                               : VERSION_2;
    put_u64(record, group->applied);
    put_u64(record, group->term);
    put_u64(record, group->blobs);
    put_u64(record, group->handovers);
    put_u64(record, group->uploads);
    put_u64(record, group->doomed);
    if (group->format > FORMAT_FIRST)
        put_u8(record, group->format);
    if (record->at[0] >= VERSION_3) {
        put_u64(record, group->clock_ms);
        put_u64(record, group->seen_ms);
    }
    if (record->at[0] == VERSION_4) {
        put_u64(record, group->queue_ids);
        put_u64(record, group->queue);
        put_u64(record, group->queue_held);
        put_u64(record, group->greylist);
        put_u64(record, group->greylist_due_ms);
    }
}

bool group_decode(struct bytes row, struct group_record *group)
{
    struct reader reader = reader_begin_version(row, VERSION_4);
    uint8_t version = row.len > 0 ? row.at[0] : 0;

    group->applied = get_u64(&reader);
    group->term = get_u64(&reader);
    group->blobs = get_u64(&reader);
    group->handovers = get_u64(&reader);
    group->uploads = get_u64(&reader);
    group->doomed = get_u64(&reader);
    group->format = version >= VERSION_2 ? get_u8(&reader) : FORMAT_FIRST;
    group->clock_ms = version >= VERSION_3 ? get_u64(&reader) : 0;
    group->seen_ms = version >= VERSION_3 ? get_u64(&reader) : 0;
    group->queue_ids = version >= VERSION_4 ? get_u64(&reader) : 0;
    group->queue = version >= VERSION_4 ? get_u64(&reader) : 0;
    group->queue_held = version >= VERSION_4 ? get_u64(&reader) : 0;
    group->greylist = version >= VERSION_4 ? get_u64(&reader) : 0;
    group->greylist_due_ms = version >= VERSION_4 ? get_u64(&reader) : 0;
    return reader_done(&reader);
}

/*
 * Version 2 has what can be brought back, version 3 how it moved, version 4 its scopes. A row
 * is written in the oldest version that can hold it, so that a group of the first format keeps
 * the rows that release wrote.
 */
void account_encode(const struct account_record *account, struct record *record)
{
    bool fourth = account->domain_id != 0 || account->tenant_id != 0;
    bool third = fourth || account->place != PLACE_HERE || account->attempt > 0;
    bool second = third || account->expunged > 0 || account->expunged_size > 0;

    record_begin(record);
    if (second)
        record->at[0] = fourth ? VERSION_4 : third ? VERSION_3 : VERSION_2;
    put_u8(record, account->gone);
    put_u64(record, account->modseq);
    put_u32(record, account->mailboxes);
    put_u32(record, account->inbox);
    put_u32(record, account->names);
    put_u64(record, account->messages);
    put_u64(record, account->size);
    if (second) {
        put_u64(record, account->expunged);
        put_u64(record, account->expunged_size);
    }
    if (third) {
        put_u8(record, account->place);
        put_u32(record, account->peer);
        put_u64(record, account->attempt);
    }
    if (fourth) {
        put_u64(record, account->domain_id);
        put_u64(record, account->tenant_id);
    }
}

bool account_decode(struct bytes row, struct account_record *account)
{
    struct reader reader = reader_begin_version(row, VERSION_4);
    bool second = row.len > 0 && row.at[0] >= VERSION_2;
    bool third = row.len > 0 && row.at[0] >= VERSION_3;
    bool fourth = row.len > 0 && row.at[0] >= VERSION_4;

    account->gone = get_bool(&reader);
    account->modseq = get_u64(&reader);
    account->mailboxes = get_u32(&reader);
    account->inbox = get_u32(&reader);
    account->names = get_u32(&reader);
    account->messages = get_u64(&reader);
    account->size = get_u64(&reader);
    account->expunged = second ? get_u64(&reader) : 0;
    account->expunged_size = second ? get_u64(&reader) : 0;
    account->place = third ? get_u8(&reader) : PLACE_HERE;
    account->peer = third ? get_u32(&reader) : 0;
    account->attempt = third ? get_u64(&reader) : 0;
    account->domain_id = fourth ? get_u64(&reader) : 0;
    account->tenant_id = fourth ? get_u64(&reader) : 0;
    return reader_done(&reader) && account->place <= PLACE_ELSEWHERE;
}

void scope_encode(const struct scope_record *scope, struct record *record)
{
    record_begin(record);
    put_u64(record, scope->used_bytes);
    put_u64(record, scope->used_messages);
    put_u64(record, scope->granted_bytes);
    put_u64(record, scope->granted_messages);
    put_u64(record, scope->limit);
    put_u64(record, scope->version);
}

bool scope_decode(struct bytes row, struct scope_record *scope)
{
    struct reader reader = reader_begin(row);

    scope->used_bytes = get_u64(&reader);
    scope->used_messages = get_u64(&reader);
    scope->granted_bytes = get_u64(&reader);
    scope->granted_messages = get_u64(&reader);
    scope->limit = get_u64(&reader);
    scope->version = get_u64(&reader);
    return reader_done(&reader);
}

void moving_encode(const struct moving_record *moving, struct record *record)
{
    record_begin(record);
    put_u8(record, moving->state);
    put_u32(record, moving->peer);
    put_u64(record, moving->attempt);
    put_u64(record, moving->begun_ms);
    put_u64(record, moving->sequence);
    put_u64(record, moving->messages);
    put_u64(record, moving->expunged);
}

bool moving_decode(struct bytes row, struct moving_record *moving)
{
    struct reader reader = reader_begin(row);

    moving->state = get_u8(&reader);
    moving->peer = get_u32(&reader);
    moving->attempt = get_u64(&reader);
    moving->begun_ms = get_u64(&reader);
    moving->sequence = get_u64(&reader);
    moving->messages = get_u64(&reader);
    moving->expunged = get_u64(&reader);
    return reader_done(&reader) && moving->state >= MOVING_OUT_COPY &&
           moving->state <= MOVING_IN_DONE;
}

void blob_id_encode(uint64_t blob, struct record *record)
{
    record_begin(record);
    put_u64(record, blob);
}

bool blob_id_decode(struct bytes row, uint64_t *blob)
{
    struct reader reader = reader_begin(row);

    *blob = get_u64(&reader);
    return reader_done(&reader);
}

/* Version 2 counts the change rows of expunged messages, as above. */
void mailbox_encode(const struct mailbox_record *mailbox, struct record *record)
{
    bool second = mailbox->ranges > 0 || mailbox->forgotten > 0;

    record_begin(record);
    if (second)
        record->at[0] = VERSION_2;
    put_u8(record, mailbox->special);
    put_u32(record, mailbox->uid_validity);
    put_u32(record, mailbox->uid_next);
    put_u32(record, mailbox->tail_first);
    put_u32(record, mailbox->messages);
    put_u32(record, mailbox->unseen);
    put_u32(record, mailbox->deleted);
    put_u64(record, mailbox->size);
    put_u64(record, mailbox->modseq);
    put_u8(record, mailbox->keywords);
    if (second) {
        put_u32(record, mailbox->ranges);
        put_u64(record, mailbox->forgotten);
    }
    put_bytes(record, mailbox->name.at, mailbox->name.len);
}

bool mailbox_decode(struct bytes row, struct mailbox_record *mailbox)
{
    struct reader reader = reader_begin_version(row, VERSION_2);
    bool second = row.len > 0 && row.at[0] >= VERSION_2;

    mailbox->special = get_u8(&reader);
    mailbox->uid_validity = get_u32(&reader);
    mailbox->uid_next = get_u32(&reader);
    mailbox->tail_first = get_u32(&reader);
    mailbox->messages = get_u32(&reader);
    mailbox->unseen = get_u32(&reader);
    mailbox->deleted = get_u32(&reader);
    mailbox->size = get_u64(&reader);
    mailbox->modseq = get_u64(&reader);
    mailbox->keywords = get_u8(&reader);
    mailbox->ranges = second ? get_u32(&reader) : 0;
    mailbox->forgotten = second ? get_u64(&reader) : 0;
    mailbox->name = reader.rest;
    return !reader.short_row && reader.rest.len <= MAILBOX_NAME_SIZE_MAX;
}

void name_encode(const struct name_record *name, struct record *record)
{
    record_begin(record);
    put_u32(record, name->mailbox);
    put_u8(record, name->subscribed);
}

bool name_decode(struct bytes row, struct name_record *name)
{
    struct reader reader = reader_begin(row);

    name->mailbox = get_u32(&reader);
    name->subscribed = get_bool(&reader);
    return reader_done(&reader);
}

void message_encode(const struct message_record *message, struct record *record)
{
    record_begin(record);
    put_u64(record, message->flags);
    put_u64(record, message->modseq);
    put_u64(record, message->made);
    put_u64(record, message->blob);
    put_u64(record, message->size);
    put_u64(record, (uint64_t)message->internal_s);
    put_u16(record, (uint16_t)message->internal_zone);
    put_u64(record, (uint64_t)message->saved_s);
    put_bytes(record, message->email_id, sizeof(message->email_id));
}

bool message_decode(struct bytes row, struct message_record *message)
{
    struct reader reader = reader_begin(row);

    message->flags = get_u64(&reader);
    message->modseq = get_u64(&reader);
    message->made = get_u64(&reader);
    message->blob = get_u64(&reader);
    message->size = get_u64(&reader);
    message->internal_s = (int64_t)get_u64(&reader);
    message->internal_zone = (int16_t)get_u16(&reader);
    message->saved_s = (int64_t)get_u64(&reader);
    get_bytes(&reader, message->email_id, sizeof(message->email_id));
    return reader_done(&reader);
}

void blob_encode(const struct blob_record *blob, struct record *record)
{
    record_begin(record);
    put_u64(record, blob->references);
    put_u64(record, blob->size);
    put_u32(record, blob->blocks);
    put_bytes(record, blob->digest, sizeof(blob->digest));
}

bool blob_decode(struct bytes row, struct blob_record *blob)
{
    struct reader reader = reader_begin(row);

    blob->references = get_u64(&reader);
    blob->size = get_u64(&reader);
    blob->blocks = get_u32(&reader);
    get_bytes(&reader, blob->digest, sizeof(blob->digest));
    return reader_done(&reader);
}

void upload_encode(const struct upload_record *upload, struct record *record)
{
    record_begin(record);
    put_u64(record, upload->blob);
    put_u64(record, upload->begun_ms);
    put_u32(record, upload->next_block);
}

bool upload_decode(struct bytes row, struct upload_record *upload)
{
    struct reader reader = reader_begin(row);

    upload->blob = get_u64(&reader);
    upload->begun_ms = get_u64(&reader);
    upload->next_block = get_u32(&reader);
    return reader_done(&reader);
}

void expunged_encode(const struct message_record *message, struct bytes name,
                     struct record *record)
{
    record_begin(record);
    put_u64(record, message->flags);
    put_u64(record, message->blob);
    put_u64(record, message->size);
    put_u64(record, (uint64_t)message->internal_s);
    put_u16(record, (uint16_t)message->internal_zone);
    put_u64(record, (uint64_t)message->saved_s);
    put_bytes(record, message->email_id, sizeof(message->email_id));
    put_bytes(record, name.at, name.len);
}

bool expunged_row_decode(struct bytes row, struct message_record *message, struct bytes *name)
{
    struct reader reader = reader_begin(row);

    *message = (struct message_record){.flags = get_u64(&reader)};
    message->blob = get_u64(&reader);
    message->size = get_u64(&reader);
    message->internal_s = (int64_t)get_u64(&reader);
    message->internal_zone = (int16_t)get_u16(&reader);
    message->saved_s = (int64_t)get_u64(&reader);
    get_bytes(&reader, message->email_id, sizeof(message->email_id));
    *name = reader.rest;
    return !reader.short_row && reader.rest.len <= MAILBOX_NAME_SIZE_MAX;
}

void change_encode(const struct change_record *change, struct record *record)
{
    record_begin(record);
    put_u8(record, change->expunged);
    put_u32(record, change->first);
    put_u32(record, change->last);
}

bool change_decode(struct bytes row, struct change_record *change)
{
    struct reader reader = reader_begin(row);

    change->expunged = get_bool(&reader);
    change->first = get_u32(&reader);
    change->last = get_u32(&reader);
    return reader_done(&reader);
}

void uid_encode(uint32_t uid, struct record *record)
{
    record_begin(record);
    put_u32(record, uid);
}

bool uid_decode(struct bytes row, uint32_t *uid)
{
    struct reader reader = reader_begin(row);

    *uid = get_u32(&reader);
    return reader_done(&reader);
}
