/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_ROLE_DUTY_H
#define STORAGE_SERVICE_ROLE_DUTY_H

#include "storage/service/service.h"

/* What the directory's leader makes once, as soon as the format allows: the cluster's own
 * account and its secrets (RoleAccountMake). */
struct role_duty;

enum { ROLE_DUTY_AGAIN_MS = 5000 };

struct role_duty *role_duty_new(struct service *service);
/* What is under way is forgotten. */
void role_duty_free(struct role_duty **duty);
/* Called often while this node leads the directory. */
void role_duty_tick(struct role_duty *duty, uint64_t now_ms);

#endif
