/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random commands of several who send, of operators and of senders, against a model that
 * anybody would write down: each recipient gets one last verdict and, where it is owed, one
 * notice about it; what waits lies where it has to, and what was applied makes the same tables
 * elsewhere.
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "storage/machine/queue.h"
#include "tests/unit/storage/machine/queue_lab.h"

enum { SEEDS = 3, STEPS = 3000, RECORDS_MAX = 3000, ALIVE_MAX = 10, DOMAINS = 4, ASKERS = 3 };
#define WAITING PR__QUEUE_RECIPIENT__STATE__WAITING
#define FAILED PR__QUEUE_RECIPIENT__STATE__FAILED
#define MINUTE_MS ((uint64_t)60 * 1000)

struct sent_to {
    uint32_t destination;
    Pr__QueueRecipient__State state;
    unsigned attempts;
    unsigned verdicts; /* last ones: one at the end */
    bool owed;         /* a notice, of the last verdict */
    bool late;         /* a notice of delay */
    bool told;         /* of the last verdict */
    uint32_t notice;   /* owed with this one or a later one */
};

struct sent_domain {
    uint64_t due_ms;
    uint64_t lease;
    uint32_t grants;
    unsigned attempts;
};

struct sent_record {
    bool gone;
    bool dropped;
    bool held;
    uint64_t tenant_id;
    uint64_t notice_ms;
    uint32_t notices;
    unsigned domains;
    unsigned count;
    struct sent_domain domain[DOMAINS + 1]; /* by number */
    struct sent_to to[QUEUE_RECORD_RECIPIENTS_MAX + 1];
};

/* What somebody who sends remembers of a destination: what lay there when it looked. */
struct watched {
    uint64_t id;
    uint32_t destination;
    uint64_t lease;
    uint32_t grants;
};

static struct sent_model {
    struct lab lab;
    uint64_t seed;
    struct sent_record records[RECORDS_MAX + 1]; /* by id */
    uint64_t count;
    unsigned alive;
    struct watched watched[ASKERS];
    unsigned granted, taken_over, notices, finished;
} model;

static uint32_t below(uint32_t number)
{
    return lab_random(&model.seed, number);
}

/* Now and then one that is gone, or that there never was. */
static struct sent_record *any_record(uint64_t *id)
{
    for (unsigned tries = 0; tries < 50; tries++) {
        *id = 1 + below((uint32_t)model.count + 1);
        if (*id <= model.count && !model.records[*id].gone)
            return &model.records[*id];
        if (below(50) == 0)
            return NULL;
    }
    return NULL;
}

static uint32_t any_destination(const struct sent_record *record)
{
    return 1 + below(record != NULL && below(10) != 0 ? record->domains : DOMAINS);
}

static bool to_waits(const struct sent_record *record, uint32_t destination)
{
    for (unsigned i = 1; i <= record->count; i++)
        if (record->to[i].destination == destination && record->to[i].state == WAITING)
            return true;
    return false;
}

static bool to_owed(const struct sent_to *to)
{
    return to->owed || to->late;
}

/* What becomes of a record when something was changed. */
static void settle(struct sent_record *record)
{
    bool waits = false;
    bool owed = false;
    bool next = false;
    bool alone = true;

    for (unsigned i = 1; i <= record->count; i++) {
        waits = waits || record->to[i].state == WAITING;
        owed = owed || to_owed(&record->to[i]);
        next = next || (to_owed(&record->to[i]) && record->to[i].notice <= record->notices);
    }
    for (unsigned i = 1; i <= record->domains; i++)
        if (to_waits(record, i))
            alone = alone && record->domain[i].lease == 0 && record->domain[i].attempts > 0;
    if (record->notice_ms != 0 && !next) {
        record->notices++;
        record->notice_ms = 0;
    }
    if (owed && (record->notice_ms == 0 ||
                 (record->notice_ms > model.lab.now_ms + QUEUE_NOTICE_CLOSED_MS && alone)))
        record->notice_ms = model.lab.now_ms + (alone ? 0 : QUEUE_NOTICE_MS);
    record->gone = record->dropped || (!waits && !owed);
    if (record->gone)
        model.alive--;
    for (unsigned i = 1; record->gone && !record->dropped && i <= record->count; i++) {
        assert_int_equal(record->to[i].verdicts, 1);
        model.finished++;
    }
}

/* ---- steps ---- */

static struct sent_record *record_new(uint64_t tenant_id)
{
    struct sent_record *record = &model.records[++model.count];

