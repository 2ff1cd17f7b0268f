/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who sends to whom for the first time has to come again. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "storage/machine/greylist.h"
#include "storage/machine/record.h"
#include "tests/unit/storage/machine/queue_lab.h"

#define MINUTE_MS ((uint64_t)60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define WAIT_MS (5 * MINUTE_MS)
#define KEEP_MS (10 * HOUR_MS)
#define PASSED_MS (40 * HOUR_MS)

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

static Pr__Outcome *seen(struct lab *lab, uint64_t key)
{
    return queue_lab_seen(lab, key, WAIT_MS, KEEP_MS, PASSED_MS);
}

/* Time passes for the group too: somebody says something every half an hour. */
static void pass(struct lab *lab, uint64_t ms)
{
    Pr__Tick tick = PR__TICK__INIT;

    for (; ms > 0; ms -= ms < HOUR_MS / 2 ? ms : HOUR_MS / 2) {
        lab->now_ms += ms < HOUR_MS / 2 ? ms : HOUR_MS / 2;
        lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(tick, TICK, &tick));
    }
}

static void who_comes_again_passes(void **state)
{
    struct lab *lab = *state;
    uint64_t first = lab->now_ms;

    assert_false(queue_lab_view(lab, 1).known);
    assert_int_equal(seen(lab, 1)->err, ERR_BUSY);
    assert_int_equal(seen(lab, 2)->err, ERR_BUSY);
    assert_true(queue_lab_view(lab, 1).known);
    assert_false(queue_lab_view(lab, 1).passed);
    pass(lab, WAIT_MS - 1);
    assert_int_equal(seen(lab, 1)->err, ERR_BUSY);
    assert_int_equal(seen(lab, 1)->id, first);
    pass(lab, 1);
    assert_int_equal(seen(lab, 1)->err, ERR_OK);
    assert_int_equal(seen(lab, 1)->id, first);
    assert_true(queue_lab_view(lab, 1).passed);
    assert_int_equal(queue_lab_view(lab, 1).first_ms, first);
    assert_false(queue_lab_view(lab, 2).passed);
    /* Once passed, whatever is said of waiting. */
    assert_int_equal(queue_lab_seen(lab, 1, 99 * HOUR_MS, 1, PASSED_MS)->err, ERR_OK);
    assert_int_equal(queue_lab_seen(lab, 3, 0, KEEP_MS, PASSED_MS)->err, ERR_OK);
}

static void who_does_not_come_again_is_forgotten(void **state)
{
    struct lab *lab = *state;

    seen(lab, 1);
    seen(lab, 2);
    pass(lab, WAIT_MS);
    assert_int_equal(seen(lab, 1)->err, ERR_OK);
    assert_int_equal(queue_lab_rows(lab, TABLE_GREYLIST), 4);
    pass(lab, KEEP_MS - WAIT_MS - 1);
    assert_true(queue_lab_view(lab, 2).known);
    pass(lab, 1);
    assert_false(queue_lab_view(lab, 2).known);
    assert_int_equal(queue_lab_rows(lab, TABLE_GREYLIST), 2);
    pass(lab, PASSED_MS - KEEP_MS + WAIT_MS - 1);
    assert_true(queue_lab_view(lab, 1).passed);
    pass(lab, 1);
    assert_int_equal(queue_lab_rows(lab, TABLE_GREYLIST), 0);
    assert_int_equal(seen(lab, 1)->err, ERR_BUSY);
}

/* Who comes again is kept from then on. */
static void being_seen_keeps(void **state)
{
    struct lab *lab = *state;

    seen(lab, 1);
    pass(lab, WAIT_MS);
    seen(lab, 1);
    for (unsigned i = 0; i < 5; i++) {
        assert_false(queue_lab_view(lab, 1).refresh);
        pass(lab, PASSED_MS / 2);
        assert_true(queue_lab_view(lab, 1).passed && queue_lab_view(lab, 1).refresh);
        assert_int_equal(seen(lab, 1)->err, ERR_OK);
        lab_invariants(lab, QUEUE_GROUP);
    }
    assert_int_equal(queue_lab_rows(lab, TABLE_GREYLIST), 2);
}

/* A setting that keeps for less counts from when the key is seen. */
static void kept_for_less(void **state)
{
    struct lab *lab = *state;

    seen(lab, 1);
    queue_lab_seen(lab, 1, WAIT_MS, HOUR_MS, HOUR_MS);
    pass(lab, HOUR_MS - 1);
    assert_true(queue_lab_view(lab, 1).known);
    pass(lab, 1);
    assert_int_equal(queue_lab_rows(lab, TABLE_GREYLIST), 0);
}

