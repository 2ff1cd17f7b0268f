/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SENDER_DOMAIN_CALLS_H
#define STORAGE_SERVICE_SENDER_DOMAIN_CALLS_H

#include "storage/service/service.h"

/* What operators ask of the domains that mail came from, and say of them: their word replaces
 * any verdict. */
void sender_domain_list_call(struct service_call *call);
void sender_domain_put_call(struct service_call *call);

#endif
