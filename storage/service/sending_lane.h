/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SENDING_LANE_H
#define STORAGE_SERVICE_SENDING_LANE_H

#include "storage/service/service.h"

/* Which lanes of the queue (storage/machine/queue.h) mail to other hosts waits in: mail of one
 * tenant does not keep another one's waiting, nor what is sent to many what is written to one.
 */
struct sending_lane {
    uint64_t tenant_id; /* 0: nobody's */
    Pr__QueueClass class;
};

/*
 * `account_id` is whose mail it is: who submits it (`submitted`), or whose forward. With 0 it
 * is an alias's, a list's or a domain's, which the recipients' own senders tell: those are of
 * that domain; of recipients of several domains the first decides. Bulk is what goes to members
 * of lists, and what is submitted by accounts of the class "mass".
 */
struct sending_lane sending_lane_of(struct db_txn *directory, uint64_t account_id,
                                    bool submitted, Pr__QueueRecipient *const *queue,
                                    size_t count, struct arena *arena);

/* "LIST-bounces@DOMAIN" is the sender of what goes to a list's members (query/addresses.h). */
bool sending_is_of_list(struct db_txn *directory, struct bytes sender, struct arena *arena);

#endif
