/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_PASSWORD_RULE_H
#define STORAGE_SERVICE_PASSWORD_RULE_H

#include "storage/service/service.h"

/*
 * Whether a new password of an account is good enough, by the settings password.length and
 * password.guesses of its tenant, and not in the list of this node's configuration
 * (passwords.breached; storage/auth/password_strength.h); looked at in a pool thread. A list
 * that cannot be read refuses nobody, and is logged. `password` is borrowed until `done`, which
 * comes once: `why` is NULL, or the sentence that it is refused with. An address of a domain
 * that is not known is measured by the cluster's settings.
 */
typedef void password_rule_done(void *context, const char *why);
void password_rule_check(struct service *service, struct bytes address, struct bytes password,
                         password_rule_done *done, void *context);

#endif
