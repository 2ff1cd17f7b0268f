/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_QUEUE_H
#define STORAGE_MACHINE_QUEUE_H

#include "record.pb-c.h"
#include "storage/machine/apply.h"

/*
 * Mail for other hosts. A QueueRecord holds a reference to its body. Its recipients of one
 * domain are a destination; a delivery to more than QUEUE_RECORD_RECIPIENTS_MAX becomes several
 * records, which share the body. A destination that waits lies in the lane (domain, class,
 * tenant) at its due time (table queue_lane), unless the record is held; a lane lies at the due
 * time of its first (table queue_due), one row a lane: that order is what there is to do.
 * Notices that are owed lie in the lane of domain "", as destination 0. Records stay in their
 * group until each recipient has its verdict, and its notice, or they are dropped, whatever
 * becomes of the account: they were accepted. The group's row counts them, and those that are
 * held.
 *
 * A destination's domain is the address's, with ASCII letters in lower case. U-labels stay as
 * they were written, since Unicode's tables are not the same on all nodes (node/mail/idn.h):
 * whoever sends makes A-labels of them. Of recipients who have an account here (mail that is
 * held for them) it is QUEUE_DOMAIN_INWARD.
 */
#define QUEUE_DOMAIN_INWARD "@"

enum {
    QUEUE_ADDRESS_SIZE_MAX = 512,
    QUEUE_DOMAIN_SIZE_MAX = 440,         /* of an address; it fits into the key of a lane */
    QUEUE_ENVID_SIZE_MAX = 100,          /* RFC 3461 section 4.4 */
    QUEUE_ORCPT_SIZE_MAX = 500,          /* RFC 3461 section 4.2 */
    QUEUE_RECORD_RECIPIENTS_MAX = 100,   /* and so destinations */
    QUEUE_RECORD_SIZE_MAX = 1024 * 1024, /* packed; less than what a copy of a group takes */
    QUEUE_CHANGE_MAX = 1000,             /* ids in one command */
    QUEUE_CHANGE_BYTES_MAX = 16 * 1024 * 1024, /* of their records */
    QUEUE_CHANGE_DESTINATIONS_MAX = 10000,     /* of them */
    QUEUE_REASON_SIZE_MAX = 512,
    /* Of whoever sends. Beyond them a command is refused: texts are cut before they come here.
     */
    QUEUE_ITEMS_MAX = 256, /* in one QueueLease or QueueReport */
    QUEUE_STATUS_SIZE_MAX = 16,
    QUEUE_REPLY_SIZE_MAX = 1000, /* UTF-8, no control characters, so no line ends; as remote */
    QUEUE_REMOTE_SIZE_MAX = 320,
    QUEUE_LEASE_MS_MAX = 10 * 60 * 1000,
    QUEUE_NOTICE_MS = 2 * 60 * 1000,    /* a notice waits for verdicts on the others */
    QUEUE_NOTICE_CLOSED_MS = 10 * 1000, /* so long before that it is complete: clocks differ */
};

#define QUEUE_RETRY_MS_MAX ((uint64_t)31 * 24 * 60 * 60 * 1000)

/*
 * How recipients become records: sorted by domain, so that those of one domain stay together
 * where they fit into a record.
 */
struct queue_split {
    struct queue_sorted {
        struct bytes domain; /* QueueDestination.domain */
        size_t place;        /* in the command */
        Pr__QueueRecipient *recipient;
    } * sorted;
    size_t *ends; /* of each record, in `sorted` */
    size_t records;
};
void queue_split(struct arena *arena, Pr__QueueRecipient *const *recipients, size_t count,
                 struct queue_split *split);

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
    size_t told; /* of them: not to be sent to, only told of; set by queue_check() */
    /* As in QueueRecord. */
    uint64_t account_id;
    Pr__QueueClass queue_class;
    uint64_t tenant_id;
    struct queue_split split; /* set by queue_check() */
};

/* Who got the message by the delivery itself, of which its sender is to hear (NOTIFY=SUCCESS).
 */
bool queue_is_told(const Pr__QueueRecipient *recipient);

/* Refuses what cannot be put into the queue: it must be the command's own words, not yet tried.
 */
enum err queue_check(struct apply *apply, const Pr__Deliver *call,
                     struct queue_recipients *recipients);
/* The body of the new records, whose references (recipients->split.records) the caller has
 * counted. Returns the id of the first. */
uint64_t queue_add(struct apply *apply, const Pr__Deliver *call,
                   const struct queue_recipients *recipients, uint64_t blob, uint64_t size);

/* Whatever is said to another host later, or to an operator: UTF-8 without control characters.
 */
bool queue_text_valid(const char *text, size_t size_max);

#endif
