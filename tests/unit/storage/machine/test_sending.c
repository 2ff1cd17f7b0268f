/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much an account may send in an hour and in a day. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "storage/machine/sending.h"
#include "storage/schema/flags.h"
#include "tests/unit/storage/machine/queue_lab.h"

enum { ANN = 7, BEA = 8, SENT_MAX = 4000 };
#define MINUTE_MS ((uint64_t)60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

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

static Pr__Outcome *send_to(struct lab *lab, uint64_t account_id, uint32_t recipients,
                            uint32_t hour_max, uint32_t day_max)
{
    struct queue_lab_message message;

    queue_lab_begin(&message, lab, "text");
    queue_lab_out(&message, 0, "a@b.example");
    queue_lab_limits(&message, account_id, recipients, hour_max, day_max);
    return queue_lab_send(&message);
}

static uint64_t in_hour(struct lab *lab, uint64_t account_id)
{
    uint64_t hour;
    uint64_t day;

    queue_lab_sent(lab, account_id, &hour, &day);
    return hour;
}

static uint64_t in_day(struct lab *lab, uint64_t account_id)
{
    uint64_t hour;
    uint64_t day;

    queue_lab_sent(lab, account_id, &hour, &day);
    return day;
}

static void so_many_and_no_more(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(send_to(lab, ANN, 7, 10, 0)->err, ERR_OK);
    assert_int_equal(send_to(lab, ANN, 3, 10, 0)->err, ERR_OK);
    Pr__Outcome *outcome = send_to(lab, ANN, 1, 10, 0);
    assert_int_equal(outcome->err, ERR_LIMIT);
    assert_non_null(strstr(outcome->text, "has sent to 10 of 10 recipients in an hour"));
    assert_int_equal(in_hour(lab, ANN), 10);
    assert_int_equal(queue_lab_counts(lab).messages, 2);
    assert_int_equal(send_to(lab, BEA, 1, 10, 0)->err, ERR_OK); /* another account */
    assert_int_equal(send_to(lab, ANN, 0, 10, 0)->err, ERR_OK); /* nothing that counts */
    assert_int_equal(send_to(lab, ANN, 1, 0, 0)->err, ERR_OK);  /* no limit, but counted */
    assert_int_equal(in_hour(lab, ANN), 11);
    assert_int_equal(in_day(lab, ANN), 11);
    outcome = send_to(lab, ANN, 11, 10, 0);
    assert_int_equal(outcome->err, ERR_LIMIT);
    assert_int_equal(outcome->id, 0); /* never */
}

static void the_day_has_a_limit_of_its_own(void **state)
{
    struct lab *lab = *state;

    for (unsigned hour = 0; hour < 4; hour++) {
        assert_int_equal(send_to(lab, ANN, 5, 5, 20)->err, ERR_OK);
        lab->now_ms += 2 * HOUR_MS;
    }
    Pr__Outcome *outcome = send_to(lab, ANN, 1, 5, 20);
    assert_int_equal(outcome->err, ERR_LIMIT);
    assert_non_null(strstr(outcome->text, "20 of 20 recipients in a day"));
}

/* From the time on that the refusal names it goes, and a moment before that it does not. */
static void it_goes_when_it_was_said_to_go(void **state)
{
    struct lab *lab = *state;
    uint64_t seed = 5;

    for (unsigned round = 0; round < 60; round++) {
        bool day = round % 2 == 0;
        uint32_t max = 50;
        Pr__Outcome *outcome;
        lab->now_ms += lab_random(&seed, (uint32_t)(day ? 3 * HOUR_MS : 7 * MINUTE_MS));
        while ((outcome =
                    send_to(lab, ANN, 1 + lab_random(&seed, 9), day ? 0 : max, day ? max : 0))
                   ->err == ERR_OK)
            lab->now_ms += lab_random(&seed, (uint32_t)(day ? HOUR_MS : MINUTE_MS));
        uint64_t counted = day ? in_day(lab, ANN) : in_hour(lab, ANN);
        uint32_t more = (uint32_t)(max + 1 - (counted > max ? max : counted));
        if (more > max)
            continue;
        outcome = send_to(lab, ANN, more, day ? 0 : max, day ? max : 0);
        assert_int_equal(outcome->err, ERR_LIMIT);
        assert_true(outcome->id > lab->now_ms);
        assert_true(outcome->id <= lab->now_ms + (day ? DAY_MS + HOUR_MS : 65 * MINUTE_MS));
        uint64_t then = outcome->id;
        /* The group's clock must be taken along. */
        while (lab->now_ms + 30 * MINUTE_MS < then) {
            lab->now_ms += 30 * MINUTE_MS;
            assert_int_equal(send_to(lab, ANN, more, day ? 0 : max, day ? max : 0)->id, then);
        }
        lab->now_ms = then - 1;
        assert_int_equal(send_to(lab, ANN, more, day ? 0 : max, day ? max : 0)->err, ERR_LIMIT);
        lab->now_ms = then;
        assert_int_equal(send_to(lab, ANN, more, day ? 0 : max, day ? max : 0)->err, ERR_OK);
    }
}

