/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_MACHINE_H
#define STORAGE_MACHINE_MACHINE_H

#include "node/base/arena.h"
#include "storage/db/db.h"

/*
 * What a log entry does to the state: deterministic (nothing but the state and the entry
 * decides) and total (an entry that does not fit answers with an error and changes nothing, but
 * for its request id being remembered). Group 0 is the directory, all others are mail groups; a
 * command of the wrong kind is refused. Replicas that have applied the same entries hold equal
 * tables, byte for byte.
 */

/* What the entry did that somebody on this node may want to know. Lists live in the arena given
 * to apply. */
struct machine_mailbox_event {
    uint32_t group;
    uint64_t account_id;
    uint32_t mailbox_id; /* 0: the account's list of mailboxes */
    uint64_t modseq;     /* the mailbox's highest now */
    bool gone;           /* mailbox or account removed */
};

struct machine_moved_event {
    uint64_t account_id;
    uint32_t group; /* where it is now */
};

struct machine_events {
    struct machine_mailbox_event *mailboxes;
    unsigned mailbox_count;
    unsigned mailbox_room;
    bool directory_changed;   /* nodes, groups or tokens */
    uint64_t *accounts_ended; /* removed, or with a new password: their sessions end */
    unsigned ended_count;
    unsigned ended_room;
    bool handover_added;
    bool queue_due;      /* something was put into the lanes of the queue, or is due sooner */
    bool scopes_changed; /* limits of domains and tenants, or what of them is granted */
    bool moves_changed;  /* which accounts are to move */
    bool settings_changed;
    bool firewall_changed;                      /* its entries */
    struct machine_moved_event *accounts_moved; /* the directory says that they are elsewhere */
    unsigned moved_count;
    unsigned moved_room;
};

/*
 * Applies entry `index` of `group`, and sets the group's applied index. An empty entry only
 * sets the index. An index that has been applied already is skipped (reply empty). The reply is
 * a packed Pr__Outcome, in `arena`. Errors of the disk stay in the transaction.
 */
void machine_apply(struct db_txn *txn, uint32_t group, uint64_t index, uint64_t term,
                   struct bytes entry, struct arena *arena, struct bytes *reply,
                   struct machine_events *events);

/* 0 when nothing was applied. */
uint64_t machine_applied(struct db_txn *txn, uint32_t group);

/* The group's format, storage/schema/format.h. */
unsigned machine_format(struct db_txn *txn, uint32_t group);

/* The group's own clock as a command of that time would see it (apply_clock_ms()), and the
 * latest time of its commands. */
uint64_t machine_clock_ms(struct db_txn *txn, uint32_t group, uint64_t now_ms);
uint64_t machine_seen_ms(struct db_txn *txn, uint32_t group);

/* BLAKE2b-256 over all of the group's rows of all tables in order: equal on replicas at the
 * same applied index. */
void machine_digest(struct db_txn *txn, uint32_t group, uint8_t digest[32]);

#endif
