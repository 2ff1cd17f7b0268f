/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which mail groups this node leads, and which of their lanes are due. */
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/internal.h"

/* ---- one group ---- */

static struct relay_group *group_new(struct relay *relay, uint32_t number)
{
    struct relay_group *group = calloc(1, sizeof(*group));

    CHECK(group != NULL);
    group->relay = relay;
    group->number = number;
    map_init(&group->watches);
    list_init(&group->leases_wanted);
    list_init(&group->leases);
    list_init(&group->reports_wanted);
    map_put(&relay->groups, number, group);
    group_use(group);
    return group;
}

void group_use(struct relay_group *group)
{
    group->users++;
}

void group_release(struct relay_group **group)
{
    struct relay_group *leaving = *group;

    *group = NULL;
    if (--leaving->users > 0)
        return;
    map_remove(&leaving->relay->groups, leaving->number);
    loop_timer_stop(&leaving->look_timer);
    watches_free(leaving);
    notices_free(&leaving->notices);
    free(leaving);
}

static void look(struct relay_group *group, const Pr__QueueLane *after);

static void on_look_time(void *context)
{
    struct relay_group *group = context;

    group->look_timer = NULL;
    look(group, NULL);
}

static void look_in(struct relay_group *group, uint64_t delay_ms)
{
    loop_timer_stop(&group->look_timer);
    group->look_timer = loop_timer_start(group->relay->loop, delay_ms, 0, on_look_time, group);
}

static void look_over(struct relay_group *group, uint64_t next_due_ms)
{
    uint64_t now_ms = clock_wall_ms();
    /* Leases of others may run out. */
    uint64_t delay_ms =
        group->watches.count > 0 || clock_monotonic_ms() < group->leases_until_ms
            ? RELAY_LOOK_WATCHED_MS
            : RELAY_LOOK_MAX_MS;

    if (group->look_again)
        delay_ms = 0;
    else if (next_due_ms != 0 && next_due_ms < now_ms + delay_ms)
        delay_ms = next_due_ms > now_ms ? next_due_ms - now_ms : 0;
    look_in(group, delay_ms);
}

/* Returns whether there was room for all of them. */
static bool lanes_take(struct relay_group *group, const Pr__QueueLanesAnswer *answer)
{
    for (size_t i = 0; i < answer->n_lanes; i++) {
        const Pr__QueueLane *found = answer->lanes[i];
        bool taken = *found->domain == '\0' ? notices_due(group) : lane_found(group, found);
        if (!taken)
            return false;
    }
    return true;
}

static void on_lanes(void *context, enum err err, const Pr__Reply *reply)
{
    struct relay_group *group = context;
    struct relay_group *used = group;

    group->look_call = 0;
    if (!group->led || group->relay->stopping) {
        group_release(&used);
        return;
    }
    if (err != ERR_OK || reply->err != ERR_OK ||
        reply->answer_case != PR__REPLY__ANSWER_QUEUE_LANES) {
        look_in(group, RELAY_AGAIN_MS);
    } else {
        const Pr__QueueLanesAnswer *answer = reply->queue_lanes;
        group->clock_ms = answer->clock_ms;
        group->clock_read_ms = clock_monotonic_ms();
        if (!lanes_take(group, answer))
            look_in(group, RELAY_AGAIN_MS); /* others have their turn first */
        else if (answer->more && answer->n_lanes > 0)
            look(group, answer->lanes[answer->n_lanes - 1]);
        else
            look_over(group, answer->next_due_ms);
    }
    group_release(&used);
}

uint64_t group_until_ms(const struct relay_group *group)
{
    uint64_t left_ms = clock_monotonic_ms() < group->leases_until_ms ? RELAY_LEASE_MS : 0;

    return clock_wall_ms() + left_ms;
}

static void look(struct relay_group *group, const Pr__QueueLane *after)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__QueueLanes lanes = PR__QUEUE_LANES__INIT;
    Pr__QueueLane last;

    if (after != NULL) {
        last = *after;
        lanes.after = &last;
    } else {
        group->look_again = false;
    }
    lanes.group = group->number;
    lanes.until_ms = group_until_ms(group);
    lanes.limit = RELAY_LANES_PAGE;
    request.call_case = PR__REQUEST__CALL_QUEUE_LANES;
    request.queue_lanes = &lanes;
    group_use(group);
    group->look_call =
        store_call(group->relay->store, &request, RELAY_CALL_MS, on_lanes, group);
}