    assert_true(model.count <= RECORDS_MAX);
    record->tenant_id = tenant_id;
    model.alive++;
    return record;
}

/* So many of each domain; its letter is its number. */
static void step_deliver(void)
{
    struct queue_lab_message message;
    unsigned counts[DOMAINS] = {0};
    unsigned large = below(60) == 0 ? 30 : 1;
    uint64_t tenant_id = below(3);
    uint64_t due_ms = model.lab.now_ms;
    struct sent_record *record = NULL;
    unsigned all = 0;

    if (model.alive >= ALIVE_MAX)
        return;
    queue_lab_begin(&message, &model.lab, "message");
    if (below(4) == 0)
        message.deliver->envelope->hold_until_ms = due_ms += below(10 * MINUTE_MS);
    message.deliver->queue_tenant_id = tenant_id;
    message.deliver->queue_class = (Pr__QueueClass)(tenant_id % 2);
    for (unsigned i = 0; i < 1 + below(5); i++)
        counts[below(DOMAINS)] += (1 + below(3)) * large;
    for (unsigned d = DOMAINS; d-- > 0;)
        for (unsigned i = 0; i < counts[d]; i++, all++)
            queue_lab_out(&message, 0,
                          arena_printf(&model.lab.arena, "u%u@%c.example", i, 'a' + d));
    Pr__Outcome *outcome = queue_lab_send(&message);
    assert_int_equal(outcome->err, all > 0 ? ERR_OK : ERR_INVALID);
    for (unsigned d = 0; d < DOMAINS; d++) {
        for (unsigned i = 0; i < counts[d]; i++) {
            bool begins = i == 0;
            unsigned rest = counts[d] - i;
            if (record == NULL || record->count == QUEUE_RECORD_RECIPIENTS_MAX ||
                (begins && record->count + rest > QUEUE_RECORD_RECIPIENTS_MAX)) {
                record = record_new(tenant_id);
                begins = true;
            }
            if (begins)
                record->domain[++record->domains].due_ms = due_ms;
            record->to[++record->count].destination = record->domains;
        }
    }
}

static void step_watch(void)
{
    struct watched *watched = &model.watched[below(ASKERS)];
    struct sent_record *record = any_record(&watched->id);

    watched->destination = any_destination(record);
    if (record == NULL)
        return;
    watched->lease = record->domain[watched->destination].lease;
    watched->grants = record->domain[watched->destination].grants;
}

/* Somebody asks for a destination, mostly one that was watched. Leases: few, so that they meet
 * again. */
static void step_lease(void)
{
    struct watched asked = model.watched[below(ASKERS)];
    uint64_t lease = 1 + below(ASKERS);
    Pr__QueueDestination seen = PR__QUEUE_DESTINATION__INIT;
    struct sent_record *record = any_record(&asked.id);
    struct sent_domain *domain;
    bool granted = false;

    if (below(3) != 0) {
        asked = model.watched[below(ASKERS)];
        record = asked.id != 0 && asked.id <= model.count && !model.records[asked.id].gone
                     ? &model.records[asked.id]
                     : NULL;
    } else {
        asked.destination = any_destination(record);
    }
    seen.lease = asked.lease;
    seen.renewals = asked.grants;
    if (record != NULL && !record->held && asked.destination <= record->domains &&
        to_waits(record, asked.destination)) {
        domain = &record->domain[asked.destination];
        granted = domain->lease == lease ||
                  (domain->lease == asked.lease && domain->grants == asked.grants);
        model.taken_over += granted && domain->lease != 0 && domain->lease != lease;
    }
    Pr__Outcome *outcome =
        queue_lab_lease(&model.lab, lease, asked.id, asked.destination, &seen);
    assert_int_equal(outcome->err, ERR_OK);
    assert_int_equal(outcome->n_queue_items, granted);
    model.granted += granted;
    if (!granted)
        return;
    domain->lease = lease;
    domain->grants++;
    domain->due_ms = model.lab.now_ms + QUEUE_LEASE_MS;
    settle(record);
}

static void verdict_expect(struct sent_record *record, const struct queue_lab_verdict *said,
                           bool leased)
{
    struct sent_to *to = &record->to[said->recipient];
    bool late = to->late;

    if (said->recipient == 0 || said->recipient > record->count ||
        to->destination != said->destination || to->state != WAITING ||
        (!leased && (said->state == WAITING || said->state == FAILED)))
        return;
    record->domain[to->destination].grants += !leased;
    to->state = said->state;
    to->attempts += !said->untried;
    to->verdicts += said->state != WAITING;
    to->late = said->state == WAITING && (late || said->tell);
    to->owed = said->state != WAITING && said->tell;
    if (said->tell && !(late && said->state == WAITING))
        to->notice =
            record->notices + (record->notice_ms != 0 &&
                               record->notice_ms <= model.lab.now_ms + QUEUE_NOTICE_CLOSED_MS);
}

