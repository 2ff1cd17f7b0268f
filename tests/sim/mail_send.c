/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An operation is tried at one node after the other, under the same request id, while earlier
 * attempts may still be on their way; whatever answers come must be the same. Who gives up asks
 * the log with a CANCEL what became of it.
 */
#include <stdlib.h>

#include "storage/schema/entry.h"
#include "tests/sim/mail.h"

enum { ATTEMPTS_MAX = 8, PATIENCE_MS = 1500, AGAIN_MS = 6000, PROPOSAL_FIELD_SIZE = 2 };

/* A field that no Command has, 1000 of wire type 64 bit: readers skip it. */
static const uint8_t proposal_field[PROPOSAL_FIELD_SIZE] = {0xc1, 0x3e};

struct attempt {
    struct world *world;
    struct mail_op *op;
    unsigned node;
    uint64_t life;
    uint64_t id; /* of the proposal */
};

struct waiting {
    struct mail_op *op;
    unsigned attempts; /* void when there were more since */
};

static void op_try(struct world *world, struct mail_op *op);

uint64_t mail_proposal_of(struct bytes entry)
{
    uint64_t id;

    CHECK(entry.len > sizeof(id));
    memcpy(&id, entry.at + entry.len - sizeof(id), sizeof(id));
    return id;
}

struct mail_op *mail_op_new(struct world *world, enum mail_kind kind, unsigned group,
                            unsigned account)
{
    struct mail *mail = world->mail;
    struct mail_op *op = calloc(1, sizeof(*op));

    CHECK(op != NULL);
    if (mail->op_count == mail->op_room) {
        mail->op_room = mail->op_room > 0 ? mail->op_room * 2 : 1024;
        mail->ops = realloc(mail->ops, mail->op_room * sizeof(struct mail_op *));
        CHECK(mail->ops != NULL);
    }
    mail->ops[mail->op_count++] = op;
    op->number = mail->op_count;
    op->kind = kind;
    op->group = group;
    op->account = account;
    op->recipients = 1U << account;
    op->ended = MAIL_LATER;
    op->attempts_max = 1 + (unsigned)sim_below(world, ATTEMPTS_MAX);
    op->has_id = kind != MAIL_UPLOAD && kind != MAIL_UPLOAD_DROP && kind != MAIL_CANCEL &&
                 kind != MAIL_PURGE && kind != MAIL_SUBSCRIBE && kind != MAIL_HANDED &&
                 kind != MAIL_FORMAT && kind != MAIL_FORGET;
    return op;
}

/* Who asked with a CANCEL gives up as well. Meanwhile there may have been an answer, or it may
 * have become clear that no attempt takes effect: that stays true. */
static void cancel_given_up(const struct mail_op *cancel)
{
    if (cancel->of->state == MAIL_OPEN)
        cancel->of->state = MAIL_UNKNOWN;
}

/* Nobody asks any more: the log is asked what became of it, unless that has been tried. */
static void op_give_up(struct world *world, struct mail_op *op)
{
    struct mail_op *cancel;

    if (op->doubtful == 0) {
        op->state = MAIL_NEVER;
        mail_resolved(world, op);
        if (op->kind == MAIL_CANCEL)
            cancel_given_up(op);
    } else if (op->has_id && op->kind != MAIL_HANDOVER) {
        cancel = mail_op_new(world, MAIL_CANCEL, op->group, op->account);
        cancel->of = op;
        mail_op_begin(world, cancel);
    } else {
        op->state = MAIL_UNKNOWN;
        if (op->kind == MAIL_CANCEL)
            cancel_given_up(op);
    }
    if (op->kind == MAIL_HANDOVER || op->kind == MAIL_HANDED)
        mail_handover_ended(world, op);
}

static void op_again(struct world *world, struct event *event)
{
    struct waiting *waiting = event->data;
    struct mail_op *op = waiting->op;

    if (waiting->attempts != op->attempts)
        return;
    if (op->state == MAIL_DONE && op->again) {
        op->again = false;
        op_try(world, op);
    } else if (op->state == MAIL_OPEN) {
        if (op->attempts < op->attempts_max || world->calm)
            op_try(world, op);
        else
            op_give_up(world, op);
    }
}

static void op_wait(struct world *world, struct mail_op *op, uint64_t delay_ms)
{
    struct waiting *waiting = malloc(sizeof(*waiting));

    CHECK(waiting != NULL);
    *waiting = (struct waiting){.op = op, .attempts = op->attempts};
    sim_at(world, (struct event){.at_ms = world->now_ms + delay_ms,
                                 .run = op_again,
                                 .data = waiting,
                                 .drop = free});
}

/* The next block of an upload, or what it is for. */
static void upload_go_on(struct world *world, struct mail_op *block)
{
    if (block->block + 1 == block->of->blocks) {
        mail_op_begin(world, block->of);
        return;
    }
    struct mail_op *next = mail_op_new(world, MAIL_UPLOAD, block->group, block->account);
    next->of = block->of;
    next->block = block->block + 1;
    memcpy(next->upload_id, block->upload_id, sizeof(next->upload_id));
    mail_op_begin(world, next);
}

/* One request id has one answer. But who cancels what was cancelled before is told so. */
static bool is_same_answer(struct bytes first, struct bytes reply)
{
    struct bytes both[] = {first, reply};
    unsigned cancelled = 0;

    if (bytes_equal(first, reply))
        return true;
    for (unsigned i = 0; i < 2; i++) {
        Pr__Outcome *outcome = pr__outcome__unpack(NULL, both[i].len, both[i].at);
        cancelled += outcome != NULL && outcome->err == ERR_CANCELLED;
        if (outcome != NULL)
            pr__outcome__free_unpacked(outcome, NULL);
    }
    return cancelled == 2;
}

