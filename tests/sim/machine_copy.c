/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A group's tables from another machine: all that is different is written, row by row in the
 * order of keys, out of one snapshot of the source. The meta row, which says of which index the
 * tables are, goes last.
 */
#include "storage/db/key.h"
#include "storage/machine/machine.h"
#include "tests/sim/mail.h"
#include "tests/sim/sim.h"

/* The meta table is behind the others. */
static enum db_table copy_table(unsigned step)
{
    return step + 1 < TABLE_COUNT ? (enum db_table)(step + 1) : TABLE_META;
}

static void copy_fini(struct machine_copy *copy)
{
    db_abort(&copy->source);
    *copy = (struct machine_copy){0};
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

uint64_t machine_copy_begin(struct machine_sim *to, const struct machine_sim *from,
                            unsigned group, bool *resumed)
{
    struct machine_group *target = &to->groups[group];
    struct machine_copy *copy = &target->copy;

    if (!machine_whole(from, group))
        return 0;
    copy_fini(copy);
    copy->source = db_read_begin(machine_lane(from, group));
    copy->from = from->node;
    *resumed = target->partial;
    target->partial = true;
    return machine_applied(copy->source, mail_group_number(group));
}

/* Whether this node alone has rows of the table, or a planted bug forgets it. */
static bool is_left_out(const struct machine_sim *to, enum db_table table)
{
    return (to->world->bug == BUG_DEDUPE_FORGOTTEN && table == TABLE_DEDUPE) ||
           bytes_equal(bytes_of(db_table_name(table)), BYTES("local"));
}

static int key_order(bool more_a, struct bytes a, bool more_b, struct bytes b)
{
    size_t both = a.len < b.len ? a.len : b.len;
    int order;

    if (!more_a || !more_b)
        return more_a ? -1 : 1;
    order = memcmp(a.at, b.at, both);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* From the copy's place on in one table, until `*amount` rows were looked at; true at the end.
 */
static bool table_copy(struct machine_copy *copy, struct db_txn *txn, enum db_table table,
                       struct bytes prefix, bool leave_out, unsigned *amount)
{
    struct db_cursor *source = db_cursor_open(copy->source, table, prefix);
    struct db_cursor *target = db_cursor_open(txn, table, prefix);
    struct bytes at =
        copy->place.len > 0 ? bytes_from(copy->place.at, copy->place.len) : prefix;
    struct bytes key;
    struct bytes value;
    struct bytes old_key;
    struct bytes old;
    bool more = db_cursor_seek(source, at, &key, &value) && !leave_out;
    bool had = db_cursor_seek(target, at, &old_key, &old);

    for (; (more || had) && *amount > 0; --*amount) {
        int order = key_order(more, key, had, old_key);
        if (order > 0) {
            db_cursor_delete(target);
        } else if (order < 0 || !bytes_equal(value, old)) {
            db_put(txn, table, key, value);
        }
        if (order >= 0)
            had = db_cursor_next(target, &old_key, &old);
        if (order <= 0)
            more = db_cursor_next(source, &key, &value);
    }
    if (more || had) {
        struct bytes next = key_order(more, key, had, old_key) < 0 ? key : old_key;
        copy->place.len = next.len;
        memcpy(copy->place.at, next.at, next.len);
    }
    db_cursor_close(&source);
    db_cursor_close(&target);
    return !more && !had;
}

bool machine_copy_step(struct machine_sim *to, const struct machine_sim *from, unsigned group,
                       uint64_t index, unsigned amount)
{
    struct machine_copy *copy = &to->groups[group].copy;
    struct db_txn *txn = db_write_begin(machine_lane(to, group));
    struct key prefix;
    struct bytes start = key_group(&prefix, mail_group_number(group));

    CHECK(copy->source != NULL && copy->from == from->node);
    CHECK(machine_applied(copy->source, mail_group_number(group)) == index);
    while (copy->step + 1 < TABLE_COUNT && amount > 0) {
        enum db_table table = copy_table(copy->step);
        if (!table_copy(copy, txn, table, start, is_left_out(to, table), &amount))
            break;
        copy->step++;
        copy->place.len = 0;
    }
    CHECK(db_commit(&txn) == ERR_OK);
    machine_committed(to, group);
    return copy->step + 1 == TABLE_COUNT;
}

void machine_copy_end(struct machine_sim *to, unsigned group, uint64_t index)
{
    struct machine_group *target = &to->groups[group];
    struct db *db = machine_lane(to, group);
    struct db_txn *txn = db_write_begin(db);
    struct key prefix;
    unsigned all = UINT32_MAX;

    CHECK(table_copy(&target->copy, txn, TABLE_META,
                     key_group(&prefix, mail_group_number(group)), false, &all));
    CHECK(machine_applied(txn, mail_group_number(group)) == index);
    CHECK(db_commit(&txn) == ERR_OK);
    machine_committed(to, group);
    CHECK(db_sync(db) == ERR_OK);
    copy_fini(&target->copy);
    target->partial = false;
    target->committed = target->applied = target->durable = index;
}
