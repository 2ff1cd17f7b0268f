/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A relay, another one that takes over what it has watched, and a log between them whose calls
 * come late, twice, or are not answered; reads are older than what has been written since.
 * Nobody gets a message twice, and everybody gets it.
 */
#include "tests/unit/relay/relay_lab.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ITEMS = 6,
    TO = 2, /* recipients of each */
    STEP_MS = 100,
    RUN_MS = 15 * 60 * 1000,
    SEEDS = 6,
    PENDING_MAX = 1024,
    OTHER_NODE = 9,
    WATCH_MS = RELAY_LEASE_MS + RELAY_LEASE_MARGIN_MS,
};

struct item {
    uint64_t id;
    uint64_t lease;
    uint64_t node_id;
    uint32_t renewals;
    uint64_t due_ms;
    bool waits[TO];
    unsigned sent[TO];
    /* The other relay's. */
    uint64_t watched_lease;
    uint32_t watched_renewals;
    uint64_t watched_ms;
    uint64_t own_lease;
    uint64_t send_ms;
    bool own_to[TO]; /* as it has read it */
};

/* A command on its way to the log. */
struct pending {
    uint64_t at_ms; /* 0: none */
    Pr__QueueWrite *write;
    uint64_t ticket; /* who is told; 0: nobody any more */
};

static struct {
    struct item items[ITEMS];
    struct pending pending[PENDING_MAX];
    struct {
        uint64_t ticket;
        uint64_t answer_ms;
        Pr__Reply *reply; /* as it was then; NULL: nobody answers */
    } answers[LAB_CALLS_MAX];
    uint64_t ids;
    uint64_t leases;
    uint64_t away_until_ms; /* what asks for leases gets nowhere */
    unsigned finished, taken_over, late, refused;
} model;

static unsigned below(unsigned limit)
{
    return (unsigned)rand() % limit;
}

/* Mostly soon, now and then very late. */
static uint64_t delay_ms(unsigned most)
{
    return below(8) == 0 ? below(most) : below(300);
}

/* ---- the log ---- */

static struct item *item_of(uint64_t id)
{
    for (unsigned i = 0; i < ITEMS; i++)
        if (model.items[i].id == id)
            return &model.items[i];
    return NULL;
}

static void item_new(struct item *item)
{
    *item = (struct item){.id = ++model.ids, .due_ms = clock_wall_ms()};
    for (unsigned i = 0; i < TO; i++)
        item->waits[i] = true;
}

static void item_settle(struct item *item)
{
    bool waits = false;

    for (unsigned i = 0; i < TO; i++) {
        waits = waits || item->waits[i];
        assert_true(item->sent[i] <= 1);
    }
    if (waits)
        return;
    for (unsigned i = 0; i < TO; i++)
        assert_int_equal(item->sent[i], 1);
    model.finished++;
    item_new(item);
}

/* As storage/machine/queue_lease.c does. */
static bool lease_apply(struct item *item, uint64_t lease, uint64_t node_id,
                        uint64_t seen_lease, uint32_t seen_renewals)
{
    if (item == NULL || (item->lease != lease &&
                         (item->lease != seen_lease || item->renewals != seen_renewals))) {
        model.refused++;
        return false;
    }
    item->lease = lease;
    item->node_id = node_id;
    item->renewals++;
    item->due_ms = clock_wall_ms() + RELAY_LEASE_MS;
    return true;
}

static void attempt_apply(const Pr__QueueAttempt *attempt)
{
    struct item *item = item_of(attempt->item->id);

    if (item == NULL)
        return;
    bool leased = attempt->lease != 0 && item->lease == attempt->lease;
    for (size_t i = 0; i < attempt->n_verdicts; i++) {
        const Pr__QueueVerdict *verdict = attempt->verdicts[i];
        bool *waits = &item->waits[verdict->recipient - 1];
        assert_true(verdict->state == PR__QUEUE_RECIPIENT__STATE__DELIVERED ||
                    verdict->state == PR__QUEUE_RECIPIENT__STATE__WAITING);
        if (!*waits || verdict->state == PR__QUEUE_RECIPIENT__STATE__WAITING)
            continue;
        *waits = false;
        item->renewals += leased ? 0 : 1;
        model.late += leased ? 0 : 1;
    }
    if (leased) {
        item->lease = item->node_id = 0;
        item->due_ms = clock_wall_ms() + attempt->retry_ms;
    }
    item_settle(item);
}

