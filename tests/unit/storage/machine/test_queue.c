/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mail for other hosts: what a delivery puts into the queue, and what becomes of it there. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/machine/queue.h"
#include "storage/schema/flags.h"
#include "tests/unit/storage/machine/queue_lab.h"

enum { ANN = 7, BEA = 8 };
#define TEXT(text) ((char[]){text})
#define HOUR_MS ((uint64_t)60 * 60 * 1000)

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

static void what_was_said_lies_in_the_queue(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;
    Pr__QueueRecipient *recipient;

    queue_lab_begin(&message, lab, "to others");
    message.deliver->envelope->envid = TEXT("an id");
    message.deliver->envelope->ret = PR__ENVELOPE__RET__RET_HDRS;
    message.deliver->envelope->utf8 = true;
    message.deliver->queue_account_id = ANN;
    message.deliver->internal_ms = lab->now_ms - 5;
    recipient = queue_lab_out(&message, 0, "Bob.B@other.example");
    recipient->notify = QUEUE_NOTIFY_DELAY | QUEUE_NOTIFY_FAILURE;
    recipient->orcpt = TEXT("rfc822;Bob@old.example");
    recipient->sender = TEXT("srs0=x@acme.example");
    queue_lab_out(&message, 0, "cy@third.example")->null_sender = true;
    Pr__Outcome *outcome = queue_lab_send(&message);
    assert_int_equal(outcome->err, ERR_OK);
    assert_int_equal(outcome->id, 1);
    assert_true(lab->events.queue_due);
    assert_int_equal(lab->events.mailbox_count, 0);

    const Pr__QueueRecord *record = queue_lab_record(lab, 1);
    assert_int_equal(record->id, 1);
    assert_int_equal(record->account_id, ANN);
    assert_int_equal(record->time_ms, lab->now_ms - 5);
    assert_int_equal(record->due_ms, lab->now_ms);
    assert_int_equal(record->size, strlen("to others"));
    assert_true(bytes_equal(bytes_of_field(record->delivery_id),
                            bytes_of_field(message.command->request_id)));
    assert_string_equal(record->envelope->sender, "ann@acme.example");
    assert_string_equal(record->envelope->envid, "an id");
    assert_int_equal(record->envelope->ret, PR__ENVELOPE__RET__RET_HDRS);
    assert_true(record->envelope->utf8 && !record->envelope->require_tls);
    assert_int_equal(record->n_recipients, 2);
    assert_string_equal(record->recipients[0]->address, "Bob.B@other.example");
    assert_int_equal(record->recipients[0]->notify, 12);
    assert_string_equal(record->recipients[0]->orcpt, "rfc822;Bob@old.example");
    assert_string_equal(record->recipients[0]->sender, "srs0=x@acme.example");
    assert_true(record->recipients[1]->null_sender);
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 1);
}

static void ids_ascend_and_are_not_given_out_again(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(queue_lab_queue(lab, "a@b.example"), 1);
    assert_int_equal(queue_lab_queue(lab, "a@b.example"), 2);
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__DROP, 2, (uint64_t[]){1, 2});
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 0);
    assert_int_equal(queue_lab_queue(lab, "a@b.example"), 3);
}

/* Not before the command's time, which may be later than what it holds back until. */
static void due_when_it_was_asked_for(void **state)
{
    struct lab *lab = *state;
    const uint64_t holds[] = {0, lab->now_ms - 1, lab->now_ms + HOUR_MS};
    const uint64_t dues[] = {lab->now_ms, lab->now_ms, lab->now_ms + HOUR_MS};
    struct queue_due rows[8];

    for (unsigned i = 0; i < 3; i++) {
        struct queue_lab_message message;
        queue_lab_begin(&message, lab, "later");
        message.deliver->envelope->hold_until_ms = holds[i];
        queue_lab_out(&message, 0, "a@b.example");
        assert_int_equal(queue_lab_record(lab, queue_lab_send(&message)->id)->due_ms, dues[i]);
    }
    assert_int_equal(queue_lab_due(lab, lab->now_ms, rows, 8), 2);
    assert_int_equal(queue_lab_due(lab, lab->now_ms + HOUR_MS - 1, rows, 8), 2);
    assert_int_equal(queue_lab_due(lab, lab->now_ms + HOUR_MS, rows, 8), 3);
    assert_int_equal(rows[0].id, 1);
    assert_int_equal(rows[1].id, 2);
    assert_int_equal(rows[2].id, 3);
    assert_int_equal(rows[2].due_ms, lab->now_ms + HOUR_MS);
}

