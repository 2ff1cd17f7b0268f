/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/relay/relay_lab.h"

#include <stdlib.h>

#include "node/base/check.h"

struct relay_lab lab;

enum { WALL_MS_FIRST = 1700000000 };

static struct arena lab_arena;

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
    struct found *found = arena_alloc(&lab_arena, sizeof(*found));

    (void)routes;
    *found = (struct found){.ticket = ++lab.tickets,
                            .done = done,
                            .context = context,
                            .domain = arena_string(&lab_arena, bytes_of(domain))};
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
    struct route *route = arena_alloc(&lab_arena, sizeof(*route));
    struct route_host *host = arena_alloc(&lab_arena, sizeof(*host));
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

/* ---- the store ---- */

uint64_t __wrap_store_call(struct store_client *client, Pr__Request *request,
                           unsigned deadline_ms, store_done *done, void *context);
uint64_t __wrap_store_call(struct store_client *client, Pr__Request *request,
                           unsigned deadline_ms, store_done *done, void *context)
{
    struct buffer packed = BUFFER_EMPTY;
    unsigned free_call = 0;

    (void)client;
    (void)deadline_ms;
    while (lab.calls[free_call].ticket != 0)
        assert_true(++free_call < LAB_CALLS_MAX);
    message_pack(&request->base, &packed);
    lab.calls[free_call] = (struct lab_call){
        .ticket = ++lab.tickets,
        .request =
            pr__request__unpack(NULL, buffer_bytes(&packed).len, buffer_bytes(&packed).at),
        .done = done,
        .context = context,
    };
    buffer_fini(&packed);
    CHECK(lab.calls[free_call].request != NULL);
    return lab.tickets;
}

static void call_forget(struct lab_call *call)
{
    pr__request__free_unpacked(call->request, NULL);
    *call = (struct lab_call){.ticket = 0};
}

void __wrap_store_cancel(struct store_client *client, uint64_t ticket);
void __wrap_store_cancel(struct store_client *client, uint64_t ticket)
{
    (void)client;
    for (unsigned i = 0; i < LAB_CALLS_MAX; i++)
        if (lab.calls[i].ticket == ticket)
            call_forget(&lab.calls[i]);
}

void __wrap_store_random(void *memory, size_t len);
void __wrap_store_random(void *memory, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)memory)[i] = (uint8_t)(rand() & 0xff);
}

unsigned lab_call_count(Pr__Request__CallCase what)
{
    unsigned count = 0;

    for (unsigned i = 0; i < LAB_CALLS_MAX; i++)
        count += lab.calls[i].ticket != 0 && lab.calls[i].request->call_case == what;
    return count;
}

static struct lab_call *oldest(Pr__Request__CallCase what, Pr__QueueWrite__CommandCase write)
{
    struct lab_call *first = NULL;

    for (unsigned i = 0; i < LAB_CALLS_MAX; i++) {
        struct lab_call *call = &lab.calls[i];
        if (call->ticket != 0 && call->request->call_case == what &&
            (write == PR__QUEUE_WRITE__COMMAND__NOT_SET ||
             call->request->queue_write->command_case == write) &&
            (first == NULL || call->ticket < first->ticket))
            first = call;
    }
    return first;
}

struct lab_call *lab_call(Pr__Request__CallCase what)
{
    return oldest(what, PR__QUEUE_WRITE__COMMAND__NOT_SET);
}

struct lab_call *lab_write(Pr__QueueWrite__CommandCase what)
{
    return oldest(PR__REQUEST__CALL_QUEUE_WRITE, what);
}

static void turn(void)
{
    struct list *node;

    while ((node = list_take(&lab.routes)) != NULL)
        route_answer(LIST_ENTRY(node, struct found, node));
    if (lab.turn != NULL && !lab.held)
        lab.turn(lab.turn_context);
}

static void call_end(struct lab_call *call, enum err err, const Pr__Reply *reply)
{
    struct lab_call ending = *call;

    assert_true(call->ticket != 0);
    *call = (struct lab_call){.ticket = 0};
    ending.done(ending.context, err, reply);
    call_forget(&ending);
    turn();
}