static void step_report(void)
{
    struct queue_lab_verdict said = {
        .lease = below(ASKERS + 1),
        .recipient = below(8),
        .state = (Pr__QueueRecipient__State)below(4),
        .tell = below(2) == 0,
        .untried = below(4) == 0,
        .retry_ms = below(20 * MINUTE_MS),
    };
    struct sent_record *record = any_record(&said.id);
    said.destination = any_destination(record);
    bool there = record != NULL && said.destination <= record->domains &&
                 to_waits(record, said.destination);

    /* Mostly by who has it, about one who waits. */
    if (there && below(4) != 0) {
        said.lease = record->domain[said.destination].lease;
        for (said.recipient = 1; record->to[said.recipient].destination != said.destination ||
                                 record->to[said.recipient].state != WAITING;)
            said.recipient++;
    }
    assert_int_equal(queue_lab_report(&model.lab, said)->err, ERR_OK);
    if (!there)
        return;
    struct sent_domain *domain = &record->domain[said.destination];
    bool leased = said.lease != 0 && domain->lease == said.lease;
    verdict_expect(record, &said, leased);
    if (leased || (said.lease == 0 && domain->lease == 0 && said.untried)) {
        domain->lease = 0;
        domain->attempts += !said.untried;
        domain->due_ms = model.lab.now_ms + said.retry_ms;
    }
    settle(record);
}

/* Mostly about all who are owed the notice that is due. */
static void step_told(void)
{
    uint32_t recipients[QUEUE_RECORD_RECIPIENTS_MAX];
    uint32_t notice;
    size_t count = 0;
    bool others = false;
    uint64_t id;
    struct sent_record *record = any_record(&id);

    if (record == NULL || record->notice_ms == 0)
        return;
    notice = record->notices - (below(10) == 0 ? 1 : 0);
    for (unsigned i = 1; i <= record->count; i++)
        if (below(8) != 0 && (record->to[i].notice <= notice || below(4) == 0))
            recipients[count++] = i;
    if (count == 0)
        return;
    Pr__Outcome *outcome = queue_lab_told(&model.lab, id, notice, count, recipients);
    assert_int_equal(outcome->err, notice == record->notices ? ERR_OK : ERR_CONFLICT);
    if (outcome->err != ERR_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        struct sent_to *to = &record->to[recipients[i]];
        if (!to_owed(to) || to->notice > notice)
            continue;
        assert_false(to->told);
        to->told = to->owed;
        to->owed = to->late = false;
    }
    for (unsigned i = 1; i <= record->count; i++)
        others = others || (to_owed(&record->to[i]) && record->to[i].notice <= notice);
    record->notices++;
    record->notice_ms = others ? record->notice_ms : 0;
    model.notices++;
    settle(record);
}

static void step_change(void)
{
    uint64_t id;
    struct sent_record *record = any_record(&id);
    Pr__QueueChange__Action action = (Pr__QueueChange__Action)below(4);
    bool changed =
        record != NULL && (action != PR__QUEUE_CHANGE__ACTION__RELEASE || record->held);

    /* Most go out in the end. */
    if (action == PR__QUEUE_CHANGE__ACTION__DROP && below(3) != 0)
        return;
    assert_int_equal(queue_lab_change(&model.lab, action, 1, &id)->id, changed);
    if (!changed)
        return;
    if (action == PR__QUEUE_CHANGE__ACTION__HOLD)
        record->held = true;
    if (action == PR__QUEUE_CHANGE__ACTION__RELEASE)
        record->held = false;
    record->dropped = action == PR__QUEUE_CHANGE__ACTION__DROP;
    for (unsigned i = 1; action == PR__QUEUE_CHANGE__ACTION__RETRY && i <= record->domains; i++)
        if (record->domain[i].lease == 0 && record->domain[i].due_ms > model.lab.now_ms)
            record->domain[i].due_ms = model.lab.now_ms;
    settle(record);
}

static void step_time(void)
{
    model.lab.now_ms += below(below(5) == 0 ? 5 * MINUTE_MS : 5000);
}

/* ---- comparing ---- */

