/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_SUBMIT_LOGIN_H
#define SMTP_SUBMIT_LOGIN_H

#include "node/base/arena.h"
#include "node/runtime/conn.h"
#include "smtp/protocol/session.h"
#include "storage/client/client.h"

/*
 * Who a client of submission is: the exchange of AUTH between the engine and the store, which
 * knows the mechanisms, and afterwards what the store said of the account. One a connection.
 */
struct login;

enum login_tried { LOGIN_GOES_ON, LOGIN_HELD, LOGIN_TOO_MANY };

struct login_config {
    struct store_client *store;
    struct conn *conn;
    struct smtp_session *session;
    /* The client's address, as logs show it. */
    const char *(*peer)(void *context);
    unsigned step_ms; /* a question to the store: long enough for a queue of hashes */
    /* A log-in has succeeded or failed, as the firewall names account and secret (0: not
     * known). HELD: the answer waits for
     * login_release(). TOO_MANY: the client is to go. */
    enum login_tried (*tried)(void *context, bool right, uint64_t account, uint32_t secret);
    /* The session was answered: perform what it wants. The login may be gone afterwards. */
    void (*answered)(void *context);
    void *context;
};

struct login *login_new(const struct login_config *config);
/* Ends its session in the store, also one that a step under way brings yet. Accepts NULL
 * content. */
void login_free(struct login **login);

/* Performs SMTP_WANT_AUTH. */
void login_step(struct login *login, const struct smtp_action *action);

/* The client has sent a message, and what became of it is told to nobody yet: it may have
 * learnt from it all the same. */
bool login_waits(const struct login *login);

/* The connection begins anew (TLS, another client of a proxy): nobody is logged in. Not while
 * the store is asked. */
void login_forget(struct login *login);

/* Gives the answer that was held. */
void login_release(struct login *login);

/* The store's session; 0 before the client is logged in, and after the store has lost it. */
uint64_t login_session(const struct login *login);
/* "ann@example.net"; empty before. */
struct bytes login_address(const struct login *login);
bool login_may_send(const struct login *login);
bool login_hides_client(const struct login *login);
unsigned login_recipients_max(const struct login *login);

/* For mechanisms lists in struct smtp_config. */
#define LOGIN_MECHANISMS_TLS                                                                   \
    "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN"

#endif
