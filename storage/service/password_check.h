/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_PASSWORD_CHECK_H
#define STORAGE_SERVICE_PASSWORD_CHECK_H

#include "storage/service/service.h"

/*
 * Passwords compared with their argon2id hashes, in a few pool threads. What was right is
 * remembered for a while, keyed and hashed, so that a client that logs in every minute does not
 * cost a hash each time.
 */
struct password_checks;

enum {
    PASSWORD_CHECKS_PARALLEL_MAX = 2,
    PASSWORD_CHECKS_WAITING_MAX = 256, /* beyond: ERR_BUSY */
    PASSWORD_CHECKS_REMEMBERED_MAX = 4096,
    PASSWORD_CHECKS_REMEMBERED_MS = 5 * 60 * 1000,
};

struct password_checks *password_checks_new(struct loop *loop);
/* Who waits gets ERR_CLOSED, in here. */
void password_checks_free(struct password_checks **checks);

/* ERR_OK: it is the password. ERR_DENIED, ERR_BUSY, ERR_CLOSED. May come from within the call.
 */
typedef void password_checked(void *context, enum err err);

/*
 * `real`: the hash is of somebody who may log in; a hash that only takes time (of an unknown
 * name) never matches and is not remembered. Hash and password are copied.
 */
void password_check(struct password_checks *checks, const char *hash, bool real,
                    struct bytes password, password_checked *done, void *context);

/* argon2id of what nobody knows: what an unknown name's password is compared with. */
const char *password_checks_decoy(const struct password_checks *checks);

#endif
