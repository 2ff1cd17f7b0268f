/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/system/wan_delay_heap.h"

#include <stddef.h>

static bool earlier(const struct held *a, const struct held *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

bool held_push(struct held_heap *heap, uint64_t due_us, uint32_t packet, uint16_t queue)
{
    struct held fresh = {due_us, heap->next_order, packet, queue};
    unsigned at = heap->count;

    if (heap->count == HELD_MAX)
        return false;
    heap->next_order++;
    heap->count++;
    while (at > 0 && earlier(&fresh, &heap->packets[(at - 1) / 2])) {
        heap->packets[at] = heap->packets[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->packets[at] = fresh;
    return true;
}

const struct held *held_first(const struct held_heap *heap)
{
    return heap->count > 0 ? &heap->packets[0] : NULL;
}

struct held held_pop(struct held_heap *heap)
{
    struct held first = heap->packets[0];
    struct held last = heap->packets[--heap->count];
    unsigned at = 0;

    for (unsigned child = 1; child < heap->count; child = 2 * at + 1) {
        if (child + 1 < heap->count &&
            earlier(&heap->packets[child + 1], &heap->packets[child]))
            child++;
        if (!earlier(&heap->packets[child], &last))
            break;
        heap->packets[at] = heap->packets[child];
        at = child;
    }
    heap->packets[at] = last;
    return first;
}
