/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notices (DSNs) that are owed for mail in the queue: none is lost, and none made twice. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/machine/queue.h"
#include "tests/unit/storage/machine/queue_lab.h"

#define WAITING PR__QUEUE_RECIPIENT__STATE__WAITING
#define DELIVERED PR__QUEUE_RECIPIENT__STATE__DELIVERED
#define FAILED PR__QUEUE_RECIPIENT__STATE__FAILED
#define MINUTE_MS ((uint64_t)60 * 1000)

/* To three, each at a domain of its own. */
static int setup(void **state)
{
    static struct lab lab;
    struct queue_lab_message message;

    queue_lab_open(&lab, FORMAT_ADDRESSES);
    queue_lab_begin(&message, &lab, "text");
    message.deliver->queue_class = PR__QUEUE_CLASS__QUEUE_BULK;
    message.deliver->queue_tenant_id = 4;
    queue_lab_out(&message, 0, "one@a.example");
    queue_lab_out(&message, 0, "two@b.example");
    queue_lab_out(&message, 0, "three@c.example");
    assert_int_equal(queue_lab_send(&message)->id, 1);
    *state = &lab;
    return 0;
}

static int teardown(void **state)
{
    lab_invariants(*state, QUEUE_GROUP);
    lab_close(*state);
    return 0;
}

/* An attempt at one of the three, from the lease on. */
static void attempt(struct lab *lab, uint32_t number, Pr__QueueRecipient__State what, bool tell)
{
    assert_int_equal(queue_lab_lease(lab, 9, 1, number, NULL)->n_queue_items, 1);
    queue_lab_report(lab, (struct queue_lab_verdict){.lease = 9,
                                                     .id = 1,
                                                     .destination = number,
                                                     .recipient = number,
                                                     .state = what,
                                                     .tell = tell,
                                                     .retry_ms = 10 * MINUTE_MS});
}

/* Who is to be told now, a digit each; NULL: no notice is due. */
static const char *owed(struct lab *lab)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__QueueReadAnswer answer = PR__QUEUE_READ_ANSWER__INIT;
    Pr__QueueRead read = PR__QUEUE_READ__INIT;
    Pr__QueueLane lane = PR__QUEUE_LANE__INIT;
    const char *text = NULL;

    lane.class_ = PR__QUEUE_CLASS__QUEUE_BULK;
    lane.tenant_id = 4;
    read.lane = &lane;
    read.until_ms = lab->now_ms;
    assert_int_equal(query_queue_read(txn, QUEUE_GROUP, &read, &lab->arena, &answer), ERR_OK);
    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_true(answer.n_messages <= 1);
    if (answer.n_messages == 0)
        return NULL;
    text = "";
    for (size_t i = 0; i < answer.messages[0]->n_recipients; i++)
        text =
            arena_printf(&lab->arena, "%s%u", text, answer.messages[0]->recipients[i]->number);
    return text;
}

static enum err told(struct lab *lab, uint32_t notice, const char *numbers)
{
    uint32_t recipients[3];
    size_t count = 0;

    for (; *numbers != '\0'; numbers++)
        recipients[count++] = (uint32_t)(*numbers - '0');
    return (enum err)queue_lab_told(lab, 1, notice, count, recipients)->err;
}

/* ---- when ---- */

static void one_notice_waits_for_the_others(void **state)
{
    struct lab *lab = *state;
    uint64_t first_ms;

    attempt(lab, 1, FAILED, true);
    assert_true(lab->events.queue_due);
    first_ms = lab->now_ms + QUEUE_NOTICE_MS;
    assert_int_equal(queue_lab_record(lab, 1)->notice_ms, first_ms);
    assert_null(owed(lab));
    lab->now_ms += MINUTE_MS;
    attempt(lab, 2, FAILED, true);
    assert_int_equal(queue_lab_record(lab, 1)->notice_ms, first_ms);
    lab->now_ms += MINUTE_MS - 1;
    assert_null(owed(lab));
    lab->now_ms += 1;
    assert_string_equal(owed(lab), "12");
}

static void at_once_when_all_have_been_tried(void **state)
{
    struct lab *lab = *state;

    attempt(lab, 1, FAILED, true);
    attempt(lab, 2, WAITING, false);
    lab->now_ms += 1000;
    assert_null(owed(lab));
    attempt(lab, 3, WAITING, true);
    assert_int_equal(queue_lab_record(lab, 1)->notice_ms, lab->now_ms);
    assert_string_equal(owed(lab), "13");
    assert_int_equal(queue_lab_counts(lab).oldest_due_ms, lab->now_ms);
}

