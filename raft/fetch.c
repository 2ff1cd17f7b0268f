/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state from another replica, for a node whose log ends below where the others' begin, or
 * that died while it was fetching. Two things that need not wait for each other for long:
 *   - the machine copies the state, from whichever member has it, over restarts and changes of
 *     leader; until it is whole nothing is applied;
 *   - the log begins behind the leader's base as soon as the old one is of no use: when the old
 *     state has begun to be overwritten, not before. From then on this node stores,
 * acknowledges and votes like any other, and says in its answers that the state is not whole.
 * Entries up to the one that the state is of are stored and never applied.
 */
#include "node/base/log.h"
#include "raft/internal.h"

enum {
    VAIN_TIMEOUTS = 3,
    RETRY_SHIFT_MAX = 6,
    TELL_MS = 60000,
    SOURCES_MAX = REPLICATOR_MEMBERS_MAX + 2
};

enum machine_state group_machine_state(const struct group *group)
{
    struct machine *machine = group->owner->config.machine;
    return machine->ops->state != NULL ? machine->ops->state(machine, group->id)
                                       : MACHINE_WHOLE;
}

/* What must have been applied where the state comes from: the log here has what follows. */
static uint64_t needed(const struct group *group)
{
    return group->log_first - 1;
}

void fetch_want(struct group *group)
{
    if (group->fetch.wanted)
        return;
    group->fetch.wanted = true;
    group->fetch.since_ms = replicator_now(group->owner);
    group->fetch.failures = 0;
    group->fetch.next_ms = 0;
    proposals_skipped(group, UINT64_MAX);
    group_touch(group);
}

void install_take(struct group *group, struct raft_update *update)
{
    struct install *install = &group->install;
    struct raft_configuration *members = &update->snapshot.metadata.configuration;
    struct membership membership = {.count = members->n};
    uint8_t payload[MEMBERSHIP_SIZE_MAX];
    CHECK(!install->active && members->n <= REPLICATOR_MEMBERS_MAX);
    for (unsigned i = 0; i < members->n; i++)
        membership.members[i] = (struct membership_member){
            .id = members->servers[i].id, .role = (uint8_t)members->servers[i].role};
    install->active = true;
    install->base = update->snapshot.metadata;
    install->leader = group->raft.follower_state.current_leader.id;
    /* Nothing of the old log is reported any more, or written. */
    group->flight.clamp = 0;
    group->write.from = 0;
    group->write.trim_before = 0;
    group->owner->cache_bytes -= group->cache.bytes;
    cache_fini(&group->cache);
    cache_init(&group->cache, install->base.index + 1);
    group->log_first = install->base.index + 1;
    group_changes_truncate(group, 0);
    group_changes_add(group, install->base.configuration_index,
                      bytes_from(payload, membership_encode(&membership, payload)));
    group->configured = install->base.configuration_index;
    if (!group->witness && group->applied < install->base.index)
        fetch_want(group);
    log_info(NULL, "the log will begin behind the leader's base",
             LOG_FIELDS(LOG_U64("group", group->id), LOG_U64("index", install->base.index),
                        LOG_U64("applied", group->applied)));
}

/*
 * libraft takes no part in elections while it waits for a base. When the leader that sent it is
 * gone, and nothing of what is here has been touched yet, the old log and the old state may be
 * what the others need: they count again.
 */
static bool install_is_vain(const struct group *group, uint64_t now)
{
    return !group->fetch.running && group->closing.stage == CLOSING_NONE &&
           now - group->heard_ms >
               (uint64_t)VAIN_TIMEOUTS * group->owner->config.election_timeout_ms;
}

static void install_turn(struct group *group, uint64_t now)
{
    if (!group->install.active || group->write.reset || group->flight.reset)
        return;
    /* The old log and the old state belong together, and are worth something until one goes. */
    if (group->fetch.wanted && group_machine_state(group) == MACHINE_WHOLE) {
        if (install_is_vain(group, now)) {
            log_warn(NULL, "the leader whose base was to be taken is gone: going on without",
                     LOG_FIELDS(LOG_U64("group", group->id)));
            group_reopen(group);
        }
        return;
    }
    group->write.reset = true;
    group_write_wanted(group);
}

void install_written(struct group *group)
{
    struct raft_event event = {.type = RAFT_PERSISTED_SNAPSHOT};
    CHECK(group->install.active);
    if (group->failed)
        return;
    event.persisted_snapshot.metadata = group->install.base;
    event.persisted_snapshot.last = true;
    group->install = (struct install){0};
    group_step(group, &event, NULL);
}

static void source_add(const struct group *group, uint64_t *sources, unsigned *count,
                       uint64_t node_id)
{
    const struct peer *peer = replicator_peer(group->owner, node_id, false);
    for (unsigned i = 0; i < *count; i++)
        if (sources[i] == node_id)
            return;
    if (node_id != group->raft.id && peer != NULL && peer->up && *count < SOURCES_MAX)
        sources[(*count)++] = node_id;
}

