/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_SERVICE_BUGS_H
#define TESTS_SIM_SERVICE_BUGS_H

#include "tests/sim/service.h"

/*
 * Planted bugs of worlds with the service, but for those where people are (visitors.c). They
 * are the same on all replicas, so that it is not their digests that tell.
 */
struct service_bug {
    uint64_t thawed[ACCOUNTS]; /* accounts that take a command though they are frozen */
    unsigned count;
};

/* Around each command. */
void service_bug_before(struct world *world, struct db_txn *txn,
                        const struct machine_command *command, struct arena *arena,
                        struct service_bug *bug);
void service_bug_after(struct world *world, struct db_txn *txn, struct machine_command *command,
                       struct arena *arena, const struct service_bug *bug);

#endif
