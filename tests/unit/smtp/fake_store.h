/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_SMTP_FAKE_STORE_H
#define TESTS_UNIT_SMTP_FAKE_STORE_H

#include "node/base/buffer.h"
#include "storage/client/client.h"

/*
 * Takes the place of storage/client/client.c at link time: a store in memory that does as it is
 * told. Users are y@here.test (account 1), z@here.test (2), postmaster@mx.test (3);
 * down@here.test cannot be looked up. All of it belongs to the loop's thread; a test reads it
 * when the loop has stopped.
 */
enum { FAKE_DELIVERIES_MAX = 64 };

struct fake_delivery {
    char trace_id[REQUEST_ID_TEXT_SIZE];
    uint64_t accounts[8];
    size_t account_count;
    struct buffer body;
};

struct fake_store {
    enum err call_err;  /* of deliveries: what the call itself ends with */
    enum err reply_err; /* what the store says */
    bool hold_deliveries;
    bool hold_uploads;
    bool hold_lookups;
    _Atomic unsigned held; /* for any thread */
    unsigned aborts;
    unsigned cancelled;
    unsigned delivery_count;
    struct fake_delivery deliveries[FAKE_DELIVERIES_MAX]; /* the last keeps the newest */
    unsigned deadline_ms;                                 /* of the last delivery */
};
extern struct fake_store fake_store;

struct store_client *fake_store_open(struct loop *loop);
/* For loop_post(): answers what is held, and holds no more. `context` is ignored. */
void fake_store_release(void *context);
void fake_store_close(struct store_client **client);

#endif