static Pr__Reply *write_apply(const Pr__QueueWrite *write)
{
    Pr__Reply *reply = arena_alloc(&lab.lab_arena, sizeof(*reply));
    Pr__Outcome *outcome = arena_alloc(&lab.lab_arena, sizeof(*outcome));

    pr__reply__init(reply);
    pr__outcome__init(outcome);
    reply->outcome = outcome;
    if (write->command_case == PR__QUEUE_WRITE__COMMAND_REPORT) {
        for (size_t i = 0; i < write->report->n_attempts; i++)
            attempt_apply(write->report->attempts[i]);
        return reply;
    }
    const Pr__QueueLease *call = write->lease;
    outcome->queue_items =
        arena_alloc(&lab.lab_arena, call->n_items * sizeof(*outcome->queue_items));
    for (size_t i = 0; i < call->n_items; i++)
        if (lease_apply(item_of(call->items[i]->item->id), call->lease, call->node_id,
                        call->items[i]->seen_lease, call->items[i]->seen_renewals)) {
            Pr__QueueItem *item = arena_alloc(&lab.lab_arena, sizeof(*item));
            *item = *call->items[i]->item;
            outcome->queue_items[outcome->n_queue_items++] = item;
        }
    return reply;
}

static void pending_add(const Pr__QueueWrite *write, uint64_t delay, uint64_t ticket)
{
    struct buffer packed = BUFFER_EMPTY;
    ProtobufCAllocator allocator = arena_allocator(&lab.lab_arena);
    unsigned i = 0;

    while (model.pending[i].at_ms != 0)
        assert_true(++i < PENDING_MAX);
    message_pack(&write->base, &packed);
    model.pending[i] = (struct pending){
        .at_ms = lab.now_ms + delay + 1,
        .write = pr__queue_write__unpack(&allocator, buffer_bytes(&packed).len,
                                         buffer_bytes(&packed).at),
        .ticket = ticket,
    };
    buffer_fini(&packed);
}

/* ---- answers ---- */

static char *name_of(const struct item *item)
{
    return arena_printf(&lab.lab_arena, "i%u.example", (unsigned)(item - model.items));
}

static Pr__QueueRecord *record_of(const struct item *item)
{
    Pr__QueueRecord *record = lab_record(item->id, name_of(item));
    Pr__QueueRecipient *first = record->recipients[0];

    record->destinations[0]->lease = item->lease;
    record->destinations[0]->node_id = item->node_id;
    record->destinations[0]->renewals = item->renewals;
    record->destinations[0]->due_ms = item->due_ms;
    record->recipients = arena_alloc(&lab.lab_arena, TO * sizeof(first));
    record->n_recipients = 0;
    for (unsigned i = 0; i < TO; i++) {
        Pr__QueueRecipient *recipient = arena_alloc(&lab.lab_arena, sizeof(*recipient));
        *recipient = *first;
        recipient->number = i + 1;
        if (item->waits[i])
            record->recipients[record->n_recipients++] = recipient;
    }
    return record;
}

static Pr__Reply *read_answer(const Pr__QueueRead *call)
{
    Pr__Reply *reply = arena_alloc(&lab.lab_arena, sizeof(*reply));
    Pr__QueueReadAnswer *answer = arena_alloc(&lab.lab_arena, sizeof(*answer));

    pr__reply__init(reply);
    pr__queue_read_answer__init(answer);
    reply->answer_case = PR__REPLY__ANSWER_QUEUE_READ;
    reply->queue_read = answer;
    answer->messages = arena_alloc(&lab.lab_arena, ITEMS * sizeof(*answer->messages));
    for (unsigned i = 0; i < ITEMS; i++)
        if (strcmp(call->lane->domain, name_of(&model.items[i])) == 0 &&
            model.items[i].due_ms <= call->until_ms && call->after == NULL)
            answer->messages[answer->n_messages++] = record_of(&model.items[i]);
    return reply;
}

