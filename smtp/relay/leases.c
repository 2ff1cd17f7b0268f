/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nobody else tries a destination while this relay has its lease. It counts from before it was
 * asked for, by the monotonic clock, so it ends here before anybody can take it over.
 */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "smtp/relay/internal.h"

enum { ASKED_MAX = 4 /* commands of a group under way */ };

struct lease {
    struct list node; /* of the group's */
    struct relay_group *group;
    uint64_t number;
    uint64_t
        asked_ms; /* when the question under way, or the last one that was granted, began */
    uint64_t until_ms;
    bool asking;
    struct list jobs;
};

static bool is_item(const Pr__QueueItem *item, const struct job *job)
{
    return item->id == job->record->id && item->destination == job->destination->number;
}

static void lease_free(struct lease *lease)
{
    list_remove(&lease->node);
    group_release(&lease->group);
    free(lease);
}

void lease_leave(struct job *job)
{
    struct lease *lease = job->lease;

    if (lease == NULL)
        return;
    job->lease = NULL;
    list_remove(&job->lease_node);
    if (list_is_empty(&lease->jobs) && !lease->asking)
        lease_free(lease);
}

bool lease_holds(const struct job *job)
{
    return job->lease != NULL &&
           clock_monotonic_ms() + RELAY_LEASE_MARGIN_MS < job->lease->until_ms;
}

bool lease_is_lost(const struct job *job)
{
    return job->lease == NULL || clock_monotonic_ms() >= job->lease->until_ms;
}

/* ---- the question ---- */

static void ask(struct lease *lease, store_done *done)
{
    struct relay *relay = lease->group->relay;
    Pr__Request request = PR__REQUEST__INIT;
    Pr__QueueWrite write = PR__QUEUE_WRITE__INIT;
    Pr__QueueLease call = PR__QUEUE_LEASE__INIT;
    Pr__QueueItem items[RELAY_LEASE_ITEMS_MAX];
    Pr__QueueLeaseItem leased[RELAY_LEASE_ITEMS_MAX];
    Pr__QueueLeaseItem *list[RELAY_LEASE_ITEMS_MAX];

    for (struct list *at = lease->jobs.next; at != &lease->jobs; at = at->next) {
        const struct job *job = LIST_ENTRY(at, struct job, lease_node);
        size_t i = call.n_items++;
        pr__queue_item__init(&items[i]);
        pr__queue_lease_item__init(&leased[i]);
        items[i].id = job->record->id;
        items[i].destination = job->destination->number;
        leased[i].item = &items[i];
        leased[i].seen_lease = job->seen_lease;
        leased[i].seen_renewals = job->seen_renewals;
        list[i] = &leased[i];
    }
    call.items = list;
    call.lease = lease->number;
    call.node_id = relay->node_id;
    call.lease_ms = RELAY_LEASE_MS;
    write.group = lease->group->number;
    write.command_case = PR__QUEUE_WRITE__COMMAND_LEASE;
    write.lease = &call;
    request.call_case = PR__REQUEST__CALL_QUEUE_WRITE;
    request.queue_write = &write;
    lease->asking = true;
    lease->asked_ms = clock_monotonic_ms();
    store_call(relay->store, &request, RELAY_CALL_MS, done, lease);
}

static const Pr__Outcome *outcome_of(enum err err, const Pr__Reply *reply)
{
    if (err != ERR_OK || reply->err != ERR_OK || reply->outcome == NULL ||
        reply->outcome->err != ERR_OK)
        return NULL;
    return reply->outcome;
}

/* Granted ones come in the order in which they were asked for. */
static bool is_next(const Pr__Outcome *outcome, size_t at, const struct job *job)
{
    return outcome != NULL && at < outcome->n_queue_items &&
           is_item(outcome->queue_items[at], job);
}

/* ---- a new one ---- */

static void granted(struct job *job)
{
    job->seen_lease = 0;
    job->seen_renewals = 0;
    job->attempt.lease = job->lease->number;
    job->state = JOB_READY;
    lane_job_gone(job);
    site_job_ready(job->site, job);
}

