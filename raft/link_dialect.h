/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_LINK_DIALECT_H
#define RAFT_LINK_DIALECT_H

#include "node/runtime/stream_frame.h"

/*
 * How bytes of a link become frames. LINK_NOW is ours. LINK_FIRST is what the first release
 * spoke, that of nng's push and pull sockets (hellos of 8 bytes, then each frame behind its
 * length in 8 bytes, big-endian), so that nodes of both stand side by side while a cluster is
 * upgraded. It has no empty frames: that the other is gone is told by TCP alone.
 */
struct link_dialect {
    uint8_t dialer_hello[STREAM_HELLO_SIZE];
    uint8_t listener_hello[STREAM_HELLO_SIZE];
    unsigned header_size; /* at most STREAM_HEADER_SIZE */
    bool empty_frames;
    /* `number`: the one that must come. */
    enum stream_found (*find_header)(struct bytes input, uint64_t number,
                                     struct stream_header *header);
    void (*header_write)(uint8_t at[STREAM_HEADER_SIZE], uint32_t body_size, uint64_t number);
};

extern const struct link_dialect link_now;
extern const struct link_dialect link_first;

/* The dialect whose hello (of a dialer, or of a listener) `input` begins with. */
enum stream_found link_dialect_find(struct bytes input, bool of_dialer,
                                    const struct link_dialect **dialect);

#endif
