/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_GREYLIST_CALLS_H
#define STORAGE_SERVICE_GREYLIST_CALLS_H

#include "storage/service/service.h"

/*
 * Has it come twice? Kept in the mail group of the recipient's account. A replica here answers
 * for a key that has passed; everything else is a command. What cannot be found out (no
 * majority, an older format) is an error, and no reason to refuse mail.
 */
void greylist_ask_call(struct service_call *call);

#endif
