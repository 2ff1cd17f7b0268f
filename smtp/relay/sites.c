/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hosts of a route: which lane is read next, how many connections there are, and what
 * happens when nobody answers.
 */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "smtp/relay/internal.h"

enum {
    READS_MAX = 4,          /* lanes of a site that are read at the same time */
    PERSONAL_TURNS = 8,     /* lanes of personal mail before one of bulk has its turn */
    WINDOW_FIRST = 2,       /* connections, until one message was taken */
    INWARD_MAX = 8,         /* jobs that go into the cluster at the same time */
    PAUSE_FIRST_MS = 30000, /* of a site where nobody answers, doubled each time */
    PAUSE_MAX_MS = 600000,
    FAILED_KEPT_MS = 2 * RELAY_LOOK_MAX_MS, /* after a pause */
};

/* ---- which one ---- */

static void key_make(const struct route *route, struct buffer *key)
{
    if (route == NULL) {
        buffer_add(key, bytes_from("@", 2));
        return;
    }
    if (route->kind != ROUTE_GOOD)
        buffer_printf(key, "!%u %s", (unsigned)route->kind, route->domain);
    /* What TLS has proven on a connection is worth as much as the way to its host's name. */
    else if (route->secure)
        buffer_add_string(key, "secure ");
    for (unsigned i = 0; i < route->host_count; i++) {
        const struct route_host *host = &route->hosts[i];
        buffer_printf(key, "%u %s:%u %u,", host->preference, host->name, host->port,
                      (unsigned)host->tlsa);
    }
    buffer_add(key, bytes_from("", 1));
}

struct site *site_of_route(struct relay *relay, const struct route *route)
{
    struct buffer key = BUFFER_EMPTY;
    uint64_t hash;
    struct site *site;

    key_make(route, &key);
    const char *text = (const char *)buffer_bytes(&key).at;
    hash = relay_hash(relay, buffer_bytes(&key));
    site = map_get(&relay->sites, hash);
    if (site == NULL) {
        site = calloc(1, sizeof(*site));
        CHECK(site != NULL);
        site->relay = relay;
        site->hash = hash;
        site->key = strdup(text);
        CHECK(site->key != NULL);
        site->window = WINDOW_FIRST;
        for (unsigned i = 0; i < SITE_CLASSES; i++)
            list_init(&site->lanes[i]);
        list_init(&site->ready);
        list_init(&site->conversations);
        list_init(&site->waiting);
        map_put(&relay->sites, hash, site);
    } else if (strcmp(site->key, text) != 0) {
        site = NULL;
    }
    buffer_fini(&key);
    if (site != NULL) {
        route_release(&site->route);
        site->route = route == NULL ? NULL : route_hold(route);
    }
    return site;
}

static void site_free(struct site *site)
{
    loop_timer_stop(&site->timer);
    list_remove(&site->waiting);
    map_remove(&site->relay->sites, site->hash);
    route_release(&site->route);
    free(site->key);
    free(site);
}

static bool is_paused(const struct site *site)
{
    return clock_monotonic_ms() < site->not_before_ms;
}

/* How often it has failed is remembered until its lanes have been found again. */
static bool is_idle(const struct site *site)
{
    uint64_t kept_ms = site->failures > 0 ? FAILED_KEPT_MS : 0;

    return site->lane_count == 0 && site->inward_count == 0 && site->reading == 0 &&
           site->coming == 0 && site->ready_count == 0 && site->conversation_count == 0 &&
           clock_monotonic_ms() >= site->not_before_ms + kept_ms;
}

/* ---- what it does next ---- */

/* Tenants in turns; personal mail before bulk, which is let in now and then. */
static struct lane *lane_next(struct site *site)
{
    unsigned first = ++site->turns % PERSONAL_TURNS == 0 ? 1 : 0;
    struct list *node = list_take(&site->lanes[first]);

    if (node == NULL)
        node = list_take(&site->lanes[1 - first]);
    return node == NULL ? NULL : LIST_ENTRY(node, struct lane, site_node);
}

