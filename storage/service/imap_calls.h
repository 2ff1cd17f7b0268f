/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_IMAP_CALLS_H
#define STORAGE_SERVICE_IMAP_CALLS_H

#include "storage/service/service.h"

/* What a logged-in session may do: all with its own account, whatever the request says. */
void imap_read(struct service_call *call);
void imap_open(struct service_call *call);
void imap_close(struct service_call *call);
void imap_write(struct service_call *call);

#endif
