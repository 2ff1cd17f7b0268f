/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A log whose writes take time. A crash keeps a random part of the write under way, and a cache
 * of the drive's own may have written any of it first.
 */
#include <stdlib.h>

#include "raft/membership.h"
#include "sim.h"

enum { FAILING_PERMILLE = 3, FAILING_FROM_MS = 2500 /* when groups have been made */ };

static void group_reserve(struct disk_group *group, uint64_t count)
{
    if (count <= group->room)
        return;
    group->room = count * 2;
    group->entries = realloc(group->entries, group->room * sizeof(*group->entries));
    CHECK(group->entries != NULL);
}

static uint64_t group_count(const struct disk_group *group)
{
    return group->state.last_index + 1 - group->state.first_index;
}

static void group_truncate(struct disk_group *group, uint64_t from)
{
    while (group->state.last_index >= from && group_count(group) > 0) {
        struct disk_entry *entry = &group->entries[group_count(group) - 1];
        group->bytes -= entry->data != NULL ? frame_bytes(entry->data).len : 0;
        frame_unref(entry->data);
        group->state.last_index--;
    }
}

static void group_append(struct disk_group *group, const struct entry *entry)
{
    struct disk_entry *copy;
    group_reserve(group, group_count(group) + 1);
    copy = &group->entries[group_count(group)];
    *copy = (struct disk_entry){.term = entry->term, .type = entry->type};
    copy->data = frame_new(entry->data.len);
    if (entry->data.len > 0)
        memcpy(frame_memory(copy->data), entry->data.at, entry->data.len);
    group->bytes += entry->data.len;
    group->state.last_index++;
}

static void base_set(struct disk_group *group, const struct log_write *write)
{
    group->state.first_index = write->trim_before;
    group->state.base_term = write->base_term;
    group->state.base_members_index = write->base_members_index;
    group->base_members_size = write->base_members.len;
    memcpy(group->base_members, write->base_members.at, write->base_members.len);
}

static void group_trim(struct disk_group *group, const struct log_write *write)
{
    uint64_t drop = write->trim_before - group->state.first_index;
    CHECK(write->trim_before >= group->state.first_index && drop <= group_count(group));
    for (uint64_t i = 0; i < drop; i++) {
        group->bytes -= frame_bytes(group->entries[i].data).len;
        frame_unref(group->entries[i].data);
    }
    memmove(group->entries, group->entries + drop,
            (group_count(group) - drop) * sizeof(*group->entries));
    base_set(group, write);
}

static void group_free(struct disk_group *group)
{
    if (group->exists)
        group_truncate(group, group->state.first_index);
    free(group->entries);
    *group = (struct disk_group){0};
}

/* `entries`: how many of them reach the disk; the trim only with all. */
static void write_carry_out(struct disk *disk, const struct log_write *write, unsigned entries)
{
    struct disk_group *group = &disk->groups[write->group];
    bool forget = disk->world->bug == BUG_VOTE_NOT_DURABLE && !write->create;
    if (write->create && !group->exists) {
        group->exists = true;
        group->state = (struct log_state){.group = write->group, .first_index = 1};
    }
    CHECK(group->exists);
    if (write->set_term && !forget) {
        CHECK(write->term >= group->state.term);
        group->state.term = write->term;
        group->state.vote = write->vote;
    }
    if (write->drop) {
        struct log_state kept = {.group = write->group,
                                 .term = group->state.term,
                                 .vote = group->state.vote,
                                 .first_index = 1,
                                 .dropped = true,
                                 .promised_term = write->promised_term,
                                 .promised_index = write->promised_index};
        group_free(group);
        group->exists = true;
        group->state = kept;
        return;
    }
    group->state.dropped = false;
    if (write->reset) {
        group_truncate(group, group->state.first_index);
        base_set(group, write);
        group->state.last_index = write->trim_before - 1;
        disk->world->stats->resets++;
        return;
    }
    if (write->from != 0) {
        CHECK(write->from >= group->state.first_index &&
              write->from <= group->state.last_index + 1);
        group_truncate(group, write->from);
        for (unsigned i = 0; i < entries; i++)
            group_append(group, &write->entries[i]);
    }
    if (forget && group_count(group) > 0 &&
        group->state.term < group->entries[group_count(group) - 1].term)
        group->state.term = group->entries[group_count(group) - 1].term;
    if (write->trim_before != 0 && entries == write->count) {
        group_trim(group, write);
        disk->world->stats->trims++;
    }
}

static void group_copy(struct disk_group *to, const struct disk_group *from)
{
    *to = *from;
    to->entries = NULL;
    to->room = 0;
    group_reserve(to, group_count(from) + 1);
    for (uint64_t i = 0; i < group_count(from); i++) {
        to->entries[i] = from->entries[i];
        frame_ref(to->entries[i].data);
    }
}

static void undo_keep(struct disk *disk, uint64_t until_ms)
{
    for (unsigned i = 0; i < GROUPS_MAX; i++) {
        group_free(&disk->undo[i]);
        if (disk->groups[i].exists)
            group_copy(&disk->undo[i], &disk->groups[i]);
    }
    disk->undo_until_ms = until_ms;
}

static void written(struct world *world, struct event *event)
{
    struct node *node = &world->nodes[event->node];
    struct disk *disk = &node->disk;
    if (world->plan.failing && !world->calm && world->now_ms > FAILING_FROM_MS &&
        sim_chance(world, FAILING_PERMILLE)) {
        /* Nobody knows how much of it is there: as with a crash. */
        world->stats->write_errors++;
        replicator_log_written(node->replicator, sim_below(world, 2) == 0 ? ERR_IO : ERR_FULL);
        node->failed = true;
        node_wake(node);
        return;
    }
    for (unsigned i = 0; i < disk->writes_count; i++)
        write_carry_out(disk, &disk->writes[i], disk->writes[i].count);
    disk->writes_count = 0;
    replicator_log_written(node->replicator, ERR_OK);
    node_wake(node);
}

