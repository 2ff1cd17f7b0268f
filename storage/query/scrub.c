/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/scrub.h"

#include <sodium.h>
#include <stdlib.h>
#include <zstd.h>

#include "node/base/check.h"
#include "storage/machine/blob.h"
#include "storage/query/view.h"

/* The plain bytes of a body's blocks, in order, and what they amount to. */
struct body_hash {
    ZSTD_DCtx *context;
    crypto_generichash_state state;
    uint64_t size;
    uint32_t blocks;
    uint8_t plain[BODY_BLOCK_SIZE];
};

static void hash_begin(struct body_hash *hash)
{
    if (hash->context == NULL)
        hash->context = ZSTD_createDCtx();
    CHECK(hash->context != NULL);
    CHECK(crypto_generichash_init(&hash->state, NULL, 0,
                                  sizeof(((struct blob_record *)0)->digest)) == 0);
    hash->size = 0;
    hash->blocks = 0;
}

static bool hash_frame(struct body_hash *hash, struct bytes frame)
{
    size_t len = ZSTD_decompressDCtx(hash->context, hash->plain, sizeof(hash->plain), frame.at,
                                     frame.len);

    if (ZSTD_isError(len))
        return false;
    crypto_generichash_update(&hash->state, hash->plain, len);
    hash->size += len;
    hash->blocks++;
    return true;
}

static bool hash_fits(struct body_hash *hash, const struct blob_record *record)
{
    uint8_t digest[sizeof(record->digest)];

    CHECK(crypto_generichash_final(&hash->state, digest, sizeof(digest)) == 0);
    return hash->size == record->size && hash->blocks == record->blocks &&
           memcmp(digest, record->digest, sizeof(digest)) == 0;
}

/* ---- looking ---- */

struct scrub {
    uint32_t group;
    uint64_t blob; /* the one that is looked at, or was last */
    bool in_blob;  /* with blocks to go; hash.blocks is the next */
    bool begun;    /* any blob at all */
    struct body_hash hash;
    struct scrub_counts counts;
};

struct scrub *scrub_new(uint32_t group, uint64_t from)
{
    struct scrub *scrub = calloc(1, sizeof(*scrub));

    CHECK(scrub != NULL);
    scrub->group = group;
    scrub->blob = from;
    scrub->begun = from > 0;
    return scrub;
}

void scrub_free(struct scrub **scrub)
{
    if (*scrub == NULL)
        return;
    ZSTD_freeDCtx((*scrub)->hash.context);
    free(*scrub);
    *scrub = NULL;
}

uint64_t scrub_blob(const struct scrub *scrub)
{
    return scrub->blob;
}

uint64_t scrub_done(const struct scrub *scrub)
{
    return scrub->in_blob ? scrub->blob - 1 : scrub->blob;
}

void scrub_counts(const struct scrub *scrub, struct scrub_counts *counts)
{
    *counts = scrub->counts;
}

/* The first blob behind the last one. */
static bool next_blob(struct scrub *scrub, struct db_txn *txn)
{
    struct key prefix;
    struct key from;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_BLOB, key_group(&prefix, scrub->group));
    bool found = scrub->begun
                     ? db_cursor_seek(cursor, key_number(&from, scrub->group, scrub->blob + 1),
                                      &key, &row)
                     : db_cursor_first(cursor, &key, &row);

    if (found) {
        scrub->begun = scrub->in_blob = true;
        scrub->blob = key_last_u64(key);
        hash_begin(&scrub->hash);
    }
    db_cursor_close(&cursor);
    return found;
}

/* A block, or the end of a blob. */
static enum scrub_state blob_step(struct scrub *scrub, struct db_txn *txn)
{
    struct buffer frame = BUFFER_EMPTY;
    struct blob_record record;
    struct bytes row;
    struct key key;
    bool good;

    if (db_get(txn, TABLE_BLOB, key_number(&key, scrub->group, scrub->blob), &row) != ERR_OK) {
        scrub->in_blob = false; /* freed since the last step */
        return SCRUB_MORE;
    }
    good = blob_decode(row, &record);
    if (good && scrub->hash.blocks < record.blocks) {
        good = query_block(txn, scrub->group, scrub->blob, scrub->hash.blocks, &frame) &&
               hash_frame(&scrub->hash, buffer_bytes(&frame));
        scrub->counts.bytes += buffer_len(&frame);
        buffer_fini(&frame);
        if (good)
            return SCRUB_MORE;
    }
    scrub->in_blob = false;
    scrub->counts.blobs++;
    return good && hash_fits(&scrub->hash, &record) ? SCRUB_MORE : SCRUB_BAD;
}

