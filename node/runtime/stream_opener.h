/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_STREAM_OPENER_H
#define NODE_RUNTIME_STREAM_OPENER_H

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#include "node/base/err.h"
#include "node/runtime/stream_queue.h"

/*
 * Where streams come from: a listener that accepts, or a dialer that dials, one at a time and
 * each time only when asked. "ipc://<path>" is within the node, and needs a queue with a loop;
 * other addresses are nng's.
 *
 * Errors are nng's numbers, for nng_strerror(); one of the system is NNG_ESYSERR + errno.
 */
struct stream_opener;
struct stream;

/* In the owner's thread: the next stream, which is the callee's, or NULL and the reason. */
typedef void stream_opened(void *context, struct stream *stream, int result);

/* With `queue` borrowed until stream_opener_free(). `tls` (NULL: none) is held. An error, or
 * 0. Accepting and dialing start with stream_opener_go(). */
MUST_CHECK int stream_listener_new(struct stream_queue *queue, const char *url,
                                   nng_tls_config *tls, stream_opened *opened, void *context,
                                   struct stream_opener **opener);
MUST_CHECK int stream_dialer_new(struct stream_queue *queue, const char *url,
                                 nng_tls_config *tls, stream_opened *opened, void *context,
                                 struct stream_opener **opener);
/* Only of a listener within the node: the mode of its file, from the first moment in which
 * somebody can connect. */
MUST_CHECK int stream_opener_mode(struct stream_opener *opener, unsigned mode);
/*
 * Only of a listener, once. Within the node, the file of a listener that has died is replaced;
 * one that somebody listens on, or that is no socket, is EADDRINUSE.
 */
MUST_CHECK int stream_opener_listen(struct stream_opener *opener);
/* A dial that takes longer than this fails with NNG_ETIMEDOUT. Within a node none takes time.
 */
void stream_opener_time_out(struct stream_opener *opener, uint64_t dial_ms_max);

/* Accepts or dials once, after a pause; opened() tells how it went, not from inside. Not while
 * one is under way that does not pause; one that pauses goes by the new pause. */
void stream_opener_go(struct stream_opener *opener, uint64_t pause_ms);
/* It was told to go, and pauses. */
bool stream_opener_pauses(const struct stream_opener *opener);
/* opened() is not called any more. A listener's file goes. Accepts a pointer to NULL. */
void stream_opener_free(struct stream_opener **opener);

#endif
