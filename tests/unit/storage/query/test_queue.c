/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The queue in pages, for operators. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "storage/db/key.h"
#include "tests/unit/storage/machine/queue_lab.h"

#define TEXT(text) ((char[]){text})

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

/* Too much to count everything again. */
static int teardown_large(void **state)
{
    lab_close(*state);
    return 0;
}

static Pr__QueueListAnswer page(struct lab *lab, const Pr__QueueList *call, uint64_t *after)
{
    Pr__QueueListAnswer answer = PR__QUEUE_LIST_ANSWER__INIT;
    struct db_txn *txn = db_read_begin(lab->db);

    assert_int_equal(query_queue_list(txn, QUEUE_GROUP, call, after, &lab->arena, &answer),
                     ERR_OK);
    assert_int_equal(db_commit(&txn), ERR_OK);
    return answer;
}

/* All pages: the ids, one digit each. */
static const char *ids(struct lab *lab, const Pr__QueueList *call)
{
    char *text = arena_alloc(&lab->arena, 100);
    uint64_t after = call->after_id;
    Pr__QueueListAnswer answer;
    size_t len = 0;

    do {
        answer = page(lab, call, &after);
        for (size_t i = 0; i < answer.n_messages; i++) {
            text[len++] = (char)('0' + answer.messages[i]->id);
            assert_int_equal(answer.groups[i], QUEUE_GROUP);
        }
        assert_int_equal(answer.n_groups, answer.n_messages);
        assert_true(call->limit == 0 || answer.n_messages <= call->limit);
    } while (answer.more);
    return text;
}

static void send_from(struct lab *lab, const char *sender, const char *one, const char *two)
{
    struct queue_lab_message message;

    queue_lab_begin(&message, lab, "text");
    message.deliver->envelope->sender = arena_string(&lab->arena, bytes_of(sender));
    queue_lab_out(&message, 0, one);
    queue_lab_out(&message, 0, two);
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
}

static void pages_join_and_filters_filter(void **state)
{
    struct lab *lab = *state;
    Pr__QueueList call = PR__QUEUE_LIST__INIT;

    send_from(lab, "ann@acme.example", "a@one.example", "b@two.example");
    send_from(lab, "bea@acme.example", "a@one.example", "b@three.example");
    send_from(lab, "ann@acme.example", "a@three.example", "b@sub.one.example");
    send_from(lab, "", "\"x@one.example\"@two.example", "b@ONE.example");
    send_from(lab, "ann@acme.example", "a@one.example", "b@one.example");
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__HOLD, 1, (uint64_t[]){2});
    for (call.limit = 0; call.limit < 7; call.limit++) {
        call.sender = call.domain = TEXT("");
        assert_string_equal(ids(lab, &call), "12345");
        call.sender = TEXT("Ann@Acme.example");
        assert_string_equal(ids(lab, &call), "135");
        call.domain = TEXT("one.example");
        assert_string_equal(ids(lab, &call), "15");
        call.sender = TEXT("");
        assert_string_equal(ids(lab, &call), "1245");
        call.domain = TEXT("example");
        assert_string_equal(ids(lab, &call), "");
    }
    call.sender = call.domain = TEXT("");
    call.limit = 2;
    struct db_txn *txn = db_read_begin(lab->db);
    call.delivery_id = query_queue_record(txn, QUEUE_GROUP, 3, &lab->arena)->delivery_id;
    db_abort(&txn);
    assert_int_equal(call.delivery_id.len, 16);
    assert_string_equal(ids(lab, &call), "3");
    call.sender = TEXT("bea@acme.example");
    assert_string_equal(ids(lab, &call), "");
    call.sender = TEXT("");
    call.delivery_id.len = 0;
    call.limit = 7;
    call.after_id = 3;
    assert_string_equal(ids(lab, &call), "45");
    call.after_id = 5;
    assert_string_equal(ids(lab, &call), "");
    call.after_id = UINT64_MAX;
    assert_string_equal(ids(lab, &call), "");
    call.after_id = 0;
    call.id = 4;
    assert_string_equal(ids(lab, &call), "4");
    call.sender = TEXT("ann@acme.example");
    assert_string_equal(ids(lab, &call), "");
    call.sender = TEXT("");
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__DROP, 1, (uint64_t[]){4});
    assert_string_equal(ids(lab, &call), "");
}

/* Of other groups nothing is seen. */
static void each_group_has_its_own(void **state)
{
    struct lab *lab = *state;
    Pr__QueueList call = PR__QUEUE_LIST__INIT;
    Pr__QueueListAnswer answer = PR__QUEUE_LIST_ANSWER__INIT;
    struct queue_counts counts;
    Pr__QueueLanes all = PR__QUEUE_LANES__INIT;
    Pr__QueueLanesAnswer lanes;
    uint64_t after = 0;
    struct db_txn *txn;

    all.until_ms = UINT64_MAX;
    queue_lab_queue(lab, "a@b.example");
    txn = db_read_begin(lab->db);
    for (uint32_t group = QUEUE_GROUP - 1; group <= QUEUE_GROUP + 1; group += 2) {
        assert_int_equal(query_queue_list(txn, group, &call, &after, &lab->arena, &answer),
                         ERR_OK);
        assert_int_equal(answer.n_messages, 0);
        query_queue_counts(txn, group, &counts);
        assert_int_equal(counts.messages + counts.oldest_ms + counts.oldest_due_ms, 0);
        pr__queue_lanes_answer__init(&lanes);
        assert_int_equal(query_queue_lanes(txn, group, &all, &lab->arena, &lanes), ERR_OK);
        assert_int_equal(lanes.n_lanes, 0);
        assert_null(query_queue_record(txn, group, 1, &lab->arena));
    }
    assert_int_equal(db_commit(&txn), ERR_OK);
}

