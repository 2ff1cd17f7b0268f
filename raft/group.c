/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of a group: from the log into libraft, and what is known of it. */
#include <stdlib.h>

#include "node/base/log.h"
#include "raft/internal.h"

_Static_assert(RAFT_VERSION_NUMBER == 2201, "written against the ownership rules of 0.22.1");
_Static_assert((int)ENTRY_COMMAND == (int)RAFT_COMMAND &&
                   (int)ENTRY_BARRIER == (int)RAFT_BARRIER &&
                   (int)ENTRY_CHANGE == (int)RAFT_CHANGE,
               "entry types are libraft's");

/* Spreads a seed, so that neighbouring groups and nodes do not share their jitter. */
static uint64_t mix(uint64_t value)
{
    value += 0x9e3779b97f4a7c15U;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31);
}

struct group *group_new(struct replicator *replicator, uint32_t id)
{
    const struct replicator_config *config = &replicator->config;
    char address[MEMBERSHIP_ADDRESS_SIZE];
    struct group *group = calloc(1, sizeof(*group));
    CHECK(group != NULL);
    group->owner = replicator;
    group->id = id;
    group->log_first = 1;
    cache_init(&group->cache, 1);
    membership_address(config->node_id, address);
    CHECK(raft_init(&group->raft, NULL, NULL, config->node_id, address) == 0);
    /* The default tracer formats every step into a static buffer. */
    group->raft.tracer = NULL;
    raft_seed(&group->raft, (unsigned)mix(config->seed ^ mix(config->node_id) ^ mix(id)));
    raft_set_election_timeout(&group->raft, config->election_timeout_ms);
    raft_set_heartbeat_timeout(&group->raft, config->heartbeat_ms);
    raft_set_pre_vote(&group->raft, true);
    raft_set_max_inflight_entries(&group->raft, INFLIGHT_ENTRIES_MAX);
    raft_set_install_snapshot_timeout(&group->raft, INSTALL_TIMEOUT_MS);
    group->lane = config->machine->ops->lane_of(config->machine, id);
    replicator_lane(replicator, group->lane);
    return group;
}

void group_free(struct group *group)
{
    struct replicator *replicator = group->owner;
    group->hold = false;
    while (group->held_head != NULL) {
        struct outgoing *next = group->held_head->next;
        free(group->held_head);
        group->held_head = next;
    }
    call_finish_all(replicator, &group->waiting, ERR_CLOSED);
    call_finish_all(replicator, &group->submitted, ERR_CLOSED);
    call_finish_all(replicator, &group->gated, ERR_CLOSED);
    call_finish_all(replicator, &group->reads_open, ERR_CLOSED);
    call_finish_all(replicator, &group->reads_round, ERR_CLOSED);
    call_finish_all(replicator, &group->reads_ready, ERR_CLOSED);
    if (group->change.call != NULL)
        call_finish(replicator, group->change.call, ERR_CLOSED);
    if (group->transfer.call != NULL)
        call_finish(replicator, group->transfer.call, ERR_CLOSED);
    if (group->closing.call != NULL && group->owner->closing_down)
        call_finish(replicator, group->closing.call, ERR_CLOSED);
    if (group->bootstrap != NULL)
        call_finish(replicator, group->bootstrap, ERR_CLOSED);
    for (unsigned i = 0; i < group->links_count; i++) {
        link_clear(group->links[i]);
        free(group->links[i]);
    }
    free(group->links);
    free(group->status);
    free(group->closing.members);
    if (group->install.active)
        raft_configuration_close(&group->install.base.configuration);
    raft_close(&group->raft, NULL);
    cache_fini(&group->cache);
    group_changes_truncate(group, 0);
    free(group->changes);
    free(group);
}

static void change_to_membership(const struct change *change, struct membership *membership)
{
    CHECK(membership_decode(bytes_from(change->payload, change->size), membership) == ERR_OK);
}

bool group_owes_at(const struct group *group, uint64_t term, uint64_t index)
{
    return term < group->promised_term ||
           (term == group->promised_term && index < group->promised_index);
}