void group_look(struct relay_group *group)
{
    if (!group->led || group->relay->stopping)
        return;
    if (group->look_call != 0)
        group->look_again = true;
    else
        look_in(group, 0);
}

void groups_tick(struct relay *relay)
{
    size_t at = 0;
    uint64_t number;
    void *group;

    while (map_next(&relay->groups, &at, &number, &group)) {
        leases_tick(group);
        watches_sweep(group);
    }
}

void groups_flush(struct relay *relay)
{
    size_t at = 0;
    uint64_t number;
    void *group;

    while (map_next(&relay->groups, &at, &number, &group)) {
        leases_flush(group);
        reports_flush(group);
    }
}

/* ---- which ones ---- */

static void duties_ask(struct relay *relay);

static void on_duties_time(void *context)
{
    struct relay *relay = context;

    relay->duties_timer = NULL;
    duties_ask(relay);
}

static void group_lead(struct relay *relay, const Pr__RelayDuty *duty)
{
    struct relay_group *group = map_get(&relay->groups, duty->group);

    if (group == NULL)
        group = group_new(relay, duty->group);
    else if (!group->led)
        group_use(group);
    else if (group->term == duty->term && group->changes == duty->changes)
        return;
    if (!group->led || group->term != duty->term)
        group->leases_until_ms = clock_monotonic_ms() + RELAY_LEASE_MS;
    group->led = true;
    group->term = duty->term;
    group->changes = duty->changes;
    group_look(group);
}

static void group_leave(struct relay_group *group)
{
    group->led = false;
    loop_timer_stop(&group->look_timer);
    group_release(&group);
}

static bool is_led(const Pr__RelayDutiesAnswer *answer, uint64_t number)
{
    for (size_t i = 0; i < answer->n_groups; i++)
        if (answer->groups[i]->group == number)
            return true;
    return false;
}

static void duties_take(struct relay *relay, const Pr__RelayDutiesAnswer *answer)
{
    size_t at = 0;
    uint64_t number;
    void *group;

    relay->duties_version = answer->version;
    relay->node_id = answer->node_id;
    for (size_t i = 0; i < answer->n_groups; i++)
        group_lead(relay, answer->groups[i]);
    while (map_next(&relay->groups, &at, &number, &group))
        if (((struct relay_group *)group)->led && !is_led(answer, number))
            group_leave(group);
}

static void on_duties(void *context, enum err err, const Pr__Reply *reply)
{
    struct relay *relay = context;

    relay->duties_call = 0;
    if (relay->stopping)
        return;
    if (err == ERR_OK && reply->err == ERR_OK &&
        reply->answer_case == PR__REPLY__ANSWER_RELAY_DUTIES) {
        duties_take(relay, reply->relay_duties);
        duties_ask(relay);
        return;
    }
    relay->duties_version = 0;
    relay->duties_timer =
        loop_timer_start(relay->loop, RELAY_AGAIN_MS, 0, on_duties_time, relay);
}

static void duties_ask(struct relay *relay)
{
    Pr__Request request = PR__REQUEST__INIT;
    Pr__RelayDuties duties = PR__RELAY_DUTIES__INIT;

    duties.version = relay->duties_version;
    request.call_case = PR__REQUEST__CALL_RELAY_DUTIES;
    request.relay_duties = &duties;
    relay->duties_call = store_call(relay->store, &request, RELAY_DUTIES_MS, on_duties, relay);
}

void groups_start(struct relay *relay)
{
    duties_ask(relay);
}

void groups_stop(struct relay *relay)
{
    size_t at = 0;
    uint64_t number;
    void *group;

    loop_timer_stop(&relay->duties_timer);
    if (relay->duties_call != 0)
        store_cancel(relay->store, relay->duties_call);
    relay->duties_call = 0;
    while (map_next(&relay->groups, &at, &number, &group))
        if (((struct relay_group *)group)->led)
            group_leave(group);
}
