/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time, routes and connections as the test has them. */
#include "tests/unit/relay/relay_lab.h"

#include <stdlib.h>

#include "node/base/check.h"

/* ---- time ---- */

struct loop_timer {
    struct list node;
    uint64_t at_ms;
    uint64_t repeat_ms;
    void (*fired)(void *context);
    void *context;
};

uint64_t __wrap_clock_monotonic_ms(void);
uint64_t __wrap_clock_monotonic_ms(void)
{
    return lab.now_ms;
}

uint64_t __wrap_clock_wall_ms(void);
uint64_t __wrap_clock_wall_ms(void)
{
    return lab.wall_ms + lab.now_ms;
}

struct loop_timer *__wrap_loop_timer_start(struct loop *loop, uint64_t delay_ms,
                                           uint64_t repeat_ms, void (*fired)(void *context),
                                           void *context);
struct loop_timer *__wrap_loop_timer_start(struct loop *loop, uint64_t delay_ms,
                                           uint64_t repeat_ms, void (*fired)(void *context),
                                           void *context)
{
    struct loop_timer *timer = calloc(1, sizeof(*timer));

    (void)loop;
    CHECK(timer != NULL);
    timer->at_ms = lab.now_ms + delay_ms;
    timer->repeat_ms = repeat_ms;
    timer->fired = fired;
    timer->context = context;
    list_append(&lab.timers, &timer->node);
    return timer;
}

void __wrap_loop_timer_stop(struct loop_timer **timer);
void __wrap_loop_timer_stop(struct loop_timer **timer)
{
    if (*timer == NULL)
        return;
    list_remove(&(*timer)->node);
    free(*timer);
    *timer = NULL;
}

struct loop_hook *__wrap_loop_on_turn(struct loop *loop, void (*turn)(void *context),
                                      void *context);
struct loop_hook *__wrap_loop_on_turn(struct loop *loop, void (*turn)(void *context),
                                      void *context)
{
    (void)loop;
    lab.turn = turn;
    lab.turn_context = context;
    return NULL;
}

void __wrap_loop_hook_remove(struct loop_hook **hook);
void __wrap_loop_hook_remove(struct loop_hook **hook)
{
    (void)hook;
    lab.turn = NULL;
}

void __wrap_loop_wake(struct loop *loop);
void __wrap_loop_wake(struct loop *loop)
{
    (void)loop;
}

static struct loop_timer *timer_next(uint64_t until_ms)
{
    struct loop_timer *first = NULL;

    for (struct list *at = lab.timers.next; at != &lab.timers; at = at->next) {
        struct loop_timer *timer = LIST_ENTRY(at, struct loop_timer, node);
        if (timer->at_ms <= until_ms && (first == NULL || timer->at_ms < first->at_ms))
            first = timer;
    }
    return first;
}

static void timer_fire(struct loop_timer *timer)
{
    void (*fired)(void *context) = timer->fired;
    void *context = timer->context;

    if (timer->repeat_ms != 0)
        timer->at_ms += timer->repeat_ms;
    else
        __wrap_loop_timer_stop(&timer);
    fired(context);
}

/* ---- routes ---- */

struct found {
    struct list node;
    uint64_t ticket;
    void (*done)(void *context, const struct route *route);
    void *context;
    const char *domain;
};

uint64_t __wrap_route_find(struct routes *routes, const char *domain,
                           void (*done)(void *context, const struct route *route),
                           void *context);
uint64_t __wrap_route_find(struct routes *routes, const char *domain,
                           void (*done)(void *context, const struct route *route),
                           void *context)
{
    struct found *found = arena_alloc(&lab.lab_arena, sizeof(*found));

    (void)routes;
    *found = (struct found){.ticket = ++lab.tickets,
                            .done = done,
                            .context = context,
                            .domain = arena_string(&lab.lab_arena, bytes_of(domain))};
    list_append(&lab.routes, &found->node);
    return found->ticket;
}

void __wrap_route_cancel(struct routes *routes, uint64_t ticket);
void __wrap_route_cancel(struct routes *routes, uint64_t ticket)
{
    (void)routes;
    for (struct list *at = lab.routes.next; at != &lab.routes; at = at->next)
        if (LIST_ENTRY(at, struct found, node)->ticket == ticket) {
            list_remove(at);
            return;
        }
}

const struct route *__wrap_route_hold(const struct route *route);
const struct route *__wrap_route_hold(const struct route *route)
{
    return route;
}

void __wrap_route_release(const struct route **route);
void __wrap_route_release(const struct route **route)
{
    *route = NULL;
}

