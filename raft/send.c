/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages on their way out: a queue for each group and peer, and frames filled from them in
 * turn, so that one group's backlog does not keep the heartbeats of the others. The entries of
 * an AppendEntries are attached when it goes into a frame: what waits is small, and a leader's
 * log does not change under it while its term lasts.
 */
#include <stdlib.h>

#include "raft/internal.h"

struct link *group_link(struct group *group, uint64_t node_id, bool make)
{
    for (unsigned i = 0; i < group->links_count; i++)
        if (group->links[i]->peer->node_id == node_id)
            return group->links[i];
    if (!make || group->links_count == LINKS_MAX)
        return NULL;
    if (group->links_count == group->links_room) {
        group->links_room = group->links_room > 0 ? group->links_room * 2 : 4;
        group->links = realloc(group->links, group->links_room * sizeof(struct link *));
        CHECK(group->links != NULL);
    }
    struct link *link = calloc(1, sizeof(*link));
    CHECK(link != NULL);
    link->peer = replicator_peer(group->owner, node_id, true);
    link->group = group;
    group->links[group->links_count++] = link;
    return link;
}

static void link_pending(struct link *link)
{
    struct peer *peer = link->peer;
    if (link->pending)
        return;
    link->pending = true;
    link->next_pending = NULL;
    if (peer->pending_tail != NULL)
        peer->pending_tail->next_pending = link;
    else
        peer->pending_head = link;
    peer->pending_tail = link;
}

static struct link *peer_next(struct peer *peer)
{
    struct link *link = peer->pending_head;
    peer->pending_head = link->next_pending;
    if (peer->pending_head == NULL)
        peer->pending_tail = NULL;
    link->pending = false;
    return link;
}

void link_unlist(struct link *link)
{
    struct peer *peer = link->peer;
    struct link *next = peer->pending_head;
    peer->pending_head = peer->pending_tail = NULL;
    while (next != NULL) {
        struct link *kept = next;
        next = next->next_pending;
        kept->pending = false;
        if (kept != link)
            link_pending(kept);
    }
}

static void link_pop(struct link *link)
{
    struct outgoing *outgoing = link->head;
    link->head = outgoing->next;
    if (link->head == NULL) {
        link->tail = NULL;
        link->queued_to = 0; /* however it went: sent, or trimmed meanwhile */
    }
    link->count--;
    free(outgoing);
}

/* The caller takes it off its peer's list, or does not care any more. */
void link_clear(struct link *link)
{
    while (link->head != NULL)
        link_pop(link);
    link->queued_to = 0;
}

void link_forget_entries(struct link *link)
{
    for (struct outgoing *out = link->head; out != NULL; out = out->next)
        if (out->message.type == WIRE_APPEND)
            out->message.append.count = 0;
    link->queued_to = 0;
}

static void link_add(struct link *link, struct outgoing *outgoing)
{
    struct wire_message *message = &outgoing->message;
    if (!link->peer->up || link->count >= LINK_QUEUE_MAX) {
        free(outgoing);
        return;
    }
    if (message->type == WIRE_APPEND && message->append.count > 0) {
        uint64_t last = message->append.prev_index + message->append.count;
        if (link->queued_term != message->term)
            link->queued_to = 0;
        /*
         * A slow link: libraft gave up waiting for the answer to what still lies here, and
         * starts over from the last entry acknowledged. A heartbeat will do.
         */
        if (message->append.prev_index < link->queued_to) {
            message->append.count = 0;
        } else {
            link->queued_to = last;
            link->queued_term = message->term;
        }
    }
    outgoing->next = NULL;
    if (link->tail != NULL)
        link->tail->next = outgoing;
    else
        link->head = outgoing;
    link->tail = outgoing;
    link->count++;
    link_pending(link);
}

static void group_queue(struct group *group, struct outgoing *outgoing)
{
    struct link *link = group_link(group, outgoing->to, true);
    if (link != NULL)
        link_add(link, outgoing);
    else
        free(outgoing);
}

