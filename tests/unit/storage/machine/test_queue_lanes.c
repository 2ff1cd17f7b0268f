/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How mail for other hosts is divided, and the order in which it lies. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "storage/machine/queue_lane.h"
#include "storage/schema/flags.h"
#include "tests/unit/storage/machine/queue_lab.h"

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

static void out_to(struct queue_lab_message *message, unsigned part, const char *domain,
                   unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        queue_lab_out(message, part,
                      arena_printf(&message->lab->arena, "user%u@%s", i, domain));
}

/* ---- records and destinations ---- */

static void a_domain_is_a_destination(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;
    static const struct {
        const char *address;
        uint32_t destination;
    } rows[] = {{"l@[IPv6:2001:DB8::1]", 1},
                {"a@B.Example", 2},
                {"\"@x\"@b.example", 2},
                {"z@b.EXAMPLE", 2},
                {"c@c.example", 3},
                {"c@sub.b.example", 4},
                {"c@\xc3\x9cmlaut.EXAMPLE", 5}};
    static const char *const domains[] = {"[ipv6:2001:db8::1]", "b.example", "c.example",
                                          "sub.b.example", "\xc3\x9cmlaut.example"};
    static const unsigned order[] = {4, 1, 6, 0, 2, 5, 3}; /* of b.example: 1, 2, 3 */

    queue_lab_begin(&message, lab, "text");
    for (unsigned i = 0; i < 7; i++)
        queue_lab_out(&message, 0, rows[order[i]].address);
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    const Pr__QueueRecord *record = queue_lab_record(lab, 1);
    assert_int_equal(record->n_destinations, 5);
    assert_int_equal(record->n_recipients, 7);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(record->destinations[i]->number, i + 1);
        assert_string_equal(record->destinations[i]->domain, domains[i]);
        assert_int_equal(record->destinations[i]->due_ms, lab->now_ms);
        assert_int_equal(record->destinations[i]->lease, 0);
    }
    for (uint32_t i = 0; i < 7; i++) {
        assert_int_equal(record->recipients[i]->number, i + 1);
        assert_string_equal(record->recipients[i]->address, rows[i].address);
        assert_int_equal(record->recipients[i]->destination, rows[i].destination);
    }
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_LANE), 5);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_DUE), 5);
}

/* Mail that is held for accounts here waits in lanes that no host has. */
static void accounts_here_are_a_destination(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;

    queue_lab_begin(&message, lab, "text");
    queue_lab_out(&message, 0, "ann@acme.example")->account_id = 7;
    queue_lab_out(&message, 0, "bob@other.example");
    queue_lab_out(&message, 0, "bea@b.acme.example")->account_id = 8;
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    const Pr__QueueRecord *record = queue_lab_record(lab, 1);
    assert_int_equal(record->n_destinations, 2);
    assert_string_equal(record->destinations[0]->domain, "@");
    assert_string_equal(record->destinations[1]->domain, "other.example");
    assert_int_equal(record->recipients[0]->account_id, 7);
    assert_int_equal(record->recipients[1]->account_id, 8);
    assert_int_equal(record->recipients[1]->destination, 1);
    assert_int_equal(record->recipients[2]->destination, 2);
}

/* Of each record how many, of one letter's domain each; "+" between records. */
static void expect_split(struct lab *lab, uint64_t first, const char *expected)
{
    char text[200];
    size_t len = 0;

    for (uint64_t id = first;; id++) {
        const Pr__QueueRecord *record = queue_lab_record(lab, id);
        if (record == NULL)
            break;
        assert_true(record->n_recipients <= QUEUE_RECORD_RECIPIENTS_MAX);
        if (id > first)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "+");
        for (size_t i = 0; i < record->n_destinations; i++) {
            unsigned count = 0;
            for (size_t r = 0; r < record->n_recipients; r++)
                count += record->recipients[r]->destination == record->destinations[i]->number;
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%c%u",
                                    record->destinations[i]->domain[0], count);
        }
    }
    assert_string_equal(text, expected);
}

