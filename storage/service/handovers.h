/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_HANDOVERS_H
#define STORAGE_SERVICE_HANDOVERS_H

#include "storage/service/service.h"

/*
 * The hand-overs of one mail group that this node leads: reads them off the group's state,
 * brings each to its target group, and marks it done. A hand-over that fails is found again by
 * a later look. Entries are written without a request id of the write's own: a delivery must
 * never be settled as cancelled, it has to arrive.
 */
struct handovers;

enum {
    HANDOVERS_UNDER_WAY_MAX = 16,
    HANDOVERS_BYTES_MAX = 32 * 1024 * 1024, /* of entries in memory, but for a single one */
    HANDOVERS_ROWS_MAX = 256,               /* a look */
    HANDOVERS_RESTING_MAX = 16,
    HANDOVERS_REST_MS = 2000,  /* a target group, after it could not be reached */
    HANDOVERS_PUSH_MS = 15000, /* an entry's deadline */
};

struct handovers *handovers_new(struct service *service, uint32_t group);
/* What is under way is forgotten; it is done by whoever leads next. */
void handovers_free(struct handovers **handovers);

/* Looks now, or once more when a look is under way. */
void handovers_look(struct handovers *handovers);

#endif
