/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_MACHINE_BUGS_H
#define TESTS_SIM_MACHINE_BUGS_H

#include "storage/db/db.h"
#include "tests/sim/sim.h"

/* Planted bugs of the mail machine: what they do to the tables around a command. */
void machine_bug_before(struct machine_sim *machine, struct db_txn *txn,
                        struct machine_command *command);
void machine_bug_after(struct machine_sim *machine, struct db_txn *txn,
                       const struct machine_command *command);

#endif