/* One that has expired, and is not forgotten yet, begins anew. */
static void expired_begins_anew(void **state)
{
    struct lab *lab = *state;
    Pr__GreylistSeen call = PR__GREYLIST_SEEN__INIT;
    uint8_t key[GREYLIST_KEY_SIZE];

    /* More than are forgotten behind one command, all expired at once. */
    for (uint64_t i = 0; i < 4 * GREYLIST_STEP_ROWS; i++)
        queue_lab_seen(lab, i, 0, HOUR_MS, HOUR_MS / 2);
    call.wait_ms = WAIT_MS;
    call.keep_ms = call.passed_keep_ms = HOUR_MS;
    memset(key, 0, sizeof(key));
    key[0] = 4 * GREYLIST_STEP_ROWS - 1;
    call.key = field_of_bytes(bytes_from(key, sizeof(key)));
    lab->now_ms += HOUR_MS;
    Pr__Outcome *outcome =
        lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(greylist_seen, GREYLIST_SEEN, &call));
    assert_int_equal(outcome->err, ERR_BUSY);
    assert_int_equal(outcome->id, lab->now_ms);
    assert_int_equal(queue_lab_rows(lab, TABLE_GREYLIST), 2 * 3 * GREYLIST_STEP_ROWS);
    assert_true(queue_lab_view(lab, key[0]).known);
    for (uint64_t i = 0; i < key[0]; i++)
        assert_false(queue_lab_view(lab, i).known);
    lab_invariants(lab, QUEUE_GROUP);
}

static void forgotten_in_steps(void **state)
{
    struct lab *lab = *state;
    unsigned rows;
    unsigned before;

    for (uint64_t i = 0; i < 1000; i++)
        seen(lab, i);
    pass(lab, KEEP_MS - 1);
    assert_int_equal(queue_lab_rows(lab, TABLE_GREYLIST), 2000);
    for (before = 2000; before > 0; before = rows) {
        pass(lab, 1);
        rows = queue_lab_rows(lab, TABLE_GREYLIST);
        assert_int_equal(before - rows,
                         before > 2 * GREYLIST_STEP_ROWS ? 2 * GREYLIST_STEP_ROWS : before);
        lab_invariants(lab, QUEUE_GROUP);
    }
}

/* The group's row, with another count of keys. */
static void count_set(struct lab *lab, uint64_t more)
{
    struct db_txn *txn = db_write_begin(lab->db);
    struct group_record record;
    struct record packed;
    struct key key;
    struct bytes row;

    assert_int_equal(db_get(txn, TABLE_META, key_group(&key, QUEUE_GROUP), &row), ERR_OK);
    assert_true(group_decode(row, &record));
    record.greylist += more;
    group_encode(&record, &packed);
    db_put(txn, TABLE_META, key_group(&key, QUEUE_GROUP), record_bytes(&packed));
    assert_int_equal(db_commit(&txn), ERR_OK);
}

static struct group_record group_row(struct lab *lab, uint8_t *version)
{
    struct db_txn *txn = db_read_begin(lab->db);
    struct group_record record = {0};
    struct key key;
    struct bytes row;

    assert_int_equal(db_get(txn, TABLE_META, key_group(&key, QUEUE_GROUP), &row), ERR_OK);
    *version = row.at[0];
    assert_true(group_decode(row, &record));
    assert_int_equal(db_commit(&txn), ERR_OK);
    return record;
}

/* The group's row says from when on there is something to forget. It is as before the format as
 * long as nothing of that came in. */
static void the_group_knows_when_to_look(void **state)
{
    struct lab *lab = *state;
    uint64_t then = lab->now_ms;
    uint8_t version;

    pass(lab, 1);
    group_row(lab, &version);
    assert_int_equal(version, 3);
    seen(lab, 1);
    assert_int_equal(group_row(lab, &version).greylist_due_ms, then + 1 + KEEP_MS);
    assert_int_equal(version, 4);
    queue_lab_seen(lab, 2, WAIT_MS, HOUR_MS, HOUR_MS);
    assert_int_equal(group_row(lab, &version).greylist_due_ms, then + 1 + HOUR_MS);
    assert_int_equal(group_row(lab, &version).greylist, 2);
    pass(lab, HOUR_MS);
    assert_int_equal(group_row(lab, &version).greylist_due_ms, then + 1 + KEEP_MS);
    assert_int_equal(group_row(lab, &version).greylist, 1);
    queue_lab_queue(lab, "a@b.example");
    assert_int_equal(group_row(lab, &version).queue_ids, 1);
    assert_int_equal(group_row(lab, &version).queue, 1);
}