bool group_owes(const struct group *group)
{
    uint64_t last = group->cache.next - 1;
    return group_owes_at(group, last > 0 ? group_term_of(group, last) : 0, last);
}

static bool sole_voter_in(const struct membership *membership, uint64_t node_id)
{
    unsigned at = membership_find(membership, node_id);
    return at < membership->count && membership->members[at].role == RAFT_VOTER &&
           membership_voters(membership) == 1;
}

static bool owes_at_start(const struct group *group, const struct raft_snapshot_metadata *base,
                          uint64_t first, const struct raft_entry *entries, unsigned count)
{
    if (count > 0)
        return group_owes_at(group, entries[count - 1].term, first + count - 1);
    return group_owes_at(group, base != NULL ? base->term : 0, base != NULL ? base->index : 0);
}

/* For this start libraft sees the newest membership with this node standing by, so that it does
 * not lead at once. */
static void stand_by(const struct group *group, struct membership *newest,
                     struct raft_snapshot_metadata *base, struct raft_entry *entries,
                     unsigned count, uint8_t *payload)
{
    unsigned at = count;
    newest->members[membership_find(newest, group->raft.id)].role = RAFT_STANDBY;
    while (at > 0 && entries[at - 1].type != RAFT_CHANGE)
        at--;
    if (at > 0) {
        entries[at - 1].buf.base = payload;
        entries[at - 1].buf.len = membership_encode(newest, payload);
        return;
    }
    for (unsigned i = 0; i < base->configuration.n; i++)
        if (base->configuration.servers[i].id == group->raft.id)
            base->configuration.servers[i].role = RAFT_STANDBY;
}

/*
 * RAFT_START. A node that is the only voter leads at once, and libraft lets it do so without
 * an election, in the term that it led before. Its entries of that term that were lost in a
 * crash may lie at a standby, and other ones would now get the same index and term. So it
 * starts in a new term, voted for by itself: nothing leaves before that is durable.
 */
static int group_begin(struct group *group, uint64_t term, uint64_t vote,
                       struct raft_snapshot_metadata *base, uint64_t first,
                       struct raft_entry *entries, unsigned count)
{
    struct raft_event event = {.type = RAFT_START};
    struct membership newest;
    uint8_t standing_by[MEMBERSHIP_SIZE_MAX];
    if (group->changes_count > 0) {
        change_to_membership(&group->changes[group->changes_count - 1], &newest);
        bool sole = sole_voter_in(&newest, group->raft.id);
        if (sole && owes_at_start(group, base, first, entries, count)) {
            stand_by(group, &newest, base, entries, count, standing_by);
        } else if (sole) {
            term++;
            vote = group->raft.id;
            group->sole_term = term;
            group->write.vote = true;
            group->hold = true;
            group_write_wanted(group);
        }
    }
    event.start.term = term;
    event.start.voted_for = vote;
    event.start.metadata = base;
    event.start.start_index = first;
    event.start.entries = entries;
    event.start.n_entries = count;
    group->started = true;
    int rv = group_step(group, &event, NULL);
    if (rv == 0)
        raft_free(entries);
    return rv;
}

/* The retained log in libraft's form; CHANGE entries are noted on the way. */
static enum err entries_load(struct group *group, const struct log_state *state,
                             struct entry *scanned, struct raft_entry *entries)
{
    struct entry_log *log = group->owner->config.log;
    unsigned count = (unsigned)(state->last_index + 1 - state->first_index);
    uint64_t term = state->base_term;
    enum err err = ERR_OK;
    unsigned found =
        count == 0 ? 0 : log->ops->scan(log, group->id, state->first_index, count, scanned);
    if (found != count)
        err = ERR_MALFORMED;
    for (unsigned i = 0; i < found; i++) {
        entries[i] = (struct raft_entry){.term = scanned[i].term,
                                         .type = (enum raft_entry_type)scanned[i].type};
        if (scanned[i].term < term || scanned[i].term == 0 || scanned[i].term > state->term)
            err = ERR_MALFORMED;
        term = scanned[i].term;
        if (scanned[i].type == ENTRY_CHANGE) {
            struct membership membership;
            if (membership_decode(scanned[i].data, &membership) != ERR_OK) {
                err = ERR_MALFORMED;
                continue;
            }
            group_changes_add(group, state->first_index + i, scanned[i].data);
            struct change *change = &group->changes[group->changes_count - 1];
            entries[i].buf = (struct raft_buffer){change->payload, change->size};
        }
    }
    for (unsigned i = 0; i < found; i++)
        frame_unref(scanned[i].owner);
    return err;
}

