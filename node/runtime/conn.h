/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_CONN_H
#define NODE_RUNTIME_CONN_H

#include "node/base/buffer.h"
#include "node/base/err.h"
#include "node/runtime/address.h"
#include "node/runtime/loop.h"
#include "node/runtime/tls.h"

/*
 * A client's connection: TCP, and TLS on it from the start or later. It moves bytes, limits
 * time and memory, and knows nothing of any protocol; a protocol is the five functions below.
 *
 * The connection belongs to the loop. It ends by conn_close(), by the peer, by a time limit or
 * by the listener's close; closed() is then called exactly once, and after that nothing of it
 * may be used.
 */
struct conn;

struct conn_protocol {
    /* A connection has come (and its TLS handshake is done, on an implicit TLS listener).
     * Returns the session. */
    void *(*open)(void *server, struct conn *conn);
    /* Returns how many bytes were consumed. It is called again at once as long as it consumes
     * something and conn_full() is false; then the rest is offered again with more input, after
     * writable(), or after conn_resume(). */
    size_t (*feed)(void *session, struct bytes input);
    /* STARTTLS is done: what was learnt in the clear is to be forgotten (RFC 3207 section 4.2).
     */
    void (*tls_started)(void *session);
    /* No input came for the idle time; the protocol says goodbye and closes. */
    void (*idle)(void *session);
    /* What was queued has been written below conn_limits.output_low: the session may go on
     * writing. */
    void (*writable)(void *session);
    /* The last call. Frees the session. */
    void (*closed)(void *session);
};

struct conn_limits {
    size_t input_max;   /* bytes that feed() may leave unconsumed; beyond it reading pauses */
    size_t output_high; /* queued output beyond which conn_full() is true and reading pauses */
    size_t output_low;
    size_t output_max; /* queued output beyond which the connection is cut */
    uint64_t idle_ms;  /* without input; conn_set_idle() changes it */
    uint64_t proxy_ms; /* for the whole PROXY header */
    uint64_t tls_handshake_ms;
    uint64_t close_ms;                /* to get the last bytes out after conn_close() */
    unsigned connections_max;         /* of this listener */
    unsigned connections_address_max; /* from one IPv4 address or IPv6 /64 */
};
extern const struct conn_limits conn_limits_default;

/* Copies and queues. Bytes written in one loop turn go out together. Ignored after
 * conn_close(). */
void conn_write(struct conn *conn, struct bytes bytes);
bool conn_full(const struct conn *conn);

/* Sends what is queued, then closes (TLS close_notify included). No further feed(). */
void conn_close(struct conn *conn);

/* Offers unconsumed input to feed() again, in a later call from the loop. */
void conn_resume(struct conn *conn);

/*
 * When the peer ends its sending (TCP half-close or close_notify), the session goes on with
 * what it has not consumed yet; when all is consumed, the connection ends as by conn_close().
 *
 * STARTTLS: what is queued (the "220") is sent in the clear, then the handshake starts, and
 * tls_started() is called. ERR_INVALID, and nothing is done, when the peer has sent bytes
 * behind the command that were not consumed: an attacker may have put them there (RFC 3207
 * section 6). ERR_UNSUPPORTED without TLS keys.
 * From inside feed() it cannot be known yet what feed() will have consumed: ERR_OK then means
 * that the handshake starts when feed() returns, and that the connection is cut, with nothing
 * of what is queued sent, if bytes are left. A session that wants to answer instead looks at
 * its input itself.
 */
MUST_CHECK enum err conn_start_tls(struct conn *conn);

void conn_set_idle(struct conn *conn, uint64_t idle_ms);
bool conn_has_tls(const struct conn *conn);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384", or "" in the clear. Lives as long as the connection. */
const char *conn_tls_text(const struct conn *conn);

/*
 * What binds a log-in to this TLS connection (SCRAM-...-PLUS): appended to `bytes`. False, with
 * nothing appended, in the clear, and where the binding is not defined: tls-exporter with TLS
 * 1.2 without extended master secret, tls-server-end-point with a certificate whose signature
 * has no hash of its own (Ed25519).
 */
enum conn_binding {
    CONN_BINDING_TLS_EXPORTER,         /* RFC 9266 */
    CONN_BINDING_TLS_SERVER_END_POINT, /* RFC 5929 section 4 */
};
bool conn_channel_binding(const struct conn *conn, enum conn_binding kind,
                          struct buffer *bytes);

/* Passwords may come in, within TLS: until this is called with false, what came is wiped from
 * memory as soon as the session has taken it. */
void conn_hold_secrets(struct conn *conn, bool secret);

/*
 * The client, who may stand behind a proxy that told of him (conn_listener_expect_proxy()).
 * Numeric, without port: "192.0.2.7", "2001:db8::1"; "" and 0 for a program of this machine
 * that came over a socket in the file system. Lives as long as the connection.
 */
const char *conn_peer_address(const struct conn *conn);
unsigned conn_peer_port(const struct conn *conn);
/* NULL for a program of this machine. */
const struct address *conn_peer(const struct conn *conn);
/* The proxy's address when one told of the client, else "". */
const char *conn_proxy_address(const struct conn *conn);
/* Unique in this process, ascending: for logs and tickets. */
uint64_t conn_id(const struct conn *conn);
/* When it came, more than nine tenths of what its listener takes were there: time to turn
 * strangers away. */
bool conn_is_crowded(const struct conn *conn);
struct loop *conn_loop(const struct conn *conn);

/*
 * Accepts on `fd` (listening, non-blocking or not; the listener owns it from here). `tls` may
 * be NULL (no TLS at all) and outlives all connections; `implicit` starts TLS before the
 * protocol is opened. `server` is handed to open(). A client over a limit is given `refusal`
 * ("421 ...\r\n") and closed.
 */
struct conn_listener *conn_listen(struct loop *loop, int fd,
                                  const struct conn_protocol *protocol, void *server,
                                  struct tls_context *tls, bool implicit,
                                  const struct conn_limits *limits, struct bytes refusal);

/*
 * From these networks only proxies connect: each connection begins with a PROXY header (version
 * 1 or 2), before TLS and before open(), within proxy_ms, or is cut. `networks` is copied. From
 * elsewhere a header is what it would be without this call: the protocol's garbage. To be
 * called before the loop runs.
 */
void conn_listener_expect_proxy(struct conn_listener *listener,
                                const struct address_prefix *networks, unsigned count);

/* Takes no more connections; those that there are go on. Sets *listener to NULL. To be called
 * before loop_free(), which ends the connections that are left. */
void conn_listener_close(struct conn_listener **listener);

/* Connections now open in this process. */
unsigned conn_count(void);

#endif
