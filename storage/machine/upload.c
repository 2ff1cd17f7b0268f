/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies that come in pieces, before the command that uses them. */
#include "storage/machine/blob.h"
#include "storage/schema/entry.h"

static void upload_store(struct apply *apply, struct bytes upload_id,
                         const struct upload_record *upload)
{
    struct key key;
    struct record row;

    upload_encode(upload, &row);
    db_put(apply->txn, TABLE_UPLOAD, key_name(&key, apply->group, upload_id),
           record_bytes(&row));
}

static bool upload_load(struct apply *apply, struct bytes upload_id,
                        struct upload_record *upload)
{
    struct key key;
    struct bytes row;

    if (db_get(apply->txn, TABLE_UPLOAD, key_name(&key, apply->group, upload_id), &row) !=
        ERR_OK)
        return false;
    if (!upload_decode(row, upload))
        db_fail(apply->txn, ERR_MALFORMED);
    return true;
}

enum err apply_upload_block(struct apply *apply)
{
    const Pr__UploadBlock *call = apply->command->upload_block;
    struct bytes upload_id = bytes_of_field(call->upload_id);
    struct upload_record upload = {.begun_ms = apply->command->time_ms};
    bool known;

    if (upload_id.len != REQUEST_ID_SIZE)
        return apply_refuse(apply, ERR_INVALID, "an upload id of %zu bytes", upload_id.len);
    if (call->data.len < 1 || call->data.len > BODY_FRAME_SIZE_MAX)
        return apply_refuse(apply, ERR_INVALID, "a block of %zu bytes", call->data.len);
    if (call->number >= BODY_BLOCKS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "more than %d blocks", BODY_BLOCKS_MAX);
    known = upload_load(apply, upload_id, &upload);
    if (!known && apply->record.uploads >= UPLOAD_COUNT_MAX)
        return apply_refuse(apply, ERR_BUSY, "%d uploads under way", UPLOAD_COUNT_MAX);
    if (call->number > upload.next_block)
        return apply_refuse(apply, ERR_INVALID, "block %u before block %u", call->number,
                            upload.next_block);
    if (call->number < upload.next_block)
        return ERR_OK; /* it is there */
    if (!known) {
        upload.blob = ++apply->record.blobs;
        apply->record.uploads++;
    }
    blob_block_put(apply, upload.blob, upload.next_block++, bytes_of_field(call->data));
    upload_store(apply, upload_id, &upload);
    return ERR_OK;
}

enum err apply_upload_drop(struct apply *apply)
{
    const Pr__UploadDrop *call = apply->command->upload_drop;
    struct bytes upload_id = bytes_of_field(call->upload_id);
    unsigned limit = call->limit < UPLOAD_DROP_MAX ? call->limit : UPLOAD_DROP_MAX;
    struct upload_record upload;
    struct db_cursor *cursor;
    struct key key;
    struct bytes at;
    struct bytes row;

    if (upload_id.len != 0 && upload_id.len != REQUEST_ID_SIZE)
        return apply_refuse(apply, ERR_INVALID, "an upload id of %zu bytes", upload_id.len);
    if (upload_id.len != 0) {
        if (!upload_load(apply, upload_id, &upload))
            return ERR_OK; /* dropped or used before */
        db_delete(apply->txn, TABLE_UPLOAD, key_name(&key, apply->group, upload_id));
        apply->record.uploads--;
        doom_blob(apply, upload.blob);
        return ERR_OK;
    }
    cursor = db_cursor_open(apply->txn, TABLE_UPLOAD, key_group(&key, apply->group));
    for (bool more = db_cursor_first(cursor, &at, &row); more && limit > 0;
         more = db_cursor_next(cursor, &at, &row)) {
        if (!upload_decode(row, &upload)) {
            db_fail(apply->txn, ERR_MALFORMED);
            break;
        }
        if (upload.begun_ms >= call->before_ms)
            continue;
        db_cursor_delete(cursor);
        apply->record.uploads--;
        doom_blob(apply, upload.blob);
        limit--;
    }
    db_cursor_close(&cursor);
    return ERR_OK;
}
