/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_BASE_MAP_H
#define NODE_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From numbers to pointers: open addressing, amortised constant time. Pointers are borrowed and
 * not NULL. */
struct map {
    struct map_slot *slots;
    size_t size; /* a power of two, or 0 */
    size_t count;
    size_t used; /* slots that are or were taken */
};

#define MAP_EMPTY                                                                              \
    {                                                                                          \
        NULL, 0, 0, 0                                                                          \
    }

void map_init(struct map *map);
void map_fini(struct map *map);

/* NULL when it is not there. */
void *map_get(const struct map *map, uint64_t key);
/* Puts, or replaces. */
void map_put(struct map *map, uint64_t key, void *value);
/* Returns what was there, or NULL. */
void *map_remove(struct map *map, uint64_t key);

/* Start with *at == 0; returns false at the end. The entry just seen may be removed, nothing
 * may be put meanwhile. */
bool map_next(const struct map *map, size_t *at, uint64_t *key, void **value);

#endif