static void fetch(struct site *site)
{
    struct relay *relay = site->relay;
    bool crowded = relay_is_crowded(relay);
    unsigned reads_max = crowded ? 1 : READS_MAX;
    unsigned low = crowded ? 1 : RELAY_READY_LOW;
    struct lane *lane;

    while (site->reading < reads_max && site->ready_count + site->coming < low &&
           relay_has_room(relay) && (lane = lane_next(site)) != NULL) {
        site->lane_count--;
        site->reading++;
        relay->reading_count++;
        lane_read(lane);
    }
}

static void inward(struct site *site)
{
    struct job *job;

    while (site->inward_count < INWARD_MAX && (job = site_job_take(site)) != NULL) {
        site->inward_count++;
        inward_start(job);
    }
}

static void nowhere(struct site *site)
{
    const struct route *route = site->route;
    struct job *job;

    while ((job = site_job_take(site)) != NULL)
        job_end(job, route->permanent, route->status, route->text, "");
}

/* A host that has not greeted yet is expected to take one. */
static bool wants_connection(const struct site *site)
{
    unsigned most = site->relay->config.site_connections_max;

    if (site->window < most)
        most = site->window;
    return site->conversation_count < most &&
           site->ready_count > site->conversation_count - site->talking_count;
}

/* One each, in turns: what is free is not only for who has had one. */
static void serve(struct relay *relay)
{
    struct list *node;

    if (relay->connecting || relay->stopping) /* a connection that fails at once comes here */
        return;
    relay->connecting = true;
    while (relay->connection_count < relay->config.connections_max &&
           (node = list_take(&relay->waiting)) != NULL) {
        struct site *site = LIST_ENTRY(node, struct site, waiting);
        if (!wants_connection(site))
            continue;
        list_append(&relay->waiting, &site->waiting);
        site->conversation_count++;
        relay->connection_count++;
        conversation_new(site);
    }
    relay->connecting = false;
}

static void talk(struct site *site)
{
    struct relay *relay = site->relay;

    for (struct list *at = site->conversations.next;
         at != &site->conversations && site->ready_count > 0;) {
        struct list *next = at->next;
        conversation_wake(at);
        at = next;
    }
    if (wants_connection(site) && !list_has_node(&site->waiting))
        list_append(&relay->waiting, &site->waiting);
    serve(relay);
}

static void site_step(struct site *site);

static void on_time(void *context)
{
    struct site *site = context;

    site->timer = NULL;
    site_step(site);
}

static void site_step(struct site *site)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (site->relay->stopping)
        return;
    if (site->route == NULL)
        inward(site);
    else if (site->route->kind != ROUTE_GOOD)
        nowhere(site);
    if (now_ms < site->not_before_ms) {
        if (site->timer == NULL)
            site->timer = loop_timer_start(site->relay->loop, site->not_before_ms - now_ms, 0,
                                           on_time, site);
        return;
    }
    fetch(site);
    if (site->route != NULL && site->route->kind == ROUTE_GOOD)
        talk(site);
}

void sites_tick(struct relay *relay)
{
    uint64_t now_ms = clock_monotonic_ms();
    size_t at = 0;
    uint64_t hash;
    void *context;

    while (map_next(&relay->sites, &at, &hash, &context)) {
        struct site *site = context;
        for (struct list *node = site->conversations.next; node != &site->conversations;) {
            struct list *next = node->next;
            conversation_tick(node, now_ms);
            node = next;
        }
        if (site->lane_count + site->ready_count > 0)
            site_step(site); /* what it waited for may have come about elsewhere */
        if (is_idle(site))
            site_free(site);
    }
}

/* ---- lanes and jobs ---- */

bool site_take_lane(struct site *site, struct lane *lane)
{
    bool paused = is_paused(site);
    bool few = paused || site->relay->lane_count >= RELAY_LANES_MAX / 2;

    if (site->lane_count >= (few ? RELAY_SITE_LANES_FEW : RELAY_SITE_LANES_MAX)) {
        if (!paused)
            return false;
        lane_free(&lane); /* it is found again when all are looked at */
        return true;
    }
    lane->site = site;
    list_append(&site->lanes[lane->class], &lane->site_node);
    site->lane_count++;
    site_step(site);
    return true;
}

void site_lane_read(struct site *site, struct lane *lane, bool more)
{
    site->reading--;
    site->relay->reading_count--;
    if (more && !site->relay->stopping) {
        list_append(&site->lanes[lane->class], &lane->site_node);
        site->lane_count++;
    } else {
        lane_over(lane);
    }
    site_step(site);
}

