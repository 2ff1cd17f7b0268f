/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_IMAP_LAB_H
#define TESTS_UNIT_IMAP_LAB_H

#include <openssl/ssl.h>
#include <pthread.h>

#include "imap/server/server.h"
#include "node/runtime/rpc.h"
#include "tests/unit/imap/fake_store.h"

/* LAB_PROXY: behind a proxy, which tells of its clients; STARTTLS. */
enum { LAB_PLAIN, LAB_IMPLICIT, LAB_PROXY, LAB_PORTS };

/*
 * The server with real sockets and TLS, and a store in arrays behind a real ipc endpoint: all
 * in one loop, in a thread of its own. The test is the client. The store's settings name an
 * issuer of tokens, and its firewall denies 192.0.2.66.
 */
struct lab {
    pthread_t thread;
    struct loop *loop;
    char url[64];
    struct fake_store store;
    struct rpc_server *rpc;
    struct rpc_request *watch; /* the Watch call that waits */
    struct rpc_request *held;  /* the login that is held back */
    bool holds_logins;
    struct buffer uploaded;
    unsigned logouts;
    struct imap_server *server;
    struct tls_context *tls;
    struct conn_listener *listeners[LAB_PORTS];
    uint16_t ports[LAB_PORTS];
    unsigned settings_calls;
    unsigned firewall_calls;
    unsigned reports; /* of the firewall */
    bool stopped;
};

void lab_start(struct lab *lab);
/* Ends the loop and frees all. */
void lab_end(struct lab *lab);

/* Runs `call` in the loop, and returns when it has run. */
void lab_do(struct lab *lab, void (*call)(struct lab *lab));
/* Waits until `reached` is true in the loop; fails after some seconds. */
void lab_wait(struct lab *lab, bool (*reached)(struct lab *lab));

/* What the loop can be told to do. */
void lab_deliver(struct lab *lab); /* a message comes into INBOX, and Watch is told */
void lab_release_login(struct lab *lab);
void lab_lose_store(struct lab *lab);
void lab_stop(struct lab *lab);

struct client {
    int fd;
    SSL *ssl;
    struct buffer seen; /* and not yet expected */
};

void client_open(struct client *client, const struct lab *lab, int port);
/* At LAB_PROXY, for the client of that address. Nothing is expected. */
void client_open_for(struct client *client, const struct lab *lab, const char *peer);
void client_tls(struct client *client);
void client_say(struct client *client, const char *text);
void client_send(struct client *client, struct bytes bytes);
/* Reads up to the end of a line that begins with `start`. */
void client_expect(struct client *client, const char *start);
/* Exactly these bytes come next. */
void client_expect_bytes(struct client *client, struct bytes bytes);
void client_expect_end(struct client *client);
void client_close(struct client *client);

#endif
