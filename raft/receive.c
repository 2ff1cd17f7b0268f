/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages of peers on their way into libraft. wire.c has checked what can be checked without
 * knowing the group; what depends on its state is checked here, because libraft believes what
 * it is told. Names R1 to R4 and P1, P2 are those of README.md.
 */
#include <stdlib.h>

#include "node/base/log.h"
#include "node/runtime/metrics.h"
#include "raft/internal.h"

struct sender {
    uint64_t node_id;
    char address[MEMBERSHIP_ADDRESS_SIZE];
    struct frame *frame;
};

static void refused(const struct group *group, const struct sender *sender, const char *reason)
{
    metric_add(METRIC_RAFT_MESSAGES_REFUSED, 1);
    log_warn(NULL, "raft message refused",
             LOG_FIELDS(LOG_U64("group", group->id), LOG_U64("from", sender->node_id),
                        LOG_TEXT("reason", reason)));
}

static int message_step(struct group *group, const struct sender *sender,
                        struct raft_message *message, struct frame *frame)
{
    struct step_memory memory = {.frame = frame};
    struct raft_event event = {.type = RAFT_RECEIVE, .receive.message = message};
    message->server_id = sender->node_id;
    message->server_address = sender->address;
    return group_step(group, &event, &memory);
}

/* One AppendEntries of entries start..end-1 of the message. */
static int append_step(struct group *group, const struct sender *sender,
                       const struct wire_message *message, unsigned start, unsigned end)
{
    const struct entry *entries = message->append.entries;
    struct raft_entry *scratch = replicator_scratch(group->owner, end - start + 1);
    struct raft_message append = {.type = RAFT_APPEND_ENTRIES};
    uint64_t last = message->append.prev_index + end;
    uint64_t commit = message->append.commit_index;
    /* libraft takes the smaller of the leader's commit index and the last entry here, even when
     * that is behind what it knew to be committed already. */
    if (last <= group->raft.commit_index && commit > group->raft.commit_index)
        commit = group->raft.commit_index;
    /* libraft frees the batch of entries that it does not keep; what it frees is this token. */
    void *token = end > start ? raft_malloc(8) : NULL;
    CHECK(end == start || token != NULL);
    for (unsigned i = start; i < end; i++) {
        union {
            const uint8_t *from;
            void *to;
        } data = {.from = entries[i].data.at};
        scratch[i - start] = (struct raft_entry){.term = entries[i].term,
                                                 .type = (enum raft_entry_type)entries[i].type,
                                                 .buf = {data.to, entries[i].data.len},
                                                 .batch = token};
    }
    append.append_entries.term = message->term;
    append.append_entries.prev_log_index = message->append.prev_index + start;
    append.append_entries.prev_log_term =
        start > 0 ? entries[start - 1].term : message->append.prev_term;
    append.append_entries.leader_commit = commit;
    append.append_entries.entries = end > start ? scratch : NULL;
    append.append_entries.n_entries = end - start;
    return message_step(group, sender, &append, sender->frame);
}

/*
 * R2: entries below the trimmed log are committed here, libraft must not see them. Skips them;
 * what is left empty becomes a heartbeat at the commit index, where this log agrees with every
 * later leader's.
 */
static void append_skip_trimmed(struct group *group, struct wire_message *message)
{
    uint64_t base = group->raft.trail.offset;
    uint64_t commit = group->raft.commit_index;
    if (message->append.prev_index >= base)
        return;
    uint64_t skip = base - message->append.prev_index;
    if (skip < message->append.count) {
        message->append.prev_index = base;
        message->append.prev_term = group_term_of(group, base);
        message->append.entries += skip;
        message->append.count -= (unsigned)skip;
        return;
    }
    /* The commit index is behind the base while the log is about to begin there. */
    message->append.prev_index = commit > base ? commit : base;
    message->append.prev_term = group_term_of(group, message->append.prev_index);
    message->append.count = 0;
}

static void append_received(struct group *group, const struct sender *sender,
                            struct wire_message *message)
{
    uint64_t term = group->raft.current_term;
    uint64_t leader = group_leader(group);
    if (message->term == term && group->raft.state == RAFT_LEADER) {
        refused(group, sender, "append of the term that this node leads");
        return;
    }
    if (message->term == term && leader != 0 && leader != sender->node_id) {
        refused(group, sender, "append of a second leader");
        return;
    }
    /* Only to be told the newer term; or that somebody is here: libraft does not answer
     * entries while it waits for the log to begin anew. */
    if (message->term < term || group->install.active || group->owner->quiesced)
        message->append.count = 0;
    append_skip_trimmed(group, message);
    if (message->term >= term) {
        group->heard_ms = replicator_now(group->owner);
        group->heard_term = message->term;
        group->unserving = message->append.unserving;
        failover_heard(group);
    }
    /* R3, for P1: a change must be the first of its batch. */
    unsigned start = 0;
    do {
        unsigned end = start;
        while (end < message->append.count &&
               (end == start || message->append.entries[end].type != ENTRY_CHANGE))
            end++;
        if (append_step(group, sender, message, start, end) != 0)
            return;
        /* Refused, or libraft would have the last of them: no use in going on. */
        if (end > start && group_term_of(group, message->append.prev_index + end) !=
                               message->append.entries[end - 1].term)
            return;
        start = end;
    } while (start < message->append.count);
    if (message->term == group->raft.current_term &&
        message->append.trim_before > group->trim_allowed)
        group->trim_allowed = message->append.trim_before;
}

