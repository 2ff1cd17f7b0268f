/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/schema/text_set.h"

enum { ROOM_FIRST = 16 };

/* FNV-1a. Whoever makes texts collide makes each look-up pass all of them: callers have a limit
 * on their number. */
static size_t slot_of(const struct text_set *set, struct bytes text)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ text.at[i]) * 0x100000001b3u;
    hash ^= hash >> 32;
    return (size_t)hash & (set->room - 1);
}

void text_set_init(struct text_set *set, struct arena *arena)
{
    *set = (struct text_set){.arena = arena, .room = ROOM_FIRST};
    set->at = arena_alloc(arena, set->room * sizeof(*set->at));
}

/* Where it is, or would be. A free slot has no memory, not even an empty text's. */
static struct bytes *slot_find(const struct text_set *set, struct bytes text)
{
    size_t slot = slot_of(set, text);

    while (set->at[slot].at != NULL && !bytes_equal(set->at[slot], text))
        slot = (slot + 1) & (set->room - 1);
    return &set->at[slot];
}

static void grow(struct text_set *set)
{
    struct text_set wider = {.arena = set->arena, .room = 4 * set->room, .count = set->count};

    wider.at = arena_alloc(set->arena, wider.room * sizeof(*wider.at));
    for (size_t i = 0; i < set->room; i++)
        if (set->at[i].at != NULL)
            *slot_find(&wider, set->at[i]) = set->at[i];
    *set = wider;
}

bool text_set_add(struct text_set *set, struct bytes text)
{
    struct bytes *slot = slot_find(set, text);

    if (slot->at != NULL)
        return false;
    *slot = text.at != NULL ? text : BYTES("");
    if (2 * ++set->count >= set->room)
        grow(set);
    return true;
}

bool text_set_has(const struct text_set *set, struct bytes text)
{
    return slot_find(set, text)->at != NULL;
}
