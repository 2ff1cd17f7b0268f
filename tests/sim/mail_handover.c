/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a group's leader does with messages for another group, as storage/service/handovers.c:
 * delivers them there under the id that they came with, then says that it is done. Two nodes
 * may be about the same message.
 */
#include <stdlib.h>

#include "record.pb-c.h"
#include "storage/db/key.h"
#include "storage/schema/entry.h"
#include "tests/sim/mail.h"

enum { ROUND_MS = 150, ROUND_HANDOVERS_MAX = 4 };

/* The delivery that a row is of: by its request id. */
static struct mail_op *delivery_of(struct mail *mail, struct bytes delivery_id)
{
    for (uint64_t i = mail->op_count; i > 0; i--) {
        struct mail_op *op = mail->ops[i - 1];
        if (op->hand_recipients != 0 && op->kind == MAIL_DELIVER &&
            bytes_equal(delivery_id, bytes_from(op->request_id, sizeof(op->request_id))))
            return op;
    }
    return NULL;
}

static void handover_begin(struct world *world, struct mail_op *delivery, uint64_t number)
{
    unsigned first = (unsigned)__builtin_ctz(delivery->hand_recipients);
    struct mail_op *op = mail_op_new(world, MAIL_HANDOVER, delivery->hand_group, first);

    delivery->handing = true;
    op->of = delivery;
    op->handover = number;
    op->recipients = delivery->hand_recipients;
    op->blocks = 1;
    mail_op_begin(world, op);
}

static void row_look(struct world *world, unsigned group, struct bytes key, struct bytes row)
{
    struct arena arena;
    ProtobufCAllocator allocator;
    Pr__HandoverRecord *record;
    struct mail_op *delivery;

    arena_init(&arena);
    allocator = arena_allocator(&arena);
    record = pr__handover_record__unpack(&allocator, row.len, row.at);
    CHECK(record != NULL);
    delivery = delivery_of(world->mail, bytes_of_field(record->delivery_id));
    if (delivery == NULL || delivery->group != group)
        sim_fail(world, "group %u hands over what nobody sent", group);
    else if (!delivery->handing)
        handover_begin(world, delivery, key_last_u64(key));
    arena_fini(&arena);
}

static void group_look(struct world *world, const struct node *node, unsigned group)
{
    struct db_txn *txn = db_read_begin(machine_lane(&node->machine, group));
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_HANDOVER, key_group(&prefix, mail_group_number(group)));
    unsigned looks = 0;

    for (bool more = db_cursor_first(cursor, &key, &row);
         more && looks < ROUND_HANDOVERS_MAX && world->failure[0] == '\0';
         more = db_cursor_next(cursor, &key, &row), looks++)
        row_look(world, group, key, row);
    db_cursor_close(&cursor);
    db_abort(&txn);
}

static void handovers(struct world *world, struct event *event)
{
    (void)event;
    for (unsigned group = 0; group < world->plan.groups; group++) {
        const struct node *node = client_node(world, group, true);
        if (node != NULL && machine_whole(&node->machine, group))
            group_look(world, node, group);
    }
    sim_at(world, (struct event){.at_ms = world->now_ms + 1 + sim_below(world, ROUND_MS),
                                 .run = handovers});
}

void mail_handovers_setup(struct world *world)
{
    sim_at(world, (struct event){.at_ms = world->now_ms + 80, .run = handovers});
}

void mail_handover_ended(struct world *world, struct mail_op *op)
{
    struct mail_op *done;

    /* Refused: the accounts are gone, and nothing is left to do but to say so. */
    if (op->kind == MAIL_HANDED || (op->state != MAIL_DONE && op->state != MAIL_REFUSED)) {
        op->of->handing = false;
        return;
    }
    done = mail_op_new(world, MAIL_HANDED, op->of->group, op->of->account);
    done->of = op->of;
    done->handover = op->handover;
    mail_op_begin(world, done);
}

bool mail_handovers_left(struct world *world, unsigned node, unsigned group)
{
    struct db_txn *txn = db_read_begin(machine_lane(&world->nodes[node].machine, group));
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_HANDOVER, key_group(&prefix, mail_group_number(group)));
    bool left = db_cursor_first(cursor, &key, &row);

    db_cursor_close(&cursor);
    db_abort(&txn);
    return left;
}
