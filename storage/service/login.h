/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_LOGIN_H
#define STORAGE_SERVICE_LOGIN_H

#include "storage/service/service.h"

/*
 * Checks passwords and opens sessions. Hashes are computed in pool threads, a few at a time,
 * because each takes memory; who comes when the queue is full is told to come again. An unknown
 * user costs as much time as a wrong password. A password that was right is remembered for a
 * short while as a keyed digest of itself and the stored hash, in memory only: mail clients log
 * in many times a minute.
 */
enum {
    LOGIN_PARALLEL_MAX = 2,
    LOGIN_WAITING_MAX = 512,
    LOGIN_REMEMBERED_MAX = 4096,
    LOGIN_REMEMBERED_MS = 5 * 60 * 1000,
    LOGIN_PASSWORD_SIZE_MAX = 512,
};

struct logins;

struct logins *logins_new(void);
/* Those under way are answered with ERR_CLOSED when their hash is done. */
void logins_free(struct logins **logins);

void login_call(struct service_call *call);
void logout_call(struct service_call *call);

#endif
