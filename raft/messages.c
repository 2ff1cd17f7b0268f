/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What libraft wants to say, as it goes over the wire; with what it leaves unset, or gets
 * wrong. */
#include "node/base/log.h"
#include "raft/internal.h"

/*
 * libraft leaves last_log_index unset when it refuses an AppendEntries of an older term, and
 * the receiver may by then lead the newer one.
 */
static void stale_result_repair(const struct group *group, const struct raft_event *event,
                                struct wire_message *message)
{
    if (event->type != RAFT_RECEIVE || event->receive.message->type != RAFT_APPEND_ENTRIES ||
        event->receive.message->append_entries.term >= group->raft.current_term)
        return;
    uint64_t last = group->cache.next - 1;
    if (message->append_result.rejected == 0)
        message->append_result.rejected = 1;
    message->append_result.last_index =
        message->append_result.rejected - 1 < last ? message->append_result.rejected - 1 : last;
}

/*
 * A refused pre-vote carries the candidate's own term back, so a candidate with an old term
 * and the best log would ask in its old term for ever, and nobody else can win without its
 * vote. Tell it the term that it must pass: libraft takes that from a refusal.
 */
static void pre_vote_term(const struct group *group, const struct raft_event *event,
                          struct wire_message *message)
{
    if (event->type == RAFT_RECEIVE && event->receive.message->type == RAFT_REQUEST_VOTE &&
        message->vote_result.pre_vote && !message->vote_result.granted &&
        message->term < group->raft.current_term)
        message->term = group->raft.current_term;
}

/*
 * The member's log ends below this one's. What libraft says of the membership in its message is
 * garbage of the stack: it is attached when the message goes into a frame (send.c).
 */
static void install_convert(struct group *group, const struct raft_message *from,
                            struct wire_message *to)
{
    struct link *link = group_link(group, from->server_id, true);
    to->type = WIRE_INSTALL;
    to->term = from->install_snapshot.term;
    to->install.last_index = from->install_snapshot.last_index;
    to->install.last_term = from->install_snapshot.last_term;
    if (link == NULL || link->install == to->install.last_index)
        return;
    link->install = to->install.last_index;
    log_info(NULL, "a member needs the state: its log ends below this one's",
             LOG_FIELDS(LOG_U64("group", group->id), LOG_U64("member", from->server_id),
                        LOG_U64("index", to->install.last_index)));
}

static uint8_t standing_of(const struct group *group)
{
    unsigned standing = group->owner->quiesced ? WIRE_UNWILLING : 0;
    if (group->witness)
        standing |= WIRE_STATELESS;
    else if (!group_whole(group))
        standing |= WIRE_PARTIAL;
    return (uint8_t)standing;
}

static bool message_convert(struct group *group, const struct raft_event *event,
                            const struct raft_message *from, struct wire_message *to)
{
    *to = (struct wire_message){.group = group->id};
    switch (from->type) {
    case RAFT_APPEND_ENTRIES:
        to->type = WIRE_APPEND;
        to->term = from->append_entries.term;
        to->append.prev_index = from->append_entries.prev_log_index;
        to->append.prev_term = from->append_entries.prev_log_term;
        to->append.commit_index = from->append_entries.leader_commit;
        to->append.trim_before = group->trim_allowed;
        to->append.count = from->append_entries.n_entries;
        return true;
    case RAFT_APPEND_ENTRIES_RESULT:
        to->type = WIRE_APPEND_RESULT;
        to->term = from->append_entries_result.term;
        to->append_result.rejected = from->append_entries_result.rejected;
        to->append_result.last_index = from->append_entries_result.last_log_index;
        to->append_result.standing = standing_of(group);
        stale_result_repair(group, event, to);
        return true;
    case RAFT_REQUEST_VOTE:
        to->type = WIRE_VOTE;
        to->term = from->request_vote.term;
        to->vote.last_index = from->request_vote.last_log_index;
        to->vote.last_term = from->request_vote.last_log_term;
        to->vote.disrupt = from->request_vote.disrupt_leader;
        to->vote.pre_vote = from->request_vote.pre_vote;
        return true;
    case RAFT_REQUEST_VOTE_RESULT:
        to->type = WIRE_VOTE_RESULT;
        to->term = from->request_vote_result.term;
        to->vote_result.granted = from->request_vote_result.vote_granted;
        to->vote_result.pre_vote = from->request_vote_result.pre_vote;
        pre_vote_term(group, event, to);
        return true;
    case RAFT_TIMEOUT_NOW:
        to->type = WIRE_TIMEOUT_NOW;
        to->term = from->timeout_now.term;
        to->timeout_now.last_index = from->timeout_now.last_log_index;
        to->timeout_now.last_term = from->timeout_now.last_log_term;
        return true;
    case RAFT_INSTALL_SNAPSHOT:
        install_convert(group, from, to);
        return true;
    }
    return false;
}

void messages_take(struct group *group, const struct raft_event *event,
                   const struct raft_update *update)
{
    for (unsigned i = 0; i < update->messages.n; i++) {
        struct wire_message message;
        const struct raft_message *from = &update->messages.batch[i];
        if (from->server_id != group->raft.id && message_convert(group, event, from, &message))
            group_send(group, from->server_id, &message);
    }
}