void group_send(struct group *group, uint64_t to, const struct wire_message *message)
{
    struct outgoing *outgoing = malloc(sizeof(*outgoing));
    CHECK(outgoing != NULL);
    *outgoing = (struct outgoing){.to = to, .message = *message};
    if (!group->hold) {
        group_queue(group, outgoing);
        return;
    }
    if (group->held_count >= LINK_QUEUE_MAX) {
        free(outgoing);
        return;
    }
    if (group->held_tail != NULL)
        group->held_tail->next = outgoing;
    else
        group->held_head = outgoing;
    group->held_tail = outgoing;
    group->held_count++;
}

void group_release_held(struct group *group)
{
    struct outgoing *next = group->held_head;
    group->hold = false;
    group->held_head = group->held_tail = NULL;
    group->held_count = 0;
    while (next != NULL) {
        struct outgoing *outgoing = next;
        next = next->next;
        group_queue(group, outgoing);
    }
}

void peer_drop(struct peer *peer)
{
    while (peer->pending_head != NULL)
        link_clear(peer_next(peer));
}

/* What the member can be told of: entries that it is known to have on disk. 0: nothing new, or
 * it is not there. */
static uint64_t notify_target(const struct group *group, const struct link *link, uint64_t now)
{
    /* Most of the time nothing is new: libraft searches for a member among all. */
    if (group->raft.commit_index <= link->told)
        return 0;
    uint64_t target = group_match(group, link->peer->node_id);
    if (target > group->raft.commit_index)
        target = group->raft.commit_index;
    if (target <= link->told || !link->peer->up || link->contact_ms == 0 ||
        now - link->contact_ms > 2 * group->owner->config.heartbeat_ms)
        return 0;
    if (link->queued_to >= target && link->queued_term == group->led_term)
        return 0;
    return target;
}

/*
 * The commit index has moved and no entries go to this member for some milliseconds: tell it,
 * rather than at the next heartbeat. (Entries carry the commit index too; under load they
 * follow each other closely, and this costs nothing.) The message stands on the last entry that
 * the member is known to have on disk, so that it can never be refused; to libraft its answer
 * is that of a heartbeat.
 */
void group_notify_commit(struct group *group)
{
    uint64_t now = replicator_now(group->owner);
    bool behind = false;
    bool due = group->notify_ms != 0 && now >= group->notify_ms;
    for (unsigned i = 0; i < group->links_count && group->led_term != 0; i++) {
        struct link *link = group->links[i];
        uint64_t target = notify_target(group, link, now);
        if (target == 0)
            continue;
        behind = true;
        if (!due)
            break;
        struct wire_message message = {
            .type = WIRE_APPEND, .group = group->id, .term = group->led_term};
        message.append.prev_index = target;
        message.append.prev_term = group_term_of(group, target);
        message.append.commit_index = group->raft.commit_index;
        if (message.append.prev_term == 0)
            continue;
        link->told = target;
        group_send(group, link->peer->node_id, &message);
    }
    if (!behind || due)
        group->notify_ms = 0;
    else if (group->notify_ms == 0)
        group->notify_ms = now + NOTIFY_MS;
}

static void plan_room(struct plan *plan, unsigned entries)
{
    if (plan->count == plan->room) {
        plan->room = plan->room > 0 ? plan->room * 2 : 64;
        plan->messages = realloc(plan->messages, plan->room * sizeof(*plan->messages));
        plan->entries_start =
            realloc(plan->entries_start, plan->room * sizeof(*plan->entries_start));
        CHECK(plan->messages != NULL && plan->entries_start != NULL);
    }
    if (plan->entries_count + entries > plan->entries_room) {
        plan->entries_room = (plan->entries_count + entries) * 2;
        plan->entries = realloc(plan->entries, plan->entries_room * sizeof(*plan->entries));
        CHECK(plan->entries != NULL);
    }
}

