/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/client/body_block.h"

#include <stdlib.h>
#include <zstd.h>

#include "node/base/check.h"

/* By measurement (storage/README.md): levels above it cost time, in the front ends' only
 * thread, and give next to nothing back on blocks of this size. What cannot be compressed needs
 * no probe: the codec itself passes over it, at gigabytes a second. */
#define LEVEL 2

struct body_codec {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *expand;
};

struct body_codec *body_codec_new(void)
{
    struct body_codec *codec = calloc(1, sizeof(*codec));
    CHECK(codec != NULL);
    codec->compress = ZSTD_createCCtx();
    codec->expand = ZSTD_createDCtx();
    CHECK(codec->compress != NULL && codec->expand != NULL);
    return codec;
}

void body_codec_free(struct body_codec **codec)
{
    if (*codec == NULL)
        return;
    ZSTD_freeCCtx((*codec)->compress);
    ZSTD_freeDCtx((*codec)->expand);
    free(*codec);
    *codec = NULL;
}

void body_block_compress(struct body_codec *codec, struct bytes plain, struct buffer *frame)
{
    size_t room = ZSTD_compressBound(plain.len);

    CHECK(plain.len <= BODY_BLOCK_SIZE && room <= BODY_FRAME_SIZE_MAX);
    size_t len = ZSTD_compressCCtx(codec->compress, buffer_reserve(frame, room), room, plain.at,
                                   plain.len, LEVEL);
    CHECK(!ZSTD_isError(len));
    buffer_added(frame, len);
}

enum err body_block_expand(struct body_codec *codec, struct bytes frame, struct buffer *plain)
{
    unsigned long long says = ZSTD_getFrameContentSize(frame.at, frame.len);

    if (says == ZSTD_CONTENTSIZE_ERROR || says == ZSTD_CONTENTSIZE_UNKNOWN ||
        says > BODY_BLOCK_SIZE)
        return ERR_MALFORMED;
    if (says == 0)
        return ERR_OK;
    size_t len = ZSTD_decompressDCtx(codec->expand, buffer_reserve(plain, (size_t)says),
                                     (size_t)says, frame.at, frame.len);
    if (ZSTD_isError(len) || len != says)
        return ERR_MALFORMED;
    buffer_added(plain, len);
    return ERR_OK;
}
