/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/schema/text_set.h"

#include "node/base/check.h"

/* FNV-1a. Whoever makes texts collide makes `max` comparisons of each, and `max` is bounded. */
static size_t slot_of(const struct text_set *set, struct bytes text)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ text.at[i]) * 0x100000001b3u;
    hash ^= hash >> 32;
    return (size_t)hash & (set->room - 1);
}

void text_set_init(struct text_set *set, struct arena *arena, size_t max)
{
    *set = (struct text_set){.room = 4, .max = max};
    while (set->room <= 2 * max)
        set->room *= 2;
    set->at = arena_alloc(arena, set->room * sizeof(*set->at));
}

/* Where it is, or would be. A free slot has no bytes, not even an empty text's. */
static struct bytes *slot_find(const struct text_set *set, struct bytes text)
{
    size_t slot = slot_of(set, text);

    while (set->at[slot].at != NULL && !bytes_equal(set->at[slot], text))
        slot = (slot + 1) & (set->room - 1);
    return &set->at[slot];
}

bool text_set_add(struct text_set *set, struct bytes text)
{
    struct bytes *slot = slot_find(set, text);

    if (slot->at != NULL)
        return false;
    CHECK(set->count < set->max);
    *slot = text.at != NULL ? text : BYTES("");
    set->count++;
    return true;
}

bool text_set_has(const struct text_set *set, struct bytes text)
{
    return slot_find(set, text)->at != NULL;
}