static void said_twice_lies_there_once(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;

    queue_lab_begin(&message, lab, "once");
    queue_lab_out(&message, 0, "a@b.example");
    queue_lab_to(&message, 0, ANN);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(queue_lab_send(&message)->id, 1);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE), 1);
    assert_int_equal(queue_lab_messages(lab, ANN), 1);
}

static void held_is_not_due_until_it_is_released(void **state)
{
    struct lab *lab = *state;
    uint64_t ids[] = {queue_lab_queue(lab, "a@b.example"), queue_lab_queue(lab, "c@d.example"),
                      77};
    uint64_t then = lab->now_ms;
    struct queue_due rows[8];

    assert_int_equal(queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__HOLD, 3, ids)->id, 2);
    assert_false(lab->events.queue_due);
    assert_int_equal(queue_lab_due(lab, UINT64_MAX, rows, 8), 0);
    assert_int_equal(queue_lab_counts(lab).messages, 2);
    assert_int_equal(queue_lab_counts(lab).held, 2);
    assert_int_equal(queue_lab_counts(lab).oldest_due_ms, 0);
    assert_int_equal(queue_lab_counts(lab).oldest_ms, then);
    assert_string_equal(queue_lab_record(lab, 1)->held_reason, "a reason");
    queue_lab_hold(lab, 1, "");
    assert_string_equal(queue_lab_record(lab, 1)->held_reason, "a reason");
    queue_lab_hold(lab, 1, "a better one");
    assert_string_equal(queue_lab_record(lab, 1)->held_reason, "a better one");
    assert_int_equal(queue_lab_counts(lab).held, 2);
    lab_invariants(lab, QUEUE_GROUP);

    lab->now_ms += HOUR_MS;
    assert_int_equal(queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__RELEASE, 3, ids)->id, 2);
    assert_true(lab->events.queue_due);
    assert_int_equal(queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__RELEASE, 3, ids)->id, 0);
    assert_false(lab->events.queue_due);
    assert_int_equal(queue_lab_due(lab, then, rows, 8), 2);
    assert_false(queue_lab_record(lab, 1)->held);
    assert_string_equal(queue_lab_record(lab, 1)->held_reason, "");
    assert_int_equal(queue_lab_counts(lab).held, 0);
    assert_int_equal(queue_lab_counts(lab).oldest_due_ms, then);
}

static void retry_is_due_at_once(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;
    struct queue_due rows[8];
    uint64_t id;

    queue_lab_begin(&message, lab, "later");
    message.deliver->envelope->hold_until_ms = lab->now_ms + 9 * HOUR_MS;
    queue_lab_out(&message, 0, "a@b.example");
    id = queue_lab_send(&message)->id;
    lab->now_ms += 1000;
    assert_int_equal(queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__RETRY, 1, &id)->id, 1);
    assert_true(lab->events.queue_due);
    assert_int_equal(queue_lab_due(lab, UINT64_MAX, rows, 8), 1);
    assert_int_equal(rows[0].due_ms, lab->now_ms);
    assert_int_equal(queue_lab_record(lab, id)->due_ms, lab->now_ms);
    /* What is due already keeps its place. */
    lab->now_ms += 1000;
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__RETRY, 1, &id);
    assert_int_equal(queue_lab_record(lab, id)->due_ms, lab->now_ms - 1000);
}

/* A held message stays held, and is due at once when it is released. */
static void retry_releases_nothing(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;
    struct queue_due rows[8];
    uint64_t id;

    queue_lab_begin(&message, lab, "later");
    message.deliver->envelope->hold_until_ms = lab->now_ms + 9 * HOUR_MS;
    queue_lab_out(&message, 0, "a@b.example");
    id = queue_lab_send(&message)->id;
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__HOLD, 1, &id);
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__RETRY, 1, &id);
    assert_false(lab->events.queue_due);
    assert_int_equal(queue_lab_due(lab, UINT64_MAX, rows, 8), 0);
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__RELEASE, 1, &id);
    assert_int_equal(queue_lab_due(lab, lab->now_ms, rows, 8), 1);
}

