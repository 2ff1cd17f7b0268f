/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Of whom the sender is told that they got the message by the delivery itself (NOTIFY=SUCCESS).
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/machine/queue.h"
#include "storage/schema/flags.h"
#include "tests/unit/storage/machine/queue_lab.h"

#define WAITING PR__QUEUE_RECIPIENT__STATE__WAITING
#define DELIVERED PR__QUEUE_RECIPIENT__STATE__DELIVERED
#define FAILED PR__QUEUE_RECIPIENT__STATE__FAILED
#define RELAYED PR__QUEUE_RECIPIENT__STATE__RELAYED
#define EXPANDED PR__QUEUE_RECIPIENT__STATE__EXPANDED
#define TEXT(text) ((char[]){text})

enum { ANN = 7, BEA = 8 };

static int setup(void **state)
{
    static struct lab lab;

    queue_lab_open(&lab, FORMAT_ADDRESSES);
    *state = &lab;
    return 0;
}

static int teardown(void **state)
{
    lab_invariants(*state, QUEUE_GROUP);
    lab_close(*state);
    return 0;
}

static Pr__QueueRecipient *tell(struct queue_lab_message *message, const char *address,
                                Pr__QueueRecipient__State what)
{
    Pr__QueueRecipient *recipient = queue_lab_out(message, 0, address);

    recipient->state = what;
    recipient->tell = true;
    recipient->notify = QUEUE_NOTIFY_SUCCESS;
    return recipient;
}

/* Records with notices that are due. */
static Pr__QueueReadAnswer read_notices(struct lab *lab)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__QueueReadAnswer answer = PR__QUEUE_READ_ANSWER__INIT;
    Pr__QueueRead read = PR__QUEUE_READ__INIT;
    Pr__QueueLane lane = PR__QUEUE_LANE__INIT;

    read.lane = &lane;
    read.until_ms = lab->now_ms;
    assert_int_equal(query_queue_read(txn, QUEUE_GROUP, &read, &lab->arena, &answer), ERR_OK);
    assert_int_equal(db_commit(&txn), ERR_OK);
    return answer;
}

static void told_at_once(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;

    queue_lab_begin(&message, lab, "text");
    queue_lab_to(&message, 0, ANN);
    tell(&message, "ann@acme.example", DELIVERED)->orcpt = TEXT("rfc822;ann@old.example");
    tell(&message, "team@acme.example", EXPANDED);
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    assert_true(lab->events.queue_due);
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK); /* said twice, done once */
    assert_int_equal(queue_lab_messages(lab, ANN), 1);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE), 1);

    Pr__QueueReadAnswer due = read_notices(lab);
    assert_int_equal(due.n_messages, 1);
    const Pr__QueueRecord *record = due.messages[0];
    assert_int_equal(record->n_destinations, 0);
    assert_int_equal(record->notice_ms, lab->now_ms);
    assert_int_equal(record->due_ms, lab->now_ms);
    assert_int_equal(record->n_recipients, 2);
    assert_int_equal(record->recipients[0]->state, DELIVERED);
    assert_string_equal(record->recipients[0]->address, "ann@acme.example");
    assert_string_equal(record->recipients[0]->orcpt, "rfc822;ann@old.example");
    assert_int_equal(record->recipients[0]->tried_ms, lab->now_ms);
    assert_int_equal(record->recipients[1]->state, EXPANDED);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_LANE), 1);
    lab_invariants(lab, QUEUE_GROUP);

    assert_int_equal(queue_lab_told(lab, 1, 0, 2, (uint32_t[]){1, 2})->err, ERR_OK);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE), 0);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_LANE), 0);
    assert_int_equal(queue_lab_messages(lab, ANN), 1);
}