enum scrub_state scrub_step(struct scrub *scrub, struct db_txn *txn, size_t bytes)
{
    uint64_t end = scrub->counts.bytes + bytes;
    uint64_t blobs_end = scrub->counts.blobs + bytes / 1024; /* small ones take time too */

    while (scrub->counts.bytes < end && scrub->counts.blobs < blobs_end &&
           db_error(txn) == ERR_OK) {
        if (!scrub->in_blob && !next_blob(scrub, txn))
            return SCRUB_END;
        if (blob_step(scrub, txn) == SCRUB_BAD)
            return SCRUB_BAD;
    }
    return SCRUB_MORE;
}

/* ---- repair ---- */

struct kept {
    struct kept *next;
    uint32_t block;
    size_t len;
    uint8_t frame[];
};

struct scrub_repair {
    uint32_t group;
    uint64_t blob;
    struct body_hash hash;
    struct kept *kept;
    size_t kept_bytes;
    bool left_out; /* there was more that is different */
};

struct scrub_repair *scrub_repair_new(uint32_t group, uint64_t blob)
{
    struct scrub_repair *repair = calloc(1, sizeof(*repair));

    CHECK(repair != NULL);
    repair->group = group;
    repair->blob = blob;
    hash_begin(&repair->hash);
    return repair;
}

void scrub_repair_free(struct scrub_repair **repair)
{
    if (*repair == NULL)
        return;
    while ((*repair)->kept != NULL) {
        struct kept *kept = (*repair)->kept;
        (*repair)->kept = kept->next;
        free(kept);
    }
    ZSTD_freeDCtx((*repair)->hash.context);
    free(*repair);
    *repair = NULL;
}

uint32_t scrub_repair_next_block(const struct scrub_repair *repair)
{
    return repair->hash.blocks;
}

static void keep(struct scrub_repair *repair, uint32_t block, struct bytes frame)
{
    struct kept *kept;

    if (repair->kept_bytes + frame.len > SCRUB_KEPT_BYTES) {
        repair->left_out = true;
        return;
    }
    kept = malloc(sizeof(*kept) + frame.len);
    CHECK(kept != NULL);
    kept->next = repair->kept;
    kept->block = block;
    kept->len = frame.len;
    memcpy(kept->frame, frame.at, frame.len);
    repair->kept = kept;
    repair->kept_bytes += frame.len;
}

bool scrub_repair_block(struct scrub_repair *repair, struct db_txn *read, struct bytes frame)
{
    uint32_t block = repair->hash.blocks;
    struct buffer own = BUFFER_EMPTY;

    if (block >= BODY_BLOCKS_MAX || frame.len > BODY_FRAME_SIZE_MAX ||
        !hash_frame(&repair->hash, frame))
        return false;
    query_block(read, repair->group, repair->blob, block, &own);
    if (!bytes_equal(buffer_bytes(&own), frame))
        keep(repair, block, frame);
    buffer_fini(&own);
    return true;
}

static void block_replace(struct scrub_repair *repair, struct db_txn *txn,
                          const struct kept *kept)
{
    struct bytes rest = {kept->frame, kept->len};
    struct key key;
    struct bytes prefix = key_block(&key, repair->group, repair->blob, kept->block, 0);
    uint16_t piece = 0;

    prefix.len -= sizeof(piece); /* all pieces */
    rows_delete(txn, TABLE_BLOCK, prefix, UINT16_MAX);
    for (; rest.len > 0; rest = bytes_skip(rest, BLOB_PIECE_SIZE), piece++)
        db_put(txn, TABLE_BLOCK,
               key_block(&key, repair->group, repair->blob, kept->block, piece),
               bytes_from(rest.at, rest.len < BLOB_PIECE_SIZE ? rest.len : BLOB_PIECE_SIZE));
}

enum scrub_outcome scrub_repair_write(struct scrub_repair *repair, struct db_txn *txn)
{
    struct blob_record record;

    if (!blob_load(txn, repair->group, repair->blob, &record))
        return SCRUB_GONE;
    if (!hash_fits(&repair->hash, &record))
        return SCRUB_USELESS;
    for (const struct kept *kept = repair->kept; kept != NULL; kept = kept->next)
        block_replace(repair, txn, kept);
    return repair->left_out ? SCRUB_AGAIN : SCRUB_REPAIRED;
}
