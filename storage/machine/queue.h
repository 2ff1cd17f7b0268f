/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_QUEUE_H
#define STORAGE_MACHINE_QUEUE_H

#include "record.pb-c.h"
#include "storage/machine/apply.h"

/*
 * Mail for other hosts. A QueueRecord holds a reference to its body. It has a row in the order
 * of due times (queue_due) unless it is held: that order is what there is to do. Records stay
 * in their group until they are dropped, whatever becomes of the account: they were accepted.
 * The group's row counts them, and those that are held.
 */
enum {
    QUEUE_ADDRESS_SIZE_MAX = 512,
    QUEUE_ENVID_SIZE_MAX = 100,          /* RFC 3461 section 4.4 */
    QUEUE_ORCPT_SIZE_MAX = 500,          /* RFC 3461 section 4.2 */
    QUEUE_RECORD_SIZE_MAX = 1024 * 1024, /* packed; less than what a copy of a group takes */
    QUEUE_CHANGE_MAX = 1000,             /* ids in one command */
    QUEUE_CHANGE_BYTES_MAX = 16 * 1024 * 1024, /* of their records */
    QUEUE_REASON_SIZE_MAX = 512,
};

enum queue_notify {
    QUEUE_NOTIFY_NEVER = 1,
    QUEUE_NOTIFY_SUCCESS = 2,
    QUEUE_NOTIFY_FAILURE = 4,
    QUEUE_NOTIFY_DELAY = 8,
    QUEUE_NOTIFY_ALL = 15,
};

/* Recipients of one part of a delivery. */
struct queue_recipients {
    Pr__QueueRecipient **at;
    size_t count;
    uint64_t account_id; /* QueueRecord.account_id */
};

/* Refuses what cannot be put into the queue: it must be the command's own words, not yet tried.
 */
enum err queue_check(struct apply *apply, const Pr__Deliver *call,
                     const struct queue_recipients *recipients);
/* The body of a new record, whose reference the caller has counted. Returns its id. */
uint64_t queue_add(struct apply *apply, const Pr__Deliver *call,
                   const struct queue_recipients *recipients, uint64_t blob, uint64_t size);

#endif
