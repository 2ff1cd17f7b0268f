/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_ROUTE_H
#define STORAGE_SERVICE_ROUTE_H

#include "storage/schema/flags.h"
#include "storage/service/mail_read.h"

/*
 * What is asked of an account goes to the group that the account is in, also while it moves
 * (storage/README.md, "Accounts that move"). A write that finds the account on its way out
 * waits, or follows it; it takes effect in one group only:
 *
 * 1. A group that refuses with MOVED has not applied the request. Before the write goes to
 *    another group, a Cancel makes sure that it never will.
 * 2. A request that was made before the account came to its group may have been answered where
 *    it was: it is settled there first.
 * 3. In a group where the account has been before, the request may lie cancelled by 1 or 2: it
 *    goes on under the next id of a row that follows from the request's own, so that whoever
 *    repeats the request walks the same row.
 */
struct routes;

struct routes *routes_new(void);
/* What is under way ends with ERR_UNAVAILABLE, in here; after writes_free(). */
void routes_free(struct routes **routes);

/* As write_done(), and where; ERR_NOTFOUND when the account is gone. */
typedef void route_done(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index,
                        uint32_t group);

struct route_request {
    struct service *service;
    uint64_t account_id; /* who decides where it goes */
    struct bytes request_id;
    uint64_t deadline_ms;
    Pr__Command *command; /* borrowed until done; its request id and time are set */
    /* Adapts the command to the group that it goes to, from the directory. False: an account in
     * it is gone. NULL: nothing is to be adapted. */
    bool (*adapt)(void *context, struct db_txn *directory, uint32_t group);
    bool must_arrive; /* is not settled as cancelled when time runs out: it is sent again later
                       */
    route_done *done;
    void *context;
};
void route_write(const struct route_request *request);

/* A read of the session's account; `done` gets the call as context. Notes what the session has
 * seen. */
void route_read(struct service_call *call, bool fresh, mail_read_done *done);
/* What a write in that group has shown to the call's session. */
void route_note_seen(const struct service_call *call, uint32_t group, uint64_t index);

/* The directory says where accounts are now: their sessions follow. */
void route_events(struct service *service, const struct machine_events *events);
void route_account_moved(struct service *service, uint64_t account_id, uint32_t group);

/* The id of a row's place `step` (0: the request's own) for an account; `account_id` 0: of no
 * special one. */
void route_id(struct bytes request_id, uint64_t account_id, unsigned step,
              uint8_t id[REQUEST_ID_SIZE]);

#endif