static void not_at_once_while_one_is_tried(void **state)
{
    struct lab *lab = *state;

    attempt(lab, 2, WAITING, false);
    attempt(lab, 3, WAITING, false);
    assert_int_equal(queue_lab_lease(lab, 8, 1, 3, NULL)->n_queue_items, 1);
    attempt(lab, 1, FAILED, true);
    assert_null(owed(lab));
    queue_lab_report(lab, (struct queue_lab_verdict){.lease = 8, .id = 1, .destination = 3});
    assert_string_equal(owed(lab), "1");
}

static void of_what_is_held_nothing_is_told(void **state)
{
    struct lab *lab = *state;
    uint64_t id = 1;

    attempt(lab, 1, FAILED, true);
    lab->now_ms += QUEUE_NOTICE_MS;
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__HOLD, 1, &id);
    assert_null(owed(lab));
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__RELEASE, 1, &id);
    assert_string_equal(owed(lab), "1");
}

/* ---- told ---- */

static void told_is_owed_no_more(void **state)
{
    struct lab *lab = *state;

    attempt(lab, 1, FAILED, true);
    attempt(lab, 2, DELIVERED, true);
    attempt(lab, 3, WAITING, true);
    assert_int_equal(queue_lab_record(lab, 1)->n_destinations, 1);
    assert_int_equal(told(lab, 0, "123"), ERR_OK);
    const Pr__QueueRecord *record = queue_lab_record(lab, 1);
    assert_int_equal(record->n_recipients, 1);
    assert_int_equal(record->recipients[0]->number, 3);
    assert_int_equal(record->recipients[0]->delays_told, 1);
    assert_false(record->recipients[0]->tell);
    assert_int_equal(record->notice_ms, 0);
    assert_int_equal(record->notices, 1);
    assert_null(owed(lab));
    /* Said again. */
    assert_int_equal(told(lab, 0, "123"), ERR_CONFLICT);
    assert_int_equal(queue_lab_record(lab, 1)->recipients[0]->delays_told, 1);
    attempt(lab, 3, FAILED, true);
    assert_int_equal(queue_lab_record(lab, 1)->n_destinations, 0);
    assert_int_equal(queue_lab_record(lab, 1)->due_ms, lab->now_ms);
    assert_string_equal(owed(lab), "3");
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 1);
    assert_int_equal(told(lab, 1, "3"), ERR_OK);
    assert_null(queue_lab_record(lab, 1));
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 0);
    assert_int_equal(told(lab, 1, "3"), ERR_NOTFOUND);
}

static void who_was_not_told_is_still_owed(void **state)
{
    struct lab *lab = *state;

    attempt(lab, 1, FAILED, true);
    attempt(lab, 2, FAILED, true);
    attempt(lab, 3, WAITING, false);
    assert_string_equal(owed(lab), "12");
    assert_int_equal(told(lab, 0, "23"), ERR_OK); /* 3: owed nothing */
    assert_string_equal(owed(lab), "1");
    assert_int_equal(queue_lab_record(lab, 1)->n_recipients, 2);
    assert_int_equal(told(lab, 1, "1"), ERR_OK);
    assert_null(owed(lab));
}

static void notices_are_bounded(void **state)
{
    struct lab *lab = *state;
    uint32_t recipients[QUEUE_RECORD_RECIPIENTS_MAX + 1] = {0};

    assert_int_equal(told(lab, 0, ""), ERR_INVALID);
    assert_int_equal(
        queue_lab_told(lab, 1, 0, QUEUE_RECORD_RECIPIENTS_MAX + 1, recipients)->err,
        ERR_INVALID);
    assert_int_equal(queue_lab_told(lab, 1, 0, QUEUE_RECORD_RECIPIENTS_MAX, recipients)->err,
                     ERR_OK);
}

/* ---- what comes in between ---- */

/* What is due may be on its way already, and its id is that of its first recipients. */
static void a_notice_that_is_due_gets_no_more(void **state)
{
    struct lab *lab = *state;

    attempt(lab, 1, FAILED, true);
    lab->now_ms += QUEUE_NOTICE_MS;
    assert_string_equal(owed(lab), "1");
    uint64_t notice_ms = queue_lab_record(lab, 1)->notice_ms;
    attempt(lab, 2, FAILED, true);
    assert_string_equal(owed(lab), "1");
    assert_int_equal(queue_lab_record(lab, 1)->notice_ms, notice_ms);
    assert_int_equal(told(lab, 0, "12"), ERR_OK);
    assert_int_equal(queue_lab_record(lab, 1)->n_recipients, 2);
    assert_int_equal(queue_lab_record(lab, 1)->notice_ms, lab->now_ms + QUEUE_NOTICE_MS);
    lab->now_ms += QUEUE_NOTICE_MS;
    assert_string_equal(owed(lab), "2");
    assert_int_equal(told(lab, 1, "2"), ERR_OK);
}

