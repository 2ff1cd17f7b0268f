/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/body_reader.h"

#include <stdlib.h>
#include <zstd.h>

#include "node/base/check.h"
#include "storage/machine/blob.h"
#include "storage/query/view.h"
#include "storage/schema/flags.h"

struct body_reader {
    ZSTD_DCtx *context;
    struct buffer frame;
    bool loaded;
    uint32_t group;
    uint64_t blob;
    uint32_t block;
    size_t len;
    uint8_t plain[BODY_BLOCK_SIZE];
};

struct body_reader *body_reader_new(void)
{
    struct body_reader *reader = malloc(sizeof(*reader));

    CHECK(reader != NULL);
    reader->context = NULL; /* most searches expand nothing */
    reader->loaded = false;
    buffer_init(&reader->frame);
    return reader;
}

void body_reader_free(struct body_reader **reader)
{
    if (*reader == NULL)
        return;
    ZSTD_freeDCtx((*reader)->context);
    buffer_fini(&(*reader)->frame);
    free(*reader);
    *reader = NULL;
}

static bool block_load(struct body_reader *reader, struct db_txn *txn, uint32_t group,
                       uint64_t blob, uint32_t block, uint64_t *work)
{
    size_t len;

    if (reader->loaded && reader->group == group && reader->blob == blob &&
        reader->block == block)
        return true;
    reader->loaded = false;
    buffer_clear(&reader->frame);
    if (!query_block(txn, group, blob, block, &reader->frame))
        return false;
    if (reader->context == NULL) {
        reader->context = ZSTD_createDCtx();
        CHECK(reader->context != NULL);
    }
    len = ZSTD_decompressDCtx(reader->context, reader->plain, sizeof(reader->plain),
                              buffer_bytes(&reader->frame).at, buffer_len(&reader->frame));
    *work += buffer_len(&reader->frame) + (ZSTD_isError(len) ? 0 : len);
    if (ZSTD_isError(len))
        return false;
    reader->loaded = true;
    reader->group = group;
    reader->blob = blob;
    reader->block = block;
    reader->len = len;
    return true;
}

bool body_reader_read(struct body_reader *reader, struct db_txn *txn, uint32_t group,
                      uint64_t blob, uint64_t at, size_t len, struct buffer *plain,
                      uint64_t *work)
{
    struct blob_record record;

    if (!blob_load(txn, group, blob, &record))
        return false;
    while (len > 0 && at < record.size && at / BODY_BLOCK_SIZE < record.blocks) {
        size_t start = (size_t)(at % BODY_BLOCK_SIZE);
        size_t part;

        if (!block_load(reader, txn, group, blob, (uint32_t)(at / BODY_BLOCK_SIZE), work))
            return false;
        if (start >= reader->len)
            return false;
        part = reader->len - start < len ? reader->len - start : len;
        buffer_add(plain, bytes_from(reader->plain + start, part));
        at += part;
        len -= part;
        if (start + part < BODY_BLOCK_SIZE)
            break; /* only the last block is short */
    }
    return true;
}
