/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/machine_bugs.h"

void machine_bug_before(struct machine_sim *machine, struct db_txn *txn,
                        struct machine_command *command)
{
    (void)machine;
    (void)txn;
    (void)command;
}

void machine_bug_after(struct machine_sim *machine, struct db_txn *txn,
                       const struct machine_command *command)
{
    (void)machine;
    (void)txn;
    (void)command;
}
