/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random commands for queue, sending limits and greylist, against a model that anybody would
 * write down: arrays, searched from the front. What was applied makes the same tables again
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

enum { SEEDS = 2, STEPS = 900, MESSAGES_MAX = 8000, SENT_MAX = 4000, KEYS = 12, ACCOUNTS = 4 };
#define MINUTE_MS ((uint64_t)60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define WAIT_MS (3 * MINUTE_MS)
#define KEEP_MS (30 * MINUTE_MS)
#define PASSED_MS (2 * HOUR_MS)

struct model_queued {
    uint64_t id;
    uint64_t due_ms;
    unsigned recipients;
    bool held;
    bool gone;
};

struct model_key {
    bool known;
    bool passed;
    uint64_t first_ms;
    uint64_t expires_ms;
};

static struct queue_model {
    struct lab lab;
    uint64_t seed;
    struct model_queued queued[MESSAGES_MAX];
    unsigned count;
    uint64_t messages[ACCOUNTS]; /* in mailboxes */
    struct {
        uint64_t account_id;
        uint64_t time_ms;
        uint32_t recipients;
    } sent[SENT_MAX];
    unsigned sent_count;
    struct model_key keys[KEYS];
    struct queue_lab_message last;
} model;

static uint32_t below(uint32_t number)
{
    return lab_random(&model.seed, number);
}

/* ---- steps ---- */

static uint64_t sent_in(uint64_t account_id, uint64_t span_ms)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < model.sent_count; i++)
        if (model.sent[i].account_id == account_id &&
            model.sent[i].time_ms + span_ms > model.lab.now_ms)
            sum += model.sent[i].recipients;
    return sum;
}

static void step_deliver(void)
{
    struct queue_lab_message message;
    uint64_t account_id = 1 + below(ACCOUNTS);
    uint64_t got[ACCOUNTS] = {0};
    unsigned outside[3] = {0};
    uint32_t counted = 1 + below(10);
    uint32_t hour_max = below(3) == 0 ? 60 : 0;
    uint64_t hold_ms = below(3) == 0 ? model.lab.now_ms + below(1000000) : 0;

    queue_lab_begin(&message, &model.lab, "message");
    message.deliver->envelope->hold_until_ms = hold_ms;
    queue_lab_limits(&message, account_id, counted, hour_max, 0);
    for (unsigned part = 0; part < 1 + below(3); part++) {
        if (part > 0)
            queue_lab_part(&message, "part");
        outside[part] = 1 + below(3);
        queue_lab_out_many(&message, part, outside[part]);
        for (unsigned i = 0; i < below(3); i++) {
            uint64_t to = 1 + below(ACCOUNTS);
            bool there = false;
            size_t count = part == 0 ? message.deliver->n_recipients
                                     : message.deliver->parts[part - 1]->n_recipients;
            for (size_t r = 0; r < count; r++)
                there = there || (part == 0 ? message.deliver->recipients
                                            : message.deliver->parts[part - 1]->recipients)[r]
                                         ->account_id == to;
            queue_lab_to(&message, part, to);
            got[to - 1] += !there;
        }
    }
    Pr__Outcome *outcome = queue_lab_send(&message);
    if (hour_max != 0 && sent_in(account_id, HOUR_MS) + counted > hour_max) {
        assert_int_equal(outcome->err, ERR_LIMIT);
        return;
    }
    if (outcome->err == ERR_LIMIT) {
        assert_true(hour_max != 0 && sent_in(account_id, 65 * MINUTE_MS) + counted > hour_max);
        return;
    }
    assert_int_equal(outcome->err, ERR_OK);
    for (unsigned part = 0; part < 3; part++) {
        if (outside[part] == 0)
            continue;
        struct model_queued *queued = &model.queued[model.count++];
        *queued = (struct model_queued){.id = model.count,
                                        .due_ms = hold_ms > model.lab.now_ms ? hold_ms
                                                                             : model.lab.now_ms,
                                        .recipients = outside[part]};
    }
    for (unsigned i = 0; i < ACCOUNTS; i++)
        model.messages[i] += got[i];
    model.sent[model.sent_count].account_id = account_id;
    model.sent[model.sent_count].time_ms = model.lab.now_ms;
    model.sent[model.sent_count++].recipients = counted;
    model.last = message;
}

/* The last one that was accepted, said again: nothing happens. */
static void step_again(void)
{
    if (model.last.lab != NULL)
        assert_int_equal(queue_lab_send(&model.last)->err, ERR_OK);
}

static bool change(struct model_queued *queued, Pr__QueueChange__Action action)
{
    if (queued->gone || (action == PR__QUEUE_CHANGE__ACTION__RELEASE && !queued->held))
        return false;
    if (action == PR__QUEUE_CHANGE__ACTION__HOLD)
        queued->held = true;
    else if (action == PR__QUEUE_CHANGE__ACTION__RELEASE)
        queued->held = false;
    else if (action == PR__QUEUE_CHANGE__ACTION__DROP)
        queued->gone = true;
    else if (queued->due_ms > model.lab.now_ms)
        queued->due_ms = model.lab.now_ms;
    return true;
}

