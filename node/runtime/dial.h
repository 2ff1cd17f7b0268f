/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_DIAL_H
#define NODE_RUNTIME_DIAL_H

#include "node/runtime/conn.h"
#include "node/runtime/tls_client.h"

/*
 * Connections to other hosts: from an address to a connection (conn.h), which from its open()
 * on behaves as one that was accepted does, and TLS on it as a client. Everything belongs to
 * the loop; no callback runs inside a call.
 */
struct dial;

struct dial_config {
    struct address target;
    uint16_t port;
    /* The own address to come from, of the target's family; NULL: as the kernel chooses. */
    const struct address *source;
    unsigned timeout_ms; /* 0: 30 s */
    /* NULL: conn_limits_default; what is about listeners does not count. */
    const struct conn_limits *limits;
    const struct conn_protocol *protocol; /* outlives the connection */
    void *context;                        /* handed to open() and failed() */
    /* `reason` is a constant text for logs and notices: "connection refused". */
    void (*failed)(void *context, enum err err, const char *reason);
};

/*
 * Ends in exactly one call, of the protocol's open() or of failed(), before which the dial is
 * gone: its pointer is not to be used from there on. `config` is copied. What failed() may say:
 *   ERR_INVALID      the source cannot be bound: not an address of this machine, or of another
 *                    family than the target. Nothing is known of the target.
 *   ERR_BUSY         no descriptors, or no ports of the source, are left. The same.
 *   ERR_DENIED       this machine does not let us (packet filter, sandbox). The same.
 *   ERR_CLOSED       refused or reset by the other side
 *   ERR_TIMEOUT      no answer in time
 *   ERR_UNAVAILABLE  no way to the host or its network
 *   ERR_IO           anything else
 * loop_free() ends a dial as dial_cancel() does, and an open connection by closed().
 */
struct dial *dial_start(struct loop *loop, const struct dial_config *config);

/* Neither open() nor failed() will be called. Accepts NULL, sets NULL. */
void dial_cancel(struct dial **dial);

/* The own side of a connection, dialled or accepted. False for one over the file system.
 * `port` may be NULL. */
bool conn_local(const struct conn *conn, struct address *address, uint16_t *port);

/*
 * STARTTLS as the client, on a connection that was dialled, when the server has said yes. What
 * comes next is tls_started(), or closed() and conn_tls_failure() before it.
 *   ERR_UNSUPPORTED  there is TLS already, or the connection was accepted
 *   ERR_INVALID      the server has sent more than what was consumed; the caller closes
 *   ERR_MALFORMED    no TLSA record can be used (RULE_DANE), or no name is one (RULE_WEB)
 * and nothing was done. From inside feed() the first is not known yet: the handshake starts
 * when feed() returns, and the connection is cut (TLS_FAILURE_INJECTED) if anything stands
 * behind what feed() has consumed. So feed() must not take more than the server's one answer:
 * what an attacker puts behind it would be read as the server's (RFC 3207 section 6).
 */
MUST_CHECK enum err conn_start_tls_client(struct conn *conn, struct tls_client *client,
                                          const struct tls_expect *expect);

enum tls_verified conn_tls_verified(const struct conn *conn);

/*
 * What TLS failed of, also from within closed(): in the handshake, and later when the server
 * sent what is no TLS or an alert. With tls_expect.lenient: what the server could not prove.
 * `reason` (may be NULL) is set to more words of it, which live as long as the connection; ""
 * when there is nothing to say.
 */
enum tls_failure conn_tls_failure(const struct conn *conn, const char **reason);

/* SHA-256 of the server's public key (its SubjectPublicKeyInfo): what a TLSA record "x 1 1"
 * has. False without TLS. */
bool conn_tls_peer_key(const struct conn *conn, uint8_t digest[TLS_KEY_DIGEST_SIZE]);

#endif