/* The body goes with the last who uses it. */
static void dropped_releases_its_body(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;
    uint64_t id;

    queue_lab_begin(&message, lab, "shared");
    queue_lab_to(&message, 0, ANN);
    queue_lab_out(&message, 0, "a@b.example");
    id = queue_lab_send(&message)->id;
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__HOLD, 1, &id);
    assert_int_equal(queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__DROP, 1, &id)->id, 1);
    assert_int_equal(queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__DROP, 1, &id)->id, 0);
    assert_null(queue_lab_record(lab, id));
    assert_int_equal(queue_lab_counts(lab).held, 0);
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 1);
    lab_invariants(lab, QUEUE_GROUP);
    id = queue_lab_queue(lab, "a@b.example");
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 2);
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__DROP, 2, (uint64_t[]){id, id});
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 1);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_DUE), 0);
}

/* What was accepted goes out, whatever becomes of the account. */
static void queue_outlives_its_account(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;
    Pr__AccountPurge purge = PR__ACCOUNT_PURGE__INIT;
    uint64_t hour;
    uint64_t day;

    queue_lab_begin(&message, lab, "text");
    queue_lab_to(&message, 0, ANN);
    queue_lab_out(&message, 0, "a@b.example");
    queue_lab_limits(&message, ANN, 1, 10, 10);
    message.deliver->queue_account_id = ANN;
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    assert_int_equal(queue_lab_rows(lab, TABLE_SENDING), 1);
    purge.account_id = ANN;
    purge.limit = 1000;
    assert_int_equal(
        lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(account_purge, ACCOUNT_PURGE, &purge))->err,
        ERR_OK);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE), 1);
    assert_int_equal(queue_lab_rows(lab, TABLE_SENDING), 0);
    queue_lab_sent(lab, ANN, &hour, &day);
    assert_int_equal(hour + day, 0);
    /* And it sends no more. */
    message.command->request_id = lab_id(lab);
    message.deliver->n_recipients = 0;
    assert_int_equal(queue_lab_send(&message)->err, ERR_NOTFOUND);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE), 1);
}

/* ---- refusals ---- */

static void changes_are_bounded(void **state)
{
    struct lab *lab = *state;
    uint64_t ids[QUEUE_CHANGE_MAX + 1] = {0};
    Pr__QueueChange change = PR__QUEUE_CHANGE__INIT;
    char reason[QUEUE_REASON_SIZE_MAX + 2] = {0};

    assert_int_equal(queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__DROP, 0, ids)->err,
                     ERR_INVALID);
    assert_int_equal(
        queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__DROP, QUEUE_CHANGE_MAX + 1, ids)->err,
        ERR_TOOBIG);
    assert_int_equal(
        queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__DROP, QUEUE_CHANGE_MAX, ids)->err,
        ERR_OK);
    assert_int_equal(queue_lab_change(lab, (Pr__QueueChange__Action)4, 1, ids)->err,
                     ERR_UNSUPPORTED);
    assert_int_equal(queue_lab_change(lab, (Pr__QueueChange__Action)-1, 1, ids)->err,
                     ERR_UNSUPPORTED);
    change.n_ids = 1;
    change.ids = ids;
    change.reason = reason;
    memset(reason, 'x', QUEUE_REASON_SIZE_MAX);
    assert_int_equal(
        lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(queue_change, QUEUE_CHANGE, &change))->err,
        ERR_OK);
    memset(reason, 'x', QUEUE_REASON_SIZE_MAX + 1);
    assert_int_equal(
        lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(queue_change, QUEUE_CHANGE, &change))->err,
        ERR_INVALID);
}

