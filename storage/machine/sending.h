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
 */
enum {
    SENDING_SLOT_MS = 5 * 60 * 1000,
    SENDING_SLOTS_AN_HOUR = 12,
};

/* What the account has sent up to now: all zero when there is no row. */
void sending_load(struct db_txn *txn, uint32_t group, uint64_t account_id, uint64_t now_ms,
                  struct sending_record *sending);
/* What counts against the limits of an hour and of a day. */
uint64_t sending_in_hour(const struct sending_record *sending);
uint64_t sending_in_day(const struct sending_record *sending);

/*
 * Whether a submission may go; refuses with LIMIT, with the time from which on it may in
 * Outcome.id (0: never, it is more than the limit by itself), and with NOTFOUND or MOVED as the
 * account's own commands. *counted: what to store when it is accepted. NULL for `limits`:
 * nothing is counted.
 */
enum err sending_check(struct apply *apply, const Pr__SendingLimits *limits,
                       struct sending_record *counted);
void sending_store(struct apply *apply, const Pr__SendingLimits *limits,
                   const struct sending_record *counted);

#endif
