/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which lanes of a group are due. What is new is looked for at once, behind what was seen last;
 * all that is due now and then, with rests between, so that neither a long backlog nor much
 * that comes in makes the looking dear.
 */
#include "smtp/relay/internal.h"

static void look_start(struct relay_group *group, bool whole);

static void on_time(void *context)
{
    struct relay_group *group = context;
    struct look *look = &group->look;

    look->timer = NULL;
    look_start(group, clock_monotonic_ms() >= look->whole_at_ms);
}

static void look_in(struct relay_group *group, uint64_t delay_ms)
{
    loop_timer_stop(&group->look.timer);
    group->look.timer = loop_timer_start(group->relay->loop, delay_ms, 0, on_time, group);
}

void look_stop(struct relay_group *group)
{
    loop_timer_stop(&group->look.timer);
}

/* When the next look at all of them is. */
static void rest(struct relay_group *group)
{
    struct look *look = &group->look;
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t rest_ms = RELAY_LOOK_MAX_MS;

    if (look->whole)
        look->took_ms = now_ms - look->began_ms;
    if (look->left)
        rest_ms = RELAY_AGAIN_MS;
    else if (group->watches.count > 0 || now_ms < group->leases_until_ms)
        rest_ms = RELAY_LOOK_WATCHED_MS; /* leases of others may run out */
    if (rest_ms < RELAY_LOOK_REST * look->took_ms)
        rest_ms = RELAY_LOOK_REST * look->took_ms;
    if (look->whole || look->began_ms + look->took_ms + rest_ms < look->whole_at_ms)
        look->whole_at_ms = look->began_ms + look->took_ms + rest_ms;
}

static void look_over(struct relay_group *group, uint64_t next_due_ms)
{
    struct look *look = &group->look;
    uint64_t wall_ms = clock_wall_ms();
    uint64_t now_ms = clock_monotonic_ms();

    if (look->wall_ms > look->seen_ms)
        look->seen_ms = look->wall_ms;
    rest(group);
    uint64_t delay_ms = look->whole_at_ms > now_ms ? look->whole_at_ms - now_ms : 0;
    if (next_due_ms != 0 && next_due_ms < wall_ms + delay_ms)
        delay_ms = next_due_ms > wall_ms ? next_due_ms - wall_ms : 0;
    look_in(group, look->again ? 0 : delay_ms);
}

/* Returns whether there was room for all of them. */
static bool lanes_take(struct relay_group *group, const Pr__QueueLanesAnswer *answer)
{
    for (size_t i = 0; i < answer->n_lanes; i++) {
        const Pr__QueueLane *found = answer->lanes[i];
        if (*found->domain == '\0')
            notices_due(group, found);
        else if (!lane_found(group, found))
            return false;
    }
    return true;
}

static void look_on(struct relay_group *group, const Pr__QueueLane *after);

static void on_lanes(void *context, enum err err, const Pr__Reply *reply)
{
    struct relay_group *group = context;
    struct relay_group *used = group;
    struct look *look = &group->look;

    look->call = 0;
    if (!group->led || group->relay->stopping) {
        group_release(&used);
        return;
    }
    if (err != ERR_OK || reply->err != ERR_OK ||
        reply->answer_case != PR__REPLY__ANSWER_QUEUE_LANES) {
        look_in(group, RELAY_AGAIN_MS);
        group_release(&used);
        return;
    }
    const Pr__QueueLanesAnswer *answer = reply->queue_lanes;
    bool more = answer->more && answer->n_lanes > 0;
    group->clock_ms = answer->clock_ms;
    group->clock_read_ms = clock_monotonic_ms();
    look->pages++;
    if (!lanes_take(group, answer)) {
        look->left = true; /* others have their turn first */
        more = false;
    } else if (more && !look->whole && look->pages >= RELAY_LOOK_NEWS_PAGES) {
        look->left = true;
        more = false;
    }
    if (more)
        look_on(group, answer->lanes[answer->n_lanes - 1]);
    else
        look_over(group, answer->next_due_ms);
    group_release(&used);
}

uint64_t group_until_ms(const struct relay_group *group)
{
    uint64_t left_ms = clock_monotonic_ms() < group->leases_until_ms ? RELAY_LEASE_MS : 0;

    return clock_wall_ms() + left_ms;
}

static void look_on(struct relay_group *group, const Pr__QueueLane *after)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__QueueLanes lanes = PR__QUEUE_LANES__INIT;
    Pr__QueueLane last;

    if (after != NULL) {
        last = *after;
        lanes.after = &last;
    }
    lanes.group = group->number;
    lanes.until_ms = group->look.until_ms;
    lanes.limit = RELAY_LANES_PAGE;
    request.call_case = PR__REQUEST__CALL_QUEUE_LANES;
    request.queue_lanes = &lanes;
    group_use(group);
    group->look.call =
        store_call(group->relay->store, &request, RELAY_CALL_MS, on_lanes, group);
}

static void look_start(struct relay_group *group, bool whole)
{
    struct look *look = &group->look;
    Pr__QueueLane behind = PR__QUEUE_LANE__INIT;

    look->whole = whole || look->seen_ms <= RELAY_LOOK_BACK_MS;
    look->again = false;
    look->pages = 0;
    look->wall_ms = clock_wall_ms();
    look->until_ms = group_until_ms(group);
    if (look->whole) {
        look->left = false;
        look->began_ms = clock_monotonic_ms();
    } else {
        behind.due_ms = look->seen_ms - RELAY_LOOK_BACK_MS;
    }
    look_on(group, look->whole ? NULL : &behind);
}

void look_at_news(struct relay_group *group)
{
    if (!group->led || group->relay->stopping)
        return;
    if (group->look.call != 0)
        group->look.again = true;
    else
        look_in(group, 0);
}

void look_left(struct relay_group *group)
{
    group->look.left = true;
}
