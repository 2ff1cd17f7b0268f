/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_STREAM_H
#define NODE_RUNTIME_STREAM_H

#include <nng/nng.h>

#include "node/base/bytes.h"
#include "node/runtime/stream_queue.h"

/*
 * One byte stream of nng (ipc, TCP with TLS), owned by one thread, with the rules that nng
 * 1.5.2 asks for kept here:
 *
 * 1. nng's threads go on with an operation that the owner has begun, or put its end into the
 *    owner's queue. They do nothing else.
 * 2. No operation is begun once the stream was closed: nng never ends such an operation. What
 *    is under way is ended by closing.
 * 3. Of each kind one operation at a time. Its memory is nng's until its end was told.
 * 4. A stream is freed when it is closed and nng has let go of both operations.
 *
 * A peer that goes away is told as lost() only while an operation is under way; one that is
 * begun later may find nothing out for ever (nng again). An owner that does not receive all the
 * time must look for silence itself.
 */
struct stream;

/* In the owner's thread, from stream_queue_run(). */
struct stream_calls {
    /* `len` bytes are where stream_receive() was told to put them, at least what it asked for.
     */
    void (*received)(void *context, size_t len);
    /* All pieces were taken. */
    void (*sent)(void *context);
    /* An operation failed, which closed the stream. Once for each that was under way. */
    void (*lost)(void *context);
};

enum { STREAM_PIECES_MAX = 64 };

/* Takes over `nng`. The queue and `calls` are borrowed until stream_free(). */
struct stream *stream_new(struct stream_queue *queue, nng_stream *nng,
                          const struct stream_calls *calls, void *context);
/* For asking who the peer is. */
nng_stream *stream_nng(const struct stream *stream);

/* Up to `room` bytes, at least `least` (1 to `room`), to `at`. Nothing must be being received;
 * does nothing when the stream is closed. */
void stream_receive(struct stream *stream, uint8_t *at, size_t room, size_t least);
/*
 * 1 to STREAM_PIECES_MAX pieces, none empty, which stay where they are until sent() or lost().
 * Small ones leave together. Nothing must be being sent; does nothing when the stream is
 * closed.
 */
void stream_send(struct stream *stream, const struct bytes *pieces, unsigned count);
bool stream_receiving(const struct stream *stream);
bool stream_sending(const struct stream *stream);

/* Any number of times. lost() comes, later, for what was under way. */
void stream_close(struct stream *stream);
bool stream_closed(const struct stream *stream);
/* Closes, waits for nng (not long) and forgets what was not told yet. Accepts a pointer to
 * NULL. Also from inside the stream's own calls. */
void stream_free(struct stream **stream);

#endif