static void destination_compare(const struct sent_record *record,
                                const Pr__QueueDestination *found)
{
    const struct sent_domain *domain = &record->domain[found->number];

    assert_true(to_waits(record, found->number));
    assert_int_equal(found->due_ms, domain->due_ms);
    assert_int_equal(found->lease, domain->lease);
    assert_int_equal(found->renewals, domain->grants);
    assert_int_equal(found->attempts, domain->attempts);
    assert_int_equal(found->node_id, domain->lease != 0 ? QUEUE_NODE : 0);
}

static void record_compare(uint64_t id)
{
    const struct sent_record *record = &model.records[id];
    const Pr__QueueRecord *found = queue_lab_record(&model.lab, id);
    size_t recipients = 0;
    size_t destinations = 0;

    assert_int_equal(found == NULL, record->gone);
    if (found == NULL)
        return;
    assert_int_equal(found->held, record->held);
    assert_int_equal(found->tenant_id, record->tenant_id);
    assert_int_equal(found->notice_ms, record->notice_ms);
    assert_int_equal(found->notices, record->notices);
    for (uint32_t i = 1; i <= record->count; i++) {
        const struct sent_to *to = &record->to[i];
        if (to->state != WAITING && !to_owed(to))
            continue;
        assert_true(recipients < found->n_recipients);
        const Pr__QueueRecipient *recipient = found->recipients[recipients++];
        assert_int_equal(recipient->number, i);
        assert_int_equal(recipient->destination, to->destination);
        assert_int_equal(recipient->state, to->state);
        assert_int_equal(recipient->attempts, to->attempts);
        assert_int_equal(recipient->tell, to_owed(to));
        assert_true(!recipient->tell || recipient->notice == to->notice);
    }
    assert_int_equal(found->n_recipients, recipients);
    for (uint32_t i = 1; i <= record->domains; i++)
        if (to_waits(record, i)) {
            assert_true(destinations < found->n_destinations);
            assert_int_equal(found->destinations[destinations]->number, i);
            destination_compare(record, found->destinations[destinations++]);
        }
    assert_int_equal(found->n_destinations, destinations);
}

static size_t places_expect(struct queue_due *rows)
{
    size_t count = 0;

    for (uint64_t id = 1; id <= model.count; id++) {
        const struct sent_record *record = &model.records[id];
        if (record->gone || record->held)
            continue;
        if (record->notice_ms != 0)
            rows[count++] = (struct queue_due){record->notice_ms, id, 0};
        for (uint32_t i = 1; i <= record->domains; i++)
            if (to_waits(record, i))
                rows[count++] = (struct queue_due){record->domain[i].due_ms, id, i};
    }
    return count;
}

static void lanes_compare(void)
{
    static struct queue_due found[(DOMAINS + 1) * (ALIVE_MAX + 4)];
    static struct queue_due expected[(DOMAINS + 1) * (ALIVE_MAX + 4)];
    size_t count = places_expect(expected);

    assert_int_equal(
        queue_lab_due(&model.lab, UINT64_MAX, found, sizeof(found) / sizeof(*found)), count);
    queue_lab_due_sort(expected, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(found[i].id, expected[i].id);
        assert_int_equal(found[i].destination, expected[i].destination);
        assert_int_equal(found[i].due_ms, expected[i].due_ms);
    }
}

static void each_recipient_has_one_verdict(void **state)
{
    static void (*const steps[])(void) = {step_deliver, step_watch,  step_watch,  step_lease,
                                          step_lease,   step_lease,  step_lease,  step_report,
                                          step_report,  step_report, step_report, step_told,
                                          step_told,    step_change, step_time,   step_time};

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        memset(&model, 0, sizeof(model));
        model.seed = seed;
        queue_lab_open(&model.lab, FORMAT_ADDRESSES);
        for (unsigned step = 0; step < STEPS; step++) {
            steps[below(sizeof(steps) / sizeof(*steps))]();
            for (uint64_t id = 1; id <= model.count; id++)
                record_compare(id);
            lanes_compare();
            if (step % 4 == 0)
                lab_invariants(&model.lab, QUEUE_GROUP);
        }
        for (uint64_t id = 1; id <= model.count; id++)
            record_compare(id);
        printf("seed %llu: %llu messages, %u leases, %u taken over, %u notices, %u finished\n",
               (unsigned long long)seed, (unsigned long long)model.count, model.granted,
               model.taken_over, model.notices, model.finished);
        assert_true(model.granted > 100 && model.taken_over > 5 && model.notices > 20 &&
                    model.finished > 100);
        queue_lab_apply_again(&model.lab);
        lab_close(&model.lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_recipient_has_one_verdict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
