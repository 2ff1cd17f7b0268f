/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_CLIENT_CLIENT_H
#define STORAGE_CLIENT_CLIENT_H

#include "node/base/bytes.h"
#include "node/base/err.h"
#include "node/runtime/loop.h"
#include "storage/schema/request_id.h"
#include "store.pb-c.h"

/*
 * A front end's way to its local store: typed calls over one connection. A call that finds the
 * store away (crashed, starting) is sent again until its deadline, so a call can arrive twice:
 * writes carry a request id, by which the store recognises them. All for the loop's thread.
 */
struct store_client;
struct body_codec;

struct store_client_config {
    const char *url; /* "ipc:///run/.../smtp.sock" */
    unsigned parallel_max;
    /* The store was lost (its sessions are gone), or is there (again). May be NULL. */
    void (*connected)(void *context, bool up);
    void *context;
};

MUST_CHECK enum err store_client_new(struct loop *loop,
                                     const struct store_client_config *config,
                                     struct store_client **client);
/* Outstanding calls end with ERR_CLOSED, in here. */
void store_client_free(struct store_client **client);
bool store_client_connected(const struct store_client *client);

/*
 * `reply` is NULL unless `err` is ERR_OK; then the call reached the store, and reply->err is
 * what the store says. Valid during the call only. ERR_TIMEOUT and ERR_CLOSED: what became of
 * it is not known.
 */
typedef void store_done(void *context, enum err err, const Pr__Reply *reply);

/*
 * Sends the request, packed at once (nothing of it is kept). deadline_ms is put into it.
 * Returns a ticket, never 0. The callback comes exactly once, never from within this call.
 */
uint64_t store_call(struct store_client *client, Pr__Request *request, unsigned deadline_ms,
                    store_done *done, void *context);

/* The callback will not come. What the call does may still happen. Unknown tickets are ignored.
 */
void store_cancel(struct store_client *client, uint64_t ticket);

struct loop *store_client_loop(const struct store_client *client);

/* One for all bodies of the process. */
struct body_codec *store_client_codec(struct store_client *client);

/* A fresh id, for request_id, upload_id and as a trace id. */
struct request_id store_request_id(void);

/* Random bytes from the system. */
void store_random(void *memory, size_t len);

#endif
