/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What whoever sends may say at once. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/machine/queue.h"
#include "tests/unit/storage/machine/queue_lab.h"

enum { LEASE = 101 };

static int setup(void **state)
{
    static struct lab lab;

    queue_lab_open(&lab, FORMAT_ADDRESSES);
    queue_lab_queue(&lab, "one@a.example");
    *state = &lab;
    return 0;
}

static int teardown(void **state)
{
    lab_invariants(*state, QUEUE_GROUP);
    lab_close(*state);
    return 0;
}

static void leases_are_bounded(void **state)
{
    struct lab *lab = *state;
    Pr__QueueLeaseItem asked = PR__QUEUE_LEASE_ITEM__INIT;
    Pr__QueueItem item = PR__QUEUE_ITEM__INIT;
    Pr__QueueLeaseItem *items[QUEUE_ITEMS_MAX + 1];
    static const struct {
        uint64_t lease;
        uint32_t lease_ms;
        size_t count;
        bool item;
        enum err err;
    } rows[] = {
        {0, 1, 1, true, ERR_INVALID},
        {1, 0, 1, true, ERR_INVALID},
        {1, QUEUE_LEASE_MS_MAX + 1, 1, true, ERR_INVALID},
        {1, QUEUE_LEASE_MS_MAX, 0, true, ERR_INVALID},
        {1, QUEUE_LEASE_MS_MAX, 1, false, ERR_INVALID},
        {1, QUEUE_LEASE_MS_MAX, QUEUE_ITEMS_MAX + 1, true, ERR_TOOBIG},
        {1, QUEUE_LEASE_MS_MAX, QUEUE_ITEMS_MAX, true, ERR_OK},
    };

    for (unsigned i = 0; i <= QUEUE_ITEMS_MAX; i++)
        items[i] = &asked;
    item.id = item.destination = 1;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        Pr__QueueLease call = PR__QUEUE_LEASE__INIT;
        asked.item = rows[i].item ? &item : NULL;
        call.lease = rows[i].lease;
        call.lease_ms = rows[i].lease_ms;
        call.n_items = rows[i].count;
        call.items = items;
        Pr__Outcome *outcome =
            lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(queue_lease, QUEUE_LEASE, &call));
        assert_int_equal(outcome->err, rows[i].err);
        assert_int_equal(outcome->n_queue_items, rows[i].err == ERR_OK ? QUEUE_ITEMS_MAX : 0);
    }
}

static void reports_are_bounded(void **state)
{
    struct lab *lab = *state;
    Pr__QueueItem item = PR__QUEUE_ITEM__INIT;
    char text[QUEUE_REPLY_SIZE_MAX + 2] = {0};
    char fits[3][QUEUE_REPLY_SIZE_MAX + 1] = {0};
    static const size_t sizes[3] = {QUEUE_STATUS_SIZE_MAX, QUEUE_REPLY_SIZE_MAX,
                                    QUEUE_REMOTE_SIZE_MAX};

    item.id = item.destination = 1;
    for (unsigned i = 0; i < 3; i++)
        memset(fits[i], 'x', sizes[i]);
    assert_int_equal(queue_lab_lease(lab, LEASE, 1, 1, NULL)->n_queue_items, 1);
    for (unsigned i = 0; i < 13; i++) {
        Pr__QueueVerdict said = PR__QUEUE_VERDICT__INIT;
        Pr__QueueVerdict *verdicts[QUEUE_RECORD_RECIPIENTS_MAX + 1];
        Pr__QueueAttempt attempt = PR__QUEUE_ATTEMPT__INIT;
        Pr__QueueAttempt *attempts[QUEUE_ITEMS_MAX + 1];
        Pr__QueueReport call = PR__QUEUE_REPORT__INIT;
        memset(text, 'x', i < 4 ? sizes[i > 0 ? i - 1 : 0] + 1 : 1);
        text[i < 4 && i > 0 ? sizes[i - 1] + 1 : 1] = '\0';
        said.recipient = 1;
        said.status = i == 1 ? text : i == 4 ? (char[]){"4.0\n"} : fits[0];
        said.reply = i == 2 ? text : i == 5 ? (char[]){"a\r\nb"} : fits[1];
        said.remote = i == 3 ? text : i == 6 ? (char[]){"\xe4"} : fits[2];
        said.state =
            i == 7 ? (Pr__QueueRecipient__State)4 : PR__QUEUE_RECIPIENT__STATE__WAITING;
        for (unsigned v = 0; v <= QUEUE_RECORD_RECIPIENTS_MAX; v++)
            verdicts[v] = &said;
        attempt.item = i == 8 ? NULL : &item;
        attempt.lease = LEASE;
        attempt.retry_ms = QUEUE_RETRY_MS_MAX + (i == 9);
        attempt.verdicts = verdicts;
        attempt.n_verdicts = QUEUE_RECORD_RECIPIENTS_MAX + (i == 10);
        for (unsigned a = 0; a <= QUEUE_ITEMS_MAX; a++)
            attempts[a] = &attempt;
        call.attempts = attempts;
        call.n_attempts = i == 11 ? 0 : i == 12 ? QUEUE_ITEMS_MAX + 1 : 1;
        Pr__Outcome *outcome =
            lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(queue_report, QUEUE_REPORT, &call));
        assert_int_equal(outcome->err, i == 0               ? ERR_OK
                                       : i == 10 || i == 12 ? ERR_TOOBIG
                                                            : ERR_INVALID);
        if (i == 0)
            assert_int_equal(strlen(queue_lab_record(lab, 1)->recipients[0]->last_reply),
                             QUEUE_REPLY_SIZE_MAX);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(leases_are_bounded),
        TEST(reports_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