/* They are told of now, whatever becomes of those who wait, even of those who wait long. */
static void along_with_others(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;
    uint64_t then_ms = lab->now_ms + 3600 * 1000;

    queue_lab_begin(&message, lab, "text");
    message.deliver->envelope->hold_until_ms = then_ms;
    queue_lab_out(&message, 0, "bob@other.example");
    tell(&message, "list@acme.example", DELIVERED);
    queue_lab_out(&message, 0, "bea@acme.example")->account_id = BEA;
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    const Pr__QueueRecord *record = queue_lab_record(lab, 1);
    assert_int_equal(record->n_recipients, 3);
    assert_int_equal(record->n_destinations, 2);
    assert_int_equal(record->recipients[0]->destination, 0);
    assert_string_equal(record->recipients[0]->address, "list@acme.example");
    assert_int_equal(record->recipients[1]->destination, 1);
    assert_string_equal(record->destinations[0]->domain, "@");
    assert_int_equal(record->recipients[2]->destination, 2);
    assert_int_equal(record->due_ms, then_ms);
    assert_int_equal(record->notice_ms, lab->now_ms);
    Pr__QueueReadAnswer due = read_notices(lab);
    assert_int_equal(due.n_messages, 1);
    assert_int_equal(due.messages[0]->n_recipients, 1);
    assert_int_equal(queue_lab_told(lab, 1, 0, 1, (uint32_t[]){1})->err, ERR_OK);
    record = queue_lab_record(lab, 1);
    assert_int_equal(record->n_recipients, 2);
    assert_int_equal(record->notice_ms, 0);
    assert_int_equal(record->notices, 1);
}

static void what_cannot_be_told(void **state)
{
    struct lab *lab = *state;

    for (unsigned i = 0; i <= 9; i++) {
        struct queue_lab_message message;
        queue_lab_begin(&message, lab, "text");
        queue_lab_to(&message, 0, ANN);
        Pr__QueueRecipient *recipient = tell(&message, "ann@acme.example", DELIVERED);
        recipient->state = i == 0   ? WAITING
                           : i == 1 ? FAILED
                           : i == 2 ? RELAYED
                                    : recipient->state;
        recipient->tell = i != 3;
        recipient->notify = i == 4 ? QUEUE_NOTIFY_FAILURE : recipient->notify;
        recipient->account_id = i == 5 ? ANN : 0;
        recipient->sender = i == 6 ? TEXT("victim@far.example") : recipient->sender;
        recipient->null_sender = i == 7;
        message.deliver->envelope->sender = i == 8 ? TEXT("") : TEXT("x@far.example");
        assert_int_equal(queue_lab_send(&message)->err, i == 9 ? ERR_OK : ERR_INVALID);
    }
    assert_int_equal(queue_lab_messages(lab, ANN), 1);
}

/* Nobody is told of a message that nobody got. */
static void nobody_got_it(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;
    Pr__AccountPurge purge = PR__ACCOUNT_PURGE__INIT;

    queue_lab_begin(&message, lab, "text");
    tell(&message, "ann@acme.example", DELIVERED);
    assert_int_equal(queue_lab_send(&message)->err, ERR_NOTFOUND);
    queue_lab_begin(&message, lab, "text");
    queue_lab_to(&message, 0, ANN);
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    purge.account_id = ANN;
    purge.limit = 1000;
    assert_int_equal(
        lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(account_purge, ACCOUNT_PURGE, &purge))->err,
        ERR_OK);
    tell(&message, "ann@acme.example", DELIVERED);
    message.command->request_id = lab_id(lab);
    assert_int_equal(queue_lab_send(&message)->err, ERR_NOTFOUND);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE), 0);
}

/* As many as there may be recipients, beside those. */
static void many_are_told_of(void **state)
{
    struct lab *lab = *state;

    for (unsigned more = 0; more < 2; more++) {
        struct queue_lab_message message;
        queue_lab_begin(&message, lab, "text");
        queue_lab_out_many(&message, 0, more ? 1 : DELIVER_RECIPIENTS_MAX);
        for (unsigned i = 0; i < DELIVER_RECIPIENTS_MAX + more; i++)
            tell(&message, arena_printf(&lab->arena, "user%u@acme.example", i), DELIVERED);
        assert_int_equal(queue_lab_send(&message)->err, more ? ERR_TOOBIG : ERR_OK);
    }
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE),
                     2 * DELIVER_RECIPIENTS_MAX / QUEUE_RECORD_RECIPIENTS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(told_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(along_with_others, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_told, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_got_it, setup, teardown),
        cmocka_unit_test_setup_teardown(many_are_told_of, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
