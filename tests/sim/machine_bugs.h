/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_MACHINE_BUGS_H
#define TESTS_SIM_MACHINE_BUGS_H

#include "tests/sim/db_memory.h"
#include "tests/sim/sim.h"

/*
 * Planted bugs of the mail machine: what they do to the tables around a command. All replicas
 * do the same, so that it is not their digests that tell. (BUG_DEDUPE_FORGOTTEN is in
 * machine_copy.c.)
 */
struct machine_bug {
    struct db_memory_point *point; /* the expunge that is answered, and will not have been */
};

void machine_bug_before(struct machine_sim *machine, struct db_txn *txn,
                        const struct machine_command *command, struct machine_bug *bug);
void machine_bug_after(struct machine_sim *machine, struct db_txn *txn,
                       const struct machine_command *command, struct machine_bug *bug);

#endif
