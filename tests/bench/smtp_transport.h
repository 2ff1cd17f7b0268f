/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_BENCH_SMTP_TRANSPORT_H
#define TESTS_BENCH_SMTP_TRANSPORT_H

#include <netinet/in.h>
#include <openssl/ssl.h>

#include "node/base/buffer.h"

/*
 * The bytes of one connection of a load generator, in the clear or through TLS, in an epoll
 * set. No certificate is checked: what is measured is what TLS costs.
 */
struct smtp_transport {
    int fd; /* -1: closed */
    int epoll_fd;
    void *data; /* of its epoll events */
    SSL *ssl;   /* NULL: in the clear */
    bool is_shaking;
    bool wants_write; /* of TLS */
    bool is_watching_write;
};

/* Contexts for all connections of a program; sessions are not resumed. */
SSL_CTX *smtp_transport_context(void);

/* Begins to connect. `source` may be NULL, else the local address with port 0. False: it failed
 * at once. The first event tells how it ended; see smtp_transport_connected(). */
bool smtp_transport_open(struct smtp_transport *transport, int epoll_fd, void *data,
                         const struct sockaddr *target, socklen_t len,
                         const struct sockaddr *source);
bool smtp_transport_connected(const struct smtp_transport *transport);
/* Everything from now on goes through TLS; the handshake goes on in read and write. */
void smtp_transport_start_tls(struct smtp_transport *transport, SSL_CTX *context);

/* Writes what can be written off the front. False: the connection is broken. */
bool smtp_transport_write(struct smtp_transport *transport, struct buffer *output);
/* Bytes appended to `input`; 0: none now, -1: the connection has ended. */
int smtp_transport_read(struct smtp_transport *transport, struct buffer *input);

void smtp_transport_close(struct smtp_transport *transport);

#endif