/* Ten records of almost a hundred kilobytes each time: a command changes sixteen megabytes. */
static void changes_are_bounded_by_what_they_read(void **state)
{
    struct lab *lab = *state;
    uint64_t ids[200];
    char orcpt[QUEUE_ORCPT_SIZE_MAX + 1] = {0};

    memset(orcpt, 'o', QUEUE_ORCPT_SIZE_MAX);
    for (unsigned i = 0; i < 200; i++)
        ids[i] = i + 1;
    for (unsigned i = 0; i < 20; i++) {
        struct queue_lab_message message;
        queue_lab_begin(&message, lab, "to many");
        queue_lab_out_many(&message, 0, DELIVER_RECIPIENTS_MAX);
        for (unsigned r = 0; r < DELIVER_RECIPIENTS_MAX; r++) {
            message.deliver->queue[r]->orcpt = orcpt;
            message.deliver->queue[r]->sender =
                arena_string(&lab->arena, bytes_from((uint8_t *)orcpt, 430));
            memcpy(message.deliver->queue[r]->sender + 200, "@s.example", 10);
        }
        assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    }
    assert_int_equal(queue_lab_counts(lab).messages, 200);
    assert_int_equal(queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__HOLD, 200, ids)->err,
                     ERR_TOOBIG);
    assert_int_equal(queue_lab_counts(lab).held, 0);
    assert_int_equal(queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__HOLD, 150, ids)->id, 150);
}

/* A hundred domains a record. */
static void changes_are_bounded_by_what_they_move(void **state)
{
    struct lab *lab = *state;
    uint64_t ids[110];

    for (unsigned i = 0; i < 110; i++)
        ids[i] = i + 1;
    for (unsigned i = 0; i < 11; i++) {
        struct queue_lab_message message;
        queue_lab_begin(&message, lab, "to many");
        for (unsigned r = 0; r < DELIVER_RECIPIENTS_MAX; r++)
            queue_lab_out(&message, 0, arena_printf(&lab->arena, "a@d%u.example", r));
        assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    }
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_LANE), 11000);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_DUE), 1000);
    assert_int_equal(queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__HOLD, 101, ids)->err,
                     ERR_TOOBIG);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_LANE), 11000);
    assert_int_equal(queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__HOLD, 100, ids)->id, 100);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_LANE), 1000);
}

static void expect_refused(struct queue_lab_message *message, enum err err)
{
    struct lab *lab = message->lab;
    Pr__Outcome *outcome = queue_lab_send(message);

    assert_int_equal(outcome->err, err);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE), 0);
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 0);
    assert_int_equal(queue_lab_rows(lab, TABLE_SENDING), 0);
}

static void without_id_or_envelope_nothing_is_queued(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;

    queue_lab_begin(&message, lab, "text");
    queue_lab_out(&message, 0, "a@b.example");
    message.command->request_id.len = 0;
    expect_refused(&message, ERR_INVALID);
    queue_lab_begin(&message, lab, "text");
    queue_lab_out(&message, 0, "a@b.example");
    message.deliver->envelope = NULL;
    expect_refused(&message, ERR_INVALID);
    queue_lab_begin(&message, lab, "text");
    queue_lab_out(&message, 0, "a@b.example");
    message.deliver->envelope->by_mode = (Pr__Envelope__ByMode)3;
    expect_refused(&message, ERR_INVALID);
}

