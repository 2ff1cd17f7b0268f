/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_DUTIES_H
#define STORAGE_SERVICE_DUTIES_H

#include "storage/service/service.h"

/*
 * What the leader of a mail group does unasked: it hands accepted deliveries over to the groups
 * of their other recipients, drops uploads that nobody ended, frees what is due (purges.h,
 * also for the directory), and looks after its parts of limits (scopes_duty.h). All begin again
 * on whoever leads next; a hand-over that was under way arrives once, because its delivery id
 * is known.
 */
struct duties;

enum {
    DUTIES_LOOK_MS = 3000,             /* between looks for what was left behind */
    DUTIES_UPLOAD_LOOK_MS = 60 * 1000, /* between looks for stale uploads */
    DUTIES_UPLOAD_AGE_MS = 3600 * 1000,
    DUTIES_UPLOADS_DROP = 100, /* at once */
};

struct duties *duties_new(struct service *service);
void duties_free(struct duties **duties);

/* The one queue of new passwords of this process, for operators' calls. */
struct passwords;
struct passwords *duties_passwords(struct duties *duties);

/* Told after each batch that the machine applied. */
void duties_events(struct service *service, const struct machine_events *events);

#endif
