/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SMTP_CALLS_H
#define STORAGE_SERVICE_SMTP_CALLS_H

#include "storage/service/service.h"

/* Handing mail in. Uploads are IMAP's too, for APPEND: then into the session's account. */
void smtp_resolve(struct service_call *call);
void smtp_upload(struct service_call *call);
void smtp_upload_abort(struct service_call *call);
void smtp_deliver(struct service_call *call);

#endif
