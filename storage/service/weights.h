/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_WEIGHTS_H
#define STORAGE_SERVICE_WEIGHTS_H

#include "storage/service/service.h"

/*
 * What the replicas on this node weigh (weight_estimate.h): looked at every ten seconds to ten
 * minutes, a few groups at a time in a pool thread, and remembered. A hundredth of a processor
 * goes there at most.
 */
struct weights;

struct weights *weights_new(struct service *service);
/* Before the databases are closed. */
void weights_free(struct weights **weights);

/* Bytes of a group's rows here; 0: it has not been looked at yet, or keeps nothing. */
uint64_t weights_bytes(const struct weights *weights, uint32_t group);

#endif
