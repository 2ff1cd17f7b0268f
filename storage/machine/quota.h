/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_QUOTA_H
#define STORAGE_MACHINE_QUOTA_H

#include "storage/machine/account.h"
#include "storage/machine/apply.h"

/*
 * An account's limits come with each command that needs room, as the proposer's directory has
 * them; what is used lies in the account's own record. So there is one truth about either, and
 * no copy to bring up to date. NULL, or 0 for one of them: no limit.
 */

/* Refuses with QUOTA when `messages` of together `size` bytes do not fit. */
enum err quota_check(struct apply *apply, const struct account *account,
                     const Pr__AccountQuota *quota, uint64_t messages, uint64_t size);

#endif
