/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages and bodies. */
#include "node/base/check.h"
#include "storage/machine/blob.h"
#include "storage/query/view.h"
#include "storage/schema/entry.h"

Pr__MessageInfo *query_message_info(struct arena *arena, struct info_list *list, uint32_t uid,
                                    const struct message_record *message)
{
    Pr__MessageInfo *info = arena_alloc(arena, sizeof(*info));

    pr__message_info__init(info);
    info->uid = uid;
    info->flags = message->flags;
    info->modseq = message->modseq;
    info->internal_s = message->internal_s;
    info->internal_zone = message->internal_zone;
    info->size = message->size;
    info->email_id = field_of_bytes(
        arena_copy(arena, bytes_from(message->email_id, sizeof(message->email_id))));
    if (list->count == list->room) {
        Pr__MessageInfo **grown;
        list->room = list->room == 0 ? 16 : list->room * 2;
        grown = arena_alloc(arena, list->room * sizeof(*grown));
        if (list->count > 0)
            memcpy(grown, list->at, list->count * sizeof(*grown));
        list->at = grown;
    }
    list->at[list->count++] = info;
    return info;
}

bool query_block(struct db_txn *txn, uint32_t group, uint64_t blob, uint32_t block,
                 struct buffer *frame)
{
    struct key prefix;
    struct bytes key;
    struct bytes piece;
    struct bytes start = key_block(&prefix, group, blob, block, 0);
    struct db_cursor *cursor;
    bool found = false;

    start.len -= 2; /* all pieces */
    cursor = db_cursor_open(txn, TABLE_BLOCK, start);
    for (bool more = db_cursor_first(cursor, &key, &piece); more;
         more = db_cursor_next(cursor, &key, &piece)) {
        buffer_add(frame, piece);
        found = true;
    }
    db_cursor_close(&cursor);
    return found;
}

/* The block, copied to the arena: one piece behind the other. */
static ProtobufCBinaryData block_field(struct db_txn *txn, uint32_t group, uint64_t blob,
                                       uint32_t block, struct arena *arena)
{
    struct buffer frame = BUFFER_EMPTY;
    struct bytes copy;

    if (!query_block(txn, group, blob, block, &frame))
        db_fail(txn, ERR_MALFORMED);
    copy = arena_copy(arena, buffer_bytes(&frame));
    buffer_fini(&frame);
    return field_of_bytes(copy);
}

/* Adds what was asked for beyond the fixed fields. Returns how large the message is then. */
static size_t message_fill(struct db_txn *txn, uint32_t group, const Pr__Fetch *call,
                           uint64_t blob, struct arena *arena, Pr__MessageInfo *info)
{
    size_t size = INFO_SIZE_MAX;
    struct blob_record record;
    struct key key;
    struct bytes summary;

    if (call->with_summary) {
        if (db_get(txn, TABLE_SUMMARY, key_number(&key, group, blob), &summary) != ERR_OK)
            db_fail(txn, ERR_MALFORMED);
        info->summary = field_of_bytes(summary);
        size += summary.len;
    }
    if (call->with_body && blob_load(txn, group, blob, &record) && record.blocks == 1) {
        info->blocks = arena_alloc(arena, sizeof(*info->blocks));
        info->n_blocks = 1;
        info->blocks[0] = block_field(txn, group, blob, 0, arena);
        size += info->blocks[0].len;
    }
    return size;
}

/* Until the answer is full: then next_uid is set. */
static void fetch_fill(struct db_txn *txn, struct query_account account, const Pr__Fetch *call,
                       const struct range_list *ranges, struct arena *arena,
                       Pr__FetchAnswer *answer)
{
    struct info_list list = {0};
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(
        txn, TABLE_MESSAGE,
        key_mailbox(&prefix, account.group, account.account_id, call->mailbox_id));
    size_t size_max = call->bytes_max == 0 ? QUERY_ANSWER_BYTES_DEFAULT : call->bytes_max;
    size_t size = 0;

    if (size_max > QUERY_ANSWER_BYTES_MAX)
        size_max = QUERY_ANSWER_BYTES_MAX;
    for (size_t i = 0; i < ranges->count && answer->next_uid == 0; i++) {
        bool more = db_cursor_seek(cursor,
                                   key_uid(&at, account.group, account.account_id,
                                           call->mailbox_id, ranges->at[i]->first),
                                   &key, &row);
        if (!more)
            break;
        for (; more && key_last_u32(key) <= ranges->at[i]->last;
             more = db_cursor_next(cursor, &key, &row)) {
            struct message_record message;
            size_t added;

            if (!message_decode(row, &message)) {
                db_fail(txn, ERR_MALFORMED);
                break;
            }
            Pr__MessageInfo *info =
                query_message_info(arena, &list, key_last_u32(key), &message);
            added = message_fill(txn, account.group, call, message.blob, arena, info);
            if (list.count > 1 && size + added > size_max) {
                list.count--;
                answer->next_uid = info->uid;
                break;
            }
            size += added;
        }
    }
    db_cursor_close(&cursor);
    answer->messages = list.at;
    answer->n_messages = list.count;
}

enum err query_fetch(struct db_txn *txn, struct query_account account, const Pr__Fetch *call,
                     struct arena *arena, Pr__FetchAnswer *answer)
{
    struct account loaded;
    struct mailbox mailbox;
    struct range_list ranges;

    if (!range_normal(arena, call->uids, call->n_uids, &ranges))
        return ERR_INVALID;
    if (!query_load(txn, account, call->mailbox_id, &loaded, &mailbox))
        return query_error(txn, false);
    fetch_fill(txn, account, call, &ranges, arena, answer);
    query_keywords(txn, &loaded, &mailbox, arena, &answer->keywords, &answer->n_keywords);
    return query_error(txn, true);
}

enum err query_body_read(struct db_txn *txn, struct query_account account,
                         const Pr__BodyRead *call, struct arena *arena,
                         Pr__BodyReadAnswer *answer)
{
    struct message_record message;
    struct blob_record blob;
    struct key key;
    struct bytes row;
    uint32_t count;
    size_t size = 0;

    if (call->mailbox_id == 0 ||
        db_get(txn, TABLE_MESSAGE,
               key_uid(&key, account.group, account.account_id, call->mailbox_id, call->uid),
               &row) != ERR_OK)
        return query_error(txn, false);
    if (!message_decode(row, &message) || !blob_load(txn, account.group, message.blob, &blob)) {
        db_fail(txn, ERR_MALFORMED);
        return query_error(txn, false);
    }
    answer->size = blob.size;
    answer->block_count = blob.blocks;
    if (call->first_block >= blob.blocks)
        return query_error(txn, true);
    count = blob.blocks - call->first_block;
    if (count > call->block_count)
        count = call->block_count;
    if (count > QUERY_ANSWER_BYTES_MAX / BODY_FRAME_SIZE_MAX)
        count = QUERY_ANSWER_BYTES_MAX / BODY_FRAME_SIZE_MAX;
    answer->blocks = arena_alloc(arena, (count + 1) * sizeof(*answer->blocks));
    while (answer->n_blocks < count) {
        ProtobufCBinaryData block =
            block_field(txn, account.group, message.blob,
                        call->first_block + (uint32_t)answer->n_blocks, arena);
        size += block.len;
        if (answer->n_blocks > 0 && size > QUERY_ANSWER_BYTES_MAX)
            break;
        answer->blocks[answer->n_blocks++] = block;
    }
    return query_error(txn, true);
}
