/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which mail groups this node leads. */
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
    look_stop(leaving);
    watches_free(leaving);
    notices_free(&leaving->notices);
    free(leaving);
}

void groups_tick(struct relay *relay)
{
    size_t at = 0;
    uint64_t number;
    void *group;

    while (map_next(&relay->groups, &at, &number, &group)) {
        leases_tick(group);
        notices_tick(group);
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
    look_at_news(group);
}

static void group_leave(struct relay_group *group)
{
    group->led = false;
    look_stop(group);
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
