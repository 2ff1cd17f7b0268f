/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_BENCH_IMAP_CLIENT_H
#define TESTS_BENCH_IMAP_CLIENT_H

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "node/base/buffer.h"

/*
 * One IMAP connection of a load generator, over implicit TLS, without blocking. It says one
 * command at a time and tells when its tagged reply is there; what lies between is counted.
 */
struct imap_client {
    int fd; /* -1: none */
    SSL *ssl;
    bool is_connected; /* TLS is up */
    bool is_greeted;
    bool wants_write; /* the socket is to be watched for that too */
    struct buffer in;
    struct buffer out;
    uint64_t skip;    /* bytes of a literal that are still to come */
    bool in_response; /* the line goes on behind a literal */
    unsigned tag;
    uint64_t bytes;     /* read in all */
    uint64_t responses; /* untagged FETCH responses */
    uint32_t exists;    /* the last EXISTS */
    void *context;
};

enum imap_heard {
    IMAP_HEARD_NOTHING,
    IMAP_HEARD_GREETING,
    IMAP_HEARD_CONTINUE, /* "+" */
    IMAP_HEARD_OK,
    IMAP_HEARD_REFUSED, /* NO or BAD */
    IMAP_HEARD_END,     /* closed, BYE or broken */
};

bool imap_client_open(struct imap_client *client, SSL_CTX *tls, const struct sockaddr *address,
                      socklen_t len);
void imap_client_close(struct imap_client *client);

/* Queues "<tag> <text>\r\n". */
void imap_client_say(struct imap_client *client, const char *text);
/* Queues bytes as they are. */
void imap_client_add(struct imap_client *client, struct bytes bytes);

/* Does what the socket is ready for. Call again until it returns NOTHING. */
enum imap_heard imap_client_run(struct imap_client *client);

#endif
