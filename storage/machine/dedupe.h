/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_DEDUPE_H
#define STORAGE_MACHINE_DEDUPE_H

#include "storage/machine/apply.h"

/*
 * What became of the request ids of the last 24 hours by the group's clock (apply.h). A row is
 * the time when it was made (8 bytes, big endian) and the packed Outcome.
 */

/* The outcome of an id, borrowed from the row; false when it is not known. */
bool dedupe_find(struct db_txn *txn, uint32_t group, struct bytes request_id,
                 struct bytes *outcome);
void dedupe_remember(struct apply *apply, struct bytes request_id, struct bytes outcome);
/* Forgets a few that are old. */
void dedupe_expire(struct apply *apply);

#endif
