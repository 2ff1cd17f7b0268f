/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Those who propose, read, and change who is a member. */
#include <stdlib.h>

#include "tests/sim/mail.h"

enum { PAUSE_MS = 140, LOOK_MS = 120 };

struct request {
    struct world *world;
    unsigned node;
    uint64_t life;
    unsigned group;
    uint64_t seen_index; /* what had been shown before it began */
    uint64_t begun;      /* a moment of the mail's */
};

static struct request *request_new(struct node *node, unsigned group)
{
    struct request *request = calloc(1, sizeof(*request));
    CHECK(request != NULL);
    *request = (struct request){
        .world = node->world, .node = node->number, .life = node->life, .group = group};
    return request;
}

/* The answer of a dead process reaches nobody. */
static bool heard(const struct request *request)
{
    const struct node *node = &request->world->nodes[request->node];
    return node->up && node->life == request->life && !node->dying;
}

void client_show(struct world *world, unsigned group, uint64_t index)
{
    if (index > world->truths[group].seen_index)
        world->truths[group].seen_index = index;
}

struct node *client_node(struct world *world, unsigned group, bool leader)
{
    unsigned start = (unsigned)sim_below(world, world->plan.nodes);
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        struct node *node = &world->nodes[(start + i) % world->plan.nodes];
        if (node->up &&
            (!leader || replicator_leader(node->replicator, group) == node->number + 1))
            return node;
    }
    return NULL;
}

static void proposer(struct world *world, struct event *event)
{
    (void)event;
    unsigned count = 1 + (unsigned)sim_below(world, sim_below(world, 10) == 0 ? 40 : 4);
    unsigned group = (unsigned)sim_below(world, world->plan.groups);
    if (world->now_ms + QUIET_MS >= world->calm_at_ms + CALM_MS)
        return;
    for (unsigned i = 0; i < count; i++)
        mail_begin(world, group);
    sim_at(world, (struct event){.at_ms = world->now_ms + 2 + sim_below(world, PAUSE_MS),
                                 .run = proposer});
}

static void read_done(void *context, enum err err, uint64_t index, struct bytes reply)
{
    struct request *request = context;
    struct world *world = request->world;
    (void)reply;
    if (heard(request) && err == ERR_OK) {
        uint64_t applied =
            machine_applied_index(&world->nodes[request->node].machine, request->group);
        world->stats->reads++;
        if (applied < request->seen_index || index < request->seen_index)
            sim_fail(world, "node %u reads group %u at %llu (%llu), %llu had been shown before",
                     request->node + 1, request->group, (unsigned long long)applied,
                     (unsigned long long)index, (unsigned long long)request->seen_index);
        client_show(world, request->group, applied);
        mail_look(world, request->node, request->group, request->begun);
    } else if (err != ERR_OK && err != ERR_UNAVAILABLE && err != ERR_CLOSED &&
               err != ERR_NOTFOUND) {
        sim_fail(world, "read ends with %s", err_text(err));
    }
    free(request);
}

static void reader(struct world *world, struct event *event)
{
    (void)event;
    unsigned group = (unsigned)sim_below(world, world->plan.groups);
    struct node *node = client_node(world, group, false);
    if (node != NULL) {
        struct request *request = request_new(node, group);
        request->seen_index = world->truths[group].seen_index;
        request->begun = mail_moment(world);
        if (world->bug == BUG_STALE_READ)
            read_done(request, ERR_OK, replicator_applied(node->replicator, group),
                      (struct bytes){NULL, 0});
        else
            replicator_read(node->replicator, group, world->now_ms + 500, read_done, request);
        node_wake(node);
    }
    sim_at(world, (struct event){.at_ms = world->now_ms + 5 + sim_below(world, LOOK_MS),
                                 .run = reader});
}

static void change_done(void *context, enum err err)
{
    struct request *request = context;
    request->world->change_open[request->group] = false;
    if (err == ERR_OK)
        request->world->stats->changes++;
    free(request);
}

static void transfer_done(void *context, enum err err)
{
    struct request *request = context;
    if (err == ERR_OK)
        request->world->stats->transfers++;
    free(request);
}

/* Until every node is a voter: one step towards it. Returns false when there is nothing. */
static bool grow(struct node *leader, unsigned group, const struct replicator_status *status)
{
    struct world *world = leader->world;
    for (unsigned i = 0; i < world->plan.nodes; i++) {
        unsigned at = 0;
        while (at < status->member_count && status->members[at].node_id != i + 1)
            at++;
        if (at < status->member_count && status->members[at].role == REPLICATOR_VOTER)
            continue;
        enum replicator_role role =
            at == status->member_count || status->members[at].role == REPLICATOR_SPARE
                ? REPLICATOR_STANDBY
                : REPLICATOR_VOTER;
        replicator_change(leader->replicator, group, i + 1, role, false, change_done,
                          request_new(leader, group));
        return true;
    }
    return false;
}

static void shrink(struct node *leader, unsigned group)
{
    struct world *world = leader->world;
    uint64_t node_id = 1 + sim_below(world, world->plan.nodes);
    bool remove = sim_below(world, 2) == 0;
    replicator_change(leader->replicator, group, node_id,
                      sim_below(world, 2) == 0 ? REPLICATOR_STANDBY : REPLICATOR_SPARE, remove,
                      change_done, request_new(leader, group));
}

static void members(struct world *world, struct event *event)
{
    (void)event;
    unsigned group = (unsigned)sim_below(world, world->plan.groups);
    struct node *leader = client_node(world, group, true);
    struct replicator_status status;
    if (leader != NULL && replicator_status(leader->replicator, group, &status)) {
        if (!world->calm && sim_below(world, 10) == 0)
            replicator_transfer(leader->replicator, group,
                                sim_below(world, 2) * (1 + sim_below(world, world->plan.nodes)),
                                transfer_done, request_new(leader, group));
        else if (world->plan.churn && !world->calm && sim_below(world, 3) == 0)
            shrink(leader, group);
        else
            grow(leader, group, &status);
        node_wake(leader);
    }
    sim_at(world,
           (struct event){.at_ms = world->now_ms + 20 + sim_below(world, 300), .run = members});
}

void client_setup(struct world *world)
{
    sim_at(world, (struct event){.at_ms = world->now_ms + 50, .run = proposer});
    mail_handovers_setup(world);
    sim_at(world, (struct event){.at_ms = world->now_ms + 60, .run = reader});
    sim_at(world, (struct event){.at_ms = world->now_ms + 70, .run = members});
}