/*
 * Entries may leave before they are on the leader's own disk, but not a change of members: who
 * is demoted by it does not stand for election any more, so if the leader lost it in a crash,
 * nobody could be elected who has it.
 */
static uint64_t sendable_before(const struct group *group)
{
    for (unsigned i = 0; i < group->changes_count; i++)
        if (group->changes[i].index > group->raft.last_stored)
            return group->changes[i].index;
    return UINT64_MAX;
}

/* Where the first change at or behind `from` lies that names many members: a message that has
 * it has it alone, because its frame needs a newer version. UINT64_MAX: there is none. */
static uint64_t wide_from(const struct group *group, uint64_t from)
{
    for (unsigned i = 0; i < group->changes_count; i++)
        if (group->changes[i].index >= from &&
            membership_is_wide(bytes_from(group->changes[i].payload, group->changes[i].size)))
            return group->changes[i].index;
    return UINT64_MAX;
}

/* A write is done: what waited for it may go. */
void group_resume_links(struct group *group)
{
    for (unsigned i = 0; i < group->links_count; i++)
        if (group->links[i]->head != NULL)
            link_pending(group->links[i]);
}

enum plan_step { PLAN_TAKEN, PLAN_DROPPED, PLAN_BLOCKED };

/* Who is told to begin behind an entry is told the membership in force there. */
static enum plan_step plan_install(struct plan *plan, struct link *link)
{
    struct group *group = link->group;
    struct wire_message *message = &plan->messages[plan->count];
    *message = link->head->message;
    link_pop(link);
    const struct change *change = group_change_at(group, message->install.last_index);
    if (!group_leads(group) || group->led_term != message->term || change == NULL)
        return PLAN_DROPPED;
    message->install.members_index = change->index;
    message->install.members = bytes_from(change->payload, change->size);
    return PLAN_TAKEN;
}

/* The head of an AppendEntries that fits; the rest stays at the head of the queue. */
static enum plan_step plan_append(struct plan *plan, struct link *link, size_t budget)
{
    struct group *group = link->group;
    struct wire_message *waiting = &link->head->message;
    struct wire_message *message = &plan->messages[plan->count];
    unsigned wanted = waiting->append.count;
    unsigned count = 0;

    if (!group_leads(group) || group->led_term != waiting->term) {
        link_pop(link);
        return PLAN_DROPPED;
    }
    if (wanted > 0) {
        uint64_t next = waiting->append.prev_index + 1;
        uint64_t room = sendable_before(group) - next;
        uint64_t wide = wide_from(group, next);
        if (room == 0)
            return PLAN_BLOCKED;
        if (wide == next)
            room = 1;
        else if (wide - next < room)
            room = wide - next;
        plan_room(plan, wanted);
        message = &plan->messages[plan->count];
        count = group_entries(group, next, room < wanted ? (unsigned)room : wanted, budget,
                              plan->entries + plan->entries_count);
        if (count == 0) {
            trim_damaged(group, next);
            link_pop(link);
            return PLAN_DROPPED;
        }
    }
    *message = *waiting;
    message->append.count = count;
    message->append.commit_index = group->raft.commit_index;
    message->append.trim_before = group->trim_allowed;
    message->append.unserving = !group_serves(group);
    uint64_t last = message->append.prev_index + count;
    uint64_t told = last < group->raft.commit_index ? last : group->raft.commit_index;
    if (told > link->told)
        link->told = told;
    if (count < wanted) {
        waiting->append.prev_index = last;
        waiting->append.prev_term = plan->entries[plan->entries_count + count - 1].term;
        waiting->append.count = wanted - count;
    } else {
        if (last >= link->queued_to)
            link->queued_to = 0;
        link_pop(link);
    }
    plan->entries_start[plan->count] = plan->entries_count;
    plan->entries_count += count;
    return PLAN_TAKEN;
}

