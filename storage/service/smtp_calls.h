/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SMTP_CALLS_H
#define STORAGE_SERVICE_SMTP_CALLS_H

#include "storage/service/service.h"

/*
 * Handing mail in. Uploads are IMAP's too, for APPEND: then into the session's account.
 *
 * What the front end is trusted with: it may hand in mail without a session, as port 25 does,
 * for any account. To other hosts goes only what the store has named to it as an alias's, a
 * list's or a forward's, and what a session's account may send (smtp_rights.h): the sender of
 * the envelope, the account, its limits and what the queue holds against it are the store's
 * own, whatever the call says. Who stands in From, and what is written there, is said by it.
 * No call of this role reads a mailbox, or changes an account or a setting.
 */
void smtp_resolve(struct service_call *call);
void smtp_upload(struct service_call *call);
void smtp_upload_abort(struct service_call *call);
void smtp_deliver(struct service_call *call);

#endif
