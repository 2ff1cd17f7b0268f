/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_CLIENT_BODY_BLOCK_H
#define STORAGE_CLIENT_BODY_BLOCK_H

#include "node/base/buffer.h"
#include "node/base/err.h"
#include "storage/schema/flags.h"

/* One block of a body and its zstd frame. A codec keeps its work memory and is for one thread.
 */
struct body_codec;

struct body_codec *body_codec_new(void);
void body_codec_free(struct body_codec **codec);

/* `plain` is at most BODY_BLOCK_SIZE. Appends a frame of at most BODY_FRAME_SIZE_MAX. */
void body_block_compress(struct body_codec *codec, struct bytes plain, struct buffer *frame);

/* Appends at most BODY_BLOCK_SIZE plain bytes. ERR_MALFORMED for a damaged frame or one that
 * says more. */
MUST_CHECK enum err body_block_expand(struct body_codec *codec, struct bytes frame,
                                      struct buffer *plain);

#endif
