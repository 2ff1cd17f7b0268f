/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What can be said of the stores themselves: where accounts are, and what everything has come
 * to in the end. */
#include <stdlib.h>

#include "storage/db/key.h"
#include "storage/machine/account.h"
#include "storage/query/directory.h"
#include "storage/query/moves.h"
#include "storage/schema/entry.h"
#include "tests/sim/people.h"
#include "tests/unit/storage/lab.h"

enum { BEHIND_MAX = 50, COUNT_SEEDS = 4 };

#define LLU(value) (unsigned long long)(value)

/* ---- where accounts are ---- */

static void homes_learn(struct world *world, struct db_txn *txn)
{
    struct arena arena;

    arena_init(&arena);
    for (unsigned account = 1; account <= ACCOUNTS; account++) {
        struct bytes address;
        uint32_t group = 0;
        if (directory_account_by_id(txn, account, &arena, &address, &group))
            world->service->home[account] = group;
    }
    arena_fini(&arena);
}

/* Where an account takes a command it must be, by the directory's log. */
static void home_check(struct world *world, struct db_txn *txn, uint32_t group,
                       uint64_t account_id)
{
    struct account account;

    if (account_id > ACCOUNTS || world->service->home[account_id] == group)
        return;
    account_load(txn, group, account_id, &account);
    if (account.state == ACCOUNT_THERE && account.record.place == PLACE_HERE)
        sim_fail(world, "DOUBLE: account %llu takes a command in group %u, it is in %u",
                 LLU(account_id), group, world->service->home[account_id]);
}

static void mail_applied(struct world *world, struct db_txn *txn, uint32_t group,
                         const Pr__Command *command)
{
    switch (command->call_case) {
    case PR__COMMAND__CALL_APPEND:
        home_check(world, txn, group, command->append->account_id);
        break;
    case PR__COMMAND__CALL_FLAGS_CHANGE:
        home_check(world, txn, group, command->flags_change->account_id);
        break;
    case PR__COMMAND__CALL_EXPUNGE:
        home_check(world, txn, group, command->expunge->account_id);
        break;
    case PR__COMMAND__CALL_DELIVER:
        for (size_t i = 0; i < command->deliver->n_recipients; i++)
            home_check(world, txn, group, command->deliver->recipients[i]->account_id);
        break;
    case PR__COMMAND__CALL_HANDOVER_DONE:
        world->stats->handovers++;
        break;
    default:
        break;
    }
}

static void directory_applied(struct world *world, struct db_txn *txn,
                              const Pr__Command *command)
{
    homes_learn(world, txn);
    world->stats->move_attempts += command->call_case == PR__COMMAND__CALL_ACCOUNT_MOVE_CLAIM;
    world->stats->moved += command->call_case == PR__COMMAND__CALL_ACCOUNT_MOVE_DONE;
}

void service_applied_first(struct world *world, struct db_txn *txn, uint32_t group,
                           struct bytes entry, struct bytes reply)
{
    struct arena arena;

    arena_init(&arena);
    ProtobufCAllocator allocator = arena_allocator(&arena);
    const Pr__Command *command = entry_decode(entry, &arena);
    const Pr__Outcome *outcome = pr__outcome__unpack(&allocator, reply.len, reply.at);
    CHECK(command != NULL && outcome != NULL);
    if (command->call_case == PR__COMMAND__CALL_CANCEL) {
        world->stats->cancels++;
        world->stats->settled += outcome->err != ERR_CANCELLED;
    }
    if (outcome->err == ERR_OK && group == DIRECTORY_GROUP)
        directory_applied(world, txn, command);
    else if (outcome->err == ERR_OK)
        mail_applied(world, txn, group, command);
    arena_fini(&arena);
}

/* ---- the end ---- */

static const struct node *leader_of(struct world *world, unsigned group)
{
    for (unsigned i = 0; i < world->plan.nodes; i++)
        if (world->nodes[i].up && replicator_leader(world->nodes[i].replicator, group) == i + 1)
            return &world->nodes[i];
    return NULL;
}

static bool table_empty(struct db_txn *txn, enum db_table table, uint32_t group)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, table, key_group(&prefix, group));
    bool empty = !db_cursor_first(cursor, &key, &row);

    db_cursor_close(&cursor);
    return empty;
}

/* Nothing is on its way from one group to another. */
static bool group_rests(struct world *world, unsigned group)
{
    const struct node *leader = leader_of(world, group);
    struct arena arena;

    if (leader == NULL)
        return false;
    struct db_txn *txn = db_read_begin(service_lane(world, leader->number, group));
    arena_init(&arena);
    bool rests = group == DIRECTORY_GROUP ? moves_wanted(txn, 0, 0, &arena) == NULL
                                          : table_empty(txn, TABLE_HANDOVER, group) &&
                                                table_empty(txn, TABLE_MOVING, group);
    db_abort(&txn);
    arena_fini(&arena);
    return rests;
}

