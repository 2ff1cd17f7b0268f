/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_STREAM_FRAME_H
#define NODE_RUNTIME_STREAM_FRAME_H

#include "node/base/bytes.h"

/*
 * How bytes of a stream become frames, for RPC and for replication. Each side first says a
 * hello of 8 bytes: what it speaks, and the version in the last of them. Then frames follow,
 * each a header of 16 bytes (length of the body: 4 bytes, zero: 4 bytes, a number: 8 bytes,
 * little-endian) and the body.
 */
enum { STREAM_HELLO_SIZE = 8, STREAM_HEADER_SIZE = 16 };

struct stream_format {
    uint8_t hello[STREAM_HELLO_SIZE];
    uint32_t body_size_max;
};

struct stream_header {
    uint32_t body_size;
    uint64_t number;
};

enum stream_found {
    STREAM_FOUND_MORE, /* not all of it is there */
    STREAM_FOUND_IT,
    STREAM_FOUND_BAD, /* whatever follows, the stream is of no use any more */
};

/* What `input` begins with. Bad bytes are seen at once, not when all are there. */
enum stream_found stream_find_hello(const struct stream_format *format, struct bytes input);
/* `header` is set when it is there; its body may be cut. No larger body than the format allows
 * is ever found. */
enum stream_found stream_find_header(const struct stream_format *format, struct bytes input,
                                     struct stream_header *header);

void stream_header_write(uint8_t at[STREAM_HEADER_SIZE], uint32_t body_size, uint64_t number);

#endif
