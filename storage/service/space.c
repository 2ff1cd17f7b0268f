/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/space.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/metrics.h"

struct space {
    struct service *service;
    struct loop_timer *timer;
    bool is_short;
    uint64_t free_mb; /* as the gauge has it */
    char problem[160];
};

static void free_told(struct space *space, uint64_t free_mb)
{
    metric_add(METRIC_DISK_FREE_MB, free_mb);
    metric_sub(METRIC_DISK_FREE_MB, space->free_mb);
    space->free_mb = free_mb;
}

static void short_turned(struct space *space, uint64_t free_bytes, uint64_t reserve_bytes)
{
    space->is_short = !space->is_short;
    replicator_quiesce(space->service->replicator, space->is_short);
    loop_wake(space->service->loop);
    if (!space->is_short) {
        metric_sub(METRIC_DISK_SHORT, 1);
        log_info(NULL, "there is room on the disk again: this node takes part in writes",
                 LOG_FIELDS(LOG_U64("free_bytes", free_bytes)));
        return;
    }
    metric_add(METRIC_DISK_SHORT, 1);
    log_error(NULL, "too little room on the disk: this node makes no new promises",
              LOG_FIELDS(LOG_TEXT("folder", space->service->config->folder),
                         LOG_U64("free_bytes", free_bytes),
                         LOG_U64("reserve_bytes", reserve_bytes)));
}

static void look(void *context)
{
    struct space *space = context;
    const struct config *config = space->service->config;
    struct statvfs found;

    if (statvfs(config->folder, &found) != 0)
        return; /* a disk that does not answer fails the next write */
    uint64_t free_bytes = (uint64_t)found.f_bavail * found.f_frsize;
    uint64_t reserve =
        space_reserve((uint64_t)found.f_blocks * found.f_frsize, config->disk_reserve_bytes);
    free_told(space, free_bytes >> 20);
    if (space_short(free_bytes, reserve, space->is_short) != space->is_short)
        short_turned(space, free_bytes, reserve);
    if (space->is_short)
        snprintf(space->problem, sizeof(space->problem),
                 "%llu MB left on the disk of %.60s: it takes part in no writes below %llu MB",
                 (unsigned long long)(free_bytes >> 20), config->folder,
                 (unsigned long long)(reserve >> 20));
}

uint64_t space_map_of(const char *folder, uint64_t configured)
{
    struct statvfs found;

    if (statvfs(folder, &found) != 0)
        return space_map(0, configured);
    return space_map((uint64_t)found.f_blocks * found.f_frsize, configured);
}

struct space *space_new(struct service *service)
{
    struct space *space = calloc(1, sizeof(*space));

    CHECK(space != NULL);
    space->service = service;
    look(space);
    space->timer = loop_timer_start(service->loop, SPACE_LOOK_MS, SPACE_LOOK_MS, look, space);
    return space;
}

void space_free(struct space **space)
{
    struct space *ending = *space;

    if (ending == NULL)
        return;
    loop_timer_stop(&ending->timer);
    free(ending);
    *space = NULL;
}

const char *space_problem(const struct space *space)
{
    return space != NULL && space->is_short ? space->problem : NULL;
}
