/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the leader of a group has to do about its state: hand-overs and left uploads. */
#include "record.pb-c.h"
#include "storage/machine/blob.h"
#include "storage/machine/directory.h"
#include "storage/query/view.h"
#include "storage/schema/entry.h"

static struct bytes entry_in(struct arena *arena, const Pr__Command *command)
{
    struct buffer packed = BUFFER_EMPTY;
    struct bytes entry;

    entry_encode(command, &packed);
    entry = arena_copy(arena, buffer_bytes(&packed));
    buffer_fini(&packed);
    return entry;
}

/* The next block of the body as an UploadBlock. The delivery id names the upload, so that a
 * second push goes on where the first one ended. */
static struct bytes block_entry(struct db_txn *txn, uint32_t group, uint64_t time_ms,
                                const Pr__HandoverRecord *record, uint32_t number,
                                struct arena *arena)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__UploadBlock block = PR__UPLOAD_BLOCK__INIT;
    struct buffer frame = BUFFER_EMPTY;
    struct bytes entry;

    if (!query_block(txn, group, record->blob, number, &frame))
        db_fail(txn, ERR_MALFORMED);
    block.upload_id = record->delivery_id;
    block.number = number;
    block.data = field_of_bytes(buffer_bytes(&frame));
    command.time_ms = time_ms;
    command.call_case = PR__COMMAND__CALL_UPLOAD_BLOCK;
    command.upload_block = &block;
    entry = entry_in(arena, &command);
    buffer_fini(&frame);
    return entry;
}

/* The Deliver; with the body, when it has a single block. */
static struct bytes deliver_entry(struct db_txn *txn, uint32_t group, uint64_t time_ms,
                                  const Pr__HandoverRecord *record,
                                  const struct blob_record *blob, struct arena *arena)
{
    Pr__Command command = PR__COMMAND__INIT;
    Pr__Deliver deliver = PR__DELIVER__INIT;
    Pr__Body body = PR__BODY__INIT;
    ProtobufCBinaryData inline_block;
    struct buffer frame = BUFFER_EMPTY;
    struct key key;
    struct bytes summary;
    struct bytes entry;

    if (db_get(txn, TABLE_SUMMARY, key_number(&key, group, record->blob), &summary) != ERR_OK)
        db_fail(txn, ERR_MALFORMED);
    body.size = blob->size;
    body.block_count = blob->blocks;
    body.digest = field_of_bytes(bytes_from(blob->digest, sizeof(blob->digest)));
    body.summary = field_of_bytes(summary);
    if (blob->blocks > BODY_BLOCKS_INLINE_MAX) {
        body.upload_id = record->delivery_id;
    } else if (blob->blocks == 1) {
        if (!query_block(txn, group, record->blob, 0, &frame))
            db_fail(txn, ERR_MALFORMED);
        inline_block = field_of_bytes(buffer_bytes(&frame));
        body.blocks = &inline_block;
        body.n_blocks = 1;
    }
    deliver.body = &body;
    deliver.recipients = record->recipients;
    deliver.n_recipients = record->n_recipients;
    deliver.internal_ms = record->time_ms;
    command.time_ms = time_ms;
    command.request_id = record->delivery_id;
    command.call_case = PR__COMMAND__CALL_DELIVER;
    command.deliver = &deliver;
    entry = entry_in(arena, &command);
    buffer_fini(&frame);
    return entry;
}

/* Of the row; false when it or its body cannot be read. */
static bool handover_read(struct db_txn *txn, uint32_t group, struct bytes row,
                          struct arena *arena, struct query_handover *handover)
{
    Pr__HandoverRecord *record =
        directory_unpack(txn, row, &pr__handover_record__descriptor, arena);
    struct blob_record blob;
    uint64_t time_ms;
    size_t blocks;

    if (record == NULL)
        return false;
    if (!blob_load(txn, group, record->blob, &blob)) {
        db_fail(txn, ERR_MALFORMED);
        return false;
    }
    time_ms = handover->now_ms != 0 ? handover->now_ms : record->time_ms;
    blocks = blob.blocks > BODY_BLOCKS_INLINE_MAX ? blob.blocks : 0;
    handover->group = record->group;
    handover->entries = arena_alloc(arena, (blocks + 1) * sizeof(*handover->entries));
    handover->entry_count = blocks + 1;
    for (uint32_t i = 0; i < blocks; i++)
        handover->entries[i] = block_entry(txn, group, time_ms, record, i, arena);
    handover->entries[blocks] = deliver_entry(txn, group, time_ms, record, &blob, arena);
    return db_error(txn) == ERR_OK;
}

bool query_handover_next(struct db_txn *txn, uint32_t group, uint64_t after,
                         struct arena *arena, struct query_handover *handover)
{
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor;
    bool found = false;

    if (after == UINT64_MAX)
        return false;
    cursor = db_cursor_open(txn, TABLE_HANDOVER, key_group(&prefix, group));
    if (db_cursor_seek(cursor, key_number(&at, group, after + 1), &key, &row)) {
        handover->id = key_last_u64(key);
        found = handover_read(txn, group, row, arena, handover);
    }
    db_cursor_close(&cursor);
    return found;
}

bool query_uploads_stale(struct db_txn *txn, uint32_t group, uint64_t before_ms)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_UPLOAD, key_group(&prefix, group));
    bool stale = false;

    for (bool more = db_cursor_first(cursor, &key, &row); more && !stale;
         more = db_cursor_next(cursor, &key, &row)) {
        struct upload_record upload;
        if (!upload_decode(row, &upload))
            db_fail(txn, ERR_MALFORMED);
        stale = upload.begun_ms < before_ms;
    }
    db_cursor_close(&cursor);
    return stale;
}
