/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SMTP_RIGHTS_H
#define STORAGE_SERVICE_SMTP_RIGHTS_H

#include "storage/service/service.h"

/*
 * What a front end of SMTP may have delivered. It is out in the world; one that was taken over
 * must not make mail leave the cluster that nobody here wanted to, and not mail of an account
 * beyond what that may send. So the store believes what itself has said (promises.h), and the
 * sessions that it has opened. A relay (relay_calls.h) delivers notices: to whom it likes, but
 * only with the null sender.
 */
/* Notes what an answer to RESOLVE gives out. Its targets are final. */
void smtp_rights_promise(struct service_call *call, const Pr__ResolveAnswer *answer);

/* Of a DELIVER. ERR_DENIED: the account may not send this; ERR_UNAVAILABLE: nobody here has
 * named such a recipient on another host, or it was forgotten; ERR_NOSESSION: the account is
 * gone. */
enum err smtp_rights_check(struct service_call *call);

/* Whether the store has promised the call's front end room for that account. */
bool smtp_rights_has_room(struct service_call *call, uint64_t account_id);

#endif
