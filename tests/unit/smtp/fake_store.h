/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_SMTP_FAKE_STORE_H
#define TESTS_UNIT_SMTP_FAKE_STORE_H

#include "node/base/arena.h"
#include "node/base/buffer.h"
#include "storage/client/client.h"
#include "store.pb-c.h"

/*
 * Takes the place of storage/client/client.c at link time: a store in memory that does as it is
 * told. Users are y@here.test (account 1), z@here.test (2), postmaster without a domain (3),
 * abuse@localhost (4), postmaster@localhost (5); down@here.test cannot be looked up.
 * list@here.test is a list of 1, 2 and far@else.test, pair@here.test stands for 1 and 2,
 * forward@here.test and forwardN@here.test go on to away@else.test (forwards of accounts 9 and
 * 9 + N), both@here.test to two addresses that are forwards of 21 and 22, and to 1.
 * ann@here.test (account 4, password "right") may submit, as herself and as team@here.test. All
 * of it belongs to the loop's thread; a test reads it when the loop has stopped.
 */
enum { FAKE_DELIVERIES_MAX = 64, FAKE_PARTS_MAX = 16 };

struct fake_delivery {
    char trace_id[REQUEST_ID_TEXT_SIZE];
    uint64_t accounts[8];
    size_t account_count;
    struct buffer body;
    struct buffer packed; /* the request */
    struct buffer part_bodies[FAKE_PARTS_MAX];
    size_t part_count;
};

/* What ann's log-in brings. */
enum { FAKE_SESSION = 77, FAKE_EXCHANGE = 5 };

struct fake_store {
    enum err call_err;  /* of deliveries: what the call itself ends with */
    enum err reply_err; /* what the store says */
    bool hold_deliveries;
    bool hold_uploads;
    bool hold_lookups;
    bool hold_logins;
    bool hold_rights;
    enum err login_err; /* instead of what the password deserves */
    bool session_lost;  /* calls with a session get ERR_NOSESSION */
    bool hide_client;   /* ann's setting */
    bool barred;        /* ann may not send */
    unsigned logins;    /* that went well */
    _Atomic unsigned logouts;
    char login_peer[64]; /* as the last step told it */
    /* NULL, or asked first: true when the call is held back, or has been answered. */
    bool (*holds)(const Pr__Request *request);
    bool (*answers)(const Pr__Request *request, Pr__Reply *reply, enum err *err);
    _Atomic unsigned held; /* for any thread */
    unsigned aborts;
    _Atomic unsigned uploads; /* that are there, neither delivered nor aborted */
    unsigned strangers; /* deliveries with blocks that were uploaded for another account */
    unsigned cancelled;
    _Atomic unsigned delivery_count;
    struct fake_delivery deliveries[FAKE_DELIVERIES_MAX]; /* the last keeps the newest */
    unsigned deadline_ms;                                 /* of the last delivery */
};
extern struct fake_store fake_store;

/* fake_addresses.c */
enum err fake_resolve(const Pr__Request *request, struct arena *arena,
                      Pr__ResolveAnswer *answer);

struct store_client *fake_store_open(struct loop *loop);
/* For loop_post(): answers what is held, and holds no more. `context` is ignored. */
void fake_store_release(void *context);
/* Looks at what is held again. */
void fake_store_wake(void);
void fake_store_close(struct store_client **client);

#endif