static Pr__Reply *lanes_answer(const Pr__QueueLanes *call)
{
    Pr__Reply *reply = arena_alloc(&lab.lab_arena, sizeof(*reply));
    Pr__QueueLanesAnswer *answer = arena_alloc(&lab.lab_arena, sizeof(*answer));

    pr__reply__init(reply);
    pr__queue_lanes_answer__init(answer);
    reply->answer_case = PR__REPLY__ANSWER_QUEUE_LANES;
    reply->queue_lanes = answer;
    answer->clock_ms = clock_wall_ms();
    answer->lanes = arena_alloc(&lab.lab_arena, ITEMS * sizeof(*answer->lanes));
    for (unsigned i = 0; i < ITEMS; i++) {
        Pr__QueueLane *lane = arena_alloc(&lab.lab_arena, sizeof(*lane));
        pr__queue_lane__init(lane);
        lane->domain = name_of(&model.items[i]);
        lane->due_ms = model.items[i].due_ms;
        if (lane->due_ms <= call->until_ms)
            answer->lanes[answer->n_lanes++] = lane;
    }
    return reply;
}

static void answer_later(unsigned slot, Pr__Reply *reply, uint64_t delay)
{
    model.answers[slot].ticket = lab.calls[slot].ticket;
    model.answers[slot].answer_ms = lab.now_ms + delay;
    model.answers[slot].reply = reply;
}

static void call_see(unsigned slot)
{
    const Pr__Request *request = lab.calls[slot].request;

    switch (request->call_case) {
    case PR__REQUEST__CALL_QUEUE_LANES:
        answer_later(slot, lanes_answer(request->queue_lanes), delay_ms(3000));
        break;
    case PR__REQUEST__CALL_QUEUE_READ:
        answer_later(slot, read_answer(request->queue_read), delay_ms(8000));
        break;
    case PR__REQUEST__CALL_QUEUE_WRITE: {
        const Pr__QueueWrite *write = request->queue_write;
        bool is_report = write->command_case == PR__QUEUE_WRITE__COMMAND_REPORT;
        answer_later(slot, NULL, RELAY_CALL_MS + 1000);
        if (!is_report && lab.now_ms < model.away_until_ms)
            pending_add(write, model.away_until_ms - lab.now_ms, 0);
        else
            pending_add(write, delay_ms(is_report ? 4000 : 15000),
                        below(6) == 0 ? 0 : lab.calls[slot].ticket);
        if (below(4) == 0)
            pending_add(write, delay_ms(15000), 0);
        break;
    }
    default:
        break;
    }
}

static void calls_step(void)
{
    for (unsigned i = 0; i < LAB_CALLS_MAX; i++)
        if (lab.calls[i].ticket != 0 && lab.calls[i].ticket != model.answers[i].ticket)
            call_see(i);
    for (unsigned i = 0; i < PENDING_MAX; i++) {
        struct pending *pending = &model.pending[i];
        if (pending->at_ms == 0 || pending->at_ms > lab.now_ms)
            continue;
        pending->at_ms = 0;
        Pr__Reply *reply = write_apply(pending->write);
        for (unsigned c = 0; pending->ticket != 0 && c < LAB_CALLS_MAX; c++)
            if (lab.calls[c].ticket == pending->ticket)
                answer_later(c, reply, delay_ms(3000));
    }
    for (unsigned i = 0; i < LAB_CALLS_MAX; i++)
        if (lab.calls[i].ticket != 0 && lab.calls[i].ticket == model.answers[i].ticket &&
            lab.calls[i].request->call_case != PR__REQUEST__CALL_RELAY_DUTIES &&
            model.answers[i].answer_ms <= lab.now_ms)
            lab_answer(&lab.calls[i], model.answers[i].reply);
}