void site_job_coming(struct site *site)
{
    site->coming++;
}

void site_job_ready(struct site *site, struct job *job)
{
    site->coming--;
    if (site->relay->stopping) {
        job_give_back(job);
        return;
    }
    if (is_paused(site)) {
        job_end(job, false, site->failure_status, site->failure, site->failure_remote);
        return;
    }
    list_append(&site->ready, &job->node);
    site->ready_count++;
    site_step(site);
}

void site_job_gone(struct site *site)
{
    site->coming--;
    site_step(site);
}

struct job *site_job_take(struct site *site)
{
    struct list *node = list_take(&site->ready);

    if (node == NULL)
        return NULL;
    site->ready_count--;
    return LIST_ENTRY(node, struct job, node);
}

void site_inward_done(struct site *site)
{
    site->inward_count--;
    site_step(site);
}

/* ---- how it goes ---- */

void site_talks(struct site *site)
{
    site->talking_count++;
    site->failures = 0;
    site->not_before_ms = 0;
}

void site_sent(struct site *site)
{
    if (site->window < site->relay->config.site_connections_max)
        site->window++;
    fetch(site);
}

void site_conversation_gone(struct site *site, struct list *node, bool talked)
{
    list_remove(node);
    site->conversation_count--;
    site->relay->connection_count--;
    if (talked)
        site->talking_count--;
    site_step(site);
    serve(site->relay);
}

void site_failed(struct site *site, const char *status, const char *reason, const char *remote)
{
    unsigned doublings = site->failures < 8 ? site->failures : 8;
    uint64_t first_ms = site->relay->config.retry->steps_ms[0];
    uint64_t pause_ms = (first_ms < PAUSE_FIRST_MS ? first_ms : PAUSE_FIRST_MS) << doublings;
    struct lane *lane;
    struct job *job;

    if (site->talking_count > 0) { /* others go on: there are as many as the hosts like */
        site->window = site->talking_count;
        return;
    }
    site->failures++;
    site->window = 1;
    site->not_before_ms =
        clock_monotonic_ms() + (pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS);
    snprintf(site->failure_status, sizeof(site->failure_status), "%s", status);
    snprintf(site->failure, sizeof(site->failure), "%s", reason);
    snprintf(site->failure_remote, sizeof(site->failure_remote), "%s", remote);
    log_info(NULL, "no host of a route can be used",
             LOG_FIELDS(LOG_TEXT("route", site->route->domain), LOG_TEXT("reason", reason),
                        LOG_TEXT("remote", remote)));
    while ((job = site_job_take(site)) != NULL)
        job_end(job, false, status, reason, remote);
    while (site->lane_count > RELAY_SITE_LANES_FEW && (lane = lane_next(site)) != NULL) {
        site->lane_count--;
        lane_free(&lane);
    }
}

/* ---- the end ---- */

void sites_stop(struct relay *relay)
{
    size_t at = 0;
    uint64_t hash;
    void *context;

    while (map_next(&relay->sites, &at, &hash, &context)) {
        struct site *site = context;
        struct job *job;
        loop_timer_stop(&site->timer);
        while ((job = site_job_take(site)) != NULL)
            job_give_back(job);
        for (struct lane *lane; (lane = lane_next(site)) != NULL;) {
            site->lane_count--;
            lane_free(&lane);
        }
        for (struct list *node = site->conversations.next; node != &site->conversations;) {
            struct list *next = node->next;
            conversation_stop(node);
            node = next;
        }
    }
}

void sites_cut(struct relay *relay)
{
    size_t at = 0;
    uint64_t hash;
    void *site;

    while (map_next(&relay->sites, &at, &hash, &site)) {
        struct list *conversations = &((struct site *)site)->conversations;
        for (struct list *node = conversations->next; node != conversations;) {
            struct list *next = node->next;
            conversation_cut(node);
            node = next;
        }
    }
}

void sites_free(struct relay *relay)
{
    size_t at = 0;
    uint64_t hash;
    void *site;

    while (map_next(&relay->sites, &at, &hash, &site))
        site_free(site);
}
