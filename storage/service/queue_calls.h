/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_QUEUE_CALLS_H
#define STORAGE_SERVICE_QUEUE_CALLS_H

#include "storage/service/service.h"

/*
 * What operators ask of the queues. A list goes from mail group to mail group, in the order of
 * their numbers; one that does not answer in time is passed over and named in the reply's text.
 */
enum { QUEUE_LIST_MS = 3000 /* that a group has for its answer */ };

void queue_list_call(struct service_call *call);
void queue_alter_call(struct service_call *call);

/* A group's own page, in a pool thread: behind the call's after_id. */
enum err queue_list_read(struct db_txn *txn, uint32_t group, const Pr__QueueList *call,
                         struct arena *arena, Pr__QueueListAnswer *answer);

#endif
