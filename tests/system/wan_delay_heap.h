/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SYSTEM_WAN_DELAY_HEAP_H
#define TESTS_SYSTEM_WAN_DELAY_HEAP_H

#include <stdbool.h>
#include <stdint.h>

/* Packets that are on their way, the next to arrive first. Equal times keep their order. */
enum { HELD_MAX = 65536 };

struct held {
    uint64_t due_us;
    uint64_t order;
    uint32_t packet; /* the kernel's number for it */
    uint16_t queue;
};

struct held_heap {
    unsigned count;
    uint64_t next_order;
    struct held packets[HELD_MAX];
};

/* False when there is no room. */
bool held_push(struct held_heap *heap, uint64_t due_us, uint32_t packet, uint16_t queue);
/* NULL when it is empty. */
const struct held *held_first(const struct held_heap *heap);
/* Only when it is not empty. */
struct held held_pop(struct held_heap *heap);

#endif