static enum err base_load(struct group *group, const struct log_state *state,
                          struct raft_snapshot_metadata *base)
{
    struct bytes members = state->base_members;
    struct membership membership;
    if (membership_decode(members, &membership) != ERR_OK ||
        state->base_members_index >= state->first_index || state->base_term == 0)
        return ERR_MALFORMED;
    group_changes_add(group, state->base_members_index, members);
    struct change *change = &group->changes[0];
    struct raft_buffer buffer = {change->payload, change->size};
    base->index = state->first_index - 1;
    base->term = state->base_term;
    base->configuration_index = state->base_members_index;
    CHECK(raft_configuration_decode(&buffer, &base->configuration) == 0);
    group->configured = state->base_members_index;
    return ERR_OK;
}

/* What is here of the state. What was applied was durable in the log first, and what was cut
 * off was applied; unless the state came from another replica. */
static void state_load(struct group *group)
{
    struct machine *machine = group->owner->config.machine;
    enum machine_state kept = group_machine_state(group);
    group->witness = kept == MACHINE_NONE;
    group->applied = kept == MACHINE_WHOLE ? machine->ops->applied(machine, group->id) : 0;
    group->apply_next = group->applied + 1;
    if (kept == MACHINE_PARTIAL ||
        (kept == MACHINE_WHOLE && group->applied < group->log_first - 1))
        fetch_want(group);
}

enum err group_open(struct group *group, const struct log_state *state)
{
    struct raft_snapshot_metadata base = {0};
    bool trimmed = state->first_index > 1;
    unsigned count = (unsigned)(state->last_index + 1 - state->first_index);
    cache_init(&group->cache, state->last_index + 1);
    group->log_first = state->first_index;
    group->promised_term = state->promised_term;
    group->promised_index = state->promised_index;
    state_load(group);
    if (fetch_waits(group) && group->owner->config.machine->ops->fetch == NULL) {
        log_error(NULL, "log and state do not fit",
                  LOG_FIELDS(LOG_U64("group", group->id), LOG_U64("applied", group->applied),
                             LOG_U64("first", state->first_index),
                             LOG_U64("last", state->last_index)));
        return ERR_MALFORMED;
    }
    if (trimmed && base_load(group, state, &base) != ERR_OK)
        return ERR_MALFORMED;
    struct entry *scanned = calloc((size_t)count + 1, sizeof(*scanned));
    struct raft_entry *entries = raft_calloc((size_t)count + 1, sizeof(*entries));
    CHECK(scanned != NULL && entries != NULL);
    enum err err = entries_load(group, state, scanned, entries);
    free(scanned);
    if (err == ERR_OK && count > 0 && !trimmed && entries[0].type != RAFT_CHANGE)
        err = ERR_MALFORMED;
    if (err != ERR_OK) {
        raft_free(entries);
        if (trimmed)
            raft_configuration_close(&base.configuration);
        log_error(NULL, "log does not make sense", LOG_FIELDS(LOG_U64("group", group->id)));
        return err;
    }
    return group_begin(group, state->term, state->vote, trimmed ? &base : NULL,
                       state->first_index, entries, count) == 0
               ? ERR_OK
               : ERR_MALFORMED;
}

