/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_ADDRESSES_H
#define STORAGE_SERVICE_ADDRESSES_H

#include "storage/service/service.h"

/* Calls of operators. Addresses and domains come as they were typed and are folded here. */
void alias_add_call(struct service_call *call);
void alias_change_call(struct service_call *call);
void alias_remove_call(struct service_call *call);
void domain_route_call(struct service_call *call);
void account_alter_call(struct service_call *call);
/* app_passwords.c */
void app_password_make_call(struct service_call *call);
void app_password_remove_call(struct service_call *call);
void totp_make_call(struct service_call *call);

#endif
