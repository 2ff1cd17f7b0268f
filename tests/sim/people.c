/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who begins what and when, and what operators ask for meanwhile. */
#include <stdlib.h>

#include "tests/sim/people.h"

enum {
    LETTER_EVERY_MS = 250,
    OPERATE_EVERY_MS = 1500,
    CLOCK_EVERY_MS = 5000,
    WALL_APART_MS = 60000, /* two nodes' wall clocks are twice that apart, at most */
    SETTLED_MS = 15000,    /* of the calm: then every call is answered well */
    OPERATOR_MS = 8000,
};

char *people_address(struct arena *arena, unsigned account)
{
    if (account == 1)
        return arena_string(arena, BYTES("postmaster@localhost"));
    return arena_printf(arena, "user%u@example.test", account);
}

void people_init(struct world *world)
{
    world->service->people = calloc(1, sizeof(struct people));
    CHECK(world->service->people != NULL);
}

void people_fini(struct world *world)
{
    struct people *people = world->service->people;

    for (unsigned i = 0; i < people->letter_count; i++)
        free(people->letters[i]);
    free(people->letters);
    for (unsigned i = 0; i <= ACCOUNTS; i++) {
        free(people->inboxes[i].messages);
        free(people->inboxes[i].floors);
        free(people->inboxes[i].states);
    }
    for (unsigned i = 0; i < VISITORS; i++)
        free(people->visitors[i].view.seen);
    free(people);
}

bool people_rest(const struct world *world)
{
    return world->now_ms + QUIET_MS >= world->calm_at_ms + CALM_MS;
}

static void send_letters(struct world *world, struct event *event)
{
    unsigned count = 1 + (unsigned)sim_below(world, sim_below(world, 12) == 0 ? 12 : 2);

    (void)event;
    if (people_rest(world))
        return;
    for (unsigned i = 0; i < count; i++)
        letter_send(world);
    sim_at(world, (struct event){.at_ms = world->now_ms + 1 + sim_below(world, LETTER_EVERY_MS),
                                 .run = send_letters});
}

/* ---- operators ---- */

static void on_moved(void *context, const Pr__Reply *reply)
{
    struct world *world = context;

    world->stats->moves_asked += reply != NULL && reply->err == ERR_OK;
}

static void account_move(struct world *world, Pr__Request *request, struct arena *arena)
{
    Pr__AccountMove *call = arena_alloc(arena, sizeof(*call));

    pr__account_move__init(call);
    call->address = people_address(arena, 1 + (unsigned)sim_below(world, ACCOUNTS));
    call->group = 1 + (uint32_t)sim_below(world, SERVICE_MAIL_GROUPS);
    call->cancel = sim_below(world, 8) == 0;
    request->call_case = PR__REQUEST__CALL_ACCOUNT_MOVE;
    request->account_move = call;
}

static char *some_node(struct world *world, struct arena *arena)
{
    return arena_printf(arena, "node%u", 1 + (unsigned)sim_below(world, world->plan.nodes));
}

static void on_led(void *context, const Pr__Reply *reply)
{
    struct world *world = context;

    world->stats->leads += reply != NULL && reply->err == ERR_OK;
}

static void group_lead(struct world *world, Pr__Request *request, struct arena *arena)
{
    Pr__GroupLead *call = arena_alloc(arena, sizeof(*call));

    pr__group_lead__init(call);
    call->group = (uint32_t)sim_below(world, GROUPS_MAX);
    call->node = some_node(world, arena);
    request->call_case = PR__REQUEST__CALL_GROUP_LEAD;
    request->group_lead = call;
}

static void on_altered(void *context, const Pr__Reply *reply)
{
    struct world *world = context;

    world->stats->drains += reply != NULL && reply->err == ERR_OK;
}

/* Its replicas go elsewhere, and come back; in the calm only that. */
static void node_alter(struct world *world, Pr__Request *request, struct arena *arena)
{
    Pr__NodeAlter *call = arena_alloc(arena, sizeof(*call));

    pr__node_alter__init(call);
    call->node = some_node(world, arena);
    call->action = world->calm || sim_below(world, 2) == 0 ? PR__NODE_ALTER__ACTION__UNDRAIN
                                                           : PR__NODE_ALTER__ACTION__DRAIN;
    call->force = true;
    request->call_case = PR__REQUEST__CALL_NODE_ALTER;
    request->node_alter = call;
}

static void on_password(void *context, const Pr__Reply *reply)
{
    struct world *world = context;

    world->stats->passwords += reply != NULL && reply->err == ERR_OK;
}

/* Whoever is logged in has to log in again. */
static void password_set(struct world *world, Pr__Request *request, struct arena *arena)
{
    Pr__AccountSetPassword *call = arena_alloc(arena, sizeof(*call));

    pr__account_set_password__init(call);
    call->weak = true;
    call->address = people_address(arena, 1 + (unsigned)sim_below(world, ACCOUNTS));
    call->password = arena_string(arena, BYTES("secret words"));
    request->call_case = PR__REQUEST__CALL_ACCOUNT_SET_PASSWORD;
    request->account_set_password = call;
}

static void operate(struct world *world, struct event *event)
{
    static const struct {
        void (*fill)(struct world *world, Pr__Request *request, struct arena *arena);
        front_done *done;
    } orders[] = {
        {account_move, on_moved}, {account_move, on_moved},    {account_move, on_moved},
        {group_lead, on_led},     {password_set, on_password}, {node_alter, on_altered},
    };
    unsigned count = sizeof(orders) / sizeof(*orders);
    unsigned order = (unsigned)sim_below(world, world->plan.nodes > 3 ? count : count - 1);
    Pr__Request request = PR__REQUEST__INIT;
    struct arena arena;

    (void)event;
    if (people_rest(world))
        return;
    arena_init(&arena);
    request.deadline_ms = OPERATOR_MS;
    orders[order].fill(world, &request, &arena);
    front_call(world, front_node(world), ROLE_OPERATOR, &request, orders[order].done, world);
    arena_fini(&arena);
    sim_at(world,
           (struct event){.at_ms = world->now_ms + 1 + sim_below(world, OPERATE_EVERY_MS),
                          .run = operate});
}

/* Wall clocks are set, forward and back. */
static void clock_set(struct world *world, struct event *event)
{
    unsigned node = (unsigned)sim_below(world, world->plan.nodes);

    (void)event;
    if (world->calm)
        return;
    world->service->wall_ms[node] = (int64_t)sim_below(world, 2 * WALL_APART_MS);
    sim_at(world, (struct event){.at_ms = world->now_ms + 1 + sim_below(world, CLOCK_EVERY_MS),
                                 .run = clock_set});
}

void people_begin(struct world *world)
{
    struct people *people = world->service->people;

    world->service->began = true;
    people_world_begin(world);
    people->calm_from_ms = world->calm_at_ms + SETTLED_MS;
    for (unsigned i = 0; i < VISITORS; i++)
        visitor_begin(world, i);
    for (unsigned i = 0; i < world->plan.nodes; i++)
        watch_begin(world, i);
    sim_at(world, (struct event){.at_ms = world->now_ms + 1, .run = send_letters});
    sim_at(world, (struct event){.at_ms = world->now_ms + 500, .run = operate});
    if (world->plan.jumps)
        sim_at(world, (struct event){.at_ms = world->now_ms + 100, .run = clock_set});
}