static void a_record_has_a_hundred_recipients(void **state)
{
    struct lab *lab = *state;
    static const struct {
        unsigned a, b, c;
        const char *expected;
        unsigned records;
    } rows[] = {
        {50, 30, 20, "a50b30c20", 1},
        {50, 30, 21, "a50b30+c21", 2},
        {60, 60, 0, "a60+b60", 2},
        {60, 60, 130, "a60+b60+c100+c30", 4},
        {130, 60, 10, "a100+a30b60c10", 2},
        {130, 71, 0, "a100+a30+b71", 3},
        {200, 1, 0, "a100+a100+b1", 3},
        {100, 100, 100, "a100+b100+c100", 3},
        {0, 0, 1000, "c100+c100+c100+c100+c100+c100+c100+c100+c100+c100", 10},
    };
    uint64_t first = 1;

    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct queue_lab_message message;
        queue_lab_begin(&message, lab, arena_printf(&lab->arena, "text %u", i));
        out_to(&message, 0, "c.example", rows[i].c);
        out_to(&message, 0, "a.example", rows[i].a);
        out_to(&message, 0, "b.example", rows[i].b);
        Pr__Outcome *outcome = queue_lab_send(&message);
        assert_int_equal(outcome->err, ERR_OK);
        assert_int_equal(outcome->id, first);
        expect_split(lab, first, rows[i].expected);
        first += rows[i].records;
        assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), i + 1);
        lab_invariants(lab, QUEUE_GROUP);
    }
    /* The body goes with the last of them. */
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__DROP, 2, (uint64_t[]){1, 2});
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 8);
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__DROP, 1, (uint64_t[]){3});
    assert_int_equal(queue_lab_rows(lab, TABLE_BLOB), 7);
}

/* ---- lanes ---- */

static Pr__QueueLanesAnswer lanes_of(struct lab *lab, uint64_t until_ms, Pr__QueueLane *after,
                                     uint32_t limit)
{
    Pr__QueueLanes call = PR__QUEUE_LANES__INIT;
    Pr__QueueLanesAnswer answer = PR__QUEUE_LANES_ANSWER__INIT;
    struct db_txn *txn = db_read_begin(lab->db);

    call.until_ms = until_ms;
    call.after = after;
    call.limit = limit;
    assert_int_equal(query_queue_lanes(txn, QUEUE_GROUP, &call, &lab->arena, &answer), ERR_OK);
    assert_int_equal(db_commit(&txn), ERR_OK);
    return answer;
}

static void expect_lane(const Pr__QueueLane *lane, const char *domain, Pr__QueueClass class,
                        uint64_t tenant_id, uint64_t due_ms)
{
    assert_string_equal(lane->domain, domain);
    assert_int_equal(lane->class_, class);
    assert_int_equal(lane->tenant_id, tenant_id);
    assert_int_equal(lane->due_ms, due_ms);
}

static void send_to(struct lab *lab, const char *domain, Pr__QueueClass class,
                    uint64_t tenant_id, uint64_t due_ms)
{
    struct queue_lab_message message;

    queue_lab_begin(&message, lab, "text");
    message.deliver->envelope->hold_until_ms = due_ms;
    message.deliver->queue_class = class;
    message.deliver->queue_tenant_id = tenant_id;
    out_to(&message, 0, domain, 1);
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
}

/* One lane each: a tenant's mass mail stands in its own. */
static void lanes_are_of_domain_class_and_tenant(void **state)
{
    struct lab *lab = *state;
    uint64_t now_ms = lab->now_ms;

    for (unsigned i = 0; i < 40; i++)
        send_to(lab, "b.example", PR__QUEUE_CLASS__QUEUE_BULK, 7, now_ms + 40 - i);
    send_to(lab, "b.example", PR__QUEUE_CLASS__QUEUE_PERSONAL, 7, now_ms + 2);
    send_to(lab, "b.example", PR__QUEUE_CLASS__QUEUE_PERSONAL, 8, now_ms + 3);
    send_to(lab, "a.example", PR__QUEUE_CLASS__QUEUE_PERSONAL, 7, now_ms + 4);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_LANE), 43);
    assert_int_equal(queue_lab_rows(lab, TABLE_QUEUE_DUE), 4);
    for (uint32_t limit = 0; limit < 6; limit++) {
        Pr__QueueLane *lanes[5] = {NULL};
        unsigned count = 0;
        Pr__QueueLanesAnswer answer;
        do {
            answer = lanes_of(lab, now_ms + 4, count > 0 ? lanes[count - 1] : NULL, limit);
            assert_true(limit == 0 || answer.n_lanes <= limit);
            for (size_t i = 0; i < answer.n_lanes; i++)
                lanes[count++] = answer.lanes[i];
            assert_int_equal(answer.next_due_ms, 0);
            assert_int_equal(answer.clock_ms, lab->now_ms);
        } while (answer.more);
        assert_int_equal(count, 4);
        expect_lane(lanes[0], "b.example", PR__QUEUE_CLASS__QUEUE_BULK, 7, now_ms + 1);
        expect_lane(lanes[1], "b.example", PR__QUEUE_CLASS__QUEUE_PERSONAL, 7, now_ms + 2);
        expect_lane(lanes[2], "b.example", PR__QUEUE_CLASS__QUEUE_PERSONAL, 8, now_ms + 3);
        expect_lane(lanes[3], "a.example", PR__QUEUE_CLASS__QUEUE_PERSONAL, 7, now_ms + 4);
    }
    assert_int_equal(lanes_of(lab, now_ms, NULL, 0).n_lanes, 0);
    assert_int_equal(lanes_of(lab, now_ms, NULL, 0).next_due_ms, now_ms + 1);
    assert_int_equal(lanes_of(lab, now_ms + 2, NULL, 0).n_lanes, 2);
    assert_int_equal(lanes_of(lab, now_ms + 2, NULL, 0).next_due_ms, now_ms + 3);
    assert_int_equal(lanes_of(lab, now_ms + 2, NULL, 1).next_due_ms, now_ms + 3);
}

