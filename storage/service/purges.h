/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_PURGES_H
#define STORAGE_SERVICE_PURGES_H

#include "storage/service/service.h"

/*
 * What the leader of a group frees unasked, at a bounded rate: in a mail group doomed rows that
 * no command passes by, and expunged messages past the policy's days; in the directory's group
 * the mail of removed accounts that is due. One look or command at a time; whoever leads next
 * goes on.
 */
struct purges;

enum {
    PURGES_LOOK_MS = 2000, /* between looks that found nothing */
    /* The same for expunged mail: a look passes all accounts. */
    PURGES_EXPUNGED_LOOK_MS = 20000,
    PURGES_STEP_MS = 50,           /* between commands, while there is something */
    PURGES_EXPUNGED_ROWS = 500,    /* a command: so many messages, at most 20 times a second */
    PURGES_DOOMED_ROWS = 2048,     /* a command */
    PURGES_ACCOUNT_MESSAGES = 500, /* a command */
    PURGES_WRITE_MS = 15000,
};

struct purges *purges_new(struct service *service, uint32_t group);
/* What is under way is forgotten. */
void purges_free(struct purges **purges);
/* Called often while this node leads the group. */
void purges_tick(struct purges *purges, uint64_t now_ms);

#endif
