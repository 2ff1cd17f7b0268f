/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_LOGIN_OAUTH_H
#define STORAGE_SERVICE_LOGIN_OAUTH_H

#include "storage/auth/oauth.h"
#include "storage/service/service.h"

/* Who makes tokens, by the settings oauth.*; NULL: nobody, or the settings are no good (which
 * is logged). The caller frees it. */
struct auth_oauth *login_oauth(struct service *service);

#endif
