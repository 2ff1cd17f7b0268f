/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/firewall/table.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/firewall/siphash.h"

static uint32_t round_up(uint32_t size)
{
    uint32_t power = TABLE_SIZE_MIN;

    while (power < size && power < TABLE_SIZE_MAX)
        power *= 2;
    return power;
}

void table_init(struct table *table, uint32_t size, unsigned level_count, uint32_t credit_ticks,
                const struct firewall_key *seed)
{
    *table = (struct table){
        .slot_size = (sizeof(struct table_slot) + level_count * sizeof(float) + 7) / 8 * 8,
        .size = round_up(size),
        .credit_ticks = credit_ticks,
        .seed = *seed,
    };
    table->memory = calloc(table->size, table->slot_size);
    table->marks = calloc(table->size, sizeof(*table->marks));
    CHECK(table->memory != NULL && table->marks != NULL);
}

void table_fini(struct table *table)
{
    free(table->memory);
    free(table->marks);
    *table = (struct table){.memory = NULL};
}

size_t table_bytes(const struct table *table)
{
    return table->size * (table->slot_size + sizeof(*table->marks));
}

struct table_slot *table_at(const struct table *table, uint32_t index)
{
    return (struct table_slot *)(void *)(table->memory + index * table->slot_size);
}

uint32_t table_index(const struct table *table, const struct table_slot *slot)
{
    return (uint32_t)((size_t)((const uint8_t *)slot - table->memory) / table->slot_size);
}

/* Where a key may lie, and how it is marked. */
struct home {
    uint32_t set; /* the first of eight slots */
    uint32_t mark;
};

static struct home home_of(const struct table *table, const struct firewall_address *key,
                           uint8_t kind)
{
    uint64_t hash = siphash_words(&table->seed, key->high, key->low, kind);

    return (struct home){(uint32_t)hash & (table->size - 1) & ~(uint32_t)(TABLE_WAYS - 1),
                         (uint32_t)(hash >> 32) | 1};
}

static struct table_slot *find(const struct table *table, struct home home,
                               const struct firewall_address *key, uint8_t kind)
{
    for (uint32_t i = 0; i < TABLE_WAYS; i++) {
        struct table_slot *slot = table_at(table, home.set + i);
        if (table->marks[home.set + i] == home.mark && slot->kind == kind &&
            firewall_address_equal(&slot->key, key))
            return slot;
    }
    return NULL;
}

struct table_slot *table_find(const struct table *table, const struct firewall_address *key,
                              uint8_t kind)
{
    return find(table, home_of(table, key, kind), key, kind);
}

/* How much would be lost with a slot, whatever its age. */
static unsigned worth_of(const struct table *table, const struct table_slot *slot,
                         uint32_t tick)
{
    bool has_credit = slot->credit_at != 0 &&
                      (tick < slot->credit_at || tick - slot->credit_at < table->credit_ticks);

    return (slot->open > 0 || (slot->flags & SLOT_PENDING) != 0 ? 8u : 0u) +
           (has_credit ? 4u : 0u) + (slot->ban_until > tick ? 2u : 0u) +
           ((slot->flags & SLOT_SEEN_TWICE) != 0 ? 1u : 0u);
}

static struct table_slot *least_of(const struct table *table, uint32_t set, uint32_t tick)
{
    struct table_slot *victim = NULL;
    unsigned least = 0;

    for (uint32_t i = 0; i < TABLE_WAYS; i++) {
        struct table_slot *slot = table_at(table, set + i);
        if (table->marks[set + i] == 0)
            return slot;
        unsigned worth = worth_of(table, slot, tick);
        if (victim == NULL || worth < least || (worth == least && slot->tick < victim->tick)) {
            victim = slot;
            least = worth;
        }
    }
    /* All were seen twice: from now on only those that are seen again. */
    for (uint32_t i = 0; i < TABLE_WAYS && least % 2 == 1; i++)
        table_at(table, set + i)->flags &= (uint8_t)~SLOT_SEEN_TWICE;
    return victim;
}

struct table_slot *table_victim(const struct table *table, const struct firewall_address *key,
                                uint8_t kind, uint32_t tick)
{
    struct home home = home_of(table, key, kind);
    struct table_slot *slot = find(table, home, key, kind);

    return slot != NULL ? slot : least_of(table, home.set, tick);
}

static void take(struct table *table, struct table_slot *slot, struct home home,
                 const struct firewall_address *key, uint8_t kind, uint32_t tick)
{
    table->evicted += slot->generation != 0;
    memset(slot, 0, table->slot_size);
    slot->key = *key;
    slot->kind = kind;
    slot->tick = tick;
    if (++table->generation == 0)
        table->generation = 1;
    slot->generation = table->generation;
    table->marks[table_index(table, slot)] = home.mark;
}

void table_take(struct table *table, struct table_slot *slot,
                const struct firewall_address *key, uint8_t kind, uint32_t tick)
{
    take(table, slot, home_of(table, key, kind), key, kind, tick);
}

struct table_slot *table_put(struct table *table, const struct firewall_address *key,
                             uint8_t kind, uint32_t tick)
{
    struct home home = home_of(table, key, kind);
    struct table_slot *slot = find(table, home, key, kind);

    if (slot != NULL) {
        slot->flags |= SLOT_SEEN_TWICE;
        return slot;
    }
    slot = least_of(table, home.set, tick);
    take(table, slot, home, key, kind, tick);
    return slot;
}

static uint32_t back(uint32_t tick, uint32_t by)
{
    return tick > by ? tick - by : 0;
}

bool table_rewind(struct table_slot *slot, uint32_t tick)
{
    if (tick >= slot->tick)
        return false;
    uint32_t by = slot->tick - tick;
    slot->ban_until = slot->ban_until == UINT32_MAX ? UINT32_MAX : back(slot->ban_until, by);
    if (slot->credit_at != 0)
        slot->credit_at = slot->credit_at > by ? slot->credit_at - by : 1;
    slot->tick = tick;
    return true;
}

struct seen_mark {
    uint32_t mark; /* 0: free */
    uint32_t tick;
};

void seen_init(struct seen *seen, uint32_t size, uint32_t ticks,
               const struct firewall_key *seed)
{
    *seen = (struct seen){.size = round_up(size), .ticks = ticks, .seed = *seed};
    seen->marks = calloc(seen->size, sizeof(*seen->marks));
    CHECK(seen->marks != NULL);
}

void seen_fini(struct seen *seen)
{
    free(seen->marks);
    *seen = (struct seen){.marks = NULL};
}

size_t seen_bytes(const struct seen *seen)
{
    return seen->size * sizeof(*seen->marks);
}

bool seen_add(struct seen *seen, uint64_t first, uint64_t second, uint64_t third, uint32_t tick)
{
    uint64_t hash = siphash_words(&seen->seed, first, second, third);
    uint32_t mark = (uint32_t)(hash >> 32) | 1;
    struct seen_mark *set =
        &seen->marks[(uint32_t)hash & (seen->size - 1) & ~(uint32_t)(TABLE_WAYS - 1)];
    struct seen_mark *victim = set;

    for (uint32_t i = 0; i < TABLE_WAYS; i++) {
        if (set[i].mark == mark) {
            bool is_new = set[i].tick <= tick && tick - set[i].tick >= seen->ticks;
            set[i].tick = tick;
            return is_new;
        }
        if (victim->mark != 0 && (set[i].mark == 0 || set[i].tick < victim->tick))
            victim = &set[i];
    }
    *victim = (struct seen_mark){mark, tick};
    return true;
}
