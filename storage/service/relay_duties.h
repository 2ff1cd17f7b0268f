/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_RELAY_DUTIES_H
#define STORAGE_SERVICE_RELAY_DUTIES_H

#include "raft/machine.h"
#include "storage/service/service.h"

/*
 * What is in the queue of a group is sent from the node that leads it. A relay keeps a
 * RelayDuties call waiting here, which is answered when this node leads other groups or in
 * another term, when something was put into the order of due times of one of them, or at its
 * deadline. That time goes by is not told: QueueLanes says what comes next. One call of a
 * connection waits; a newer one ends the older.
 *
 * Versions begin anywhere when the process starts: none is one of an earlier life.
 */
struct relay_duties;

struct relay_duties *relay_duties_new(struct service *service);
/* Those that wait are answered with ERR_CLOSED. */
void relay_duties_free(struct relay_duties **duties);

void relay_duties_call(struct service_call *call);

/* In what follows `duties` may be NULL: nobody is told. */
void relay_duties_connection_closed(struct relay_duties *duties, uint32_t connection);
/* The group has another leader or term. */
void relay_duties_group_changed(struct relay_duties *duties, uint32_t group);
/* Something in the group's queue is due that was not, or sooner than before. */
void relay_duties_due(struct relay_duties *duties, uint32_t group);
/* The same of a batch of commands that had it among what it did (queue_due). */
void relay_duties_applied(struct relay_duties *duties, const struct machine_batch *batch);

#endif
