/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_SENDING_H
#define STORAGE_MACHINE_SENDING_H

#include "storage/machine/apply.h"

/*
 * How much an account sends: recipients, in slots of five minutes and of hours by the group's
 * clock (apply_clock_ms()). A window is the slot that is under way and as many whole ones as
 * make an hour, or a day, before it. So no hour ever has more than its limit, nor any day; what
 * was sent counts for up to five minutes longer than an hour, and for up to an hour longer than
 * a day. The row moves with its account; a group whose clock is behind the row's goes on with
 * it from its own time, and forgets nothing earlier for that.
 *
 * What all accounts of a tenant send from this group is counted in the same way, in a row of
 * its own; an account that moves leaves behind what it has sent. How much of the tenant's limit
 * the group may use is a scope (scope.h) of the kind SCOPE_SENDING.
 */
enum {
    SENDING_SLOT_MS = 5 * 60 * 1000,
    SENDING_SLOTS_AN_HOUR = 12,
    SENDING_LONG_SLOT_MS = SENDING_SLOTS_AN_HOUR * SENDING_SLOT_MS,
};

/* What the account has sent up to now: all zero when there is no row. */
void sending_load(struct db_txn *txn, uint32_t group, uint64_t account_id, uint64_t now_ms,
                  struct sending_record *sending);
/* The same of all accounts of a tenant, in this group. */
void sending_tenant_load(struct db_txn *txn, uint32_t group, uint64_t tenant_id,
                         uint64_t now_ms, struct sending_record *sending);
/* Nobody needs to know any more: nothing of it counts at `now_ms`. */
void sending_tenant_drop(struct db_txn *txn, uint32_t group, uint64_t tenant_id,
                         uint64_t now_ms);
/* What counts against the limits of an hour and of a day. */
uint64_t sending_in_hour(const struct sending_record *sending);
uint64_t sending_in_day(const struct sending_record *sending);

/* What to store when a submission is accepted. */
struct sending_counted {
    struct sending_record account;
    struct sending_record tenant;
};

/*
 * Whether a submission may go; refuses with LIMIT, with the time from which on it may in
 * Outcome.id (0: never, it is more than the limit by itself), with GRANT when the group may not
 * send so much more of the tenant's, and with NOTFOUND or MOVED as the account's own commands.
 * NULL for `limits`: nothing is counted.
 */
enum err sending_check(struct apply *apply, const Pr__SendingLimits *limits,
                       struct sending_counted *counted);
void sending_store(struct apply *apply, const Pr__SendingLimits *limits,
                   const struct sending_counted *counted);

#endif
