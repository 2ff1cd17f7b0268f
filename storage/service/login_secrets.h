/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_LOGIN_SECRETS_H
#define STORAGE_SERVICE_LOGIN_SECRETS_H

#include "storage/auth/auth.h"
#include "storage/service/service.h"

/* An account's record as the exchange wants it. False: nobody may log in to it. What is in
 * `secrets` lives in `arena`, or is the record's. */
bool login_secrets(const Pr__AccountRecord *account, struct arena *arena,
                   struct auth_secrets *secrets);

/* Keys as they lie in the directory, and the other way round; in `arena`. */
Pr__ScramKeys *login_scram_record(const struct auth_scram_keys *keys, struct arena *arena);

/* The mechanisms that a front end may offer on such a connection, a mask; the check against a
 * downgrade goes by it. */
unsigned login_offered(const Pr__AuthStep *step);

/* A name as it is looked up, in `arena`; as it was claimed, when it is no address. */
struct bytes login_fold(struct bytes claimed, struct arena *arena);

/*
 * Whether what let a client in has been taken away since the account was read: who has an old
 * password must not have a session behind the event that ended those of others.
 */
bool login_is_outdated(struct service *service, const Pr__AccountRecord *then,
                       const struct auth_result *result);

/* The cluster's secret of salts; false, with `key` as it was, as long as there is none. */
bool login_server_key(struct service *service, uint8_t key[AUTH_SERVER_KEY_SIZE]);

/* What a front end has to know of who has logged in. */
void login_settings(struct service *service, const Pr__AccountRecord *account,
                    struct arena *arena, Pr__AuthStepAnswer *answer);

#endif