static void parts_have_their_own_class_and_tenant(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;

    queue_lab_begin(&message, lab, "text");
    out_to(&message, 0, "b.example", 1);
    Pr__DeliverPart *part = queue_lab_part(&message, "other words");
    part->queue_class = PR__QUEUE_CLASS__QUEUE_BULK;
    part->queue_tenant_id = 9;
    out_to(&message, 1, "b.example", 1);
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    assert_int_equal(queue_lab_record(lab, 1)->class_, PR__QUEUE_CLASS__QUEUE_PERSONAL);
    assert_int_equal(queue_lab_record(lab, 1)->tenant_id, 0);
    assert_int_equal(queue_lab_record(lab, 2)->class_, PR__QUEUE_CLASS__QUEUE_BULK);
    assert_int_equal(queue_lab_record(lab, 2)->tenant_id, 9);
    message.command->request_id = lab_id(lab);
    part->queue_class = (Pr__QueueClass)2;
    assert_int_equal(queue_lab_send(&message)->err, ERR_INVALID);
}

/* A domain that another one begins with, or a tenant's number in it, is another lane. */
static void lanes_do_not_run_together(void **state)
{
    struct lab *lab = *state;
    Pr__QueueReadAnswer answer;
    Pr__QueueRead call = PR__QUEUE_READ__INIT;
    Pr__QueueLane lane = PR__QUEUE_LANE__INIT;
    static const char *const domains[] = {"b", "b.e", "b.ex", "c"};

    for (unsigned i = 0; i < 4; i++)
        for (uint64_t tenant = 0; tenant < 300; tenant += 100)
            send_to(lab, domains[i], PR__QUEUE_CLASS__QUEUE_PERSONAL, tenant, 0);
    call.lane = &lane;
    call.until_ms = UINT64_MAX;
    for (unsigned i = 0; i < 4; i++) {
        struct db_txn *txn = db_read_begin(lab->db);
        lane.domain = (char *)(uintptr_t)domains[i];
        for (uint64_t tenant = 0; tenant < 400; tenant += 100) {
            lane.tenant_id = tenant;
            pr__queue_read_answer__init(&answer);
            assert_int_equal(query_queue_read(txn, QUEUE_GROUP, &call, &lab->arena, &answer),
                             ERR_OK);
            assert_int_equal(answer.n_messages, tenant < 300);
            if (tenant < 300)
                assert_string_equal(answer.messages[0]->destinations[0]->domain, domains[i]);
        }
        db_abort(&txn);
    }
}

static void lanes_that_cannot_be_are_refused(void **state)
{
    struct lab *lab = *state;
    Pr__QueueReadAnswer read_answer = PR__QUEUE_READ_ANSWER__INIT;
    Pr__QueueLanesAnswer lanes_answer = PR__QUEUE_LANES_ANSWER__INIT;
    Pr__QueueRead read = PR__QUEUE_READ__INIT;
    Pr__QueueLanes lanes = PR__QUEUE_LANES__INIT;
    Pr__QueueLane lane = PR__QUEUE_LANE__INIT;
    struct queue_lab_message message;
    char domain[QUEUE_DOMAIN_SIZE_MAX + 2] = {0};
    struct db_txn *txn;

    memset(domain, 'd', QUEUE_DOMAIN_SIZE_MAX);
    for (unsigned i = 0; i < 2; i++) {
        queue_lab_begin(&message, lab, "text");
        out_to(&message, 0, domain, 1);
        assert_int_equal(queue_lab_send(&message)->err, i == 0 ? ERR_OK : ERR_INVALID);
        txn = db_read_begin(lab->db);
        lane.domain = domain;
        for (unsigned class = 0; class < 3; class ++) {
            lane.class_ = (Pr__QueueClass) class;
            enum err err = i == 0 && class < 2 ? ERR_OK : ERR_INVALID;
            lanes.after = read.lane = &lane;
            assert_int_equal(
                query_queue_read(txn, QUEUE_GROUP, &read, &lab->arena, &read_answer), err);
            assert_int_equal(
                query_queue_lanes(txn, QUEUE_GROUP, &lanes, &lab->arena, &lanes_answer), err);
        }
        db_abort(&txn);
        domain[QUEUE_DOMAIN_SIZE_MAX] = 'd';
    }
    read.lane = NULL;
    txn = db_read_begin(lab->db);
    assert_int_equal(query_queue_read(txn, QUEUE_GROUP, &read, &lab->arena, &read_answer),
                     ERR_INVALID);
    db_abort(&txn);
}

