/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_FORMATS_H
#define STORAGE_SERVICE_FORMATS_H

#include "storage/service/service.h"

/*
 * The cluster's format (storage/schema/format.h). The directory's is raised by an operator,
 * when every node has said that it knows the new one; the mail groups follow, each by the word
 * of its leader. New clusters begin with the newest.
 */
enum { FORMATS_LOOK_MS = 2000 };

struct formats;

struct formats *formats_new(struct service *service);
/* The directory changed, perhaps its format, or who leads a group: those that are led here need
 * not wait for the next look. NULL is allowed. */
void formats_look_soon(struct formats *formats);
void formats_free(struct formats **formats);

/* `cluster upgrade`: which node knows which format; raises the directory's unless it only asks.
 */
void cluster_upgrade_call(struct service_call *call);

#endif
