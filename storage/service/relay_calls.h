/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_RELAY_CALLS_H
#define STORAGE_SERVICE_RELAY_CALLS_H

#include "storage/service/service.h"

/*
 * What a relay asks of the queues: lanes, what is in them, bodies; and what it says of them.
 * All of it goes to any mail group; it is quick where this node has a replica.
 *
 * Lanes and what is in them are shown as they were when the call came, or later, whoever leads:
 * an answer without a message means that it is not there. Bodies are of messages that an
 * answer has shown. They come a block at a time (BODY_BLOCK_SIZE): a read that begins where the
 * one before ended is answered with the next block and expands nothing twice. ERR_MALFORMED: it
 * cannot be read to its end here.
 *
 * What a relay is trusted with: a captured one can read all mail that waits, say of it that it
 * was sent or refused, and hand in mail with the null sender (smtp_rights.h), whose request ids
 * may be as old as what they follow from.
 */
void relay_read_call(struct service_call *call);
/* The answer is the Outcome. ERR_UNAVAILABLE: it may take effect later. */
void relay_write_call(struct service_call *call);

/* The group's own answer to QueueLanes, QueueRead or QueueBody, in a pool thread. */
enum err relay_read(struct db_txn *txn, uint32_t group, const Pr__Request *request,
                    struct arena *arena, Pr__Reply *reply);

#endif
