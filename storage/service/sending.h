/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SENDING_H
#define STORAGE_SERVICE_SENDING_H

#include "storage/service/service.h"

/*
 * What an account may submit, by the settings sending.* and its age, and what of a DELIVER
 * counts for that: recipients on other hosts and accounts of other tenants, whatever alias,
 * list or forward they are reached by. For the account, a list with any such members counts as
 * one: who may write to it is up to the list. For the tenant each counts, so that lists
 * multiply nothing. In `arena`; NULL: the account is gone.
 */
Pr__SendingLimits *sending_limits(struct service *service, uint64_t account_id,
                                  const Pr__DeliverCall *asked, struct arena *arena);

/* Calls of a submission's session. */
void may_send_call(struct service_call *call);

#endif