static bool is_member(const struct node *node, unsigned group)
{
    struct replicator_status status;

    if (!node->up || !replicator_status(node->replicator, group, &status))
        return false;
    for (unsigned i = 0; i < status.member_count; i++)
        if (status.members[i].node_id == node->number + 1)
            return status.members[i].role != REPLICATOR_SPARE;
    return false;
}

static bool node_behind(const struct world *world, const struct node *node, unsigned group)
{
    return is_member(node, group) &&
           (node->machine.groups[group].partial ||
            node->machine.groups[group].applied + BEHIND_MAX < world->truths[group].count);
}

bool service_rests(struct world *world)
{
    for (unsigned group = 0; group < GROUPS_MAX; group++) {
        if (!group_rests(world, group))
            return false;
        for (unsigned i = 0; i < world->plan.nodes; i++)
            if (node_behind(world, &world->nodes[i], group))
                return false;
    }
    return true;
}

static void group_check_end(struct world *world, unsigned group)
{
    unsigned leaders = 0;

    for (unsigned i = 0; i < world->plan.nodes; i++) {
        const struct node *node = &world->nodes[i];
        if (!node->up) {
            sim_fail(world, "node %u is not up at the end", i + 1);
            return;
        }
        leaders += replicator_leader(node->replicator, group) == i + 1;
        if (node_behind(world, node, group))
            sim_fail(world, "LIVENESS: node %u applied %llu of %llu of group %u", i + 1,
                     LLU(node->machine.groups[group].applied), LLU(world->truths[group].count),
                     group);
        if (!is_member(node, group) || node->machine.groups[group].partial)
            continue;
        uint64_t digest[4];
        struct db_txn *txn = db_read_begin(service_lane(world, i, group));
        machine_digest(txn, group, (uint8_t *)digest);
        check_digest(world, i, group, node->machine.groups[group].applied, digest[0]);
        db_abort(&txn);
    }
    if (leaders != 1)
        sim_fail(world, "LIVENESS: group %u has %u leaders", group, leaders);
    else if (!group_rests(world, group))
        sim_fail(world, "LIVENESS: something is still on its way %s %u",
                 group == DIRECTORY_GROUP ? "by" : "in group", group);
    if (world->failure[0] != '\0' && world->verbose)
        check_describe(world, group);
}

static void account_check_end(struct world *world, unsigned number)
{
    for (unsigned group = 1; group < GROUPS_MAX; group++) {
        const struct node *leader = leader_of(world, group);
        struct db_txn *txn = db_read_begin(service_lane(world, leader->number, group));
        struct account account;
        account_load(txn, group, number, &account);
        bool here = account.state == ACCOUNT_THERE && account.record.place == PLACE_HERE;
        if (here && world->service->home[number] != group)
            sim_fail(world, "DOUBLE: account %u is in group %u, and belongs to %u", number,
                     group, world->service->home[number]);
        if (account.record.place == PLACE_FROZEN && account.state == ACCOUNT_THERE)
            sim_fail(world, "LIVENESS: account %u is frozen in group %u", number, group);
        db_abort(&txn);
    }
}

static void inbox_look(struct world *world, struct view *view)
{
    uint32_t group = world->service->home[view->account];
    const struct node *leader = leader_of(world, group);
    struct db_txn *txn = db_read_begin(service_lane(world, leader->number, group));
    Pr__Changes call = PR__CHANGES__INIT;
    Pr__ChangesAnswer answer = PR__CHANGES_ANSWER__INIT;
    struct arena arena;

    arena_init(&arena);
    call.mailbox_id = 1;
    CHECK(query_changes(txn, (struct query_account){group, view->account}, &call, &arena,
                        &answer) == ERR_OK);
    CHECK(!answer.more);
    view_apply(world, view, &answer);
    if (world->failure[0] == '\0')
        view_check(world, view, people_moment(world), true);
    db_abort(&txn);
    arena_fini(&arena);
}

/* Between the tables of one replica; aborts at what does not fit. */
static void tables_check_end(struct world *world, unsigned group)
{
    struct lab lab = {
        .txn = db_read_begin(service_lane(world, leader_of(world, group)->number, group))};

    lab_invariants(&lab, group);
    db_abort(&lab.txn);
}

void service_check_end(struct world *world)
{
    struct view views[ACCOUNTS + 1] = {0};

    for (unsigned group = 0; group < GROUPS_MAX && world->failure[0] == '\0'; group++)
        group_check_end(world, group);
    for (unsigned i = 1; i <= ACCOUNTS && world->failure[0] == '\0'; i++) {
        views[i].account = i;
        account_check_end(world, i);
        inbox_look(world, &views[i]);
    }
    if (world->failure[0] == '\0')
        letters_check_end(world, views);
    if (world->failure[0] == '\0')
        visitors_check_end(world);
    for (unsigned group = 1; group < GROUPS_MAX && world->seed % COUNT_SEEDS == 0; group++)
        if (world->failure[0] == '\0')
            tables_check_end(world, group);
    for (unsigned i = 1; i <= ACCOUNTS; i++)
        free(views[i].seen);
}
