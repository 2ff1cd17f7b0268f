/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who begins what and when, and what operators ask for meanwhile. */
#include <stdlib.h>

#include "tests/sim/people.h"

enum {
    LETTER_EVERY_MS = 250,
    MOVE_EVERY_MS = 2500,
    CLOCK_EVERY_MS = 5000,
    WALL_APART_MS = 60000, /* two nodes' wall clocks are twice that apart, at most */
    SETTLED_MS = 15000,    /* of the calm: then every call is answered well */
    OPERATOR_MS = 8000,
};

char *people_address(struct arena *arena, unsigned account)
{
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

static void on_asked(void *context, const Pr__Reply *reply)
{
    struct world *world = context;

    world->stats->moves_asked += reply != NULL && reply->err == ERR_OK;
}

static void account_move(struct world *world)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__AccountMove move = PR__ACCOUNT_MOVE__INIT;
    struct arena arena;

    arena_init(&arena);
    move.address = people_address(&arena, 1 + (unsigned)sim_below(world, ACCOUNTS));
    move.group = 1 + (uint32_t)sim_below(world, SERVICE_MAIL_GROUPS);
    move.cancel = sim_below(world, 8) == 0;
    request.deadline_ms = OPERATOR_MS;
    request.call_case = PR__REQUEST__CALL_ACCOUNT_MOVE;
    request.account_move = &move;
    front_call(world, front_node(world), ROLE_OPERATOR, &request, on_asked, world);
    arena_fini(&arena);
}

static void move(struct world *world, struct event *event)
{
    (void)event;
    if (people_rest(world))
        return;
    account_move(world);
    sim_at(world, (struct event){.at_ms = world->now_ms + 1 + sim_below(world, MOVE_EVERY_MS),
                                 .run = move});
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
    sim_at(world, (struct event){.at_ms = world->now_ms + 500, .run = move});
    if (world->plan.jumps)
        sim_at(world, (struct event){.at_ms = world->now_ms + 100, .run = clock_set});
}
