/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_NODE_RUNTIME_DIAL_LAB_H
#define TESTS_UNIT_NODE_RUNTIME_DIAL_LAB_H

#include "tests/unit/node/runtime/until.h"

#include <openssl/ssl.h>
#include <pthread.h>

#include "node/runtime/dial.h"

/*
 * A mail server of few words, in a thread with a blocking socket, and somebody who dials it:
 * "220 hi", "STARTTLS", the answer, TLS, and then each line comes back.
 */
struct host {
    /* Set before host_start(). */
    SSL_CTX *tls;       /* the host's to free; NULL: no handshake */
    const char *answer; /* to STARTTLS */
    size_t cut_after;   /* bytes of its side of the handshake, then it goes; 0: all */
    bool silent;        /* after its answer, until the other one goes */
    bool once;          /* stops listening when somebody has come */
    const char *later;  /* sent in the clear when the client's first bytes have come */

    int fd;
    uint16_t port;
    pthread_t thread;
    char server_name[256]; /* SNI; valid after host_stop() */
    bool shook;            /* the handshake is done, for all the host knows */
};

/* On 127.0.0.1. One connection. */
void host_start(struct host *host);
/* Waits for its end. Frees host->tls. */
void host_stop(struct host *host);

/* A context of the host's: the certificate, what else is sent, and the key. */
SSL_CTX *host_tls(X509 *certificate, X509 *const *chain, unsigned count, EVP_PKEY *key);

struct caller {
    struct loop *loop;
    struct tls_client *tls;
    struct tls_expect expect;
    bool later; /* conn_start_tls_client() is called from a timer, not from feed() */

    struct conn *conn;
    unsigned opened, started, closed, failures;
    enum err err; /* of failed(), or of conn_start_tls_client() */
    const char *reason;
    bool greeted, answered, echoed, has_key;
    enum tls_failure failure;      /* as closed() finds it */
    enum tls_failure failure_then; /* as tls_started() finds it */
    enum tls_verified verified;
    char why[160], tls_text[96];
    uint8_t key[TLS_KEY_DIGEST_SIZE];
};

extern const struct conn_protocol caller_protocol;
void caller_failed(void *context, enum err err, const char *reason);
/* failed() or closed() was called. */
bool caller_is_done(void *context);

/* The whole conversation with a host, which is started and stopped; the caller's members up to
 * `later` are set, but the loop. */
void caller_talk(struct caller *caller, struct host *host, const struct conn_limits *limits);

#endif