/* All that was accepted, as anybody would write it down. */
struct sent {
    uint64_t times[SENT_MAX];
    uint32_t recipients[SENT_MAX];
    unsigned count;
};

static uint64_t sent_since(const struct sent *sent, uint64_t now_ms, uint64_t span_ms)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < sent->count; i++)
        if (sent->times[i] + span_ms > now_ms)
            sum += sent->recipients[i];
    return sum;
}

/* No hour and no day ever has more than its limit; what counts is never older than an hour and
 * five minutes, or a day and an hour. */
static void never_more_than_the_limit_in_any_hour_or_day(void **state)
{
    struct lab *lab = *state;
    static struct sent sent;
    uint64_t seed = 11;
    unsigned refused = 0;

    sent.count = 0;
    for (unsigned step = 0; step < SENT_MAX; step++) {
        uint32_t recipients = 1 + lab_random(&seed, 20);
        lab->now_ms += lab_random(&seed, step % 500 < 10 ? 50 * 60000 : 4 * 60000);
        uint64_t hour = sent_since(&sent, lab->now_ms, HOUR_MS);
        uint64_t day = sent_since(&sent, lab->now_ms, DAY_MS);
        Pr__Outcome *outcome = send_to(lab, ANN, recipients, 200, 2000);
        if (outcome->err == ERR_OK) {
            assert_true(hour + recipients <= 200 && day + recipients <= 2000);
            sent.times[sent.count] = lab->now_ms;
            sent.recipients[sent.count++] = recipients;
        } else {
            uint64_t longer_hour = sent_since(&sent, lab->now_ms, 65 * MINUTE_MS);
            uint64_t longer_day = sent_since(&sent, lab->now_ms, DAY_MS + HOUR_MS);
            assert_int_equal(outcome->err, ERR_LIMIT);
            assert_true(longer_hour + recipients > 200 || longer_day + recipients > 2000);
            refused++;
        }
        assert_true(in_hour(lab, ANN) >= sent_since(&sent, lab->now_ms, HOUR_MS));
        assert_true(in_hour(lab, ANN) <= sent_since(&sent, lab->now_ms, 65 * MINUTE_MS));
        assert_true(in_day(lab, ANN) >= sent_since(&sent, lab->now_ms, DAY_MS));
        assert_true(in_day(lab, ANN) <= sent_since(&sent, lab->now_ms, DAY_MS + HOUR_MS));
    }
    assert_true(refused > 100 && sent.count > 1000);
}

static void said_twice_is_counted_once(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;

    queue_lab_begin(&message, lab, "text");
    queue_lab_out(&message, 0, "a@b.example");
    queue_lab_limits(&message, ANN, 3, 10, 10);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    assert_int_equal(in_hour(lab, ANN), 3);
}

/* Refused for another reason: nothing was sent. */
static void what_is_refused_does_not_count(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;
    Pr__AccountQuota quota = PR__ACCOUNT_QUOTA__INIT;

    quota.bytes = 1;
    queue_lab_begin(&message, lab, "text");
    queue_lab_to(&message, 0, BEA)->quota = &quota;
    queue_lab_limits(&message, ANN, 3, 10, 10);
    assert_int_equal(queue_lab_send(&message)->err, ERR_QUOTA);
    assert_int_equal(queue_lab_rows(lab, TABLE_SENDING), 0);
}

static void limits_that_cannot_be_are_refused(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(send_to(lab, 0, 1, 10, 10)->err, ERR_INVALID);
    assert_int_equal(send_to(lab, ANN, DELIVER_RECIPIENTS_MAX + 1, 0, 0)->err, ERR_INVALID);
    assert_int_equal(send_to(lab, ANN, DELIVER_RECIPIENTS_MAX, 0, 0)->err, ERR_OK);
}

/* A proposer whose clock is a day ahead gives nobody a new day. */
static void a_clock_that_jumps_frees_little(void **state)
{
    struct lab *lab = *state;

    assert_int_equal(send_to(lab, ANN, 10, 0, 10)->err, ERR_OK);
    lab->now_ms += 3 * DAY_MS;
    assert_int_equal(send_to(lab, ANN, 1, 0, 10)->err, ERR_LIMIT);
    lab->now_ms -= 3 * DAY_MS;
    assert_int_equal(send_to(lab, ANN, 1, 0, 10)->err, ERR_LIMIT);
}

