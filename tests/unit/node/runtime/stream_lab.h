/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_NODE_RUNTIME_STREAM_LAB_H
#define TESTS_UNIT_NODE_RUNTIME_STREAM_LAB_H

#include "tests/unit/node/runtime/until.h"

#include "node/runtime/stream.h"
#include "node/runtime/stream_opener.h"

/* A loop with a queue, a path, and one stream with a bare socket of the test at its other end.
 */
struct stream_lab {
    struct loop *loop;
    struct stream_queue queue;
    bool ended;
    char path[96];
    char url[104];
    struct stream_opener *opener;
    struct stream *opened; /* the last, not started */
    unsigned opened_count, failed_count;
    int result;
    struct stream *stream;
    int peer;        /* non-blocking, or -1 */
    unsigned inside; /* a call to the stream: nothing may be told */
    unsigned received, sent, lost;
    size_t received_len;
    unsigned free_in; /* FREE_...: what is told last */
};

enum { FREE_NEVER, FREE_RECEIVED, FREE_SENT, FREE_LOST };

struct stream_lab *stream_lab_new(const char *name);
void stream_lab_free(struct stream_lab *lab);

/* Sockets of the test's own at lab->path. */
int stream_lab_listen(const struct stream_lab *lab, int backlog);
int stream_lab_connect(const struct stream_lab *lab);

/* An opener, told to go; what it brings is counted. */
void stream_lab_listener(struct stream_lab *lab, unsigned mode);
void stream_lab_dialer(struct stream_lab *lab);
/* A listener's file, a stream of it that was started, and the peer. */
void stream_lab_pair(struct stream_lab *lab);

void stream_lab_receive(struct stream_lab *lab, uint8_t *at, size_t room, size_t least);
bool stream_lab_send(struct stream_lab *lab, const struct bytes *pieces, unsigned count);
/* All sockets of this process send little at once. */
void stream_lab_small_buffers(void);

/* How often the loop turns within this time. */
unsigned stream_lab_turns(struct stream_lab *lab, uint64_t time_ms);

#endif