static void op_answered(struct world *world, struct mail_op *op, unsigned node,
                        struct bytes reply)
{
    struct arena arena;
    ProtobufCAllocator allocator;
    Pr__Outcome *outcome;

    if (buffer_len(&op->reply) > 0) {
        if (op->has_id && !is_same_answer(buffer_bytes(&op->reply), reply))
            sim_fail(world, "DEDUPE: operation %llu of kind %d got two different answers",
                     (unsigned long long)op->number, (int)op->kind);
        world->stats->repeated += op->has_id;
        return;
    }
    if (op->state != MAIL_OPEN && op->state != MAIL_UNKNOWN)
        return;
    buffer_add(&op->reply, reply);
    arena_init(&arena);
    allocator = arena_allocator(&arena);
    outcome = pr__outcome__unpack(&allocator, reply.len, reply.at);
    if (outcome == NULL) {
        sim_fail(world, "operation %llu got an answer that is none",
                 (unsigned long long)op->number);
    } else {
        mail_done(world, op, node, outcome);
        if (op->kind == MAIL_UPLOAD && op->state == MAIL_DONE)
            upload_go_on(world, op);
        if (op->kind == MAIL_HANDOVER || op->kind == MAIL_HANDED)
            mail_handover_ended(world, op);
        if (op->kind == MAIL_CANCEL)
            op_answered(world, op->of, node, reply); /* with what it would answer itself */
        op->again = op->state == MAIL_DONE && op->has_id && sim_below(world, 8) == 0;
        if (op->again)
            op_wait(world, op, sim_below(world, AGAIN_MS));
    }
    arena_fini(&arena);
}

static bool heard(const struct attempt *attempt)
{
    const struct node *node = &attempt->world->nodes[attempt->node];

    return node->up && node->life == attempt->life && !node->dying;
}

static void attempt_done(void *context, enum err err, uint64_t index, struct bytes reply)
{
    struct attempt *attempt = context;
    struct world *world = attempt->world;
    struct mail_op *op = attempt->op;
    struct proposal *proposal = &world->proposals[attempt->id - 1];
    bool listening = heard(attempt);

    if (err == ERR_NOTLEADER || err == ERR_BUSY || err == ERR_UNAVAILABLE) {
        proposal->outcome = PROPOSAL_NEVER;
        op->doubtful--; /* true even when nobody hears it */
        world->stats->refused++;
        if (proposal->applied > 0)
            sim_fail(world, "refused proposal %llu was applied",
                     (unsigned long long)attempt->id);
    } else if (listening && err == ERR_OK) {
        proposal->outcome = PROPOSAL_OK;
        proposal->index = index;
        world->stats->acknowledged++;
        if (world->calm)
            world->truths[op->group].ok_calm++;
        check_ok(world, attempt->node, op->group, attempt->id, index, reply);
        client_show(world, op->group, index);
        op_answered(world, op, attempt->node, reply);
    } else if (listening && err != ERR_UNKNOWN && err != ERR_CLOSED) {
        sim_fail(world, "proposal ends with %s", err_text(err));
    } else {
        proposal->outcome = PROPOSAL_UNKNOWN;
        world->stats->unknown++;
    }
    if (listening && op->state == MAIL_OPEN)
        op_wait(world, op, 5 + sim_below(world, 100));
    free(attempt);
}

static uint64_t proposal_new(struct world *world, const struct node *node, unsigned group)
{
    if (world->proposals_count == world->proposals_room) {
        world->proposals_room = world->proposals_room > 0 ? world->proposals_room * 2 : 1024;
        world->proposals =
            realloc(world->proposals, world->proposals_room * sizeof(*world->proposals));
        CHECK(world->proposals != NULL);
    }
    world->proposals[world->proposals_count++] =
        (struct proposal){.node = node->number, .life = node->life, .group = group};
    return world->proposals_count;
}

static void op_try(struct world *world, struct mail_op *op)
{
    struct node *node = client_node(world, op->group, sim_below(world, 8) != 0);
    struct buffer command = BUFFER_EMPTY;
    struct attempt *attempt;

    op->attempts++;
    op_wait(world, op, node != NULL ? 100 + sim_below(world, PATIENCE_MS) : 50);
    if (node == NULL)
        return;
    attempt = malloc(sizeof(*attempt));
    CHECK(attempt != NULL);
    *attempt = (struct attempt){.world = world,
                                .op = op,
                                .node = node->number,
                                .life = node->life,
                                .id = proposal_new(world, node, op->group)};
    op->doubtful++;
    buffer_add(&command, buffer_bytes(&op->entry));
    buffer_add(&command, bytes_from(proposal_field, sizeof(proposal_field)));
    buffer_add(&command, bytes_from(&attempt->id, sizeof(attempt->id)));
    replicator_propose(node->replicator, op->group, buffer_bytes(&command), attempt_done,
                       attempt);
    buffer_fini(&command);
    node_wake(node);
}

void mail_op_begin(struct world *world, struct mail_op *op)
{
    op->begun = mail_moment(world);
    mail_begun(world, op);
    mail_command(world, op);
    op_try(world, op);
}

void mail_begin(struct world *world, unsigned group)
{
    struct mail_op *op = mail_choose(world, group);
    struct mail_op *block;

    if (op == NULL)
        return;
    if (op->blocks <= 1) {
        mail_op_begin(world, op);
        return;
    }
    block = mail_op_new(world, MAIL_UPLOAD, group, op->account);
    block->of = op;
    memcpy(block->upload_id, op->upload_id, sizeof(block->upload_id));
    mail_op_begin(world, block);
}
