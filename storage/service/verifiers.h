/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_VERIFIERS_H
#define STORAGE_SERVICE_VERIFIERS_H

#include "storage/auth/auth.h"
#include "storage/service/service.h"

/*
 * SCRAM verifiers are made of the password itself, so they are made when it is seen: when it is
 * set, and when somebody logs in with one that has none yet (an account from before format 4).
 * In pool threads, few at a time; what there is no time for is made at the next log-in.
 */
struct verifiers;

enum { VERIFIERS_MAKING_MAX = 2 };

struct verifiers *verifiers_new(struct service *service);
void verifiers_free(struct verifiers **verifiers);

/* Somebody has logged in with `password` (or a token: nothing is done). It is copied. */
void verifiers_seen(struct service *service, const Pr__AccountRecord *account,
                    enum auth_secret secret, struct bytes password);
/* The account has a new password, whose hash this is. */
void verifiers_set(struct service *service, struct bytes address, struct bytes hash,
                   struct bytes password);

#endif
