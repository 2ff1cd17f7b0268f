/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_LIMITS_H
#define STORAGE_SERVICE_LIMITS_H

#include "storage/schema/format.h"
#include "storage/service/service.h"

/* What this node's copy of the directory says about limits; from the loop's thread. */

unsigned limits_undelete_days(struct service *service);
/* NULL: none. In `arena`. */
Pr__AccountQuota *limits_of_account(struct service *service, uint64_t account_id,
                                    struct arena *arena);
/* The format of a group with a replica here. */
unsigned service_format(struct service *service, uint32_t group);

/* Operators' calls. */
void policy_show_call(struct service_call *call);
void policy_set_call(struct service_call *call);
void quota_set_call(struct service_call *call);

/* What an account holds and may hold: an IMAP session's own. */
void imap_quota_read(struct service_call *call);

#endif
