/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/relay/relay_lab.h"

#include <stdlib.h>

#include "node/base/check.h"

struct relay_lab lab;

enum { WALL_MS_FIRST = 1700000000 };

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

static void call_end(struct lab_call *call, enum err err, const Pr__Reply *reply)
{
    struct lab_call ending = *call;

    assert_true(call->ticket != 0);
    *call = (struct lab_call){.ticket = 0};
    ending.done(ending.context, err, reply);
    call_forget(&ending);
    lab_turn();
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
    lanes.lanes = arena_alloc(&lab.lab_arena, (count + 1) * sizeof(*lanes.lanes));
    for (size_t i = 0; i < count; i++) {
        Pr__QueueLane *lane = arena_alloc(&lab.lab_arena, sizeof(*lane));
        pr__queue_lane__init(lane);
        lane->domain = arena_string(&lab.lab_arena, bytes_of(domains[i]));
        lane->due_ms = clock_wall_ms();
        lanes.lanes[lanes.n_lanes++] = lane;
    }
    lanes.more = more;
    lanes.clock_ms = clock_wall_ms();
    reply.answer_case = PR__REPLY__ANSWER_QUEUE_LANES;
    reply.queue_lanes = &lanes;
    lab_answer(lab_call(PR__REQUEST__CALL_QUEUE_LANES), &reply);
    lab_turn();
}

Pr__QueueRecord *lab_record(uint64_t id, const char *domain)
{
    Pr__QueueRecord *record = arena_alloc(&lab.lab_arena, sizeof(*record));
    Pr__QueueDestination *destination = arena_alloc(&lab.lab_arena, sizeof(*destination));
    Pr__QueueRecipient *recipient = arena_alloc(&lab.lab_arena, sizeof(*recipient));
    Pr__Envelope *envelope = arena_alloc(&lab.lab_arena, sizeof(*envelope));

    pr__queue_record__init(record);
    pr__queue_destination__init(destination);
    pr__queue_recipient__init(recipient);
    pr__envelope__init(envelope);
    record->id = id;
    record->time_ms = record->due_ms = clock_wall_ms();
    record->envelope = envelope;
    envelope->sender = arena_string(&lab.lab_arena, BYTES("ann@acme.example"));
    destination->number = recipient->number = recipient->destination = 1;
    destination->domain = arena_string(&lab.lab_arena, bytes_of(domain));
    destination->due_ms = record->due_ms;
    recipient->address = arena_printf(&lab.lab_arena, "bob@%s", domain);
    record->destinations = arena_alloc(&lab.lab_arena, sizeof(destination));
    record->destinations[record->n_destinations++] = destination;
    record->recipients = arena_alloc(&lab.lab_arena, sizeof(recipient));
    record->recipients[record->n_recipients++] = recipient;
    return record;
}

void lab_read(size_t count, Pr__QueueRecord *const *records, bool more)
{
    Pr__Reply reply = PR__REPLY__INIT;
    Pr__QueueReadAnswer answer = PR__QUEUE_READ_ANSWER__INIT;

    answer.messages = arena_alloc(&lab.lab_arena, (count + 1) * sizeof(*answer.messages));
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
    outcome.queue_items =
        arena_alloc(&lab.lab_arena, (asked + 1) * sizeof(*outcome.queue_items));
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
    arena_init(&lab.lab_arena);
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
    lab.held = true; /* the loop does not run any more */
    for (unsigned i = 0; i < LAB_CALLS_MAX; i++)
        if (lab.calls[i].ticket != 0)
            call_end(&lab.calls[i], ERR_CLOSED, NULL);
    relay_free(&lab.relay);
    lab_world_end();
    arena_fini(&lab.lab_arena);
    return 0;
}