void group_start_fresh(struct group *group)
{
    unsigned count = (unsigned)(group->cache.next - group->cache.first);
    struct raft_entry *entries = raft_calloc((size_t)count + 1, sizeof(*entries));
    CHECK(entries != NULL && count <= 1);
    if (count == 1) {
        struct change *change = &group->changes[0];
        entries[0] = (struct raft_entry){
            .term = 1, .type = RAFT_CHANGE, .buf = {change->payload, change->size}};
    }
    state_load(group);
    /* A log that begins anew knows nothing of a state that is there already. */
    if (group->applied > 0)
        fetch_want(group);
    uint64_t term = count > 0 ? 1 : group->raft.current_term;
    uint64_t vote = count > 0 ? group->raft.id : group->raft.voted_for;
    CHECK(group_begin(group, term, vote, NULL, 1, entries, count) == 0);
}

uint64_t group_term_of(const struct group *group, uint64_t index)
{
    const struct raft_trail *trail = &group->raft.trail;
    unsigned count = trail->front <= trail->back ? trail->back - trail->front
                                                 : trail->size - trail->front + trail->back;
    if (index > trail->offset)
        for (unsigned i = 0; i < count; i++) {
            unsigned at = (trail->front + i) % trail->size;
            if (index <= trail->records[at].index)
                return trail->records[at].term;
        }
    return index != 0 && index == trail->snapshot.index ? trail->snapshot.term : 0;
}

/* raft_state() and its kin only read; they take a pointer to something that may change. */
bool group_leads(const struct group *group)
{
    return group->started && !group->failed && group->raft.state == RAFT_LEADER;
}

bool group_whole(const struct group *group)
{
    return !group->witness && !group->fetch.wanted;
}

bool group_fit(const struct group *group)
{
    return group_whole(group) && !group->owner->quiesced;
}

bool group_serves(const struct group *group)
{
    return group_leads(group) && group_whole(group);
}

uint64_t group_leader(const struct group *group)
{
    if (!group->started || group->failed)
        return 0;
    if (group->raft.state == RAFT_LEADER)
        return group->raft.id;
    return group->raft.state == RAFT_FOLLOWER && group->heard_term == group->raft.current_term
               ? group->raft.follower_state.current_leader.id
               : 0;
}

bool group_is_member(const struct group *group, uint64_t node_id)
{
    const struct raft_configuration *members = &group->raft.configuration;
    for (unsigned i = 0; i < members->n; i++)
        if (members->servers[i].id == node_id)
            return true;
    return false;
}

bool group_is_voter(const struct group *group, uint64_t node_id)
{
    const struct raft_configuration *members = &group->raft.configuration;
    for (unsigned i = 0; i < members->n; i++)
        if (members->servers[i].id == node_id)
            return members->servers[i].role == RAFT_VOTER;
    return false;
}

bool group_sole_voter(const struct group *group)
{
    const struct raft_configuration *members = &group->raft.configuration;
    unsigned voters = 0;
    for (unsigned i = 0; i < members->n; i++)
        voters += members->servers[i].role == RAFT_VOTER;
    return voters == 1 && group_is_voter(group, group->raft.id);
}

uint64_t group_match(const struct group *group, uint64_t node_id)
{
    raft_index match = 0;
    if (!group_leads(group) || raft_match_index(&group->raft, node_id, &match) != 0)
        return 0;
    return match;
}

void group_changes_truncate(struct group *group, uint64_t from)
{
    while (group->changes_count > 0 && group->changes[group->changes_count - 1].index >= from)
        free(group->changes[--group->changes_count].payload);
}

void group_changes_add(struct group *group, uint64_t index, struct bytes payload)
{
    CHECK(payload.len <= MEMBERSHIP_SIZE_MAX);
    if (group->changes_count == group->changes_room) {
        group->changes_room = group->changes_room > 0 ? group->changes_room * 2 : 4;
        group->changes = realloc(group->changes, group->changes_room * sizeof(*group->changes));
        CHECK(group->changes != NULL);
    }
    struct change *change = &group->changes[group->changes_count++];
    change->index = index;
    change->size = (unsigned)payload.len;
    change->payload = malloc(payload.len);
    CHECK(change->payload != NULL);
    memcpy(change->payload, payload.at, payload.len);
}

const struct change *group_change_at(const struct group *group, uint64_t index)
{
    const struct change *found = NULL;
    for (unsigned i = 0; i < group->changes_count && group->changes[i].index <= index; i++)
        found = &group->changes[i];
    return found;
}