static void log_write(struct entry_log *log, const struct log_write *writes, unsigned count)
{
    struct disk *disk = (struct disk *)log;
    struct world *world = disk->world;
    struct node *node = &world->nodes[disk->node];
    uint64_t delay = 1 + sim_below(world, world->calm ? 3 : world->plan.disk_ms);
    CHECK(disk->writes_count == 0);
    if (!node_effect(node))
        return;
    disk->writes = writes;
    disk->writes_count = count;
    if (world->bug == BUG_PERSISTED_BEFORE_DURABLE) {
        undo_keep(disk, world->now_ms + 10 * delay);
        delay = 1;
    }
    sim_at(world, (struct event){.at_ms = world->now_ms + delay,
                                 .run = written,
                                 .node = disk->node,
                                 .life = node->life});
}

/* Of a write that was not flushed any parts may be there, in no order: of each group the vote,
 * the truncation and a run of the entries, or nothing of it. */
static void torn_carry_out(struct disk *disk)
{
    struct world *world = disk->world;
    unsigned prefix = (unsigned)sim_below(world, disk->writes_count + 1);
    bool holes = sim_below(world, 2) == 0;

    for (unsigned i = 0; i < disk->writes_count; i++) {
        const struct log_write *write = &disk->writes[i];
        unsigned entries = write->count;
        if (holes ? sim_below(world, 2) == 0 : i >= prefix)
            continue;
        if (holes || i + 1 == prefix)
            entries = (unsigned)sim_below(world, write->count + 1);
        write_carry_out(disk, write, entries);
    }
}

void disk_crash(struct disk *disk)
{
    struct world *world = disk->world;
    torn_carry_out(disk);
    disk->writes_count = 0;
    if (world->bug == BUG_PERSISTED_BEFORE_DURABLE && world->now_ms < disk->undo_until_ms)
        for (unsigned i = 0; i < GROUPS_MAX; i++) {
            group_free(&disk->groups[i]);
            disk->groups[i] = disk->undo[i];
            disk->undo[i] = (struct disk_group){0};
        }
    disk->undo_until_ms = 0;
}

static unsigned log_groups(struct entry_log *log, struct log_state *states, unsigned max)
{
    struct disk *disk = (struct disk *)log;
    unsigned count = 0;
    for (unsigned i = 0; i < GROUPS_MAX; i++) {
        const struct disk_group *group = &disk->groups[i];
        if (!group->exists)
            continue;
        if (count < max) {
            states[count] = group->state;
            states[count].base_members =
                bytes_from(group->base_members, group->base_members_size);
        }
        count++;
    }
    return count;
}

static unsigned entries_read(struct disk *disk, unsigned number, uint64_t first, unsigned count,
                             size_t bytes_max, bool scan, struct entry *entries)
{
    struct disk_group *group = &disk->groups[number];
    size_t bytes = 0;
    unsigned got = 0;
    while (got < count && (got == 0 || bytes < bytes_max)) {
        const struct disk_entry *entry = disk_entry(disk, number, first + got);
        if (!group->exists || entry == NULL)
            break;
        entries[got] = (struct entry){.term = entry->term, .type = entry->type};
        if (!scan || entry->type == ENTRY_CHANGE) {
            entries[got].owner = frame_ref(entry->data);
            entries[got].data = frame_bytes(entry->data);
        }
        bytes += frame_bytes(entry->data).len;
        got++;
    }
    return got;
}

static unsigned log_read(struct entry_log *log, uint32_t group, uint64_t first, unsigned count,
                         size_t bytes_max, struct entry *entries)
{
    return entries_read((struct disk *)log, group, first, count, bytes_max, false, entries);
}

static unsigned log_scan(struct entry_log *log, uint32_t group, uint64_t first, unsigned count,
                         struct entry *entries)
{
    return entries_read((struct disk *)log, group, first, count, SIZE_MAX, true, entries);
}

static uint64_t log_bytes(struct entry_log *log, uint32_t group)
{
    return ((struct disk *)log)->groups[group].bytes;
}

static const struct entry_log_ops log_ops = {
    .write = log_write,
    .groups = log_groups,
    .read = log_read,
    .scan = log_scan,
    .bytes = log_bytes,
};

void disk_init(struct disk *disk, struct world *world, unsigned node)
{
    *disk = (struct disk){.interface = {&log_ops}, .world = world, .node = node};
}

void disk_fini(struct disk *disk)
{
    for (unsigned i = 0; i < GROUPS_MAX; i++) {
        group_free(&disk->groups[i]);
        group_free(&disk->undo[i]);
    }
}

void disk_prefill(struct disk *disk, unsigned number, unsigned voters)
{
    struct membership membership = {.count = voters};
    uint8_t payload[MEMBERSHIP_SIZE_MAX];
    for (unsigned i = 0; i < voters; i++)
        membership.members[i] = (struct membership_member){.id = i + 1, .role = 1};
    struct entry entry = {.term = 1, .type = ENTRY_CHANGE};
    entry.data = bytes_from(payload, membership_encode(&membership, payload));
    struct log_write write = {.group = number,
                              .create = true,
                              .set_term = true,
                              .term = 1,
                              .from = 1,
                              .entries = &entry,
                              .count = 1};
    write_carry_out(disk, &write, 1);
}

const struct disk_entry *disk_entry(const struct disk *disk, unsigned number, uint64_t index)
{
    const struct disk_group *group = &disk->groups[number];
    if (!group->exists || index < group->state.first_index || index > group->state.last_index)
        return NULL;
    return &group->entries[index - group->state.first_index];
}
