/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which notices are made, and when; how one is made is notice_job_run()'s, which is the test's
 * own here (--wrap). */
#include "tests/unit/relay/relay_lab.h"

#include "smtp/relay/notices.h"

enum { PAGE = 2 * RELAY_NOTICES_MAX, SENDERS_MAX = 64 };

static struct {
    struct notice_job *jobs[SENDERS_MAX];
    unsigned count;
} made;

void __wrap_notice_job_run(struct notice_job *job);
void __wrap_notice_job_run(struct notice_job *job)
{
    assert_true(made.count < SENDERS_MAX);
    made.jobs[made.count++] = job;
}

static void end_first(bool good)
{
    struct notice_job *job = made.jobs[0];

    assert_true(made.count > 0);
    made.count--;
    memmove(made.jobs, made.jobs + 1, made.count * sizeof(made.jobs[0]));
    notice_job_end(job, good);
}

static int setup(void **state)
{
    made.count = 0;
    lab_open(state);
    lab_lead(1);
    return 0;
}

static int teardown(void **state)
{
    while (made.count > 0)
        end_first(true);
    return lab_close(state);
}

static Pr__QueueRecord *owed(uint64_t id)
{
    Pr__QueueRecord *record = lab_record(id, "a.example");

    record->notice_ms = record->time_ms;
    record->recipients[0]->state = PR__QUEUE_RECIPIENT__STATE__FAILED;
    record->recipients[0]->tell = true;
    return record;
}

static const Pr__QueueRead *reading(void)
{
    const struct lab_call *call = lab_call(PR__REQUEST__CALL_QUEUE_READ);

    return call != NULL ? call->request->queue_read : NULL;
}

static void found(void)
{
    const char *notices = "";

    lab_lanes(1, &notices, false);
}

static void few_are_made_at_a_time(void **state)
{
    Pr__QueueRecord *records[PAGE];
    unsigned all = 0;

    (void)state;
    for (unsigned i = 0; i < PAGE; i++)
        records[i] = owed(1 + i);
    found();
    lab_read(PAGE, records, false);
    assert_int_equal(made.count, RELAY_NOTICES_MAX);
    assert_null(reading());
    while (made.count > 0) {
        end_first(true);
        all++;
        /* What was begun is passed. */
        if (reading() != NULL && reading()->after != NULL)
            lab_read(PAGE - reading()->after->id, records + reading()->after->id, false);
        else if (reading() != NULL)
            lab_read(0, NULL, false);
    }
    assert_int_equal(all, PAGE);
}

/* However many there are in front that cannot be made, others have their turn. */
static void what_cannot_be_made_stands_in_nobodys_way(void **state)
{
    Pr__QueueRecord *bad[PAGE];
    Pr__QueueRecord *good = owed(100);

    (void)state;
    for (unsigned i = 0; i < PAGE; i++)
        bad[i] = owed(1 + i);
    found();
    lab_read(PAGE, bad, true);
    for (unsigned i = 0; i < RELAY_NOTICES_MAX; i++)
        end_first(false);
    assert_int_equal(reading()->after->id, RELAY_NOTICES_MAX);
    lab_read(PAGE - RELAY_NOTICES_MAX, bad + RELAY_NOTICES_MAX, true);
    for (unsigned i = RELAY_NOTICES_MAX; i < PAGE; i++)
        end_first(false);
    assert_int_equal(reading()->after->id, PAGE);
    assert_int_equal(reading()->after_due_ms, bad[PAGE - 1]->notice_ms);
    lab_read(1, &good, false);
    assert_int_equal(made.count, 1);
    assert_int_equal(made.jobs[0]->record->id, 100);
    end_first(true);
}

static void what_failed_is_made_again_later_and_later(void **state)
{
    Pr__QueueRecord *record = owed(1);
    uint64_t pause_ms = 0;
    uint64_t last_ms = 0;

    (void)state;
    for (unsigned times = 0; times < 6;) {
        found();
        if (reading() == NULL)
            continue;
        lab_read(1, &record, false);
        if (made.count == 0)
            continue;
        uint64_t waited_ms = lab.now_ms - last_ms;
        if (last_ms != 0) {
            assert_true(waited_ms >= pause_ms);
            assert_true(waited_ms <= pause_ms + 2 * RELAY_LOOK_MAX_MS);
        }
        pause_ms = pause_ms == 0 ? 5000 : 2 * pause_ms;
        last_ms = lab.now_ms;
        end_first(false);
        times++;
    }
    /* What has come to be good is forgotten. */
    while (made.count == 0) {
        found();
        if (reading() != NULL)
            lab_read(1, &record, false);
    }
    end_first(true);
    lab_read(1, &record, false);
    assert_int_equal(made.count, 1);
}

/* Another one of the same message is found at once; its id is its own. */
static void one_for_each_return_address(void **state)
{
    Pr__QueueRecord *record = owed(1);
    Pr__QueueRecipient other = *record->recipients[0];
    struct request_id first;

    (void)state;
    other.number = 2;
    other.sender = (char[]){"list-bounces@acme.example"};
    record->recipients = (Pr__QueueRecipient *[]){record->recipients[0], &other};
    record->n_recipients = 2;
    found();
    lab_read(1, &record, false);
    assert_int_equal(made.count, 1);
    assert_int_equal(made.jobs[0]->part_count, 1);
    assert_int_equal(made.jobs[0]->part[0]->number, 1);
    first = made.jobs[0]->id;
    end_first(false); /* and again it is the same one */
    lab_run(5000);
    do
        found();
    while (reading() == NULL);
    lab_read(1, &record, false);
    assert_memory_equal(&made.jobs[0]->id, &first, sizeof(first));
    end_first(true);
    record->recipients[0]->tell = false;
    record->notices = 1;
    lab_read(1, &record, false);
    assert_int_equal(made.count, 1);
    assert_int_equal(made.jobs[0]->part[0]->number, 2);
    assert_memory_not_equal(&made.jobs[0]->id, &first, sizeof(first));
}

/* It was made while the rest of the lane was read: the message may have another one in front.
 */
static void what_comes_up_in_front_is_not_passed(void **state)
{
    Pr__QueueRecord *records[PAGE];

    (void)state;
    for (unsigned i = 0; i < PAGE; i++)
        records[i] = owed(1 + i);
    found();
    lab_read(3, records, true);
    assert_int_equal(made.count, 3);
    assert_int_equal(reading()->after->id, 3);
    end_first(true);
    lab_read(0, NULL, false);
    assert_non_null(reading());
    assert_null(reading()->after);
    lab_read(3, records, false);
    assert_int_equal(made.count, 3);
    assert_null(reading());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(few_are_made_at_a_time),
        TEST(what_cannot_be_made_stands_in_nobodys_way),
        TEST(what_failed_is_made_again_later_and_later),
        TEST(one_for_each_return_address),
        TEST(what_comes_up_in_front_is_not_passed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
