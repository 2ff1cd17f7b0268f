/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SPACE_H
#define STORAGE_SERVICE_SPACE_H

#include "storage/service/service.h"

/*
 * Room on the disk of the data folder. Below the reserve this node makes no new promises: it
 * hands its leaderships over and acknowledges nothing, before a write could fail; what it has
 * promised it keeps. A write that fails all the same ends the process. It is said once in the
 * log, and on each look in the metrics and `postraft cluster status`.
 */
enum {
    SPACE_LOOK_MS = 200,
    SPACE_RESERVE_PARTS = 20, /* of the file system, when the configuration says nothing */
    SPACE_MAP_TIMES = 8,      /* the file system */
};
#define SPACE_RESERVE_MIN ((uint64_t)64 * 1024 * 1024)
#define SPACE_MAP_MIN ((uint64_t)256 << 30)
#define SPACE_MAP_MAX ((uint64_t)16 << 40)
#define SPACE_RESERVE_MAX ((uint64_t)1024 * 1024 * 1024)

struct space;

/* Looks at once. The replicator is there already. */
struct space *space_new(struct service *service);
void space_free(struct space **space);
/* NULL: there is room. Else what is wrong, for operators. */
const char *space_problem(const struct space *space);

/* Pure. Bytes that must be left on a file system of that size; `configured` 0: our choice. */
uint64_t space_reserve(uint64_t size_bytes, uint64_t configured);
/* Pure. Address space for a database on a file system of that size. */
uint64_t space_map(uint64_t size_bytes, uint64_t configured);
/* The same for the file system that `folder` lies on. */
uint64_t space_map_of(const char *folder, uint64_t configured);

/* Pure. Whether the node is to be quiet, from what is left and whether it is now: it takes a
 * quarter more than the reserve to go on. */
bool space_short(uint64_t free_bytes, uint64_t reserve_bytes, bool now);

#endif
