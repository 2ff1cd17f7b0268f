/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/map.h"

#include <stdlib.h>

#include "node/base/check.h"

#define SIZE_FIRST 16

struct map_slot {
    uint64_t key;
    void *value; /* NULL: free, or &gone: was taken, look further */
};

static char gone;

void map_init(struct map *map)
{
    *map = (struct map)MAP_EMPTY;
}

void map_fini(struct map *map)
{
    free(map->slots);
    *map = (struct map)MAP_EMPTY;
}

/* The finaliser of splitmix64: keys that are counters spread over all slots. */
static size_t spread(uint64_t key)
{
    key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9;
    key = (key ^ key >> 27) * 0x94d049bb133111eb;
    return (size_t)(key ^ key >> 31);
}

static struct map_slot *find(const struct map *map, uint64_t key)
{
    if (map->size == 0)
        return NULL;
    for (size_t at = spread(key);; at++) {
        struct map_slot *slot = &map->slots[at & (map->size - 1)];
        if (slot->value == NULL)
            return NULL;
        if (slot->key == key && slot->value != &gone)
            return slot;
    }
}

void *map_get(const struct map *map, uint64_t key)
{
    struct map_slot *slot = find(map, key);
    return slot != NULL ? slot->value : NULL;
}

static void insert(struct map *map, uint64_t key, void *value)
{
    size_t at = spread(key);

    while (map->slots[at & (map->size - 1)].value != NULL)
        at++;
    map->slots[at & (map->size - 1)] = (struct map_slot){key, value};
    map->used++;
    map->count++;
}

/* At most half of the slots are used afterwards, so that a look-up always ends. */
static void grow(struct map *map)
{
    struct map old = *map;

    map->size = SIZE_FIRST;
    while (map->size < 4 * (old.count + 1))
        map->size *= 2;
    map->slots = calloc(map->size, sizeof(*map->slots));
    CHECK(map->slots != NULL);
    map->count = 0;
    map->used = 0;
    for (size_t i = 0; i < old.size; i++)
        if (old.slots[i].value != NULL && old.slots[i].value != &gone)
            insert(map, old.slots[i].key, old.slots[i].value);
    free(old.slots);
}

void map_put(struct map *map, uint64_t key, void *value)
{
    struct map_slot *slot = find(map, key);

    CHECK(value != NULL);
    if (slot != NULL) {
        slot->value = value;
        return;
    }
    if (2 * (map->used + 1) > map->size)
        grow(map);
    insert(map, key, value);
}

void *map_remove(struct map *map, uint64_t key)
{
    struct map_slot *slot = find(map, key);

    if (slot == NULL)
        return NULL;
    void *value = slot->value;
    slot->value = &gone;
    map->count--;
    return value;
}

bool map_next(const struct map *map, size_t *at, uint64_t *key, void **value)
{
    for (; *at < map->size; (*at)++) {
        struct map_slot *slot = &map->slots[*at];
        if (slot->value == NULL || slot->value == &gone)
            continue;
        *key = slot->key;
        *value = slot->value;
        (*at)++;
        return true;
    }
    return false;
}
