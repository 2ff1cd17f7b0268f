/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_FENCE_H
#define STORAGE_SERVICE_FENCE_H

#include "storage/service/service.h"

/*
 * A node that was taken out of the cluster does not hear of it by Raft, and lost nodes that
 * come back together after a recovery (recover.h) would still be a majority among themselves.
 * So every node asks the others whether it is still one of them: all of them when it starts,
 * long before an election can end, and one every few seconds in turn. A node that is told "no"
 * writes that into its identity, ends, and does not start again.
 *
 * The answer is certain: ids are never given out again, a removal is committed before anybody
 * can tell of it, and both ends are known by their certificates. A removed node that reaches
 * none of the others cannot know; where a majority was lost, the operator is told to keep the
 * lost nodes off.
 */
struct fence;

struct fence *fence_new(struct service *service);
void fence_free(struct fence **fence);

/* Whether that node was in the cluster and is not any more, by this node's directory. */
bool fence_is_removed(struct service *service, uint64_t node_id);
/* The last recovery in this node's directory; 0: none. */
uint64_t fence_recovery_epoch(struct service *service);
/* The directory changed: what the identity has to know of it. */
void fence_directory_changed(struct service *service);

/* ERR_INVALID, with words in the log, for a node that was removed. */
MUST_CHECK enum err fence_check(const struct service *service);

#endif
