/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/service_bugs.h"

#include "storage/machine/account.h"
#include "storage/schema/entry.h"

static void thaw(struct db_txn *txn, uint32_t group, uint64_t account_id,
                 struct service_bug *bug)
{
    struct account account;

    account_load(txn, group, account_id, &account);
    if (account.state != ACCOUNT_THERE || account.record.place != PLACE_FROZEN ||
        bug->count == ACCOUNTS)
        return;
    account.record.place = PLACE_HERE;
    account_store(txn, &account);
    bug->thawed[bug->count++] = account_id;
}

static void freeze(struct db_txn *txn, uint32_t group, uint64_t account_id)
{
    struct account account;

    account_load(txn, group, account_id, &account);
    account.record.place = PLACE_FROZEN;
    account_store(txn, &account);
}

void service_bug_before(struct world *world, struct db_txn *txn,
                        const struct machine_command *command, struct arena *arena,
                        struct service_bug *bug)
{
    const Pr__Command *decoded;

    bug->count = 0;
    if (world->bug != BUG_MOVE_DOUBLE || command->command.len == 0)
        return;
    decoded = entry_decode(command->command, arena);
    CHECK(decoded != NULL);
    if (decoded->call_case == PR__COMMAND__CALL_APPEND)
        thaw(txn, command->group, decoded->append->account_id, bug);
    else if (decoded->call_case == PR__COMMAND__CALL_FLAGS_CHANGE)
        thaw(txn, command->group, decoded->flags_change->account_id, bug);
    else if (decoded->call_case == PR__COMMAND__CALL_DELIVER)
        for (size_t i = 0; i < decoded->deliver->n_recipients; i++)
            thaw(txn, command->group, decoded->deliver->recipients[i]->account_id, bug);
}

/* What took effect is said to be cancelled. */
static void deny(struct machine_command *command, struct arena *arena)
{
    Pr__Outcome outcome = PR__OUTCOME__INIT;
    struct buffer packed = BUFFER_EMPTY;

    outcome.err = ERR_CANCELLED;
    message_pack(&outcome.base, &packed);
    command->reply = arena_copy(arena, buffer_bytes(&packed));
    buffer_fini(&packed);
}

void service_bug_after(struct world *world, struct db_txn *txn, struct machine_command *command,
                       struct arena *arena, const struct service_bug *bug)
{
    const Pr__Command *decoded;

    for (unsigned i = 0; i < bug->count; i++)
        freeze(txn, command->group, bug->thawed[i]);
    if (world->bug != BUG_CANCEL_FORGOTTEN || command->command.len == 0)
        return;
    decoded = entry_decode(command->command, arena);
    CHECK(decoded != NULL);
    if (decoded->call_case == PR__COMMAND__CALL_CANCEL)
        deny(command, arena);
}
