/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_STREAM_H
#define NODE_RUNTIME_STREAM_H

#include "node/base/bytes.h"
#include "node/runtime/stream_queue.h"

/*
 * One byte stream, owned by one thread. Openers (stream_opener.h) make them, of two kinds:
 * those to other nodes are nng's (stream_nng.c), those within a node are sockets on the owner's
 * loop (stream_local.c). The owner sees no difference:
 *
 * 1. Of receiving and of sending one operation at a time. Its memory is the stream's until its
 *    end was told.
 * 2. No operation begins once the stream was closed. What is under way then is lost.
 * 3. Nothing is told from inside a call to the stream.
 *
 * A peer that goes away is told as lost() only while an operation is under way; one that is
 * begun later over nng may find nothing out for ever. An owner that does not receive all the
 * time must look for silence itself.
 */
struct stream;

/* In the owner's thread: from stream_queue_run(), or from the loop. */
struct stream_calls {
    /* `len` bytes are where stream_receive() was told to put them, at least what it asked for.
     */
    void (*received)(void *context, size_t len);
    /* All pieces were taken. */
    void (*sent)(void *context);
    /* An operation failed, which closed the stream. Once for each that was under way. */
    void (*lost)(void *context);
};

/* Who is at the other end. */
struct stream_peer {
    uint32_t uid;     /* of the process, within a node; else UINT32_MAX */
    uint32_t pid;     /* likewise; else 0 */
    uint64_t node_id; /* from the certificate, once something was received; else 0 */
};

enum { STREAM_PIECES_MAX = 64 };

/* Before anything else. `calls` are borrowed until stream_free(). */
void stream_start(struct stream *stream, const struct stream_calls *calls, void *context);
struct stream_peer stream_peer(const struct stream *stream);

/* Up to `room` bytes, at least `least` (1 to `room`), to `at`. Nothing must be being received;
 * does nothing when the stream is closed. */
void stream_receive(struct stream *stream, uint8_t *at, size_t room, size_t least);
/*
 * 1 to STREAM_PIECES_MAX pieces, none empty. Small ones leave together. Nothing must be being
 * sent; does nothing when the stream is closed. True: all were taken at once, which nng never
 * says, and sent() is not called. False: they stay where they are until sent() or lost().
 */
bool stream_send(struct stream *stream, const struct bytes *pieces, unsigned count);
bool stream_receiving(const struct stream *stream);
bool stream_sending(const struct stream *stream);

/* Any number of times. lost() comes, later, for what was under way. */
void stream_close(struct stream *stream);
bool stream_closed(const struct stream *stream);
/* Closes, waits for nng (not long) and forgets what was not told yet. Accepts a pointer to
 * NULL. Also from inside the stream's own calls. */
void stream_free(struct stream **stream);

#endif