/* As if all but these were there too: of those that are, the first to expire goes. */
static void a_full_list_forgets_who_would_expire_first(void **state)
{
    struct lab *lab = *state;

    for (uint64_t i = 1; i <= 4; i++) {
        seen(lab, i);
        pass(lab, MINUTE_MS);
    }
    pass(lab, WAIT_MS);
    seen(lab, 1); /* passed: expires last */
    count_set(lab, GREYLIST_ROWS_MAX - 4);
    for (uint64_t i = 11; i <= 13; i++) {
        assert_int_equal(seen(lab, i)->err, ERR_BUSY);
        assert_true(queue_lab_view(lab, i).known);
        assert_true(queue_lab_view(lab, 1).passed);
        for (uint64_t old = 2; old <= 4; old++)
            assert_int_equal(queue_lab_view(lab, old).known, old > i - 9);
    }
    count_set(lab, (uint64_t)4 - GREYLIST_ROWS_MAX);
}

/* When many of those in front have been seen since, looking for the first one ends. */
static void a_full_list_does_not_look_for_long(void **state)
{
    struct lab *lab = *state;
    unsigned known = 0;

    for (uint64_t i = 0; i < 3 * GREYLIST_LOOKS_MAX; i++)
        seen(lab, i);
    pass(lab, WAIT_MS);
    for (uint64_t i = 0; i < 3 * GREYLIST_LOOKS_MAX; i++)
        seen(lab, i);
    count_set(lab, (uint64_t)GREYLIST_ROWS_MAX - 3 * GREYLIST_LOOKS_MAX);
    assert_int_equal(seen(lab, 1000)->err, ERR_BUSY);
    count_set(lab, (uint64_t)3 * GREYLIST_LOOKS_MAX - GREYLIST_ROWS_MAX);
    for (uint64_t i = 0; i < 3 * GREYLIST_LOOKS_MAX; i++)
        known += queue_lab_view(lab, i).known;
    assert_int_equal(known, 3 * GREYLIST_LOOKS_MAX - 1);
    assert_true(queue_lab_view(lab, 1000).known);
    /* All were due at the same time: the last one looked at went. */
    assert_false(queue_lab_view(lab, GREYLIST_LOOKS_MAX - 1).known);
}

static void what_is_no_key_is_refused(void **state)
{
    struct lab *lab = *state;
    Pr__GreylistSeen call = PR__GREYLIST_SEEN__INIT;
    uint8_t key[GREYLIST_KEY_SIZE + 1] = {0};

    call.keep_ms = call.passed_keep_ms = HOUR_MS;
    for (size_t len = 0; len <= sizeof(key); len++) {
        call.key = field_of_bytes(bytes_from(key, len));
        assert_int_equal(
            lab_apply(lab, QUEUE_GROUP, LAB_COMMAND(greylist_seen, GREYLIST_SEEN, &call))->err,
            len == GREYLIST_KEY_SIZE ? ERR_OK : ERR_INVALID);
    }
    assert_int_equal(queue_lab_seen(lab, 5, 0, 0, 1)->err, ERR_INVALID);
    assert_int_equal(queue_lab_seen(lab, 5, 0, 1, 0)->err, ERR_INVALID);
    assert_int_equal(queue_lab_seen(lab, 5, 0, GREYLIST_KEEP_MAX_MS + 1, 1)->err, ERR_INVALID);
    assert_int_equal(queue_lab_seen(lab, 5, 0, 1, GREYLIST_KEEP_MAX_MS + 1)->err, ERR_INVALID);
    assert_int_equal(queue_lab_rows(lab, TABLE_GREYLIST), 2);
}

/* At the end of time nothing wraps around. */
static void the_last_millisecond(void **state)
{
    struct lab lab;

    (void)state;
    lab_open(&lab);
    lab.now_ms = UINT64_MAX;
    Pr__FormatRaise raise = PR__FORMAT_RAISE__INIT;
    raise.format = FORMAT_ADDRESSES;
    lab_apply(&lab, QUEUE_GROUP, LAB_COMMAND(format_raise, FORMAT_RAISE, &raise));
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(queue_lab_seen(&lab, 1, WAIT_MS, KEEP_MS, PASSED_MS)->err, ERR_BUSY);
    assert_true(queue_lab_rows(&lab, TABLE_GREYLIST) <= 2);
    lab_invariants(&lab, QUEUE_GROUP);
    lab_close(&lab);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_comes_again_passes),
        TEST(who_does_not_come_again_is_forgotten),
        TEST(being_seen_keeps),
        TEST(kept_for_less),
        TEST(expired_begins_anew),
        TEST(forgotten_in_steps),
        TEST(the_group_knows_when_to_look),
        TEST(a_full_list_forgets_who_would_expire_first),
        TEST(a_full_list_does_not_look_for_long),
        TEST(what_is_no_key_is_refused),
        cmocka_unit_test(the_last_millisecond),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
