/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linearizable read points without a write and without a clock (ReadIndex). The leader notes
 * its commit index and asks the voters whether it still leads; a majority that says so after
 * the read came in makes that index good. A follower asks the leader and waits until it has
 * applied as much. One round of a group is under way at a time; later reads join the next.
 */
#include "raft/internal.h"

void replicator_read(struct replicator *replicator, uint32_t id, uint64_t deadline_ms,
                     replicator_done *done, void *context)
{
    struct group *group = replicator_group(replicator, id);
    struct call *call = call_new(done, context);
    call->deadline_ms = deadline_ms;
    if (group == NULL) {
        call_finish(replicator, call, ERR_NOTFOUND);
        return;
    }
    call_push(&group->reads_open, call);
    group_touch(group);
}

void replicator_wait_applied(struct replicator *replicator, uint32_t id, uint64_t index,
                             uint64_t deadline_ms, replicator_done *done, void *context)
{
    struct group *group = replicator_group(replicator, id);
    struct call *call = call_new(done, context);
    call->deadline_ms = deadline_ms;
    call->index = index;
    call->err = ERR_TIMEOUT; /* what it ends with at the deadline */
    if (group == NULL) {
        call_finish(replicator, call, ERR_NOTFOUND);
        return;
    }
    call_push(&group->reads_ready, call);
    group_touch(group);
}

void reads_expire(struct group *group, uint64_t now)
{
    struct call_list kept = {0};
    call_expire(group->owner, &group->reads_open, now, ERR_UNAVAILABLE);
    call_expire(group->owner, &group->reads_round, now, ERR_UNAVAILABLE);
    for (struct call *call = call_pop(&group->reads_ready); call != NULL;
         call = call_pop(&group->reads_ready))
        if (now < call->deadline_ms)
            call_push(&kept, call);
        else
            call_finish(group->owner, call,
                        call->err == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_UNAVAILABLE);
    group->reads_ready = kept;
}

static void read_send(struct group *group, uint64_t to, enum wire_type type, uint64_t term,
                      uint64_t sequence, uint64_t index)
{
    struct wire_message message = {.type = type, .group = group->id, .term = term};
    message.read.sequence = sequence;
    message.read.index = index;
    group_send(group, to, &message);
}

static bool round_holds(const struct group *group)
{
    return group->round.term == group->raft.current_term &&
           group->round.leader == group_leader(group) &&
           (group->round.leader != group->raft.id || group_leads(group));
}

static bool round_has_majority(struct group *group)
{
    const struct raft_configuration *members = &group->raft.configuration;
    unsigned voters = 0;
    unsigned votes = 0;
    for (unsigned i = 0; i < members->n; i++) {
        if (members->servers[i].role != RAFT_VOTER)
            continue;
        voters++;
        const struct link *link = group_link(group, members->servers[i].id, false);
        votes += members->servers[i].id == group->raft.id ||
                 (link != NULL && link->read_acked == group->round.sequence);
    }
    return votes > voters / 2;
}

/* The index of the round is good: local reads wait for it, peers are told. */
static void round_confirmed(struct group *group)
{
    group->round.active = false;
    for (struct call *call = call_pop(&group->reads_round); call != NULL;
         call = call_pop(&group->reads_round)) {
        call->index = group->round.index;
        if (call->origin == 0) {
            call_push(&group->reads_ready, call);
            continue;
        }
        read_send(group, call->origin, WIRE_READ_INDEX, group->round.term,
                  call->origin_sequence, group->round.index);
        call_finish(group->owner, call, ERR_OK);
    }
    group_touch(group);
}

static void round_send(struct group *group, uint64_t now)
{
    const struct raft_configuration *members = &group->raft.configuration;
    struct read_round *round = &group->round;
    round->sent_ms = now;
    if (round->leader != group->raft.id) {
        read_send(group, round->leader, WIRE_READ_ASK, round->term, round->sequence, 0);
        return;
    }
    for (unsigned i = 0; i < members->n; i++)
        if (members->servers[i].role == RAFT_VOTER && members->servers[i].id != group->raft.id)
            read_send(group, members->servers[i].id, WIRE_READ_PING, round->term,
                      round->sequence, 0);
}

static void round_start(struct group *group, uint64_t now)
{
    uint64_t leader = group_leader(group);
    /* A new leader knows what is committed when all it started with is. */
    if (leader == 0 || (leader == group->raft.id && group->raft.commit_index < group->floor))
        return;
    group->round = (struct read_round){.active = true,
                                       .sequence = ++group->owner->nonce,
                                       .term = group->raft.current_term,
                                       .leader = leader,
                                       .index = group->raft.commit_index};
    call_append(&group->reads_round, &group->reads_open);
    round_send(group, now);
    if (leader == group->raft.id && round_has_majority(group))
        round_confirmed(group);
}

static void reads_answer(struct group *group)
{
    struct call_list kept = {0};
    for (struct call *call = call_pop(&group->reads_ready); call != NULL;
         call = call_pop(&group->reads_ready))
        if (call->index <= group->applied) {
            call->index = group->applied;
            call_finish(group->owner, call, ERR_OK);
        } else {
            call_push(&kept, call);
        }
    group->reads_ready = kept;
}

void reads_turn(struct group *group, uint64_t now)
{
    if (!group->started || group->failed)
        return;
    if (group->round.active && !round_holds(group)) {
        group->round.active = false;
        /* Peers ask again, whoever leads now. */
        call_append(&group->reads_open, &group->reads_round);
    }
    if (group->round.active && now - group->round.sent_ms >= group->owner->config.heartbeat_ms)
        round_send(group, now);
    if (!group->round.active && group->reads_open.head != NULL)
        round_start(group, now);
    reads_answer(group);
}

/* A peer's question joins the next round; a newer one of the same peer replaces the older. */
static void ask_received(struct group *group, uint64_t from, uint64_t sequence)
{
    if (!group_leads(group))
        return;
    for (struct call *call = group->reads_round.head; call != NULL; call = call->next)
        if (call->origin == from && call->origin_sequence == sequence)
            return;
    struct call *call = group->reads_open.head;
    while (call != NULL && call->origin != from)
        call = call->next;
    if (call == NULL) {
        call = call_new(NULL, NULL);
        call->origin = from;
        call_push(&group->reads_open, call);
    }
    call->origin_sequence = sequence;
    call->deadline_ms =
        replicator_now(group->owner) + 2 * group->owner->config.election_timeout_ms;
}

void reads_received(struct group *group, uint64_t from, const struct wire_message *message)
{
    struct read_round *round = &group->round;
    struct link *link;
    switch (message->type) {
    case WIRE_READ_PING:
        /* In memory is enough: no vote of a newer term has left. */
        if (message->term == group->raft.current_term && group_leader(group) == from)
            read_send(group, from, WIRE_READ_ACK, message->term, message->read.sequence, 0);
        break;
    case WIRE_READ_ACK:
        link = group_link(group, from, false);
        if (link == NULL || !round->active || !round_holds(group) ||
            round->leader != group->raft.id || message->term != round->term ||
            message->read.sequence != round->sequence)
            break;
        link->read_acked = round->sequence;
        if (round_has_majority(group))
            round_confirmed(group);
        break;
    case WIRE_READ_ASK:
        ask_received(group, from, message->read.sequence);
        break;
    case WIRE_READ_INDEX:
        if (!round->active || round->leader != from ||
            message->read.sequence != round->sequence)
            break;
        round->index = message->read.index;
        round_confirmed(group);
        break;
    default:
        break;
    }
}
