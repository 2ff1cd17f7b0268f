/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_CONN_INTERNAL_H
#define NODE_RUNTIME_CONN_INTERNAL_H

#include <netinet/in.h>
#include <openssl/ssl.h>

#include "node/base/buffer.h"
#include "node/runtime/conn.h"
#include "node/runtime/loop_uv.h"
#include "node/runtime/tls_client.h"

/*
 * How a connection is made inside; for the conn_*.c files only.
 *
 *   socket -> scratch -> [cipher -> SSL ->] input -> feed()
 *   conn_write() -> [plain -> SSL ->] output -> writing -> socket
 *
 * Its life: [PROXY header] -> admitted -> [TLS] -> open() -> feed() ... -> closed().
 *
 * An idle connection holds no buffer: what comes is read into memory that all connections of a
 * loop share, and only what could not be used is kept.
 *
 * Invariants:
 * 1. `dirty` connections, and only these, are in shared->dirty; they are looked at when the
 *    loop's turn ends.
 * 2. Once `ended`, the handle is being closed, and nothing but on_uv_closed() happens any more.
 * 3. No callback of the protocol is called from inside a conn_...() function.
 */
enum {
    CONN_SCRATCH_SIZE = 64 * 1024,
    CONN_PLAIN_SIZE = 16 * 1024, /* one TLS record */
    CONN_WHEEL_SLOTS = 512,
    CONN_TICK_MS = 100,
};

struct conn_entry { /* in a slot of the wheel */
    struct conn_entry *next, *previous;
};

struct conn_shared {
    struct loop *loop;
    struct loop_hook *hook;
    struct loop_timer *ticker; /* while there are connections */
    uint64_t tick;             /* the last one that was looked at */
    struct conn_entry wheel[CONN_WHEEL_SLOTS];
    struct conn *first; /* all */
    struct dial *dials;
    struct conn *dirty;
    struct conn **dirty_last;
    uint8_t scratch[CONN_SCRATCH_SIZE];
    uint8_t plain[CONN_PLAIN_SIZE];
};

struct conn_network { /* an IPv4 address or an IPv6 /64 */
    uint8_t bytes[8];
    bool is_v6;
};

struct conn_networks;

struct conn_listener {
    struct conn_shared *shared;
    struct loop_watch *watch;
    struct loop_timer *pause; /* while there are no descriptors left */
    int fd;
    const struct conn_protocol *protocol;
    void *server;
    struct tls_context *tls;
    bool implicit;
    struct conn_limits limits;
    struct bytes refusal;
    struct conn_networks *networks;
    struct address_prefix *proxies; /* who speaks for others */
    unsigned proxies_count;
    unsigned connections;
    bool closed; /* freed with the last connection */
};

/* What a connection has that was dialled (dial.h). */
struct conn_client {
    struct conn_limits limits;
    void *context; /* of open() */
    SSL *asked;    /* made ready, until the handshake begins */
    enum tls_rule rule;
    enum tls_verified verified;
    enum tls_failure failure; /* the first one */
    char reason[160];
};

struct conn_writing {
    uv_write_t uv;
    struct conn *conn;
    struct buffer bytes;
};

struct conn {
    uv_tcp_t tcp; /* first: the handle is the connection */
    struct conn *next, *previous;
    struct conn_shared *shared;
    struct conn_listener *listener; /* NULL: dialled */
    struct conn_client *client;     /* NULL: accepted */
    const struct conn_protocol *protocol;
    const struct conn_limits *limits;
    void *session;
    uint64_t id;
    SSL *ssl;
    char *tls_text;
    struct bytes window; /* what SSL may read now */
    struct buffer cipher, input, plain, output;
    struct conn_writing *writing;
    struct conn *dirty_next;
    struct conn_entry entry;
    uint64_t entry_tick; /* 0: in no slot */
    uint64_t deadline_ms;
    uint64_t idle_ms;
    struct conn_network network;
    struct address address; /* of the client */
    char peer[ADDRESS_TEXT_SIZE];
    char proxy[ADDRESS_TEXT_SIZE];
    uint16_t port;
    bool counted; /* in its network */
    bool crowded;
    bool local; /* over a socket in the file system: no address */
    bool dirty;
    bool reading;
    bool feeding;
    bool resumed;   /* input is to be offered again */
    bool tls_asked; /* STARTTLS, when feed() returns */
    bool proxying;  /* the PROXY header is not there yet */
    bool handshaking;
    bool tls_more; /* reading stopped in the middle: SSL may hold more */
    bool eof;
    bool was_full;
    bool closing;
    bool tls_ended; /* close_notify is sent */
    bool shut;
    bool ended;
    bool secret; /* conn_hold_secrets() */
};

/* conn.c */
/* Listener or client are set by the caller, the peer by conn_name_peer(). `limits` lives as
 * long as the connection. */
struct conn *conn_new(struct conn_shared *shared, const struct conn_protocol *protocol,
                      const struct conn_limits *limits, int fd);
void conn_name_peer(struct conn *conn, const struct address *address, uint16_t port);
void conn_open_session(struct conn *conn);
void conn_mark(struct conn *conn);
void conn_end(struct conn *conn);
size_t conn_output_len(const struct conn *conn);
struct conn_shared *conn_shared_of(struct loop *loop);

/* conn_input.c */
void conn_update_reading(struct conn *conn);
void conn_received(struct conn *conn, struct bytes bytes);
bool conn_may_feed(const struct conn *conn);
void conn_offer(struct conn *conn);
void conn_at_end(struct conn *conn);

/* conn_output.c */
void conn_flush(struct conn *conn);

/* conn_tls.c */
void conn_tls_begin(struct conn *conn);
void conn_tls_received(struct conn *conn, struct bytes bytes);
/* False when the connection is beyond help. */
bool conn_tls_encrypt(struct conn *conn);
void conn_tls_shutdown(struct conn *conn);

/* conn_client.c; without effect on a connection that was accepted */
/* Remembered, if it is the first. */
void conn_client_failed(struct conn *conn, enum tls_failure failure, const char *reason);
/* OpenSSL has ended the connection, and its errors say why. */
void conn_client_tls_refused(struct conn *conn);
void conn_client_tls_done(struct conn *conn);
SSL *conn_client_take_ssl(struct conn_client *client);
void conn_client_free(struct conn_client **client);

/* dial.c */
void dial_cancel_all(struct conn_shared *shared);

/* conn_wheel.c */
void conn_wheel_init(struct conn_shared *shared);
void conn_wheel_set(struct conn *conn, uint64_t deadline_ms);
void conn_wheel_remove(struct conn *conn);
uint64_t conn_now_ms(const struct conn *conn);

/* conn_network.c */
struct conn_networks *conn_networks_new(void);
void conn_networks_free(struct conn_networks **networks);
struct conn_network conn_network_of(const struct address *address);
/* False, and not counted, when there are `most` already. */
bool conn_networks_enter(struct conn_networks *networks, const struct conn_network *network,
                         unsigned most);
void conn_networks_leave(struct conn_networks *networks, const struct conn_network *network);

/* conn_proxy.c */
void conn_proxy_begin(struct conn *conn);
void conn_proxy_received(struct conn *conn, struct bytes bytes);

/* conn_listener.c */
/* A proxy's client is known: he is let in, or sent away when there are too many from his
 * network. */
void conn_listener_admit(struct conn *conn);
void conn_listener_left(struct conn_listener *listener, const struct conn *conn);

#endif
