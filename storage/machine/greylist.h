/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_GREYLIST_H
#define STORAGE_MACHINE_GREYLIST_H

#include "storage/machine/apply.h"

/*
 * Keys (digests of who sends to whom) that were seen, and which of them have passed. All times
 * are of the group's clock. Each key has a row, and one in the order of expiry, whose time is
 * put right when it comes up: a key that is seen again writes one row only. Behind each command
 * a few that have expired are forgotten; when there are too many, a new one takes the place of
 * the one that would expire first.
 */
enum {
    GREYLIST_KEY_SIZE = 16,
    GREYLIST_ROWS_MAX = 1000000, /* keys a group */
    GREYLIST_STEP_ROWS = 32,     /* looked at behind a command */
    GREYLIST_LOOKS_MAX = 32,     /* to find the one that expires first */
};
#define GREYLIST_KEEP_MAX_MS ((uint64_t)400 * 24 * 60 * 60 * 1000)

/* False when the key is not known, or no longer. */
bool greylist_load(struct db_txn *txn, uint32_t group, struct bytes digest, uint64_t now_ms,
                   struct greylist_record *greylist);

/* Forgets some of what has expired. */
void greylist_step(struct apply *apply);

#endif