/* The members in turn, the leader first; 0 when nobody can be reached. */
static uint64_t source_of(const struct group *group)
{
    uint64_t sources[SOURCES_MAX];
    unsigned count = 0;
    const struct raft_configuration *members = &group->raft.configuration;
    source_add(group, sources, &count, group_leader(group));
    source_add(group, sources, &count, group->install.leader);
    for (unsigned i = 0; i < members->n; i++)
        if (members->servers[i].role != RAFT_SPARE)
            source_add(group, sources, &count, members->servers[i].id);
    return count > 0 ? sources[group->fetch.turn % count] : 0;
}

static void fetch_failed(struct group *group, uint64_t now)
{
    struct fetch *fetch = &group->fetch;
    unsigned shift = fetch->failures < RETRY_SHIFT_MAX ? fetch->failures : RETRY_SHIFT_MAX;
    fetch->failures++;
    fetch->turn++;
    fetch->next_ms = now + ((uint64_t)group->owner->config.heartbeat_ms << shift);
    if (fetch->told_ms != 0 && now - fetch->told_ms < TELL_MS)
        return;
    fetch->told_ms = now;
    log_warn(NULL, "the state of a group cannot be fetched: trying again",
             LOG_FIELDS(LOG_U64("group", group->id), LOG_U64("from", fetch->source),
                        LOG_U64("index", fetch->index), LOG_U64("failures", fetch->failures),
                        LOG_TEXT("error", err_text(fetch->err))));
}

static void fetch_finished(struct group *group, uint64_t now)
{
    struct fetch *fetch = &group->fetch;
    fetch->running = fetch->finished = false;
    if (fetch->err == ERR_OK &&
        (fetch->got < fetch->index || group_machine_state(group) != MACHINE_WHOLE))
        fetch->err = ERR_MALFORMED;
    if (fetch->err != ERR_OK) {
        fetch_failed(group, now);
        return;
    }
    log_info(NULL, "the state of a group is whole",
             LOG_FIELDS(LOG_U64("group", group->id), LOG_U64("from", fetch->source),
                        LOG_U64("index", fetch->got),
                        LOG_U64("seconds", (now - fetch->since_ms) / 1000)));
    group->applied = fetch->got;
    group->apply_next = fetch->got + 1;
    fetch->failures = 0;
    /* The leader may have moved on meanwhile, further than the state that came. */
    fetch->wanted = group->applied < needed(group);
    group_apply_ready(group);
}

static void fetch_start(struct group *group, uint64_t now)
{
    struct machine *machine = group->owner->config.machine;
    struct fetch *fetch = &group->fetch;
    if (fetch->running || now < fetch->next_ms || machine->ops->fetch == NULL ||
        group->owner->quiesced || group->apply_next != group->applied + 1)
        return;
    fetch->source = source_of(group);
    if (fetch->source == 0)
        return;
    fetch->index = needed(group);
    fetch->running = true;
    machine->ops->fetch(machine, group->id, fetch->source, fetch->index);
}

void fetch_pause(struct group *group)
{
    struct machine *machine = group->owner->config.machine;
    if (group->owner->quiesced && group->fetch.running && machine->ops->fetch_stop != NULL)
        machine->ops->fetch_stop(machine, group->id);
    group_touch(group);
}

bool fetch_waits(const struct group *group)
{
    return group->fetch.wanted || group->fetch.running || group->install.active;
}

void fetch_turn(struct group *group, uint64_t now)
{
    if (!group->started || group->failed)
        return;
    if (group->fetch.finished)
        fetch_finished(group, now);
    if (group->fetch.wanted)
        fetch_start(group, now);
    install_turn(group, now);
}

enum err replicator_state_again(struct replicator *replicator, uint32_t id)
{
    struct group *group = replicator_group(replicator, id);
    if (group == NULL)
        return ERR_NOTFOUND;
    if (group->closing.stage != CLOSING_NONE || !group->started || fetch_waits(group))
        return ERR_BUSY;
    if (group->witness || group->raft.state != RAFT_FOLLOWER || group->raft.configuration.n < 2)
        return ERR_INVALID;
    if (replicator->quiesced)
        return ERR_UNAVAILABLE;
    log_warn(NULL, "the state of a group is fetched anew, by an operator's word",
             LOG_FIELDS(LOG_U64("group", group->id), LOG_U64("applied", group->applied)));
    fetch_want(group);
    return ERR_OK;
}

void replicator_state_fetched(struct replicator *replicator, uint32_t id, enum err err,
                              uint64_t index)
{
    struct group *group = replicator_group(replicator, id);
    CHECK(group != NULL && group->fetch.running && !group->fetch.finished);
    group->fetch.finished = true;
    group->fetch.err = err;
    group->fetch.got = index;
    group_touch(group);
}