/* The clock of who reads may be ahead a little. */
static void nor_one_that_is_almost_due(void **state)
{
    struct lab *lab = *state;

    attempt(lab, 1, FAILED, true);
    lab->now_ms += QUEUE_NOTICE_MS - QUEUE_NOTICE_CLOSED_MS - 1;
    attempt(lab, 2, WAITING, true);
    assert_int_equal(queue_lab_record(lab, 1)->recipients[1]->notice, 0);
    lab->now_ms += 1;
    uint64_t notice_ms = queue_lab_record(lab, 1)->notice_ms;
    attempt(lab, 3, FAILED, true);
    assert_int_equal(queue_lab_record(lab, 1)->recipients[2]->notice, 1);
    /* Each was tried now, but its id, which is made of its time, may be in use. */
    assert_int_equal(queue_lab_record(lab, 1)->notice_ms, notice_ms);
}

/* That it is late was being told, and then it failed: that is another notice. */
static void what_came_of_it_since_is_told_too(void **state)
{
    struct lab *lab = *state;

    attempt(lab, 2, WAITING, false);
    attempt(lab, 3, WAITING, false);
    attempt(lab, 1, WAITING, true);
    assert_string_equal(owed(lab), "1");
    attempt(lab, 2, WAITING, true);
    /* Still late: the same notice. */
    attempt(lab, 1, WAITING, true);
    assert_int_equal(queue_lab_record(lab, 1)->recipients[0]->notice, 0);
    assert_string_equal(owed(lab), "1");
    attempt(lab, 1, FAILED, true);
    /* The number of the one that is on its way is used up. */
    assert_int_equal(queue_lab_record(lab, 1)->notices, 1);
    assert_string_equal(owed(lab), "12");
    assert_int_equal(told(lab, 0, "1"), ERR_CONFLICT);
    assert_int_equal(told(lab, 1, "12"), ERR_OK);
    assert_int_equal(queue_lab_record(lab, 1)->n_recipients, 2);
}

static void with_others_it_is_not_taken_for_told(void **state)
{
    struct lab *lab = *state;

    attempt(lab, 3, WAITING, false);
    attempt(lab, 1, WAITING, true);
    attempt(lab, 2, FAILED, true);
    assert_string_equal(owed(lab), "12");
    attempt(lab, 1, FAILED, true);
    assert_string_equal(owed(lab), "2");
    assert_int_equal(told(lab, 0, "12"), ERR_OK);
    assert_string_equal(owed(lab), "1");
    assert_int_equal(queue_lab_record(lab, 1)->recipients[0]->delays_told, 0);
    assert_int_equal(told(lab, 1, "1"), ERR_OK);
}

/* Late, and then there, which nobody wanted to know. */
static void what_is_not_owed_any_more_is_not_told(void **state)
{
    struct lab *lab = *state;

    attempt(lab, 2, WAITING, false);
    attempt(lab, 3, WAITING, false);
    attempt(lab, 1, WAITING, true);
    assert_string_equal(owed(lab), "1");
    attempt(lab, 1, DELIVERED, false);
    assert_null(owed(lab));
    assert_int_equal(queue_lab_record(lab, 1)->n_recipients, 2);
    assert_int_equal(queue_lab_record(lab, 1)->notice_ms, 0);
    /* Its number is used up: it may have been made. */
    assert_int_equal(queue_lab_record(lab, 1)->notices, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_notice_waits_for_the_others),
        TEST(at_once_when_all_have_been_tried),
        TEST(not_at_once_while_one_is_tried),
        TEST(of_what_is_held_nothing_is_told),
        TEST(told_is_owed_no_more),
        TEST(who_was_not_told_is_still_owed),
        TEST(notices_are_bounded),
        TEST(a_notice_that_is_due_gets_no_more),
        TEST(nor_one_that_is_almost_due),
        TEST(what_came_of_it_since_is_told_too),
        TEST(with_others_it_is_not_taken_for_told),
        TEST(what_is_not_owed_any_more_is_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
