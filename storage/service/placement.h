/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_PLACEMENT_H
#define STORAGE_SERVICE_PLACEMENT_H

#include "storage/service/service.h"

/*
 * Keeps replicas where they shall be. A few times a second it looks at the directory and at the
 * local replicas, asks placement_plan() (placement_plan.h), and does what that says, one step
 * at a time for each group.
 */
struct placement;

struct placement *placement_new(struct service *service);
void placement_free(struct placement **placement);

/* placement_drop.c: drops the replica here if the directory, asked afresh, has given it up.
 * `done` once, from the loop: ERR_CONFLICT when it has not. */
void placement_drop(struct service *service, uint32_t group,
                    void (*done)(void *context, enum err err), void *context);

#endif
