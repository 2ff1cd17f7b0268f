/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_LOGIN_H
#define STORAGE_SERVICE_LOGIN_H

#include "storage/service/service.h"

/*
 * Who says who he is, and proves it: exchanges of SASL (storage/auth) whose messages front ends
 * pass on, and IMAP's LOGIN, which is one of mechanism PLAIN. The directory is asked afresh, so
 * that a changed password counts at once, on every node. An exchange belongs to the connection
 * that began it, and at its end there is a session on that connection.
 */
enum {
    /* Under way, of all front ends. Beyond: the oldest that waits for its client is forgotten;
     * ERR_BUSY when none does. */
    LOGIN_EXCHANGES_MAX = 4096,
    LOGIN_EXCHANGE_MS = 60 * 1000,
    LOGIN_SWEEP_MS = 5000,
};

struct logins;

struct logins *logins_new(struct service *service);
/* Those under way are answered with ERR_CLOSED, in here or when their hash is done. */
void logins_free(struct logins **logins);
/* Exchanges that wait for their client there are forgotten. */
void logins_connection_closed(struct logins *logins, uint32_t connection);

void login_call(struct service_call *call);
void auth_step_call(struct service_call *call);
void logout_call(struct service_call *call);

#endif