/* ---- who sends ---- */

static void this_relay_sends(void)
{
    while (below(4) == 0 && lab_talk_ready() != NULL) {
    }
    for (struct list *at = lab.talks.next; at != &lab.talks; at = at->next) {
        struct lab_talk *talk = LIST_ENTRY(at, struct lab_talk, all);
        struct job *job = talk->job;
        if (job == NULL || below(job->record->id % 3 == 0 ? 400 : 60) != 0)
            continue;
        struct item *item = item_of(job->record->id);
        bool holds = lease_holds(job);
        talk->job = NULL;
        for (size_t i = 0; i < job->record->n_recipients; i++) {
            bool taken = holds && below(2) == 0;
            const struct relay_verdict said = {
                .result = taken ? RELAY_TAKEN : RELAY_PUT_OFF,
                .status = taken ? "2.0.0" : "4.2.1",
                .text = "",
                .remote = "",
            };
            if (taken) {
                assert_non_null(item);
                assert_int_equal(item->sent[job->record->recipients[i]->number - 1]++, 0);
            }
            job_verdict(job, i, &said);
        }
        job_done(job);
    }
}

/* Takes over what it has watched for the whole time, by the rules; mostly one of two gets it.
 */
static void the_other_sends(struct item *item)
{
    if (item->own_lease != 0 && lab.now_ms >= item->send_ms) {
        for (unsigned i = 0; i < TO; i++)
            if (item->own_to[i] && below(2) == 0) {
                assert_int_equal(item->sent[i]++, 0);
                item->waits[i] = false;
            }
        if (item->lease == item->own_lease) {
            item->lease = item->node_id = 0;
            item->due_ms = clock_wall_ms() + below(3000);
        }
        item->own_lease = 0;
        item_settle(item);
    }
    if (item->lease != item->watched_lease || item->renewals != item->watched_renewals) {
        item->watched_lease = item->lease;
        item->watched_renewals = item->renewals;
        item->watched_ms = lab.now_ms;
    }
    if (item->own_lease != 0 || item->lease == 0 || item->node_id == OTHER_NODE ||
        lab.now_ms - item->watched_ms < WATCH_MS)
        return;
    item->own_lease = (uint64_t)1 << 63 | ++model.leases;
    assert_true(lease_apply(item, item->own_lease, OTHER_NODE, item->watched_lease,
                            item->watched_renewals));
    item->send_ms = lab.now_ms + below(RELAY_LEASE_MS - RELAY_LEASE_MARGIN_MS);
    memcpy(item->own_to, item->waits, sizeof(item->own_to));
    model.taken_over++;
}

static void run(unsigned seed)
{
    void *state = NULL;

    srand(seed);
    memset(&model, 0, sizeof(model));
    lab_open(&state);
    lab.retry.steps_ms[0] = 1000;
    lab.retry.step_count = 1;
    for (unsigned i = 0; i < ITEMS; i++)
        item_new(&model.items[i]);
    lab_lead(1);
    for (uint64_t end_ms = lab.now_ms + RUN_MS; lab.now_ms < end_ms;) {
        lab_run(STEP_MS);
        calls_step();
        this_relay_sends();
        for (unsigned i = 0; i < ITEMS; i++)
            the_other_sends(&model.items[i]);
        if (below(600) == 0)
            model.away_until_ms = lab.now_ms + below(3 * RELAY_LEASE_MS);
        if (below(300) == 0)
            lab_lead(below(2) == 0 ? 0 : 2 + below(3));
    }
    printf("seed %u: %u messages, %u taken over, %u reported late, %u leases refused\n", seed,
           model.finished, model.taken_over, model.late, model.refused);
    assert_true(model.finished > 0 && model.taken_over > 0 && model.refused > 0);
    lab_close(&state);
}

static void nobody_gets_a_message_twice(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= SEEDS; seed++)
        run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nobody_gets_a_message_twice)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