/*
 * What a member has acknowledged it has: it cannot refuse it. libraft would step back behind
 * it and, with the window then negative, send this member nothing until the next election.
 */
static void append_result_received(struct group *group, const struct sender *sender,
                                   const struct wire_message *message)
{
    struct raft_message result = {.type = RAFT_APPEND_ENTRIES_RESULT};
    uint64_t match = group_match(group, sender->node_id);
    uint64_t last = message->append_result.last_index;
    bool leads = group_leads(group) && message->term == group->raft.current_term;
    struct link *link = group_link(group, sender->node_id, leads);
    if (leads && link != NULL) {
        link->contact_ms = replicator_now(group->owner);
        link->known = true;
        link->standing = message->append_result.standing;
    }
    if (leads && message->append_result.rejected > 0) {
        if (message->append_result.rejected <= match)
            return;
        if (last < match)
            last = match;
        if (link != NULL)
            link_forget_entries(link);
    }
    result.append_entries_result.version = 2;
    result.append_entries_result.term = message->term;
    result.append_entries_result.rejected = message->append_result.rejected;
    result.append_entries_result.last_log_index = last;
    message_step(group, sender, &result, NULL);
    if (link != NULL && link->install != 0 &&
        group_match(group, sender->node_id) >= link->install)
        link->install = 0;
}

/* The leader's log begins behind an entry that this node has not. */
static void install_received(struct group *group, const struct sender *sender,
                             const struct wire_message *message)
{
    struct raft_message install = {.type = RAFT_INSTALL_SNAPSHOT};
    uint64_t leader = group_leader(group);
    if (message->term == group->raft.current_term &&
        (group->raft.state == RAFT_LEADER || (leader != 0 && leader != sender->node_id))) {
        refused(group, sender, "install of a second leader");
        return;
    }
    /* Older ones are told so by their heartbeats (P2); while one is under way libraft leaks. */
    if (message->term < group->raft.current_term || group->install.active)
        return;
    if (group->owner->quiesced)
        return;
    if (!group->witness && group->owner->config.machine->ops->fetch == NULL) {
        refused(group, sender, "the state cannot be fetched here");
        return;
    }
    group->heard_ms = replicator_now(group->owner);
    group->heard_term = message->term;
    failover_heard(group);
    union {
        const uint8_t *from;
        void *to;
    } members = {.from = message->install.members.at};
    struct raft_buffer buffer = {members.to, message->install.members.len};
    install.install_snapshot.version = 1;
    install.install_snapshot.term = message->term;
    install.install_snapshot.last_index = message->install.last_index;
    install.install_snapshot.last_term = message->install.last_term;
    install.install_snapshot.conf_index = message->install.members_index;
    CHECK(raft_configuration_decode(&buffer, &install.install_snapshot.conf) == 0);
    message_step(group, sender, &install, NULL);
}

/*
 * A candidate's log may hold the change that makes this node a voter, while this node has not
 * got it: then the candidate cannot win without a vote that libraft refuses to give, and this
 * node never stands itself. A vote depends on the logs alone (Raft, section 4.1), so for this
 * one step the node is a voter. And a node that does not vote never gives a leader up, so the
 * leader that it last knew counts only while it was heard.
 */
static void vote_step_as_voter(struct group *group, const struct sender *sender,
                               struct raft_message *vote)
{
    struct raft_configuration *members = &group->raft.configuration;
    uint64_t now = replicator_now(group->owner);
    unsigned at = 0;
    if (failover_unheard(group))
        vote->request_vote.disrupt_leader = true;
    while (at < members->n && members->servers[at].id != group->raft.id)
        at++;
    if (at == members->n || members->servers[at].role == RAFT_VOTER) {
        message_step(group, sender, vote, NULL);
        return;
    }
    int role = members->servers[at].role;
    if (now - group->heard_ms >= group->owner->config.election_timeout_ms)
        vote->request_vote.disrupt_leader = true;
    members->servers[at].role = RAFT_VOTER;
    message_step(group, sender, vote, NULL);
    /* A vote changes no members: they are where they were. */
    members->servers[at].role = role;
}

