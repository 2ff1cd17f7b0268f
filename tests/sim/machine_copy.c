/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A group's state from another node's machine, by the product's own storage/transfer/: what the
 * service does with threads and RPC is done here in steps of virtual time, with limits so small
 * that both sides go on working in between.
 */
#include "storage/db/key.h"
#include "storage/machine/local.h"
#include "storage/machine/machine.h"
#include "storage/transfer/sink.h"
#include "storage/transfer/source.h"
#include "tests/sim/mail.h"
#include "tests/sim/sim.h"

/* The sides measure how long they read, and stop early when it was long: it never is. */
static uint64_t no_time(void)
{
    return 0;
}

/* Of bytes: between a few rows and all of them in one step. */
static struct transfer_limits limits_random(struct world *world)
{
    size_t step = (size_t)512 << sim_below(world, 8);

    return (struct transfer_limits){
        .leaf_bytes = 256 + sim_below(world, step),
        .read_bytes = 4 * step,
        .rows_bytes = step,
        .changes_bytes = step,
        .last_bytes = step,
        .write_bytes = 256 + sim_below(world, step),
        .keys_bytes = sim_below(world, 16) == 0 ? step : transfer_limits.keys_bytes,
        .read_ms = 1,
    };
}

static void copy_fini(struct machine_copy *copy)
{
    transfer_source_free(&copy->source);
    transfer_sink_free(&copy->sink);
}

void machine_copies_end(struct world *world, unsigned node)
{
    for (unsigned i = 0; i < NODES_MAX; i++)
        for (unsigned group = 0; group < GROUPS_MAX; group++) {
            struct machine_copy *copy = &world->nodes[i].machine.groups[group].copy;
            if (i == node || copy->from == node)
                copy_fini(copy);
        }
}

static bool source_begin(struct machine_copy *copy, const struct machine_sim *from,
                         unsigned group, const uint8_t seed[TRANSFER_SEED_SIZE])
{
    struct transfer_tables tables;
    struct buffer names = BUFFER_EMPTY;
    struct transfer_source_config config = {
        .db = machine_lane(from, group),
        .group = mail_group_number(group),
        .limits = &copy->limits,
        .now_ms = no_time,
    };
    enum err err;

    transfer_tables_own(&tables);
    transfer_tables_encode(&tables, &names);
    config.tables = buffer_bytes(&names);
    memcpy(config.seed, seed, TRANSFER_SEED_SIZE);
    err = transfer_source_new(&config, &copy->source);
    buffer_fini(&names);
    copy->from = from->node;
    if (err != ERR_OK && err != ERR_NOTFOUND)
        sim_fail(from->world, "node %u cannot send group %u: %s", from->node + 1, group,
                 err_text(err));
    return err == ERR_OK;
}

uint64_t machine_copy_begin(struct machine_sim *to, const struct machine_sim *from,
                            unsigned group, bool *resumed)
{
    struct world *world = to->world;
    struct machine_group *target = &to->groups[group];
    struct machine_copy *copy = &target->copy;
    uint64_t seed[TRANSFER_SEED_SIZE / sizeof(uint64_t)];
    struct transfer_sink_config config = {
        .db = machine_lane(to, group),
        .group = mail_group_number(group),
        .source = from->node + 1,
        .limits = &copy->limits,
        .now_ms = no_time,
        .wall_ms = world->now_ms,
    };

    for (unsigned i = 0; i < sizeof(seed) / sizeof(*seed); i++)
        seed[i] = sim_random(world);
    copy_fini(copy);
    copy->limits = limits_random(world);
    if (!machine_whole(from, group) || !source_begin(copy, from, group, (const uint8_t *)seed))
        return 0;
    memcpy(config.seed, seed, sizeof(config.seed));
    copy->sink = transfer_sink_new(&config);
    CHECK(transfer_sink_begin(copy->sink) == ERR_OK);
    machine_committed(to, group);
    *resumed = target->partial;
    target->partial = true;
    return from->groups[group].committed;
}

/* An error of the copy, which then begins anew; false when it must not be. */
static bool may_fail(struct machine_sim *to, unsigned group, enum err err)
{
    if (err == ERR_TOOBIG &&
        to->groups[group].copy.limits.keys_bytes < transfer_limits.keys_bytes)
        return true; /* more has changed than there is room to remember */
    sim_fail(to->world, "node %u cannot copy group %u: %s", to->node + 1, group, err_text(err));
    return false;
}

/* One question, its answer, and the rows of it written. */
static enum err copy_step(struct machine_sim *to, unsigned group)
{
    struct machine_copy *copy = &to->groups[group].copy;
    struct buffer question = BUFFER_EMPTY;
    struct buffer answer = BUFFER_EMPTY;
    bool more = true;
    enum err err;

    if ((err = transfer_sink_question(copy->sink, &question)) == ERR_OK &&
        (err = transfer_source_answer(copy->source, buffer_bytes(&question), &answer)) ==
            ERR_OK)
        err = transfer_sink_receive(copy->sink, buffer_bytes(&answer));
    /* As in the product, these commits are not counted on for what was committed before. */
    while (err == ERR_OK && more)
        err = transfer_sink_write(copy->sink, &more);
    buffer_fini(&question);
    buffer_fini(&answer);
    return err;
}

enum err machine_copy_step(struct machine_sim *to, unsigned group)
{
    struct machine_copy *copy = &to->groups[group].copy;
    uint64_t index;
    enum err err;

    CHECK(copy->source != NULL && copy->sink != NULL);
    if ((err = copy_step(to, group)) != ERR_OK) {
        may_fail(to, group, err);
        copy_fini(copy);
        return err;
    }
    return transfer_sink_done(copy->sink, &index) ? ERR_OK : ERR_BUSY;
}

/* Planted: request ids are not part of what is copied. */
static void dedupe_forget(struct machine_sim *to, unsigned group)
{
    struct db_txn *txn = db_write_begin(machine_lane(to, group));
    struct key prefix;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_DEDUPE, key_group(&prefix, mail_group_number(group)));

    for (bool more = db_cursor_first(cursor, &key, &value); more;
         more = db_cursor_next(cursor, &key, &value))
        db_cursor_delete(cursor);
    db_cursor_close(&cursor);
    CHECK(db_commit(&txn) == ERR_OK);
    machine_committed(to, group);
}

bool machine_partial_read(const struct machine_sim *machine, unsigned group)
{
    struct db_txn *txn = db_read_begin(machine_lane(machine, group));
    bool partial = local_partial(txn, mail_group_number(group), NULL);

    db_abort(&txn);
    return partial;
}

uint64_t machine_copy_end(struct machine_sim *to, unsigned group)
{
    struct machine_group *target = &to->groups[group];
    uint64_t index = 0;

    CHECK(transfer_sink_done(target->copy.sink, &index));
    copy_fini(&target->copy);
    if (to->world->bug == BUG_DEDUPE_FORGOTTEN)
        dedupe_forget(to, group);
    CHECK(db_sync(machine_lane(to, group)) == ERR_OK);
    machine_committed(to, group);
    CHECK(!machine_partial_read(to, group));
    target->partial = false;
    target->committed = target->applied = target->durable = index;
    machine_check_digest(to, group);
    return index;
}
