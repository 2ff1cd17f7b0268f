/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_RPC_LINK_H
#define NODE_RUNTIME_RPC_LINK_H

#include "node/base/buffer.h"
#include "node/runtime/loop_uv.h"
#include "node/runtime/rpc.h"
#include "node/runtime/stream_queue.h"

/*
 * The connections of one RPC server or client: streams (stream.h) with frames cut out of them
 * (stream_frame.h): the number of a frame is the call's. The dialer says its hello first, the
 * listener answers it. What one turn of the loop writes goes out together.
 */
struct rpc_hub;
struct rpc_link;
struct stream;

struct rpc_hub_calls {
    /* The peer's hello has come. False refuses it. */
    bool (*opened)(void *context, struct rpc_link *link);
    /* May another message of any link be taken now? */
    bool (*ready)(void *context);
    /* `body` is valid during the call. */
    void (*message)(void *context, struct rpc_link *link, uint64_t number, struct bytes body);
    /* The link ends; `opened`: opened() has said true. */
    void (*closed)(void *context, struct rpc_link *link, bool opened);
};

struct rpc_hub *rpc_hub_new(struct loop *loop, const struct rpc_hub_calls *calls, void *context,
                            bool speaks_first);
/*
 * Closes all links; closed() is not called. nng has let go of everything when it returns. What
 * was begun outside (dialing, accepting) has ended before. May be called from inside one of the
 * calls: then `released` is called when the last of them has returned, else before this
 * returns.
 */
void rpc_hub_free(struct rpc_hub *hub, void (*released)(void *context));
/* Where openers put their events; its calls run like those above. */
struct stream_queue *rpc_hub_queue(struct rpc_hub *hub);
size_t rpc_hub_links(const struct rpc_hub *hub);

/* Takes over the stream. */
struct rpc_link *rpc_link_new(struct rpc_hub *hub, struct stream *stream);
/* NULL when the connection has gone. */
struct rpc_link *rpc_link_find(struct rpc_hub *hub, uint32_t connection);
void rpc_link_write(struct rpc_link *link, uint64_t number, struct bytes body);
/* What was written last is secret: it is wiped from memory when it is sent. */
void rpc_link_wipe_sent(struct rpc_link *link);
/* Inside message(): `body` is secret, and wiped when that returns. */
void rpc_link_wipe_received(struct rpc_link *link);
/* closed() is called, soon. */
void rpc_link_close(struct rpc_link *link);
/* Known completely from opened() on. */
const struct rpc_peer *rpc_link_peer(const struct rpc_link *link);

/* ready() may have become true. */
void rpc_hub_resume(struct rpc_hub *hub);

#endif
