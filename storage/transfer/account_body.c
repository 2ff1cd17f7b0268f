/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/transfer/account_body.h"

#include <endian.h>

#include "node/base/check.h"
#include "storage/db/key.h"
#include "storage/machine/blob.h"

static ProtobufCBinaryData field_new(struct arena *arena, struct bytes bytes)
{
    ProtobufCBinaryData field = {bytes.len, arena_alloc(arena, bytes.len + 1)};

    if (bytes.len > 0)
        memcpy(field.data, bytes.at, bytes.len);
    return field;
}

/* Unlike any other: no attempt comes twice, and blobs are numbered for good. */
static ProtobufCBinaryData upload_id(const struct account_upload *upload, uint64_t blob,
                                     struct arena *arena)
{
    uint64_t id[2] = {htobe64(upload->attempt), htobe64(blob)};

    _Static_assert(sizeof(id) == REQUEST_ID_SIZE, "an upload id");
    return field_new(arena, bytes_from((const uint8_t *)id, sizeof(id)));
}

/* A block's pieces, put together. */
static bool frame_load(struct db_txn *txn, uint32_t group, uint64_t blob, uint32_t block,
                       struct arena *arena, ProtobufCBinaryData *frame)
{
    struct key prefix;
    struct bytes all = key_block(&prefix, group, blob, block, 0);
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_BLOCK, bytes_from(all.at, all.len - sizeof(uint16_t)));
    struct bytes key;
    struct bytes piece;
    size_t size = 0;

    for (bool more = db_cursor_first(cursor, &key, &piece);
         more && piece.len <= BODY_FRAME_SIZE_MAX - size;
         more = db_cursor_next(cursor, &key, &piece))
        size += piece.len;
    *frame = (ProtobufCBinaryData){0, arena_alloc(arena, size + 1)};
    for (bool more = db_cursor_first(cursor, &key, &piece);
         more && piece.len <= size - frame->len; more = db_cursor_next(cursor, &key, &piece)) {
        memcpy(frame->data + frame->len, piece.at, piece.len);
        frame->len += piece.len;
    }
    db_cursor_close(&cursor);
    return frame->len > 0;
}

void account_upload_begin(struct account_upload *upload, uint64_t attempt, uint64_t blob)
{
    *upload = (struct account_upload){.blob = blob, .attempt = attempt};
}

static void drop_make(struct account_upload *upload, struct arena *arena, Pr__Command *command)
{
    Pr__UploadDrop *drop = arena_alloc(arena, sizeof(*drop));

    pr__upload_drop__init(drop);
    drop->upload_id = upload_id(upload, upload->blob, arena);
    command->call_case = PR__COMMAND__CALL_UPLOAD_DROP;
    command->upload_drop = drop;
    *upload = (struct account_upload){0};
}

bool account_upload_next(struct account_upload *upload, struct db_txn *txn, uint32_t group,
                         struct arena *arena, Pr__Command *command, size_t *bytes)
{
    struct blob_record record;
    Pr__UploadBlock *block;

    if (upload->blob == 0)
        return false;
    if (!blob_load(txn, group, upload->blob, &record)) {
        drop_make(upload, arena, command); /* its last message went meanwhile */
        return true;
    }
    if (upload->next_block == record.blocks) {
        upload->ready = upload->blob;
        upload->blob = 0;
        return false;
    }
    block = arena_alloc(arena, sizeof(*block));
    pr__upload_block__init(block);
    block->upload_id = upload_id(upload, upload->blob, arena);
    block->number = upload->next_block++;
    if (!frame_load(txn, group, upload->blob, block->number, arena, &block->data))
        db_fail(txn, ERR_MALFORMED);
    *bytes = block->data.len;
    command->call_case = PR__COMMAND__CALL_UPLOAD_BLOCK;
    command->upload_block = block;
    return true;
}

Pr__Body *account_body(struct db_txn *txn, uint32_t group, uint64_t blob,
                       const struct blob_record *record, const struct account_upload *upload,
                       struct arena *arena, size_t *bytes)
{
    Pr__Body *body = arena_alloc(arena, sizeof(*body));
    struct bytes summary = bytes_from(NULL, 0);
    struct key key;

    pr__body__init(body);
    body->size = record->size;
    body->block_count = record->blocks;
    body->digest = field_new(arena, bytes_from(record->digest, sizeof(record->digest)));
    if (db_get(txn, TABLE_SUMMARY, key_number(&key, group, blob), &summary) != ERR_OK) {
        db_fail(txn, ERR_MALFORMED);
        return NULL;
    }
    body->summary = field_new(arena, summary);
    *bytes = summary.len + sizeof(record->digest);
    if (upload != NULL) {
        body->upload_id = upload_id(upload, blob, arena);
        return body;
    }
    body->blocks = arena_alloc(arena, (record->blocks + 1) * sizeof(*body->blocks));
    for (uint32_t i = 0; i < record->blocks; i++) {
        if (!frame_load(txn, group, blob, i, arena, &body->blocks[i])) {
            db_fail(txn, ERR_MALFORMED);
            return NULL;
        }
        *bytes += body->blocks[i].len;
    }
    body->n_blocks = record->blocks;
    return body;
}
