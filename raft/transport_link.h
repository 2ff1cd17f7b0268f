/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_TRANSPORT_LINK_H
#define RAFT_TRANSPORT_LINK_H

#include "node/runtime/stream.h"
#include "node/runtime/stream_frame.h"
#include "raft/link_dialect.h"
#include "raft/transport.h"

/*
 * One connection between two nodes. Frames go one way, from the dialer to the listener; the
 * other way comes the hello that lets the dialer begin. An empty frame goes either way when
 * nothing was said for a while: who hears nothing at all is alone.
 *
 * A frame's number is its place on the connection, from 1; where one is missing the connection
 * ends. All calls are for the thread that owns the queue.
 */
struct transport_link;

enum {
    /* It has room until this much was taken and not sent. */
    LINK_FRAMES_MAX = 31,
    LINK_BYTES_MAX = 1024 * 1024,
    LINK_RECEIVED_MAX = 4 * 1024 * 1024, /* it reads no further until this was taken out */
    LINK_HELLO_MS_MAX = 3000,
    LINK_QUIET_MS = 500,   /* after this long an empty frame is sent */
    LINK_SILENT_MS = 4000, /* after this long without any the other is gone */
};

struct transport_link_calls {
    /* The other's hello has come, from the node that its certificate names (0: from none).
     * False ends the link. */
    bool (*opened)(void *context, struct transport_link *link, uint64_t node_id);
    /* The link has ended by itself, and is to be freed, here or later. */
    void (*ended)(void *context, struct transport_link *link, const char *why);
};

/* Takes over `stream`; the rest is borrowed. `dialect`: what the dialer speaks; NULL: it was
 * accepted, and answers as it is spoken to. */
struct transport_link *transport_link_new(struct stream *stream,
                                          const struct link_dialect *dialect,
                                          const struct transport_link_calls *calls,
                                          void *context);
/* Ends it, with all that was not sent or not taken. Accepts a pointer to NULL. Not from inside
 * opened(). */
void transport_link_free(struct transport_link **link);

/* What the other's hello was in, also when that was refused; NULL: none has come. */
const struct link_dialect *transport_link_heard(const struct transport_link *link);

/* How many frames it takes now; 0 while it is not open. Of a dialed link alone, like send(). */
unsigned transport_link_room(const struct transport_link *link);
/* Takes over the reference. Only when there is room. */
void transport_link_send(struct transport_link *link, struct frame *frame);

/* The next frame that came, or NULL; the caller's reference. */
struct frame *transport_link_take(struct transport_link *link);

/* To be called every LINK_QUIET_MS / 2; also after a time in which the owner did nothing. */
void transport_link_tick(struct transport_link *link, uint64_t now_ms);

#endif
