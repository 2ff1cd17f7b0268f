/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/blob.h"

#include "node/base/check.h"
#include "node/mail/summary.h"
#include "storage/schema/entry.h"

enum { BLOB_DIGEST_SIZE = 32 };

static enum err size_check(struct apply *apply, const Pr__Body *body)
{
    uint64_t room = (uint64_t)body->block_count * BODY_BLOCK_SIZE;

    if (body->block_count > BODY_BLOCKS_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "a body of %u blocks; %d is the most",
                            body->block_count, BODY_BLOCKS_MAX);
    if (body->size > room ||
        (body->block_count > 1 && body->size <= room - (uint64_t)BODY_BLOCK_SIZE))
        return apply_refuse(apply, ERR_INVALID,
                            "a body of %llu bytes does not come in %u blocks",
                            (unsigned long long)body->size, body->block_count);
    if (body->digest.len != BLOB_DIGEST_SIZE)
        return apply_refuse(apply, ERR_INVALID, "a digest of %zu bytes", body->digest.len);
    if (body->summary.len > MAIL_SUMMARY_SIZE_MAX)
        return apply_refuse(apply, ERR_TOOBIG, "a summary of %zu bytes", body->summary.len);
    return ERR_OK;
}

static enum err upload_check(struct apply *apply, const Pr__Body *body,
                             struct blob_source *source)
{
    struct key key;
    struct bytes row;

    if (body->n_blocks != 0)
        return apply_refuse(apply, ERR_INVALID, "blocks both inline and uploaded");
    if (body->upload_id.len != REQUEST_ID_SIZE)
        return apply_refuse(apply, ERR_INVALID, "an upload id of %zu bytes",
                            body->upload_id.len);
    if (db_get(apply->txn, TABLE_UPLOAD,
               key_name(&key, apply->group, bytes_of_field(body->upload_id)), &row) != ERR_OK)
        return apply_refuse(apply, ERR_INVALID, "no such upload");
    if (!upload_decode(row, &source->upload))
        db_fail(apply->txn, ERR_MALFORMED);
    if (source->upload.next_block != body->block_count)
        return apply_refuse(apply, ERR_INVALID, "an upload of %u blocks, not %u",
                            source->upload.next_block, body->block_count);
    source->uploaded = true;
    return ERR_OK;
}

enum err blob_check(struct apply *apply, const Pr__Body *body, struct blob_source *source)
{
    enum err err;

    *source = (struct blob_source){0};
    if (body == NULL)
        return apply_refuse(apply, ERR_INVALID, "no body");
    if ((err = size_check(apply, body)) != ERR_OK)
        return err;
    if (body->upload_id.len != 0)
        return upload_check(apply, body, source);
    if (body->n_blocks != body->block_count || body->n_blocks > BODY_BLOCKS_INLINE_MAX)
        return apply_refuse(apply, ERR_INVALID, "%zu blocks inline of %u", body->n_blocks,
                            body->block_count);
    for (size_t i = 0; i < body->n_blocks; i++)
        if (body->blocks[i].len < 1 || body->blocks[i].len > BODY_FRAME_SIZE_MAX)
            return apply_refuse(apply, ERR_INVALID, "a block of %zu bytes",
                                body->blocks[i].len);
    return ERR_OK;
}

static void blob_store(struct apply *apply, uint64_t blob, const struct blob_record *record)
{
    struct key key;
    struct record row;

    blob_encode(record, &row);
    db_put(apply->txn, TABLE_BLOB, key_number(&key, apply->group, blob), record_bytes(&row));
}

uint64_t blob_make(struct apply *apply, const Pr__Body *body, const struct blob_source *source,
                   uint64_t references)
{
    uint64_t blob;
    struct key key;
    struct blob_record record = {
        .references = references,
        .size = body->size,
        .blocks = body->block_count,
    };

    if (source->uploaded) {
        blob = source->upload.blob;
        db_delete(apply->txn, TABLE_UPLOAD,
                  key_name(&key, apply->group, bytes_of_field(body->upload_id)));
        apply->record.uploads--;
    } else {
        blob = ++apply->record.blobs;
        for (uint32_t i = 0; i < body->block_count; i++)
            blob_block_put(apply, blob, i, bytes_of_field(body->blocks[i]));
    }
    memcpy(record.digest, body->digest.data, sizeof(record.digest));
    blob_store(apply, blob, &record);
    db_put(apply->txn, TABLE_SUMMARY, key_number(&key, apply->group, blob),
           bytes_of_field(body->summary));
    return blob;
}

bool blob_load(struct db_txn *txn, uint32_t group, uint64_t blob, struct blob_record *record)
{
    struct key key;
    struct bytes row;

    if (db_get(txn, TABLE_BLOB, key_number(&key, group, blob), &row) != ERR_OK)
        return false;
    if (blob_decode(row, record))
        return true;
    db_fail(txn, ERR_MALFORMED);
    return false;
}

void blob_reference(struct apply *apply, uint64_t blob)
{
    struct blob_record record;

    if (!blob_load(apply->txn, apply->group, blob, &record)) {
        db_fail(apply->txn, ERR_MALFORMED); /* a message without its body */
        return;
    }
    record.references++;
    blob_store(apply, blob, &record);
}

void blob_release(struct apply *apply, uint64_t blob)
{
    struct blob_record record;
    struct key key;

    if (!blob_load(apply->txn, apply->group, blob, &record) || record.references == 0) {
        db_fail(apply->txn, ERR_MALFORMED);
        return;
    }
    if (--record.references > 0) {
        blob_store(apply, blob, &record);
        return;
    }
    db_delete(apply->txn, TABLE_BLOB, key_number(&key, apply->group, blob));
    db_delete(apply->txn, TABLE_SUMMARY, key_number(&key, apply->group, blob));
    if (record.blocks <= 1) {
        unsigned gone = blob_blocks_delete(apply, blob, apply->free_rows);
        apply->free_rows -= gone;
        if (apply->free_rows > 0)
            return;
    }
    doom_blob(apply, blob);
}

void blob_block_put(struct apply *apply, uint64_t blob, uint32_t block, struct bytes frame)
{
    uint16_t piece = 0;
    struct key key;

    CHECK(frame.len <= BODY_FRAME_SIZE_MAX);
    for (; frame.len > 0; frame = bytes_skip(frame, BLOB_PIECE_SIZE), piece++) {
        size_t len = frame.len < BLOB_PIECE_SIZE ? frame.len : BLOB_PIECE_SIZE;
        db_put(apply->txn, TABLE_BLOCK, key_block(&key, apply->group, blob, block, piece),
               bytes_from(frame.at, len));
    }
}

unsigned blob_blocks_delete(struct apply *apply, uint64_t blob, unsigned rows)
{
    struct key key;

    return rows_delete(apply->txn, TABLE_BLOCK, key_number(&key, apply->group, blob), rows);
}