void lab_answer(struct lab_call *call, Pr__Reply *reply)
{
    assert_non_null(call);
    call_end(call, reply != NULL ? ERR_OK : ERR_TIMEOUT, reply);
}

void lab_answer_err(struct lab_call *call, enum err err)
{
    Pr__Reply reply = PR__REPLY__INIT;

    reply.err = (uint32_t)err;
    lab_answer(call, &reply);
}

void lab_run(uint64_t ms)
{
    uint64_t until_ms = lab.now_ms + ms;
    struct loop_timer *timer;

    turn();
    while ((timer = timer_next(until_ms)) != NULL) {
        if (timer->at_ms > lab.now_ms)
            lab.now_ms = timer->at_ms;
        timer_fire(timer);
        turn();
    }
    lab.now_ms = until_ms;
}

/* ---- what the store says ---- */

void lab_lead(uint64_t term)
{
    static uint64_t version;
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__RelayDutiesAnswer duties = PR__RELAY_DUTIES_ANSWER__INIT;
    Pr__RelayDuty duty = PR__RELAY_DUTY__INIT;

    duty.group = LAB_GROUP;
    duty.term = term;
    duty.changes = duties.version = ++version;
    duties.node_id = LAB_NODE;
    duties.groups = (Pr__RelayDuty *[]){&duty};
    duties.n_groups = term != 0;
    reply.answer_case = PR__REPLY__ANSWER_RELAY_DUTIES;
    reply.relay_duties = &duties;
    lab_answer(lab_call(PR__REQUEST__CALL_RELAY_DUTIES), &reply);
}

void lab_lanes(size_t count, const char *const *domains, bool more)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__QueueLanesAnswer lanes = PR__QUEUE_LANES_ANSWER__INIT;

    for (unsigned s = 0; s < 60 && lab_call(PR__REQUEST__CALL_QUEUE_LANES) == NULL; s++)
        lab_run(1000);
    lanes.lanes = arena_alloc(&lab_arena, (count + 1) * sizeof(*lanes.lanes));
    for (size_t i = 0; i < count; i++) {
        Pr__QueueLane *lane = arena_alloc(&lab_arena, sizeof(*lane));
        pr__queue_lane__init(lane);
        lane->domain = arena_string(&lab_arena, bytes_of(domains[i]));
        lane->due_ms = __wrap_clock_wall_ms();
        lanes.lanes[lanes.n_lanes++] = lane;
    }
    lanes.more = more;
    lanes.clock_ms = __wrap_clock_wall_ms();
    reply.answer_case = PR__REPLY__ANSWER_QUEUE_LANES;
    reply.queue_lanes = &lanes;
    lab_answer(lab_call(PR__REQUEST__CALL_QUEUE_LANES), &reply);
    turn();
}

Pr__QueueRecord *lab_record(uint64_t id, const char *domain)
{
    Pr__QueueRecord *record = arena_alloc(&lab_arena, sizeof(*record));
    Pr__QueueDestination *destination = arena_alloc(&lab_arena, sizeof(*destination));
    Pr__QueueRecipient *recipient = arena_alloc(&lab_arena, sizeof(*recipient));
    Pr__Envelope *envelope = arena_alloc(&lab_arena, sizeof(*envelope));

    pr__queue_record__init(record);
    pr__queue_destination__init(destination);
    pr__queue_recipient__init(recipient);
    pr__envelope__init(envelope);
    record->id = id;
    record->time_ms = record->due_ms = __wrap_clock_wall_ms();
    record->envelope = envelope;
    envelope->sender = arena_string(&lab_arena, BYTES("ann@acme.example"));
    destination->number = recipient->number = recipient->destination = 1;
    destination->domain = arena_string(&lab_arena, bytes_of(domain));
    destination->due_ms = record->due_ms;
    recipient->address = arena_printf(&lab_arena, "bob@%s", domain);
    record->destinations = arena_alloc(&lab_arena, sizeof(destination));
    record->destinations[record->n_destinations++] = destination;
    record->recipients = arena_alloc(&lab_arena, sizeof(recipient));
    record->recipients[record->n_recipients++] = recipient;
    return record;
}

