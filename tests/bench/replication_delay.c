/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/bench/replication_delay.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "raft/frame.h"

enum { HELD_MAX = 4096, ROOM = 64 };

struct held {
    uint64_t due_ns;
    uint64_t node_id;
    struct frame *frame;
};

struct delay {
    struct transport transport; /* first: what the replicator has is this */
    struct transport *inner;
    uint64_t delay_ns;
    struct loop_timer *timer;
    struct held held[HELD_MAX]; /* a ring, in the order of their times */
    unsigned first;
    unsigned count;
};

static struct delay *delay_of(struct transport *transport)
{
    return (struct delay *)transport;
}

static unsigned room(struct transport *transport, uint64_t node_id)
{
    struct delay *delay = delay_of(transport);
    unsigned left = HELD_MAX - delay->count;

    if (delay->inner->ops->room(delay->inner, node_id) == 0)
        return 0;
    return left < ROOM ? left : ROOM;
}

static void hold(struct transport *transport, uint64_t node_id, struct frame *frame)
{
    struct delay *delay = delay_of(transport);

    CHECK(delay->count < HELD_MAX);
    delay->held[(delay->first + delay->count++) % HELD_MAX] =
        (struct held){clock_monotonic_ns() + delay->delay_ns, node_id, frame};
}

static void release(void *context)
{
    struct delay *delay = context;
    uint64_t now = clock_monotonic_ns();

    while (delay->count > 0 && delay->held[delay->first].due_ns <= now) {
        struct held *held = &delay->held[delay->first];
        if (delay->inner->ops->room(delay->inner, held->node_id) > 0)
            delay->inner->ops->send(delay->inner, held->node_id, held->frame);
        else
            frame_unref(held->frame); /* lost: Raft sends again */
        delay->first = (delay->first + 1) % HELD_MAX;
        delay->count--;
    }
}

static const struct transport_ops delay_ops = {.room = room, .send = hold};

struct delay *delay_new(struct loop *loop, struct transport *inner, unsigned delay_ms)
{
    struct delay *delay = calloc(1, sizeof(*delay));

    CHECK(delay != NULL);
    delay->transport.ops = &delay_ops;
    delay->inner = inner;
    delay->delay_ns = (uint64_t)delay_ms * 1000000;
    delay->timer = loop_timer_start(loop, 1, 1, release, delay);
    return delay;
}

void delay_free(struct delay **delay)
{
    struct delay *ending = *delay;

    if (ending == NULL)
        return;
    loop_timer_stop(&ending->timer);
    for (; ending->count > 0; ending->count--) {
        frame_unref(ending->held[ending->first].frame);
        ending->first = (ending->first + 1) % HELD_MAX;
    }
    free(ending);
    *delay = NULL;
}

struct transport *delay_interface(struct delay *delay)
{
    return &delay->transport;
}