/* A page is bounded by what is looked at, and by its bytes. */
static void a_page_that_looked_at_enough_goes_on(void **state)
{
    struct lab *lab = *state;
    Pr__QueueList call = PR__QUEUE_LIST__INIT;
    uint64_t after = 0;

    lab->txn = db_write_begin(lab->db);
    for (unsigned i = 0; i < QUERY_QUEUE_LOOKS_MAX + 1; i++)
        queue_lab_queue(lab, i < QUERY_QUEUE_LOOKS_MAX ? "a@b.example" : "a@c.example");
    assert_int_equal(db_commit(&lab->txn), ERR_OK);
    call.domain = TEXT("c.example");
    Pr__QueueListAnswer answer = page(lab, &call, &after);
    assert_true(answer.more);
    assert_int_equal(answer.n_messages, 0);
    assert_int_equal(after, QUERY_QUEUE_LOOKS_MAX);
    answer = page(lab, &call, &after);
    assert_false(answer.more);
    assert_int_equal(answer.n_messages, 1);
    after = 0;
    call.domain = TEXT("");
    call.limit = UINT32_MAX;
    answer = page(lab, &call, &after);
    assert_true(answer.more);
    assert_int_equal(answer.n_messages, QUERY_QUEUE_LIMIT_MAX);
}

static void a_page_of_large_records_is_short(void **state)
{
    struct lab *lab = *state;
    Pr__QueueList call = PR__QUEUE_LIST__INIT;
    uint64_t after = 0;

    for (unsigned i = 0; i < 60; i++) {
        struct queue_lab_message message;
        queue_lab_begin(&message, lab, "text");
        queue_lab_out_many(&message, 0, 1000);
        assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    }
    Pr__QueueListAnswer answer = page(lab, &call, &after);
    assert_true(answer.more);
    assert_true(answer.n_messages > 50 && answer.n_messages < 600);
    assert_int_equal(after, answer.n_messages);
}

/* Wrong rows are found. */
static void a_recount_sees_what_does_not_fit(void **state)
{
    struct lab *lab = *state;
    struct queue_recount recount;
    struct key key;

    queue_lab_queue(lab, "a@b.example");
    queue_lab_queue(lab, "c@d.example");
    queue_lab_seen(lab, 1, 1, 1000, 1000);
    for (unsigned round = 0; round < 7; round++) {
        struct db_txn *txn = db_write_begin(lab->db);
        struct key lane_key;
        struct bytes lane =
            key_behind_group(key_queue_lane(&lane_key, QUEUE_GROUP, BYTES("b.example"), 0, 0));
        if (round == 1)
            assert_true(db_delete(txn, TABLE_QUEUE_DUE,
                                  key_queue_due(&key, QUEUE_GROUP, lab->now_ms, lane)));
        if (round == 2)
            assert_true(db_delete(txn, TABLE_QUEUE, key_number(&key, QUEUE_GROUP, 2)));
        if (round == 3)
            db_put(txn, TABLE_GREYLIST,
                   key_greylist_due(&key, QUEUE_GROUP, 7, BYTES("0123456789abcdef")),
                   bytes_from(NULL, 0));
        if (round == 4)
            assert_true(db_delete(txn, TABLE_QUEUE_LANE,
                                  key_queue_place(&key, QUEUE_GROUP, lane, lab->now_ms, 1, 1)));
        if (round == 5)
            db_put(txn, TABLE_QUEUE_LANE,
                   key_queue_place(&key, QUEUE_GROUP, lane, lab->now_ms + 1, 1, 1),
                   bytes_from(NULL, 0));
        if (round == 6)
            db_put(txn, TABLE_QUEUE_DUE,
                   key_queue_due(&key, QUEUE_GROUP, lab->now_ms + 1, lane),
                   bytes_from(NULL, 0));
        assert_int_equal(query_queue_recount(txn, QUEUE_GROUP, &recount), ERR_OK);
        assert_int_equal(recount.wrong > 0, round > 0);
        db_abort(&txn);
    }
    assert_int_equal(recount.messages, 2);
    assert_int_equal(recount.keys, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(pages_join_and_filters_filter),
        TEST(each_group_has_its_own),
        cmocka_unit_test_setup_teardown(a_page_that_looked_at_enough_goes_on, setup,
                                        teardown_large),
        TEST(a_page_of_large_records_is_short),
        TEST(a_recount_sees_what_does_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
