/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_TRANSFER_FORGET_H
#define STORAGE_TRANSFER_FORGET_H

#include "storage/db/db.h"

/*
 * All rows of a group go, in short write transactions. begin() marks the group as partial, on
 * disk, so that what is left after a crash is never taken for a state; the mark goes with the
 * last rows, and the caller syncs.
 */
MUST_CHECK enum err transfer_forget_begin(struct db *db, uint32_t group, uint64_t wall_ms);
/* Up to `rows`; *more: there are others. */
MUST_CHECK enum err transfer_forget_step(struct db *db, uint32_t group, unsigned rows,
                                         bool *more);

#endif
