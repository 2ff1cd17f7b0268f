/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_BENCH_SMTP_CLIENT_H
#define TESTS_BENCH_SMTP_CLIENT_H

#include "bench/smtp_result.h"
#include "bench/smtp_transport.h"
#include "node/base/arena.h"

/*
 * One connection of the load generator: sends message after message, and connects again, to the
 * next server and with back-off, whenever it is lost; after `connection_messages` it says
 * good-bye and begins another. A message whose final dot was not sent is sent again under the
 * same token; one whose reply did not come is "unknown" and never again.
 */
enum { LOAD_TARGETS_MAX = 16, LOAD_TOKEN_SIZE = 64, LOAD_SOURCE_FIRST = 0x7f400001 };

struct load {
    struct sockaddr_storage targets[LOAD_TARGETS_MAX];
    socklen_t target_lens[LOAD_TARGETS_MAX];
    unsigned target_count;
    const char **recipients;
    unsigned recipient_count;
    const char *sender;
    const char *token_prefix;
    size_t size;
    bool attachments;      /* in each message */
    uint64_t messages_max; /* 0: until `end_us` */
    uint64_t end_us;       /* no new message from then on */
    bool pipelining;       /* use it where it is offered */
    SSL_CTX *tls;     /* NULL: in the clear. Else STARTTLS, without which there is no mail */
    bool tls_at_once; /* no STARTTLS, TLS from the first byte */
    unsigned connection_messages; /* for one connection; 0: no limit */
    unsigned sources;             /* so many addresses 127.64.x.y; 0: the system's choice */
    uint64_t messages_begun;
    unsigned recipient_next;
    int epoll_fd;
    struct smtp_result result;
};

struct client;

struct client *client_new(struct load *load, unsigned number);
void client_free(struct client **client);
/* The connection can be read or written. */
void client_ready(struct client *client);
/* Now and then: time limits, and connecting again. */
void client_tick(struct client *client, uint64_t now_us);
bool client_is_done(const struct client *client);

#endif