/* The next message of the link into the plan. */
static enum plan_step plan_message(struct plan *plan, struct link *link, size_t budget)
{
    struct wire_message *message = &plan->messages[plan->count];
    enum plan_step step = PLAN_TAKEN;
    switch (link->head->message.type) {
    case WIRE_APPEND:
        step = plan_append(plan, link, budget);
        message = &plan->messages[plan->count];
        if (step == PLAN_TAKEN && message->append.count > 0)
            message->append.entries = plan->entries + plan->entries_start[plan->count];
        break;
    case WIRE_INSTALL:
        step = plan_install(plan, link);
        break;
    default:
        *message = link->head->message;
        link_pop(link);
        break;
    }
    return step;
}

/* The version that the frame needs for what comes next. */
static unsigned version_next(const struct link *link)
{
    const struct wire_message *message = &link->head->message;
    const struct group *group = link->group;
    const struct change *change = NULL;
    uint64_t next = message->append.prev_index + 1;
    switch (message->type) {
    case WIRE_APPEND:
        if (message->append.count > 0 && wide_from(group, next) == next)
            return WIRE_VERSION_WIDE;
        return group_serves(group) ? 1 : 2;
    case WIRE_INSTALL:
        change = group_change_at(group, message->install.last_index);
        return change != NULL && membership_is_wide(bytes_from(change->payload, change->size))
                   ? WIRE_VERSION_WIDE
                   : 2;
    default:
        return wire_message_version(message);
    }
}

/* Returns false when the link has to wait for the log. */
static bool plan_link(struct plan *plan, struct link *link)
{
    size_t end = plan->bytes + LINK_SHARE_BYTES;
    while (link->head != NULL && plan->bytes < end && plan->bytes < FRAME_TARGET_BYTES) {
        if (plan->count > 0 && version_next(link) != plan->version) {
            plan->full = true;
            return true;
        }
        plan->version = version_next(link);
        plan_room(plan, 0);
        enum plan_step step = plan_message(plan, link, end - plan->bytes);
        if (step == PLAN_BLOCKED)
            return false;
        if (step == PLAN_DROPPED)
            continue;
        plan->bytes += wire_message_size(&plan->messages[plan->count]);
        plan->count++;
    }
    return true;
}

static struct frame *plan_frame(struct plan *plan, uint64_t sender)
{
    struct frame *frame = frame_new(WIRE_HEAD_SIZE + plan->bytes);
    uint8_t *at = frame_memory(frame);
    wire_head_write(at, sender, plan->count, plan->version);
    at += WIRE_HEAD_SIZE;
    for (unsigned i = 0; i < plan->count; i++) {
        struct wire_message *message = &plan->messages[i];
        if (message->type == WIRE_APPEND && message->append.count > 0)
            message->append.entries = plan->entries + plan->entries_start[i];
        at += wire_message_write(at, message);
    }
    for (unsigned i = 0; i < plan->entries_count; i++)
        frame_unref(plan->entries[i].owner);
    return frame;
}

static void peer_send(struct replicator *replicator, struct peer *peer)
{
    struct transport *transport = replicator->config.transport;
    struct plan *plan = &replicator->plan;
    while (peer->pending_head != NULL && transport->ops->room(transport, peer->node_id) > 0) {
        plan->count = plan->entries_count = 0;
        plan->bytes = 0;
        plan->full = false;
        while (peer->pending_head != NULL && plan->bytes < FRAME_TARGET_BYTES && !plan->full) {
            struct link *link = peer_next(peer);
            if (plan_link(plan, link) && link->head != NULL)
                link_pending(link);
        }
        if (plan->count > 0)
            transport->ops->send(transport, peer->node_id,
                                 plan_frame(plan, replicator->config.node_id));
    }
}

void send_turn(struct replicator *replicator)
{
    for (unsigned i = 0; i < replicator->peers_count; i++)
        if (replicator->peers[i]->up)
            peer_send(replicator, replicator->peers[i]);
}

void send_release(struct replicator *replicator)
{
    free(replicator->plan.messages);
    free(replicator->plan.entries_start);
    free(replicator->plan.entries);
}
