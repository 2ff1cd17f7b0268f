/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A group that is removed from a node: its rows go, after a while. */
#include <stdlib.h>

#include "storage/db/key.h"
#include "storage/machine/machine.h"
#include "tests/sim/mail.h"
#include "tests/sim/sim.h"

enum { FORGET_MS = 50 };

static void rows_delete(struct db_txn *txn, enum db_table table, struct bytes prefix)
{
    struct db_cursor *cursor = db_cursor_open(txn, table, prefix);
    struct bytes key;
    struct bytes value;
    bool more = db_cursor_seek(cursor, prefix, &key, &value);

    while (more) {
        db_cursor_delete(cursor);
        more = db_cursor_next(cursor, &key, &value);
    }
    db_cursor_close(&cursor);
}

static void forgotten(struct world *world, struct event *event)
{
    struct node *node = &world->nodes[event->node];
    unsigned group = *(unsigned *)event->data;
    struct machine_group *state = &node->machine.groups[group];
    struct db *db = machine_lane(&node->machine, group);
    struct db_txn *txn = db_write_begin(db);
    struct key prefix;

    for (unsigned i = 0; i < TABLE_COUNT; i++)
        rows_delete(txn, (enum db_table)i, key_group(&prefix, mail_group_number(group)));
    CHECK(db_commit(&txn) == ERR_OK);
    machine_committed(&node->machine, group);
    CHECK(db_sync(db) == ERR_OK);
    state->committed = state->applied = state->durable = 0;
    state->partial = false;
    replicator_state_forgotten(node->replicator, group);
    node_wake(node);
}

void machine_forget(struct machine_sim *machine, unsigned group)
{
    struct world *world = machine->world;
    unsigned *data = malloc(sizeof(*data));

    CHECK(data != NULL);
    *data = group;
    sim_at(world, (struct event){.at_ms = world->now_ms + sim_below(world, FORGET_MS),
                                 .run = forgotten,
                                 .node = machine->node,
                                 .life = world->nodes[machine->node].life,
                                 .data = data,
                                 .drop = free});
}
