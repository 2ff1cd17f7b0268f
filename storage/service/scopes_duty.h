/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SCOPES_DUTY_H
#define STORAGE_SERVICE_SCOPES_DUTY_H

#include "storage/service/service.h"

/*
 * What the leader of a mail group does about the limits that the group has parts of: it tells
 * the group what was granted and the directory what was given back, where that got lost on the
 * way, gives back what is not needed here, and asks for more before deliveries have to wait for
 * it. scopes_plan.h decides; one command at a time; whoever leads next begins with a look of
 * its own.
 */
struct scopes_duty_of_group;

enum {
    SCOPES_LOOK_MS = 1000,     /* between looks that found nothing */
    SCOPES_LOOK_SOON_MS = 100, /* after something was changed */
    SCOPES_LOOK_PART = 10,     /* of the time at most is spent with looking */
    SCOPES_LOOK_ROWS = 256,    /* at once */
    SCOPES_ACTS_MAX = 32,      /* that come of a look */
    SCOPES_HONOURED_MAX = 64,
    SCOPES_QUIET_MS = 30 * 60 * 1000, /* without a command: the group's clock stands still */
};

struct scopes_duty_of_group *scopes_duty_new(struct service *service, uint32_t group);
/* What is under way is forgotten. */
void scopes_duty_free(struct scopes_duty_of_group **duty);
/* Called often while this node leads the group. */
void scopes_duty_tick(struct scopes_duty_of_group *duty, uint64_t now_ms);
/* Limits, or what is granted, have changed. */
void scopes_duty_look_soon(struct scopes_duty_of_group *duty);

#endif
