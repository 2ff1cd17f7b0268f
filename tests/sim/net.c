/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Links between nodes: first in first out, late, lossy, doubling, and cut in one direction or
 * both. A new connection forgets what was under way on the one before.
 */
#include <stdlib.h>

#include "sim.h"

enum { INFLIGHT_FRAMES_MAX = 4 };

struct delivery {
    struct frame *frame;
    unsigned from;
    unsigned to;
    uint64_t epoch;
    bool lost;
};

static void delivery_drop(void *data)
{
    struct delivery *delivery = data;
    frame_unref(delivery->frame);
    free(delivery);
}

static void deliver(struct world *world, struct event *event)
{
    struct delivery *delivery = event->data;
    struct net_link *link = &world->links[delivery->from][delivery->to];
    struct node *node = &world->nodes[delivery->to];
    if (delivery->epoch != link->epoch)
        return;
    if (link->inflight > 0)
        link->inflight--;
    node_wake(&world->nodes[delivery->from]);
    if (delivery->lost || link->cut || !node->up)
        return;
    world->stats->frames++;
    replicator_received(node->replicator, delivery->from + 1, frame_ref(delivery->frame));
    node_wake(node);
}

static void schedule(struct world *world, unsigned from, unsigned to, struct frame *frame)
{
    struct net_link *link = &world->links[from][to];
    struct delivery *delivery = malloc(sizeof(*delivery));
    uint64_t delay = 1 + sim_below(world, world->calm ? 5 : world->plan.delay_ms);
    CHECK(delivery != NULL);
    *delivery =
        (struct delivery){.frame = frame,
                          .from = from,
                          .to = to,
                          .epoch = link->epoch,
                          .lost = !world->calm && sim_chance(world, world->plan.loss_permille)};
    if (world->now_ms + delay > link->last_ms)
        link->last_ms = world->now_ms + delay;
    link->inflight++;
    sim_at(world, (struct event){.at_ms = link->last_ms,
                                 .run = deliver,
                                 .node = to,
                                 .data = delivery,
                                 .drop = delivery_drop});
}

static unsigned net_room(struct transport *transport, uint64_t node_id)
{
    struct node *node =
        (struct node *)((uint8_t *)transport - offsetof(struct node, transport));
    struct net_link *link = &node->world->links[node->number][node_id - 1];
    return link->up && link->inflight < INFLIGHT_FRAMES_MAX
               ? INFLIGHT_FRAMES_MAX - link->inflight
               : 0;
}

static void net_send(struct transport *transport, uint64_t node_id, struct frame *frame)
{
    struct node *node =
        (struct node *)((uint8_t *)transport - offsetof(struct node, transport));
    struct world *world = node->world;
    unsigned to = (unsigned)node_id - 1;
    CHECK(frame_bytes(frame).len <= TRANSPORT_FRAME_SIZE_MAX);
    if (!node_effect(node)) {
        frame_unref(frame);
        return;
    }
    check_sent(world, node->number, to, frame_bytes(frame));
    sim_trace(world, frame_bytes(frame).len);
    if (!world->calm && sim_chance(world, world->plan.double_permille))
        schedule(world, node->number, to, frame_ref(frame));
    schedule(world, node->number, to, frame);
}

const struct transport_ops net_ops = {.room = net_room, .send = net_send};

void net_init(struct world *world)
{
    memset(world->links, 0, sizeof(world->links));
}

struct link_change {
    unsigned from;
    unsigned to;
    bool up;
};

static void link_set(struct world *world, unsigned from, unsigned to, bool up)
{
    struct net_link *link = &world->links[from][to];
    struct node *node = &world->nodes[from];
    link->epoch++;
    link->inflight = 0;
    link->up = up;
    if (node->up) {
        replicator_peer_up(node->replicator, to + 1, up);
        node_wake(node);
    }
}

static void link_changed(struct world *world, struct event *event)
{
    struct link_change *change = event->data;
    if (change->up && (!world->nodes[change->from].up || !world->nodes[change->to].up))
        return;
    link_set(world, change->from, change->to, change->up);
}

static void link_change_later(struct world *world, unsigned from, unsigned to, bool up,
                              uint64_t delay_ms)
{
    struct link_change *change = malloc(sizeof(*change));
    CHECK(change != NULL);
    *change = (struct link_change){.from = from, .to = to, .up = up};
    sim_at(world, (struct event){.at_ms = world->now_ms + delay_ms,
                                 .run = link_changed,
                                 .node = from,
                                 .data = change,
                                 .drop = free});
}

void net_node_down(struct world *world, unsigned node)
{
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        if (i == node)
            continue;
        world->links[node][i].up = false;
        world->links[node][i].epoch++;
        world->links[node][i].inflight = 0;
        /* The others notice when their connection breaks. */
        world->links[i][node].epoch++;
        world->links[i][node].inflight = 0;
        link_change_later(world, i, node, false, sim_below(world, 20));
    }
}

void net_node_up(struct world *world, unsigned node)
{
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        if (i == node)
            continue;
        link_change_later(world, i, node, true, 20 + sim_below(world, 30));
        link_change_later(world, node, i, true, 20 + sim_below(world, 30));
    }
}

void net_partition(struct world *world)
{
    bool one_way = sim_below(world, 3) == 0;
    uint64_t side = sim_below(world, (uint64_t)1 << world->plan.nodes);
    for (unsigned a = 0; a < world->plan.nodes; a++)
        for (unsigned b = 0; b < world->plan.nodes; b++) {
            if (((side >> a) & 1) == ((side >> b) & 1) || (one_way && ((side >> a) & 1) == 0))
                continue;
            world->links[a][b].cut = true;
            if (sim_below(world, 2) == 0)
                link_change_later(world, a, b, false, 10 + sim_below(world, 100));
        }
}

void net_heal(struct world *world)
{
    for (unsigned a = 0; a < world->plan.nodes; a++)
        for (unsigned b = 0; b < world->plan.nodes; b++) {
            struct net_link *link = &world->links[a][b];
            link->cut = false;
            if (a != b)
                link_change_later(world, a, b, true, 110 + sim_below(world, 50));
        }
}
