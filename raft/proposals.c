/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Proposals: copied once when they come, submitted together in the next turn, answered when
 * they have been applied (release.c). `submitted` is in the order of the log.
 */
#include <stdlib.h>

#include "raft/internal.h"

void replicator_propose(struct replicator *replicator, uint32_t id, struct bytes command,
                        replicator_done *done, void *context)
{
    struct group *group = replicator_group(replicator, id);
    struct call *call = call_new(done, context);
    CHECK(command.len > 0);
    if (command.len > REPLICATOR_COMMAND_SIZE_MAX) {
        call_finish(replicator, call, ERR_TOOBIG);
    } else if (group == NULL || !group_serves(group)) {
        call_finish(replicator, call, ERR_NOTLEADER);
    } else if (replicator->quiesced) {
        call_finish(replicator, call, ERR_UNAVAILABLE);
    } else if (replicator->waiting_bytes + command.len >
               replicator->config.inflight_bytes_max) {
        call_finish(replicator, call, ERR_BUSY);
    } else {
        call->command = frame_new(command.len);
        memcpy(frame_memory(call->command), command.at, command.len);
        replicator->waiting_bytes += command.len;
        call_push(&group->waiting, call);
        group_touch(group);
    }
}

static size_t call_size(const struct call *call)
{
    return frame_bytes(call->command).len;
}

static void submit(struct group *group, struct call_list *list, unsigned count)
{
    struct replicator *replicator = group->owner;
    struct raft_entry *entries = replicator_scratch(replicator, count);
    struct step_memory memory = {.calls = list->head};
    struct raft_event event = {.type = RAFT_SUBMIT};
    uint64_t index = raft_last_index(&group->raft) + 1;
    uint64_t term = group->raft.current_term;
    void *token = raft_malloc(8);
    CHECK(token != NULL);
    struct call *call = list->head;
    for (unsigned i = 0; i < count; i++, call = call->next)
        entries[i] = (struct raft_entry){
            .term = term,
            .type = RAFT_COMMAND,
            .buf = {frame_memory(call->command), call_size(call)},
            .batch = token,
        };
    event.submit.entries = entries;
    event.submit.n = count;
    int code = group_step(group, &event, &memory);
    raft_free(token);
    if (code != 0) {
        call_finish_all(replicator, list, ERR_NOTLEADER);
        return;
    }
    replicator->inflight_bytes += list->bytes;
    for (call = list->head; call != NULL; call = call->next) {
        call->index = index++;
        call->term = term;
    }
    call_append(&group->submitted, list);
}

void proposals_turn(struct group *group)
{
    struct replicator *replicator = group->owner;
    if (replicator->quiesced && group->waiting.head != NULL) {
        replicator->waiting_bytes -= group->waiting.bytes;
        call_finish_all(replicator, &group->waiting, ERR_UNAVAILABLE);
    }
    /* During a transfer libraft takes nothing; what waits goes in when it fails. */
    if (group->transfer.call != NULL || !group_leads(group))
        return;
    while (group->waiting.head != NULL) {
        struct call_list list = {0};
        unsigned count = 0;
        while (group->waiting.head != NULL && count < SUBMIT_ENTRIES_MAX) {
            uint64_t inflight = replicator->inflight_bytes + list.bytes;
            if (inflight > 0 && inflight + call_size(group->waiting.head) >
                                    replicator->config.inflight_bytes_max)
                break;
            struct call *call = call_pop(&group->waiting);
            replicator->waiting_bytes -= call_size(call);
            call_push(&list, call);
            count++;
        }
        if (count == 0)
            return;
        submit(group, &list, count);
    }
}

static void given_up(struct replicator *replicator, struct call *call, enum err err)
{
    replicator->inflight_bytes -= call_size(call);
    call_finish(replicator, call, err);
}

void proposals_lost(struct group *group)
{
    struct replicator *replicator = group->owner;
    struct call_list committed = {0};
    replicator->waiting_bytes -= group->waiting.bytes;
    call_finish_all(replicator, &group->waiting, ERR_NOTLEADER);
    /*
     * What is committed will be applied here. The rest may still be, or be replaced: perhaps it
     * was, in the very step in which the new leader's entries came with their commit index.
     */
    for (struct call *call = call_pop(&group->submitted); call != NULL;
         call = call_pop(&group->submitted))
        if (call->index <= group->raft.commit_index && !group->failed &&
            group_term_of(group, call->index) == call->term)
            call_push(&committed, call);
        else
            given_up(replicator, call, ERR_UNKNOWN);
    group->submitted = committed;
    /* Whether another data center has these is known to the leader alone. */
    call_finish_all(replicator, &group->gated, ERR_UNKNOWN);
}

void proposals_skipped(struct group *group, uint64_t index)
{
    while (group->submitted.head != NULL && group->submitted.head->index <= index)
        given_up(group->owner, call_pop(&group->submitted), ERR_UNKNOWN);
}

void proposals_applied(struct group *group, const struct machine_command *command)
{
    struct replicator *replicator = group->owner;
    struct call *call = group->submitted.head;
    if (call == NULL || call->index > command->index)
        return;
    CHECK(call->index == command->index && call->term == command->term);
    call = call_pop(&group->submitted);
    replicator->inflight_bytes -= call_size(call);
    call->reply = command->reply;
    if (replicator->config.cross_dc && group->led_term != call->term)
        call_finish(replicator, call, ERR_UNKNOWN);
    else
        call_push(&group->gated, call);
}

int group_submit_own(struct group *group, uint8_t type, struct bytes data)
{
    struct frame *frame = frame_new(data.len);
    struct raft_entry entry = {.term = group->raft.current_term,
                               .type = (enum raft_entry_type)type,
                               .buf = {frame_memory(frame), data.len},
                               .batch = raft_malloc(8)};
    struct step_memory memory = {.one = frame};
    struct raft_event event = {.type = RAFT_SUBMIT};
    CHECK(entry.batch != NULL);
    memcpy(frame_memory(frame), data.at, data.len);
    event.submit.entries = &entry;
    event.submit.n = 1;
    int code = group_step(group, &event, &memory);
    raft_free(entry.batch);
    frame_unref(frame);
    return code;
}
