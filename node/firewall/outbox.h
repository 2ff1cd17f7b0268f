/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_OUTBOX_H
#define NODE_FIREWALL_OUTBOX_H

#include "node/firewall/batch.h"
#include "node/firewall/digest.h"

/*
 * Inside the firewall: the batch that is being collected; equal events are one record. What is
 * no offence and no log-in leaves an eighth of the room to what is.
 */
struct outbox {
    struct firewall_batch batch;
    uint16_t *places; /* 1 + index of the record; 0: free */
    struct firewall_key seed;
};

enum { OUTBOX_PLACES = 4 * FIREWALL_BATCH_RECORDS_MAX };

void outbox_init(struct outbox *outbox, const struct firewall_key *seed);
void outbox_fini(struct outbox *outbox);
size_t outbox_bytes(void);
/* False when there is no room. */
bool outbox_add(struct outbox *outbox, const struct firewall_record *record);
void outbox_clear(struct outbox *outbox);

#endif
