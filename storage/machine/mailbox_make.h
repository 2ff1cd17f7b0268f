/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_MAILBOX_MAKE_H
#define STORAGE_MACHINE_MAILBOX_MAKE_H

#include "storage/machine/account.h"
#include "storage/machine/apply.h"

/* Mailboxes that other commands make on their way. Names are normal (mailbox_name.h). */

/* How many mailboxes making `name` makes: its own and the parents that are missing. */
unsigned mailbox_missing(struct apply *apply, const struct account *account, struct bytes name);
/* Refuses when the account cannot have that many more. */
enum err mailbox_room(struct apply *apply, const struct account *account, unsigned more);
/* Gives a free name a new, empty mailbox; keeps the name's subscription. */
void mailbox_make(struct apply *apply, struct account *account, struct bytes name,
                  uint8_t special, struct mailbox *mailbox);
/* Makes the parents of `name` that are missing. */
void mailbox_parents_make(struct apply *apply, struct account *account, struct bytes name);
/* The mailbox of that name, made with its parents where it is missing. The account was made;
 * the caller stores it. */
void mailbox_ensure(struct apply *apply, struct account *account, struct bytes name,
                    struct mailbox *mailbox);

#endif
