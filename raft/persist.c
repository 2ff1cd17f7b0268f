/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one write under way: what gathered in all groups goes to the log together, and what is
 * on disk is told to libraft, in this order: term and vote let the held messages go, then
 * entries are reported, as far as no truncation has overtaken them.
 */
#include <stdlib.h>

#include "raft/internal.h"

static void flight_end(struct group *group)
{
    struct flight *flight = &group->flight;
    for (uint64_t i = flight->from; flight->from != 0 && i <= flight->to; i++)
        frame_unref(flight->entries[i - flight->from].owner);
    free(flight->entries);
    free(flight->base_members);
    *flight = (struct flight){0};
}

static void group_written(struct group *group)
{
    struct flight flight = group->flight;
    flight_end(group);
    group_touch(group);
    if (flight.create && group->bootstrap != NULL) {
        struct call *call = group->bootstrap;
        group->bootstrap = NULL;
        group_start_fresh(group);
        call_finish(group->owner, call, ERR_OK);
        return;
    }
    if (flight.vote && !group->write.vote)
        group_release_held(group);
    if (flight.reset)
        install_written(group);
    closing_written(group);
    uint64_t index = flight.to < flight.clamp ? flight.to : flight.clamp;
    if (flight.from != 0 && index > group->raft.last_stored) {
        struct raft_event event = {.type = RAFT_PERSISTED_ENTRIES};
        CHECK(index < group->cache.next);
        event.persisted_entries.index = index;
        group_step(group, &event, NULL);
        group_resume_links(group);
    }
}

void persist_completed(struct replicator *replicator)
{
    if (!replicator->written)
        return;
    replicator->written = false;
    replicator->writing = false;
    for (unsigned i = 0; i < replicator->writes_count; i++)
        group_written(replicator->writes_groups[i]);
    persist_release(replicator);
}

void group_write_wanted(struct group *group)
{
    struct replicator *replicator = group->owner;
    if (group->dirty)
        return;
    if (replicator->dirty_count == replicator->dirty_room) {
        replicator->dirty_room = replicator->dirty_room > 0 ? replicator->dirty_room * 2 : 16;
        replicator->dirty =
            realloc(replicator->dirty, replicator->dirty_room * sizeof(struct group *));
        CHECK(replicator->dirty != NULL);
    }
    group->dirty = true;
    replicator->dirty[replicator->dirty_count++] = group;
}

static bool wanted(const struct group *group)
{
    const struct pending_write *write = &group->write;
    return write->create || write->vote || write->from != 0 || write->trim_before != 0 ||
           write->reset || write->drop;
}

static void write_entries(struct group *group, struct log_write *write)
{
    struct flight *flight = &group->flight;
    flight->from = group->write.from;
    flight->to = flight->clamp = group->cache.next - 1;
    CHECK(flight->from >= group->cache.first && flight->from <= flight->to);
    write->count = (unsigned)(flight->to + 1 - flight->from);
    flight->entries = calloc(write->count, sizeof(*flight->entries));
    CHECK(flight->entries != NULL);
    for (unsigned i = 0; i < write->count; i++) {
        flight->entries[i] = *cache_get(&group->cache, flight->from + i);
        if (flight->entries[i].owner != NULL)
            frame_ref(flight->entries[i].owner);
    }
    write->from = flight->from;
    write->entries = flight->entries;
}

static void write_base(struct group *group, struct log_write *write, uint64_t first)
{
    const struct change *base = group_change_at(group, first - 1);
    CHECK(base != NULL);
    write->trim_before = first;
    write->base_term = group_term_of(group, first - 1);
    group->flight.base_members = malloc(base->size);
    CHECK(group->flight.base_members != NULL);
    memcpy(group->flight.base_members, base->payload, base->size);
    write->base_members = bytes_from(group->flight.base_members, base->size);
    write->base_members_index = base->index;
}

static void write_fill(struct group *group, struct log_write *write)
{
    *write = (struct log_write){.group = group->id};
    group->flight = (struct flight){
        .active = true, .create = group->write.create, .vote = group->write.vote};
    write->create = group->write.create;
    if (group->write.create && group->bootstrap != NULL) {
        write->set_term = true;
        write->term = 1;
        write->vote = group->raft.id;
    } else if (group->write.vote) {
        write->set_term = true;
        write->term = group->raft.current_term;
        write->vote = group->raft.voted_for;
    }
    if (group->write.from != 0)
        write_entries(group, write);
    write->drop = group->write.drop;
    write->promised_term = group->promised_term;
    write->promised_index = group->promised_index;
    if (group->write.reset) {
        CHECK(group->write.from == 0 && group->write.trim_before == 0);
        write->reset = group->flight.reset = true;
        write_base(group, write, group->install.base.index + 1);
    } else if (group->write.trim_before != 0) {
        write_base(group, write, group->write.trim_before);
    }
    group->write = (struct pending_write){0};
}

void persist_hand_out(struct replicator *replicator)
{
    unsigned count = replicator->dirty_count;
    if (replicator->writing || count == 0)
        return;
    replicator->writes = calloc(count, sizeof(*replicator->writes));
    replicator->writes_groups = calloc(count, sizeof(struct group *));
    CHECK(replicator->writes != NULL && replicator->writes_groups != NULL);
    replicator->writes_count = 0;
    replicator->dirty_count = 0;
    for (unsigned i = 0; i < count; i++) {
        struct group *group = replicator->dirty[i];
        group->dirty = false;
        if (!wanted(group))
            continue;
        replicator->writes_groups[replicator->writes_count] = group;
        write_fill(group, &replicator->writes[replicator->writes_count++]);
    }
    if (replicator->writes_count == 0) {
        persist_release(replicator);
        return;
    }
    replicator->writing = true;
    replicator->config.log->ops->write(replicator->config.log, replicator->writes,
                                       replicator->writes_count);
}

void persist_release(struct replicator *replicator)
{
    for (unsigned i = 0; i < replicator->writes_count; i++)
        flight_end(replicator->writes_groups[i]);
    free(replicator->writes);
    free(replicator->writes_groups);
    replicator->writes = NULL;
    replicator->writes_groups = NULL;
    replicator->writes_count = 0;
}