/* "none.example" is nowhere; domains "x.shared" have the same host; others one of their own. */
static void route_answer(struct found *found)
{
    struct route *route = arena_alloc(&lab.lab_arena, sizeof(*route));
    struct route_host *host = arena_alloc(&lab.lab_arena, sizeof(*host));
    const char *shared = strstr(found->domain, ".shared");

    *host =
        (struct route_host){.name = shared != NULL ? "mx.shared" : found->domain, .port = 25};
    *route = (struct route){.kind = ROUTE_GOOD,
                            .status = "",
                            .text = "",
                            .domain = found->domain,
                            .provider = "",
                            .hosts = host,
                            .host_count = 1};
    if (strcmp(found->domain, "none.example") == 0) {
        route->kind = ROUTE_GOOD + 1;
        route->permanent = true;
        route->status = "5.1.2";
        route->text = "there is no such domain";
        route->host_count = 0;
    }
    found->done(found->context, route);
}

/* ---- turns ---- */

void lab_turn(void)
{
    struct list *node;

    while ((node = list_take(&lab.routes)) != NULL)
        route_answer(LIST_ENTRY(node, struct found, node));
    if (lab.turn != NULL && !lab.held)
        lab.turn(lab.turn_context);
}

void lab_run(uint64_t ms)
{
    uint64_t until_ms = lab.now_ms + ms;
    struct loop_timer *timer;

    lab_turn();
    while ((timer = timer_next(until_ms)) != NULL) {
        if (timer->at_ms > lab.now_ms)
            lab.now_ms = timer->at_ms;
        timer_fire(timer);
        lab_turn();
    }
    lab.now_ms = until_ms;
}

/* ---- connections ---- */

void __wrap_conversation_new(struct site *site);
void __wrap_conversation_new(struct site *site)
{
    struct lab_talk *talk = calloc(1, sizeof(*talk));

    CHECK(talk != NULL);
    talk->site = site;
    list_init(&talk->node);
    list_init(&talk->all);
    list_append(&site->conversations, &talk->node);
    list_append(&lab.talks, &talk->all);
    if (!lab.dead)
        return;
    site_failed(site, "4.4.1", "connection refused", "");
    lab_talk_end(talk);
}

static void talk_take(struct lab_talk *talk)
{
    talk->job = site_job_take(talk->site);
    if (talk->job != NULL)
        talk->job->state = JOB_SENDING;
}

bool __wrap_conversation_wake(struct list *node);
bool __wrap_conversation_wake(struct list *node)
{
    struct lab_talk *talk = LIST_ENTRY(node, struct lab_talk, node);

    if (!talk->ready || talk->job != NULL)
        return false;
    talk_take(talk);
    return true;
}

void __wrap_conversation_stop(struct list *node);
void __wrap_conversation_stop(struct list *node)
{
    struct lab_talk *talk = LIST_ENTRY(node, struct lab_talk, node);

    if (talk->job == NULL)
        lab_talk_end(talk);
}

void __wrap_conversation_cut(struct list *node);
void __wrap_conversation_cut(struct list *node)
{
    lab_talk_end(LIST_ENTRY(node, struct lab_talk, node));
}

void __wrap_conversation_tick(struct list *node, uint64_t now_ms);
void __wrap_conversation_tick(struct list *node, uint64_t now_ms)
{
    (void)node;
    (void)now_ms;
}

struct lab_talk *lab_talk_ready(void)
{
    for (struct list *at = lab.talks.next; at != &lab.talks; at = at->next) {
        struct lab_talk *talk = LIST_ENTRY(at, struct lab_talk, all);
        if (talk->ready)
            continue;
        talk->ready = true;
        site_talks(talk->site);
        talk_take(talk);
        return talk;
    }
    return NULL;
}

unsigned lab_talk_count(void)
{
    unsigned count = 0;

    for (struct list *at = lab.talks.next; at != &lab.talks; at = at->next)
        count++;
    return count;
}

void lab_talk_done(struct lab_talk *talk, enum relay_result result)
{
    const struct relay_verdict said = {
        .result = result,
        .status = result == RELAY_TAKEN ? "2.0.0" : "4.2.1",
        .text = result == RELAY_TAKEN ? "250 taken" : "450 the mailbox is locked",
        .remote = "mx.example [192.0.2.1]",
    };
    struct job *job = talk->job;

    assert_non_null(job);
    talk->job = NULL;
    job_verdict(job, 0, &said);
    job_done(job);
    if (result == RELAY_TAKEN)
        site_sent(talk->site);
    talk_take(talk);
    lab_turn();
}

void lab_talk_end(struct lab_talk *talk)
{
    struct site *site = talk->site;
    struct job *job = talk->job;

    talk->job = NULL;
    if (job != NULL)
        job_end(job, false, "4.4.2", "the connection was lost", "");
    list_remove(&talk->all);
    site_conversation_gone(site, &talk->node, talk->ready);
    free(talk);
}

void lab_world_end(void)
{
    for (struct list *node; (node = list_first(&lab.timers)) != NULL;) {
        struct loop_timer *timer = LIST_ENTRY(node, struct loop_timer, node);
        __wrap_loop_timer_stop(&timer);
    }
    for (struct list *node; (node = list_take(&lab.talks)) != NULL;)
        free(LIST_ENTRY(node, struct lab_talk, all));
}
