/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_STREAM_KIND_H
#define NODE_RUNTIME_STREAM_KIND_H

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#include "node/runtime/stream.h"
#include "node/runtime/stream_opener.h"

/*
 * What the two kinds of streams, and of openers, have in common, and what they do each their
 * way. The rules of the headers are checked in stream.c and stream_opener.c before a kind is
 * asked.
 */
struct stream_kind {
    void (*receive)(struct stream *stream, uint8_t *at, size_t room, size_t least);
    bool (*send)(struct stream *stream, const struct bytes *pieces, unsigned count);
    /* Sets `closed`. */
    void (*close)(struct stream *stream);
    /* It is closed. */
    void (*free)(struct stream *stream);
    struct stream_peer (*peer)(const struct stream *stream);
};

/* The first member of either kind. Of the owner's thread; `closed` is set by the kind. */
struct stream {
    const struct stream_kind *kind;
    struct stream_queue *queue;
    const struct stream_calls *calls;
    void *context;
    bool receiving; /* from the begin of an operation until its end is told */
    bool sending;
    bool closed;
};

struct stream *stream_nng_new(struct stream_queue *queue, nng_stream *nng);
/* Takes over a connected, non-blocking socket. The queue has a loop. */
struct stream *stream_local_new(struct stream_queue *queue, int fd);

struct stream_opener_kind {
    /* Accept or dial once; ends in stream_opener_ended(), not from inside. */
    void (*begin)(struct stream_opener *opener);
    int (*mode)(struct stream_opener *opener, unsigned mode);
    int (*listen)(struct stream_opener *opener);
    /* With what was opened and not told. */
    void (*free)(struct stream_opener *opener);
};

struct stream_opener {
    const struct stream_opener_kind *kind;
    struct stream_queue *queue;
    stream_opened *opened;
    void *context;
    bool busy; /* and what it brings was not taken */
    struct stream_timer pause;
    uint64_t dial_ms_max; /* 0: any */
};

/* What stream_opener.c hands to a kind. */
struct stream_opener_task {
    struct stream_queue *queue;
    const char *where; /* a url; within a node, a path */
    nng_tls_config *tls;
    stream_opened *opened;
    void *context;
    bool listens;
};

int stream_opener_nng_new(const struct stream_opener_task *task, struct stream_opener **opener);
int stream_opener_local_new(const struct stream_opener_task *task,
                            struct stream_opener **opener);

/* For the kinds. */
void stream_opener_init(struct stream_opener *opener, const struct stream_opener_kind *kind,
                        const struct stream_opener_task *task);
void stream_opener_ended(struct stream_opener *opener, struct stream *stream, int result);

#endif
