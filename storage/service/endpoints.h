/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_ENDPOINTS_H
#define STORAGE_SERVICE_ENDPOINTS_H

#include "storage/service/service.h"

/*
 * One ipc socket a role, "<run>/store-<role>.sock". Who connects is told by the kernel: a front
 * end's socket takes only the uid that this role runs as, the operator's answers the
 * configuration's operator, root, and the store's own user.
 */
/* Looks up who may connect to the role's socket. ERR_NOTFOUND: no such user, as logged. */
MUST_CHECK enum err endpoint_user(struct service *service, enum service_role role);
MUST_CHECK enum err endpoint_open(struct service *service, enum service_role role);
/* Takes no more calls. Those under way end without an answer. */
void endpoints_close(struct service *service);

#endif
