/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_RPC_H
#define NODE_RUNTIME_RPC_H

#include "node/base/bytes.h"
#include "node/base/err.h"
#include "node/runtime/loop.h"
#include "node/runtime/tls.h"

/*
 * Requests and replies: "ipc:///path" between the processes of a node, by a socket in the file
 * system; "tls+tcp://host:port" between nodes, by nng (mutual TLS 1.3 from the cluster's
 * authority). What the bytes mean is the caller's.
 *
 * Every call has a deadline and its callback is called exactly once, in the loop's thread: with
 * the reply, ERR_TIMEOUT, or ERR_CLOSED when the client is freed. A request may arrive twice
 * (the transport sends it again when a connection breaks before the reply): handlers are
 * idempotent, or recognise a request id.
 */
enum {
    RPC_MESSAGE_SIZE_MAX = 8 * 1024 * 1024, /* checked before anything is allocated */
    RPC_DEADLINE_MAX_MS = 60 * 60 * 1000,
};

/* Who is at the other end of a request. */
struct rpc_peer {
    uint32_t connection; /* the same for all requests of one connection; not reused soon */
    uint64_t node_id;    /* over TLS: from the certificate; else 0 */
    uint32_t uid;        /* over ipc: of the peer process; else UINT32_MAX */
    uint32_t pid;        /* over ipc */
};

struct rpc_server;
struct rpc_request; /* one received request that has no reply yet */

struct rpc_server_config {
    const char *url;
    const struct tls_credentials
        *credentials; /* tls+tcp only; borrowed until rpc_server_new() returns */
    /* tls+tcp only: clients need no certificate (for joining); peers have node_id 0. */
    bool anonymous;
    unsigned parallel_max; /* requests without reply, over all connections; more wait in their
                              sockets */
    uint32_t uid;          /* ipc only: the one uid that may connect, or UINT32_MAX for any */
    unsigned ipc_mode;     /* ipc only: file mode of the socket, e.g. 0660 */
    void (*handle)(void *context, struct rpc_request *request, const struct rpc_peer *peer,
                   struct bytes body);
    void (*disconnected)(void *context, uint32_t connection); /* may be NULL */
    void *context;
};

/* ERR_IO when the address cannot be bound, ERR_MALFORMED for the credentials; the reason is
 * logged. */
MUST_CHECK enum err rpc_server_new(struct loop *loop, const struct rpc_server_config *config,
                                   struct rpc_server **server);
/* Replies are sent as far as that takes no waiting. Requests without reply become unknown:
 * rpc_reply() on them does nothing but free them. disconnected() is not called any more. Not
 * from inside handle() or disconnected(). */
void rpc_server_free(struct rpc_server **server);

/*
 * Sends the reply and frees the request, and with it the body that handle() was given. `body`
 * is copied; it is at most RPC_MESSAGE_SIZE_MAX long. Exactly once a request, in handle() or
 * any time after it.
 */
void rpc_reply(struct rpc_request *request, struct bytes body);

/* Overwrites the body that handle() was given: it held a secret, and has been taken in. Inside
 * handle() also what was received of it; and the reply's copy, when it is sent. */
void rpc_wipe(struct rpc_request *request);

struct rpc_client;

struct rpc_client_config {
    const char *url;
    const struct tls_credentials *credentials; /* tls+tcp only; borrowed as above */
    uint64_t node_id; /* tls+tcp: the peer must be this node, else the connection is refused;
                         0: any node of the cluster */
    const char *authority_pin; /* tls+tcp without credentials (joining): hex SHA-256 of the
                                  authority, or NULL */
    unsigned parallel_max;     /* calls under way; more wait their turn within their deadline */
    void (*connected)(void *context, bool up); /* may be NULL */
    void *context;
};

/* Connects in the background and again whenever the connection is lost. ERR_INVALID for the
 * address, ERR_MALFORMED for the credentials or the pin; the reason is logged. */
MUST_CHECK enum err rpc_client_new(struct loop *loop, const struct rpc_client_config *config,
                                   struct rpc_client **client);
/* Ends every call with ERR_CLOSED before it returns. May be called from a call's callback;
 * rpc_call() may not, once this has begun. */
void rpc_client_free(struct rpc_client **client);

typedef void rpc_done(void *context, enum err err, struct bytes reply);

/* Copies `body`. The time allowed is `deadline_ms` from now, at most RPC_DEADLINE_MAX_MS.
 * Returns a ticket, never 0. ERR_TOOBIG comes through the callback too. */
uint64_t rpc_call(struct rpc_client *client, struct bytes body, uint64_t deadline_ms,
                  rpc_done *done, void *context);
/* The same of a body with secrets: its copies are wiped from memory when they are of no use. */
uint64_t rpc_call_secret(struct rpc_client *client, struct bytes body, uint64_t deadline_ms,
                         rpc_done *done, void *context);
/* The callback will not come. An unknown ticket is ignored. */
void rpc_cancel(struct rpc_client *client, uint64_t ticket);
bool rpc_client_connected(const struct rpc_client *client);
/* How often it has connected. A call that ends when this is what it was at its rpc_call(), with
 * a connection up then, was sent once at most. */
uint64_t rpc_client_connects(const struct rpc_client *client);

#endif
