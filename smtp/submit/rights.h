/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_SUBMIT_RIGHTS_H
#define SMTP_SUBMIT_RIGHTS_H

#include "node/mail/summary.h"
#include "storage/client/client.h"

/*
 * Whether a submission's account may send as the addresses that it writes: the envelope's
 * sender, and each one in From and Sender (RFC 6409 section 6.1 and 8.1).
 */
struct rights;

/* ERR_OK; ERR_DENIED, with the first address that is not its own; ERR_INVALID: with one that is
 * no address; ERR_NOSESSION; else it could not be asked. Comes once, never from within. */
typedef void rights_done(void *context, enum err err, struct bytes address);

/* `sender` is "local@domain" as written. */
struct rights *rights_ask_sender(struct store_client *store, uint64_t session,
                                 struct bytes sender, unsigned deadline_ms, rights_done *done,
                                 void *context);
/* All of From, and of Sender. */
struct rights *rights_ask_authors(struct store_client *store, uint64_t session,
                                  const struct mail_address_list *from,
                                  const struct mail_address_list *sender, unsigned deadline_ms,
                                  rights_done *done, void *context);
/* Not to be called after `done`. Accepts NULL content. */
void rights_cancel(struct rights **rights);

#endif