/* This node owes, and so does the candidate: no vote (group_owes()). */
static bool promised_more(const struct group *group, const struct wire_message *vote)
{
    return group_owes(group) &&
           group_owes_at(group, vote->vote.last_term, vote->vote.last_index);
}

static void vote_received(struct group *group, const struct sender *sender,
                          const struct wire_message *message)
{
    struct raft_message vote = {.type = RAFT_REQUEST_VOTE};
    if (promised_more(group, message))
        return;
    vote.request_vote.version = 2;
    vote.request_vote.term = message->term;
    vote.request_vote.candidate_id = sender->node_id;
    vote.request_vote.last_log_index = message->vote.last_index;
    vote.request_vote.last_log_term = message->vote.last_term;
    vote.request_vote.disrupt_leader = message->vote.disrupt;
    vote.request_vote.pre_vote = message->vote.pre_vote;
    vote_step_as_voter(group, sender, &vote);
}

static void vote_result_received(struct group *group, const struct sender *sender,
                                 const struct wire_message *message)
{
    struct raft_message result = {.type = RAFT_REQUEST_VOTE_RESULT};
    /* libraft looks at the candidate's part of a union whatever the state is. */
    if (group->raft.state != RAFT_CANDIDATE ||
        group->raft.candidate_state.in_pre_vote != message->vote_result.pre_vote)
        return;
    if (message->vote_result.granted &&
        message->term > group->raft.current_term + (message->vote_result.pre_vote)) {
        refused(group, sender, "vote for a term that was not asked for");
        return;
    }
    result.request_vote_result.version = 2;
    result.request_vote_result.term = message->term;
    result.request_vote_result.vote_granted = message->vote_result.granted;
    result.request_vote_result.pre_vote = message->vote_result.pre_vote;
    message_step(group, sender, &result, NULL);
}

static void timeout_now_received(struct group *group, const struct sender *sender,
                                 const struct wire_message *message)
{
    struct raft_message timeout = {.type = RAFT_TIMEOUT_NOW};
    /* It would lead without an election: see group_timer(). */
    if (group_sole_voter(group) || group_owes(group) || group->owner->quiesced)
        return;
    timeout.timeout_now.term = message->term;
    timeout.timeout_now.last_log_index = message->timeout_now.last_index;
    timeout.timeout_now.last_log_term = message->timeout_now.last_term;
    message_step(group, sender, &timeout, NULL);
}

static void message_received(struct replicator *replicator, const struct sender *sender,
                             struct wire_message *message)
{
    struct group *group = replicator_group(replicator, message->group);
    if (group == NULL || !group->started || group->failed)
        return;
    group_touch(group);
    switch (message->type) {
    case WIRE_APPEND:
        append_received(group, sender, message);
        break;
    case WIRE_APPEND_RESULT:
        append_result_received(group, sender, message);
        break;
    case WIRE_VOTE:
        vote_received(group, sender, message);
        break;
    case WIRE_VOTE_RESULT:
        vote_result_received(group, sender, message);
        break;
    case WIRE_TIMEOUT_NOW:
        timeout_now_received(group, sender, message);
        break;
    case WIRE_INSTALL:
        install_received(group, sender, message);
        break;
    default:
        reads_received(group, sender->node_id, message);
        break;
    }
}

static void frame_received(struct replicator *replicator, const struct received *received)
{
    struct sender sender = {.node_id = received->node_id, .frame = received->frame};
    struct wire_message message;
    membership_address(sender.node_id, sender.address);
    enum err err = wire_reader_start(&replicator->reader, frame_bytes(received->frame));
    /* R1: who it is was checked by the transport; what it says of itself must agree. */
    if (err == ERR_OK && (replicator->reader.sender != sender.node_id ||
                          sender.node_id == replicator->config.node_id))
        err = ERR_MALFORMED;
    while (err == ERR_OK) {
        err = wire_reader_next(&replicator->reader, &message);
        if (err == ERR_OK)
            message_received(replicator, &sender, &message);
    }
    if (err == ERR_MALFORMED) {
        metric_add(METRIC_RAFT_MESSAGES_REFUSED, 1);
        log_warn(NULL, "raft frame refused", LOG_FIELDS(LOG_U64("from", sender.node_id)));
    }
}

bool receive_turn(struct replicator *replicator)
{
    size_t bytes = 0;
    while (replicator->received_head != NULL && bytes < RECEIVE_BYTES_PER_TURN) {
        struct received *received = replicator->received_head;
        replicator->received_head = received->next;
        if (replicator->received_head == NULL)
            replicator->received_tail = NULL;
        bytes += frame_bytes(received->frame).len;
        frame_received(replicator, received);
        frame_unref(received->frame);
        free(received);
    }
    return replicator->received_head != NULL;
}