static void what_no_host_would_take_is_refused(void **state)
{
    struct lab *lab = *state;
    char over[QUEUE_ADDRESS_SIZE_MAX + 2] = {0};
    memset(over, 'x', QUEUE_ADDRESS_SIZE_MAX + 1);
    over[1] = '@';
    const struct {
        const char *sender;
        const char *address;
        const char *own_sender;
        const char *orcpt;
        uint32_t notify;
        bool null_sender;
        enum err err;
    } rows[] = {
        {"", "a@b.example", "", "", 1, true, ERR_OK},
        {"s@t.example", "\"a b\"@b.example", "x@y.example", "rfc822;a", 14, false, ERR_OK},
        {"s@t.example", "p\xc3\xa4@b.example", "", "", 0, false, ERR_OK},
        {"s", "a@b.example", "", "", 0, false, ERR_INVALID},
        {"s@", "a@b.example", "", "", 0, false, ERR_INVALID},
        {"s@t\r\nx", "a@b.example", "", "", 0, false, ERR_INVALID},
        {"s@t.example", "", "", "", 0, false, ERR_INVALID},
        {"s@t.example", "@b.example", "", "", 0, false, ERR_INVALID},
        {"s@t.example", "a@b.example\n", "", "", 0, false, ERR_INVALID},
        {"s@t.example", "p\xe4@b.example", "", "", 0, false, ERR_INVALID},
        {"s@t.example", over, "", "", 0, false, ERR_INVALID},
        {"s@t.example", "a@b.example", "x", "", 0, false, ERR_INVALID},
        {"s@t.example", "a@b.example", "x@y.example", "", 0, true, ERR_INVALID},
        {"s@t.example", "a@b.example", "", "rfc822;\x7f", 0, false, ERR_INVALID},
        {"s@t.example", "a@b.example", "", over, 0, false, ERR_INVALID},
        {"s@t.example", "a@b.example", "", "", 3, false, ERR_INVALID},
        {"s@t.example", "a@b.example", "", "", 16, false, ERR_INVALID},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct queue_lab_message message;
        queue_lab_begin(&message, lab, "text");
        message.deliver->envelope->sender = arena_string(&lab->arena, bytes_of(rows[i].sender));
        Pr__QueueRecipient *recipient = queue_lab_out(&message, 0, rows[i].address);
        recipient->sender = arena_string(&lab->arena, bytes_of(rows[i].own_sender));
        recipient->orcpt = arena_string(&lab->arena, bytes_of(rows[i].orcpt));
        recipient->notify = rows[i].notify;
        recipient->null_sender = rows[i].null_sender;
        Pr__Outcome *outcome = queue_lab_send(&message);
        if (outcome->err != rows[i].err)
            fail_msg("row %u: %u, %s", i, outcome->err, outcome->text);
    }
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE), 3);
}

static void nothing_is_said_to_have_been_tried(void **state)
{
    struct lab *lab = *state;

    for (unsigned i = 0; i < 11; i++) {
        struct queue_lab_message message;
        queue_lab_begin(&message, lab, "text");
        Pr__QueueRecipient *recipient = queue_lab_out(&message, 0, "a@b.example");
        recipient->attempts = i == 0;
        recipient->state = i == 1 ? PR__QUEUE_RECIPIENT__STATE__DELIVERED
                                  : PR__QUEUE_RECIPIENT__STATE__WAITING;
        recipient->last_reply = i == 2 ? TEXT("250 ok") : recipient->last_reply;
        recipient->number = i == 3;
        recipient->destination = i == 4;
        recipient->status = i == 5 ? TEXT("2.0.0") : recipient->status;
        recipient->remote = i == 6 ? TEXT("mx.b.example") : recipient->remote;
        recipient->tried_ms = i == 7;
        recipient->tell = i == 8;
        recipient->delays_told = i == 9;
        recipient->notice = i == 10;
        expect_refused(&message, ERR_INVALID);
    }
}

/* ---- formats ---- */

static void below_the_format_nobody_knows_of_it(void **state)
{
    struct lab old;

    (void)state;
    queue_lab_open(&old, FORMAT_SCOPES);
    assert_string_equal(queue_lab_change(&old, 0, 1, (uint64_t[]){1})->text,
                        "a command that this version does not know");
    assert_string_equal(queue_lab_seen(&old, 1, 1, 1, 1)->text,
                        "a command that this version does not know");
    lab_close(&old);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_said_lies_in_the_queue),
        TEST(ids_ascend_and_are_not_given_out_again),
        TEST(due_when_it_was_asked_for),
        TEST(said_twice_lies_there_once),
        TEST(held_is_not_due_until_it_is_released),
        TEST(retry_is_due_at_once),
        TEST(retry_releases_nothing),
        TEST(dropped_releases_its_body),
        TEST(queue_outlives_its_account),
        TEST(changes_are_bounded),
        TEST(changes_are_bounded_by_what_they_read),
        TEST(changes_are_bounded_by_what_they_move),
        TEST(without_id_or_envelope_nothing_is_queued),
        TEST(what_no_host_would_take_is_refused),
        TEST(nothing_is_said_to_have_been_tried),
        cmocka_unit_test(below_the_format_nobody_knows_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