static void on_leased(void *context, enum err err, const Pr__Reply *reply)
{
    struct lease *lease = context;
    struct relay_group *group = lease->group;
    const Pr__Outcome *outcome = outcome_of(err, reply);
    struct list asked;
    size_t at = 0;

    group->leases_asked--;
    lease->until_ms = lease->asked_ms + RELAY_LEASE_MS;
    /* What becomes of jobs may end the lease: they are taken to a list of their own first. */
    list_init(&asked);
    for (struct list *node; (node = list_take(&lease->jobs)) != NULL;)
        list_append(&asked, node);
    for (struct list *node; (node = list_take(&asked)) != NULL;) {
        struct job *job = LIST_ENTRY(node, struct job, lease_node);
        if (is_next(outcome, at, job)) {
            at++;
            list_append(&lease->jobs, node);
            granted(job);
        } else {
            struct site *site = job->site;
            job->lease = NULL;
            job_free(&job);
            site_job_gone(site);
        }
    }
    lease->asking = false;
    if (outcome == NULL)
        log_warn(NULL, "destinations cannot be leased",
                 LOG_FIELDS(LOG_U64("group", group->number), LOG_TEXT("error", err_name(err))));
    if (list_is_empty(&lease->jobs))
        lease_free(lease);
}

void lease_want(struct job *job)
{
    job->state = JOB_LEASING;
    list_append(&job->group->leases_wanted, &job->node);
    loop_wake(job->group->relay->loop);
}

void leases_flush(struct relay_group *group)
{
    while (!list_is_empty(&group->leases_wanted) && group->leases_asked < ASKED_MAX) {
        struct lease *lease = calloc(1, sizeof(*lease));
        struct list *node;
        CHECK(lease != NULL);
        lease->group = group;
        list_init(&lease->node);
        list_init(&lease->jobs);
        list_append(&group->leases, &lease->node);
        group_use(group);
        do
            store_random(&lease->number, sizeof(lease->number));
        while (lease->number == 0);
        for (unsigned i = 0;
             i < RELAY_LEASE_ITEMS_MAX && (node = list_take(&group->leases_wanted)) != NULL;
             i++) {
            struct job *job = LIST_ENTRY(node, struct job, node);
            job->lease = lease;
            list_append(&lease->jobs, &job->lease_node);
        }
        group->leases_asked++;
        ask(lease, on_leased);
    }
}

/* ---- renewal ---- */

/* Those that are not named any more were dropped or taken over: nothing is begun with them that
 * cannot be undone. Jobs may have left meanwhile, so the answer may name more than there are.
 */
static void renewed(struct lease *lease, const Pr__Outcome *outcome)
{
    struct list *next;
    size_t from = 0;

    for (struct list *at = lease->jobs.next; at != &lease->jobs; at = next) {
        struct job *job = LIST_ENTRY(at, struct job, lease_node);
        size_t i = from;
        next = at->next;
        while (i < outcome->n_queue_items && !is_item(outcome->queue_items[i], job))
            i++;
        if (i < outcome->n_queue_items) {
            from = i + 1;
        } else {
            job->lease = NULL;
            list_remove(&job->lease_node);
        }
    }
    lease->until_ms = lease->asked_ms + RELAY_LEASE_MS;
}

static void on_renewed(void *context, enum err err, const Pr__Reply *reply)
{
    struct lease *lease = context;
    const Pr__Outcome *outcome = outcome_of(err, reply);

    lease->asking = false;
    if (outcome != NULL)
        renewed(lease, outcome);
    if (list_is_empty(&lease->jobs))
        lease_free(lease);
}

void leases_tick(struct relay_group *group)
{
    uint64_t now_ms = clock_monotonic_ms();

    for (struct list *at = group->leases.next; at != &group->leases; at = at->next) {
        struct lease *lease = LIST_ENTRY(at, struct lease, node);
        if (!lease->asking && now_ms + RELAY_LEASE_MS >= lease->until_ms + RELAY_LEASE_RENEW_MS)
            ask(lease, on_renewed);
    }
}
