/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lanes in memory: only what waits for its turn. A lane is gone when it was read to its end and
 * what was read is leased; what has come into it meanwhile is looked for then, and not before:
 * it would be read together with what is known already.
 */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/mail/idn.h"
#include "smtp/relay/internal.h"

static uint64_t lane_hash(const struct relay_group *group, const Pr__QueueLane *found)
{
    struct buffer key = BUFFER_EMPTY;
    uint64_t hash;

    buffer_printf(&key, "%u %u %llu %s", group->number, (unsigned)found->class_,
                  (unsigned long long)found->tenant_id, found->domain);
    hash = relay_hash(group->relay, buffer_bytes(&key));
    buffer_fini(&key);
    return hash;
}

void lane_free(struct lane **lane)
{
    struct lane *ending = *lane;
    struct relay *relay = ending->group->relay;

    *lane = NULL;
    if (ending->route_ticket != 0)
        route_cancel(relay->routes, ending->route_ticket);
    if (ending->read_call != 0)
        store_cancel(relay->store, ending->read_call);
    for (struct list *node; (node = list_take(&ending->leasing)) != NULL;)
        LIST_ENTRY(node, struct job, lane_node)->lane = NULL;
    list_remove(&ending->site_node);
    map_remove(&relay->lanes, ending->hash);
    relay->lane_count--;
    group_release(&ending->group);
    free(ending->domain);
    free(ending);
}

void lanes_free(struct relay *relay)
{
    size_t at = 0;
    uint64_t hash;
    void *context;

    while (map_next(&relay->lanes, &at, &hash, &context)) {
        struct lane *lane = context;
        lane_free(&lane);
    }
}

static void lane_end(struct lane *lane)
{
    if (!lane->over || !list_is_empty(&lane->leasing))
        return;
    if (lane->again)
        look_at_news(lane->group);
    lane_free(&lane);
}

void lane_over(struct lane *lane)
{
    lane->over = true;
    lane_end(lane);
}

void lane_job_gone(struct job *job)
{
    struct lane *lane = job->lane;

    if (lane == NULL)
        return;
    job->lane = NULL;
    list_remove(&job->lane_node);
    lane_end(lane);
}

/* ---- its site ---- */

static void on_route(void *context, const struct route *route)
{
    struct lane *lane = context;
    struct site *site;

    lane->route_ticket = 0;
    site = site_of_route(lane->group->relay, route);
    if (site == NULL || !site_take_lane(site, lane)) {
        look_left(lane->group);
        lane_free(&lane);
    }
}

/* Lanes are named as addresses are written: DNS wants A-labels. What has none is asked for as
 * it is, and does not exist. */
static uint64_t lane_route(struct lane *lane)
{
    struct arena ascii_arena;
    struct bytes ascii;
    uint64_t ticket;

    arena_init(&ascii_arena);
    if (mail_domain_to_ascii(bytes_of(lane->domain), &ascii_arena, &ascii) != ERR_OK)
        ascii = bytes_of(lane->domain);
    ticket = route_find(lane->group->relay->routes, arena_string(&ascii_arena, ascii), on_route,
                        lane);
    arena_fini(&ascii_arena);
    return ticket;
}

bool lane_found(struct relay_group *group, const Pr__QueueLane *found)
{
    struct relay *relay = group->relay;
    uint64_t hash = lane_hash(group, found);
    struct lane *lane;

    if ((lane = map_get(&relay->lanes, hash)) != NULL) {
        lane->again = true;
        return true;
    }
    if (relay->lane_count >= RELAY_LANES_MAX)
        return false;
    if (found->class_ != PR__QUEUE_CLASS__QUEUE_PERSONAL &&
        relay->lane_count >= RELAY_LANES_MAX / 4 * 3) { /* the rest is for personal mail */
        look_left(group);
        return true;
    }
    lane = calloc(1, sizeof(*lane));
    CHECK(lane != NULL);
    lane->hash = hash;
    lane->group = group;
    group_use(group);
    lane->domain = strdup(found->domain);
    CHECK(lane->domain != NULL);
    lane->class =
        (unsigned)found->class_ < SITE_CLASSES ? (unsigned)found->class_ : SITE_CLASSES - 1;
    lane->tenant_id = found->tenant_id;
    list_init(&lane->site_node);
    list_init(&lane->leasing);
    map_put(&relay->lanes, hash, lane);
    relay->lane_count++;
    if (strcmp(lane->domain, RELAY_LANE_INWARD) == 0) {
        on_route(lane, NULL);
        return true;
    }
    lane->route_ticket = lane_route(lane);
    return true;
}

/* ---- what is in it ---- */

static void record_take(struct lane *lane, const Pr__QueueRecord *record)
{
    const Pr__QueueDestination *destination = record->destinations[0];
    struct job *job;

    if ((destination->lease == 0 && destination->due_ms > clock_wall_ms()) ||
        !watch_is_over(lane->group, record->id, destination))
        return;
    job = job_new(lane->group, lane->site, record);
    if (job == NULL)
        return;
    job->seen_lease = destination->lease;
    job->seen_renewals = destination->renewals;
    job->lane = lane;
    list_append(&lane->leasing, &job->lane_node);
    site_job_coming(lane->site);
    lease_want(job);
}

static void on_read(void *context, enum err err, const Pr__Reply *reply)
{
    struct lane *lane = context;
    struct site *site = lane->site;
    const Pr__QueueReadAnswer *answer;

    lane->read_call = 0;
    if (err != ERR_OK || reply->err != ERR_OK ||
        reply->answer_case != PR__REPLY__ANSWER_QUEUE_READ) {
        site_lane_read(site, lane, false); /* found again by the next look */
        return;
    }
    answer = reply->queue_read;
    for (size_t i = 0; i < answer->n_messages; i++) {
        const Pr__QueueRecord *record = answer->messages[i];
        if (record->n_destinations != 1)
            continue;
        lane->after_due_ms = record->destinations[0]->due_ms;
        lane->after_id = record->id;
        lane->after_destination = record->destinations[0]->number;
        record_take(lane, record);
    }
    site_lane_read(site, lane, answer->more && answer->n_messages > 0 && lane->group->led);
}

void lane_read(struct lane *lane)
{
    struct relay_group *group = lane->group;
    Pr__Request request = PR__REQUEST__INIT;
    Pr__QueueRead read = PR__QUEUE_READ__INIT;
    Pr__QueueLane which = PR__QUEUE_LANE__INIT;
    Pr__QueueItem after = PR__QUEUE_ITEM__INIT;

    which.domain = lane->domain;
    which.class_ = (Pr__QueueClass)lane->class;
    which.tenant_id = lane->tenant_id;
    after.id = lane->after_id;
    after.destination = lane->after_destination;
    read.group = group->number;
    read.lane = &which;
    read.until_ms = group_until_ms(group);
    read.after_due_ms = lane->after_due_ms;
    read.after = lane->after_id != 0 ? &after : NULL;
    read.limit = relay_is_crowded(group->relay) ? RELAY_FETCH_FEW : RELAY_FETCH;
    request.call_case = PR__REQUEST__CALL_QUEUE_READ;
    request.queue_read = &read;
    lane->again = false;
    lane->read_call = store_call(group->relay->store, &request, RELAY_CALL_MS, on_read, lane);
}