void lab_read(size_t count, Pr__QueueRecord *const *records, bool more)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__QueueReadAnswer answer = PR__QUEUE_READ_ANSWER__INIT;

    answer.messages = arena_alloc(&lab_arena, (count + 1) * sizeof(*answer.messages));
    for (size_t i = 0; i < count; i++)
        answer.messages[answer.n_messages++] = records[i];
    answer.more = more;
    reply.answer_case = PR__REPLY__ANSWER_QUEUE_READ;
    reply.queue_read = &answer;
    lab_answer(lab_call(PR__REQUEST__CALL_QUEUE_READ), &reply);
}

size_t lab_grant(size_t count)
{
    struct lab_call *call = lab_write(PR__QUEUE_WRITE__COMMAND_LEASE);
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__Outcome outcome = PR__OUTCOME__INIT;

    assert_non_null(call);
    const Pr__QueueLease *lease = call->request->queue_write->lease;
    size_t asked = lease->n_items;
    outcome.queue_items = arena_alloc(&lab_arena, (asked + 1) * sizeof(*outcome.queue_items));
    for (size_t i = 0; i < asked && i < count; i++)
        outcome.queue_items[outcome.n_queue_items++] = lease->items[i]->item;
    reply.outcome = &outcome;
    lab_answer(call, &reply);
    return asked;
}

size_t lab_report_taken(void)
{
    struct lab_call *call = lab_write(PR__QUEUE_WRITE__COMMAND_REPORT);
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__Outcome outcome = PR__OUTCOME__INIT;

    assert_non_null(call);
    size_t count = call->request->queue_write->report->n_attempts;
    reply.outcome = &outcome;
    lab_answer(call, &reply);
    return count;
}

void lab_job(uint64_t id, const char *domain)
{
    Pr__QueueRecord *record = lab_record(id, domain);

    lab_lanes(1, &domain, false);
    lab_read(1, &record, false);
    assert_true(lab_grant(1) == 1);
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
    turn();
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

/* ---- life ---- */

int lab_open(void **state)
{
    static char loop;
    static char store;

    (void)state;
    lab = (struct relay_lab){.now_ms = 1000000, .wall_ms = (uint64_t)WALL_MS_FIRST * 1000};
    list_init(&lab.timers);
    list_init(&lab.routes);
    list_init(&lab.talks);
    arena_init(&lab_arena);
    lab.retry = retry_defaults;
    const struct relay_config config = {
        .loop = (struct loop *)(void *)&loop,
        .store = (struct store_client *)(void *)&store,
        .hostname = "relay.example",
        .connections_max = 10,
        .site_connections_max = 4,
        .messages_max = 100,
        .retry = &lab.retry,
    };
    lab.relay = relay_new(&config);
    return 0;
}

static void nothing(void *context)
{
    *(bool *)context = true;
}

/* As the process ends: what is under way is answered by nobody. */
int lab_close(void **state)
{
    bool stopped = false;

    (void)state;
    relay_stop(lab.relay, nothing, &stopped);
    lab_run(RELAY_STOP_MS + RELAY_CUT_MS + 2 * RELAY_TICK_MS);
    assert_true(stopped);
    for (unsigned i = 0; i < LAB_CALLS_MAX; i++)
        if (lab.calls[i].ticket != 0)
            call_end(&lab.calls[i], ERR_CLOSED, NULL);
    relay_free(&lab.relay);
    for (struct list *node; (node = list_first(&lab.timers)) != NULL;) {
        struct loop_timer *timer = LIST_ENTRY(node, struct loop_timer, node);
        __wrap_loop_timer_stop(&timer);
    }
    for (struct list *node; (node = list_take(&lab.talks)) != NULL;)
        free(LIST_ENTRY(node, struct lab_talk, all));
    arena_fini(&lab_arena);
    return 0;
}