/* ---- what it costs ---- */

static unsigned written[TABLE_COUNT];

static void on_written(void *context, uint64_t txn_number, enum db_table table,
                       struct bytes key)
{
    (void)context;
    (void)txn_number;
    (void)key;
    written[table]++;
}

/* How many rows of the tables are written while the next message but `behind` others of its
 * lane is added, leased and put off. */
static void expect_written(struct lab *lab, unsigned behind, const unsigned *expected)
{
    struct db_watch *watch;
    uint64_t id;

    for (unsigned i = 0; i < behind; i++)
        send_to(lab, "b.example", PR__QUEUE_CLASS__QUEUE_PERSONAL, 0, 0);
    assert_int_equal(db_watch_new(lab->db, QUEUE_GROUP, on_written, NULL, &watch), ERR_OK);
    for (unsigned step = 0; step < 3; step++) {
        memset(written, 0, sizeof(written));
        if (step == 0)
            send_to(lab, "b.example", PR__QUEUE_CLASS__QUEUE_PERSONAL, 0, 0);
        id = behind + 1;
        if (step == 1)
            assert_int_equal(queue_lab_lease(lab, 99, id, 1, NULL)->n_queue_items, 1);
        if (step == 2)
            queue_lab_report(
                lab, (struct queue_lab_verdict){.lease = 99, .id = id, .destination = 1});
        assert_int_equal(written[TABLE_QUEUE], 1);
        assert_int_equal(written[TABLE_QUEUE_LANE], expected[2 * step]);
        assert_int_equal(written[TABLE_QUEUE_DUE], expected[2 * step + 1]);
    }
    db_watch_free(&watch);
}

/* A row each for the message and its place, and the lane's only where its first is another. */
static void a_lane_moves_with_its_first(void **state)
{
    struct lab *lab = *state;

    expect_written(lab, 0, (unsigned[]){1, 1, 2, 2, 2, 2});
    queue_lab_change(lab, PR__QUEUE_CHANGE__ACTION__DROP, 1, (uint64_t[]){1});
    lab_close(lab);
    queue_lab_open(lab, FORMAT_ADDRESSES);
    expect_written(lab, 1, (unsigned[]){1, 0, 2, 0, 2, 0});
    lab_close(lab);
    queue_lab_open(lab, FORMAT_ADDRESSES);
    expect_written(lab, 500, (unsigned[]){1, 0, 2, 0, 2, 0});
}

/* Of a message to many domains one is leased: the others stay where they are. */
static void a_destination_moves_alone(void **state)
{
    struct lab *lab = *state;
    struct queue_lab_message message;
    struct db_watch *watch;

    queue_lab_begin(&message, lab, "text");
    for (unsigned i = 0; i < 50; i++)
        queue_lab_out(&message, 0, arena_printf(&lab->arena, "a@d%u.example", i));
    assert_int_equal(queue_lab_send(&message)->err, ERR_OK);
    assert_int_equal(db_watch_new(lab->db, QUEUE_GROUP, on_written, NULL, &watch), ERR_OK);
    memset(written, 0, sizeof(written));
    assert_int_equal(queue_lab_lease(lab, 99, 1, 7, NULL)->n_queue_items, 1);
    db_watch_free(&watch);
    assert_int_equal(written[TABLE_QUEUE], 1);
    assert_int_equal(written[TABLE_QUEUE_LANE], 2);
    assert_int_equal(written[TABLE_QUEUE_DUE], 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_domain_is_a_destination),
        TEST(accounts_here_are_a_destination),
        TEST(a_record_has_a_hundred_recipients),
        TEST(lanes_are_of_domain_class_and_tenant),
        TEST(parts_have_their_own_class_and_tenant),
        TEST(lanes_do_not_run_together),
        TEST(lanes_that_cannot_be_are_refused),
        TEST(a_lane_moves_with_its_first),
        TEST(a_destination_moves_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
