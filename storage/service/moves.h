/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_MOVES_H
#define STORAGE_SERVICE_MOVES_H

#include "storage/service/service.h"

/*
 * The moves of accounts out of and into one mail group that this node leads: accounts that the
 * directory wants elsewhere, one at a time, and meanwhile what others have left half done: an
 * account that came in stands frozen until somebody says that it is here. A move that fails
 * waits until the others had their turn.
 */
struct moves;

enum {
    MOVES_LOOK_MS = 2000, /* between looks that found nothing */
    MOVES_AGAIN_MS = 500, /* after something failed */
    MOVES_WRITE_MS = 15000,
    MOVES_ROWS_MAX = 64, /* a look */
    MOVES_FREED_ROWS = 2000,
};

struct moves *moves_new(struct service *service, uint32_t group);
/* What is under way is forgotten. */
void moves_free(struct moves **moves);
/* Called often while this node leads the group. */
void moves_tick(struct moves *moves, uint64_t now_ms);
/* The directory wants something else now. */
void moves_look_soon(struct moves *moves);

#endif
