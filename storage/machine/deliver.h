/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_DELIVER_H
#define STORAGE_MACHINE_DELIVER_H

#include "storage/machine/blob.h"
#include "storage/machine/message.h"
#include "storage/machine/queue.h"
#include "storage/machine/scope.h"

/* What the files of a delivery share. */

/* One body of a delivery, and whom it is for. */
struct deliver_part {
    uint32_t number; /* from 0 */
    const Pr__Body *body;
    Pr__Recipient **recipients;
    size_t recipient_count;
    Pr__Handover **handovers;
    size_t handover_count;
    struct queue_recipients queue;
    struct blob_source source;
    /* Of its recipients those that are there, a run of the delivery's targets. */
    size_t first_target;
    size_t target_count;
};

/* A recipient whose account is there, or will be made. */
struct deliver_target {
    uint64_t account_id;
    uint32_t mailbox_id;
    uint64_t size;
    const Pr__AccountScopes *scopes; /* NULL: none */
};

struct delivery {
    struct deliver_part *parts;
    size_t part_count;
    struct deliver_target *targets;
    size_t count;
    struct scope_needs needs;
    /* Of the first target, so that the usual delivery, to one, reads nothing twice. */
    struct account account;
    struct mailbox mailbox;
};

/* deliver_targets.c: which recipients are there, and whether all of them have room. */
enum err deliver_targets_check(struct apply *apply, struct delivery *delivery);
/* Where a recipient's message goes: the INBOX when that mailbox is gone. */
bool deliver_target_load(struct apply *apply, uint64_t account_id, uint32_t mailbox_id,
                         struct account *account, struct mailbox *mailbox);

/* deliver_handover.c: refuses what is no hand-over; writes the duty down. */
enum err deliver_handover_check(struct apply *apply, const Pr__Handover *handover);
void deliver_handover_store(struct apply *apply, const struct deliver_part *part,
                            const Pr__Handover *handover, uint64_t blob);

/* deliver_message.c: unique for good, since blob ids are not given out again. */
void deliver_email_id(struct message_record *message, uint32_t group);
/* Stores one message, and all records it changes. Returns the uid. */
uint32_t deliver_message(struct apply *apply, struct account *account, struct mailbox *mailbox,
                         struct message_record message);

#endif