/* A row from a group whose clock was ahead of this one's. */
static void a_row_of_the_future_counts_from_now(void **state)
{
    struct lab *lab = *state;
    struct sending_record sending = {.slot = (lab->now_ms + 50 * DAY_MS) / SENDING_SLOT_MS};
    struct record row;
    struct key key;
    struct db_txn *txn;

    sending.hour[0] = sending.day[0] = 10;
    sending_encode(&sending, &row);
    txn = db_write_begin(lab->db);
    db_put(txn, TABLE_SENDING, key_number(&key, QUEUE_GROUP, ANN), record_bytes(&row));
    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_int_equal(send_to(lab, ANN, 1, 10, 0)->err, ERR_LIMIT);
    assert_int_equal(send_to(lab, ANN, 1, 11, 0)->err, ERR_OK);
    lab->now_ms += HOUR_MS;
    send_to(lab, BEA, 1, 0, 0);
    lab->now_ms += 6 * MINUTE_MS;
    assert_int_equal(send_to(lab, ANN, 1, 1, 0)->err, ERR_OK);
}

static Pr__Outcome *import(struct lab *lab, uint64_t sequence, struct bytes value, size_t key)
{
    static uint8_t behind[1];
    Pr__ImportRows rows = PR__IMPORT_ROWS__INIT;
    Pr__ImportRow row = PR__IMPORT_ROW__INIT;
    Pr__ImportRow *list[] = {&row};

    rows.account_id = ANN;
    rows.attempt = 1;
    rows.sequence = sequence;
    rows.rows = list;
    rows.n_rows = 1;
    row.table = PR__IMPORT_TABLE__IMPORT_SENDING;
    row.key = field_of_bytes(bytes_from(behind, key));
    row.value = field_of_bytes(value);
    return lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(import_rows, IMPORT_ROWS, &rows));
}

/* With an account that comes to a group comes what it has sent, from the format on. */
static void rows_of_accounts_that_move_come_in(void **state)
{
    struct lab lab;
    Pr__ImportBegin begin = PR__IMPORT_BEGIN__INIT;
    Pr__FormatRaise raise = PR__FORMAT_RAISE__INIT;
    struct sending_record sending = {.slot = 0};
    struct record row;

    (void)state;
    queue_lab_open(&lab, FORMAT_SCOPES);
    sending.slot = lab.now_ms / SENDING_SLOT_MS;
    sending.hour[0] = sending.day[0] = 10;
    sending_encode(&sending, &row);
    begin.account_id = ANN;
    begin.attempt = 1;
    begin.from = QUEUE_GROUP + 1;
    begin.limit = 100;
    assert_int_equal(
        lab_apply(&lab, QUEUE_GROUP, LAB_COMMAND(import_begin, IMPORT_BEGIN, &begin))->err,
        ERR_OK);
    assert_string_equal(import(&lab, 1, record_bytes(&row), 0)->text, "row 0 cannot be taken");
    raise.format = FORMAT_ADDRESSES;
    lab_apply(&lab, QUEUE_GROUP, LAB_COMMAND(format_raise, FORMAT_RAISE, &raise));
    assert_int_equal(import(&lab, 1, BYTES("no row"), 0)->err, ERR_MALFORMED);
    assert_int_equal(import(&lab, 1, record_bytes(&row), 1)->err, ERR_MALFORMED);
    assert_int_equal(queue_lab_rows(&lab, TABLE_SENDING), 0);
    assert_int_equal(import(&lab, 1, record_bytes(&row), 0)->err, ERR_OK);
    assert_int_equal(in_hour(&lab, ANN), 10);
    /* Its commands are for the other group until it has come. */
    assert_int_equal(send_to(&lab, ANN, 1, 0, 0)->err, ERR_MOVED);
    assert_int_equal(in_hour(&lab, ANN), 10);
    lab_close(&lab);
}

static void rows_come_back_as_they_were(void **state)
{
    struct sending_record sending = {.slot = 0x0102030405060708};
    struct sending_record read;
    struct record row;

    (void)state;
    for (unsigned i = 0; i < SENDING_HOUR_SLOTS; i++)
        sending.hour[i] = 0x01000000 + i;
    for (unsigned i = 0; i < SENDING_DAY_SLOTS; i++)
        sending.day[i] = 0x02000000 + i;
    sending_encode(&sending, &row);
    assert_int_equal(row.len, 1 + 8 + 4 * (SENDING_HOUR_SLOTS + SENDING_DAY_SLOTS));
    assert_true(sending_decode(record_bytes(&row), &read));
    assert_memory_equal(&read, &sending, sizeof(read));
    for (size_t len = 0; len < row.len; len++)
        assert_false(sending_decode(bytes_from(row.at, len), &read));
    row.at[0] = 2;
    assert_false(sending_decode(record_bytes(&row), &read));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(so_many_and_no_more),
        TEST(the_day_has_a_limit_of_its_own),
        TEST(it_goes_when_it_was_said_to_go),
        TEST(never_more_than_the_limit_in_any_hour_or_day),
        TEST(said_twice_is_counted_once),
        TEST(what_is_refused_does_not_count),
        TEST(limits_that_cannot_be_are_refused),
        TEST(a_clock_that_jumps_frees_little),
        TEST(a_row_of_the_future_counts_from_now),
        cmocka_unit_test(rows_of_accounts_that_move_come_in),
        cmocka_unit_test(rows_come_back_as_they_were),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
