/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SENDING_H
#define STORAGE_SERVICE_SENDING_H

#include "storage/service/service.h"

/* What an account may submit, by the settings sending.* and its age, for a message with so many
 * recipients that count. In `arena`; NULL: the account is gone. */
Pr__SendingLimits *sending_limits(struct service *service, uint64_t account_id,
                                  uint32_t recipients, struct arena *arena);

/* Calls of a submission's session. */
void may_send_call(struct service_call *call);

#endif
