/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_PROMISES_H
#define STORAGE_SERVICE_PROMISES_H

#include <stdbool.h>

#include "node/base/bytes.h"

/*
 * What the store has said to front ends about recipients, so that it does not have to believe
 * what they say that it said: which accounts get a message whatever room they have, and which
 * addresses on other hosts mail may go to without anybody being logged in, under which sender.
 * A promise is good on the connection that it was given on, for PROMISES_MS at most. Of too
 * many the oldest are forgotten, of the connection that has the most first; then the delivery
 * is put off, and its sender tries again.
 */
enum {
    PROMISES_MS = 12 * 60 * 60 * 1000, /* to twice as long */
    PROMISES_MAX = 512 * 1024,         /* of all connections */
};

struct promises;

/* As RESOLVE has it, or the delivery. */
struct promise_target {
    struct bytes remote;
    struct bytes sender;   /* that it leaves with; empty: the envelope's */
    struct bytes envelope; /* the envelope's own, folded */
    uint64_t account_id;   /* whose forward; 0: an alias's, a domain's or a list's */
};

struct promises *promises_new(void);
void promises_free(struct promises **promises);
void promises_connection_closed(struct promises *promises, uint32_t connection);

void promises_remote(struct promises *promises, uint32_t connection,
                     const struct promise_target *target, uint64_t now_ms);
void promises_account(struct promises *promises, uint32_t connection, uint64_t account_id,
                      uint64_t now_ms);

bool promises_has_remote(struct promises *promises, uint32_t connection,
                         const struct promise_target *target, uint64_t now_ms);
bool promises_has_account(struct promises *promises, uint32_t connection, uint64_t account_id,
                          uint64_t now_ms);

#endif