static void step_change(void)
{
    Pr__QueueChange__Action action = (Pr__QueueChange__Action)below(4);
    uint64_t ids[8];
    size_t count = 1 + below(8);
    uint64_t changed = 0;

    for (size_t i = 0; i < count; i++) {
        ids[i] = 1 + below(model.count + 3);
        if (ids[i] <= model.count)
            changed += change(&model.queued[ids[i] - 1], action);
    }
    Pr__Outcome *outcome = queue_lab_change(&model.lab, action, count, ids);
    assert_int_equal(outcome->err, ERR_OK);
    assert_int_equal(outcome->id, changed);
}

static void step_seen(void)
{
    uint64_t number = below(KEYS);
    struct model_key *key = &model.keys[number];
    uint64_t now_ms = model.lab.now_ms;

    if (!key->known || key->expires_ms <= now_ms)
        *key = (struct model_key){.known = true, .first_ms = now_ms};
    key->passed = key->passed || now_ms - key->first_ms >= WAIT_MS;
    key->expires_ms = now_ms + (key->passed ? PASSED_MS : KEEP_MS);
    Pr__Outcome *outcome = queue_lab_seen(&model.lab, number, WAIT_MS, KEEP_MS, PASSED_MS);
    assert_int_equal(outcome->err, key->passed ? ERR_OK : ERR_BUSY);
    assert_int_equal(outcome->id, key->first_ms);
}

/* Below an hour, so that the group's clock keeps up. */
static void step_time(void)
{
    Pr__Tick tick = PR__TICK__INIT;

    model.lab.now_ms += below(below(8) == 0 ? 3000000 : 60000);
    lab_apply(&model.lab, QUEUE_GROUP, LAB_COMMAND(tick, TICK, &tick));
}

/* ---- comparing ---- */

static void queue_compare(void)
{
    static struct queue_due rows[MESSAGES_MAX];
    struct queue_counts counts = queue_lab_counts(&model.lab);
    uint64_t until_ms = model.lab.now_ms + below(500000);
    size_t due = queue_lab_due(&model.lab, until_ms, rows, MESSAGES_MAX);
    uint64_t messages = 0;
    uint64_t held = 0;
    size_t expected = 0;

    for (unsigned i = 0; i < model.count; i++) {
        const struct model_queued *queued = &model.queued[i];
        const Pr__QueueRecord *record = queue_lab_record(&model.lab, queued->id);
        assert_int_equal(record != NULL, !queued->gone);
        messages += !queued->gone;
        held += !queued->gone && queued->held;
        expected += !queued->gone && !queued->held && queued->due_ms <= until_ms;
        if (record == NULL)
            continue;
        assert_int_equal(record->due_ms, queued->due_ms);
        assert_int_equal(record->held, queued->held);
        assert_int_equal(record->n_recipients, queued->recipients);
    }
    assert_int_equal(counts.messages, messages);
    assert_int_equal(counts.held, held);
    assert_int_equal(due, expected);
    for (size_t i = 0; i < due; i++) {
        const struct model_queued *queued = &model.queued[rows[i].id - 1];
        assert_true(!queued->gone && !queued->held && queued->due_ms == rows[i].due_ms);
        assert_true(i == 0 || rows[i - 1].due_ms < rows[i].due_ms ||
                    (rows[i - 1].due_ms == rows[i].due_ms && rows[i - 1].id < rows[i].id));
    }
}

static void others_compare(void)
{
    for (uint64_t i = 0; i < ACCOUNTS; i++) {
        uint64_t hour;
        uint64_t day;
        queue_lab_sent(&model.lab, i + 1, &hour, &day);
        assert_true(hour >= sent_in(i + 1, HOUR_MS));
        assert_true(hour <= sent_in(i + 1, 65 * MINUTE_MS));
        assert_int_equal(queue_lab_messages(&model.lab, i + 1), model.messages[i]);
    }
    for (uint64_t i = 0; i < KEYS; i++) {
        struct greylist_view view = queue_lab_view(&model.lab, i);
        const struct model_key *key = &model.keys[i];
        bool known = key->known && key->expires_ms > model.lab.now_ms;
        assert_int_equal(view.known, known);
        assert_int_equal(view.passed, known && key->passed);
    }
}

static void the_machine_does_what_the_model_does(void **state)
{
    static void (*const steps[])(void) = {step_deliver, step_deliver, step_deliver, step_again,
                                          step_change,  step_change,  step_seen,    step_seen,
                                          step_time,    step_time};

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        memset(&model, 0, sizeof(model));
        model.seed = seed;
        printf("seed %llu\n", (unsigned long long)seed);
        queue_lab_open(&model.lab, FORMAT_ADDRESSES);
        for (unsigned step = 0; step < STEPS; step++) {
            steps[below(sizeof(steps) / sizeof(*steps))]();
            others_compare();
            if (step % 50 != 0)
                continue;
            queue_compare();
            lab_invariants(&model.lab, QUEUE_GROUP);
        }
        assert_true(model.count > STEPS / 10);
        queue_lab_apply_again(&model.lab);
        lab_close(&model.lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_does_what_the_model_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
