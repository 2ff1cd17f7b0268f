/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_ADDRESS_LISTS_H
#define STORAGE_SERVICE_ADDRESS_LISTS_H

#include "storage/service/service.h"

/* What operators ask of addresses. They come as they were typed and are folded here. */
void alias_list_call(struct service_call *call);
void domain_show_call(struct service_call *call);
/* Without a sender it is nobody's in particular; "<>" is the null sender. That an address is
 * not known is no error of the call. */
void address_explain_call(struct service_call *call);

#endif
