/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/service/scopes_plan.h"

#define MIB ((uint64_t)1024 * 1024)
enum { GROUP = 3, OTHER = 4, LIMIT = 5, VERSION = 7 };

/* A scope with the parts of two groups; the row is group 3's. */
static Pr__AccountQuota total;
static Pr__ScopeShare parts[2];
static Pr__ScopeShare *part_list[2] = {&parts[0], &parts[1]};
static Pr__ScopeRecord record;
static Pr__ScopeShare row;
static struct scopes_look look;

static Pr__ScopeShare share_of(uint32_t group, uint64_t version, uint64_t bytes)
{
    Pr__ScopeShare share = PR__SCOPE_SHARE__INIT;

    share.kind = PR__SCOPE_KIND__SCOPE_DOMAIN;
    share.scope_id = 9;
    share.limit = LIMIT;
    share.group = group;
    share.version = version;
    share.granted_bytes = bytes;
    share.granted_messages = UINT64_MAX;
    return share;
}

static int set_up(void **state)
{
    (void)state;
    pr__account_quota__init(&total);
    total.bytes = 1000 * MIB;
    parts[0] = share_of(GROUP, VERSION, 100 * MIB);
    parts[1] = share_of(OTHER, VERSION - 1, 100 * MIB);
    pr__scope_record__init(&record);
    record.limit = LIMIT;
    record.total = &total;
    record.shares = part_list;
    record.n_shares = 2;
    row = share_of(GROUP, VERSION, 100 * MIB);
    row.used_bytes = 90 * MIB;
    look = (struct scopes_look){.row = &row, .record = &record, .groups = 4};
    return 0;
}

static enum scopes_duty duty(void)
{
    return scopes_plan_duty(&look).duty;
}

static void a_chunk_shrinks_with_what_is_left(void **state)
{
    (void)state;
    assert_int_equal(scopes_plan_chunk(&record, 4).bytes, 1000 * MIB / SCOPES_CHUNK_PARTS);
    assert_int_equal(scopes_plan_chunk(&record, 4).messages, 0); /* no limit */
    total.bytes = UINT64_C(1) << 40;
    assert_int_equal(scopes_plan_chunk(&record, 4).bytes, SCOPES_CHUNK_BYTES_MAX);
    total.bytes = 232 * MIB; /* 32 of them left, for four groups half of it */
    assert_int_equal(scopes_plan_chunk(&record, 4).bytes, 232 * MIB / SCOPES_CHUNK_PARTS);
    total.bytes = 208 * MIB;
    assert_int_equal(scopes_plan_chunk(&record, 4).bytes, MIB);
    total.bytes = 200 * MIB + 800;
    assert_int_equal(scopes_plan_chunk(&record, 4).bytes, 100);
    total.bytes = 150 * MIB; /* lowered */
    assert_int_equal(scopes_plan_chunk(&record, 4).bytes, 0);
    parts[0].granted_messages = 1;
    parts[1].granted_messages = 2;
    total.messages = 1000000;
    assert_int_equal(scopes_plan_chunk(&record, 4).messages, SCOPES_CHUNK_MESSAGES_MAX);
    total.messages = 1000;
    assert_int_equal(scopes_plan_chunk(&record, 0).messages, SCOPES_CHUNK_MESSAGES_MIN);
}

static void a_question_tells_nothing_as_a_fact(void **state)
{
    Pr__ScopeShare share = PR__SCOPE_SHARE__INIT;
    Pr__ScopeAsk ask = PR__SCOPE_ASK__INIT;

    (void)state;
    ask.share = &share;
    row.used_messages = 8;
    row.need_bytes = 77;
    scopes_plan_ask(&row, (struct scopes_amount){10, 1}, (struct scopes_amount){MIB, 100},
                    &ask);
    assert_int_equal(share.used_bytes, 0);
    assert_int_equal(share.used_messages, 0);
    assert_int_equal(share.need_bytes, 0);
    assert_int_equal(share.granted_bytes, 100 * MIB);
    assert_int_equal(share.version, VERSION);
    assert_int_equal(share.group, GROUP);
    assert_int_equal(ask.need_bytes, 90 * MIB + 10);
    assert_int_equal(ask.need_messages, 9);
    assert_int_equal(ask.want_bytes, 91 * MIB);
    assert_int_equal(ask.want_messages, 108);
    scopes_plan_ask(&row, (struct scopes_amount){UINT64_MAX, 1}, (struct scopes_amount){1, 1},
                    &ask);
    assert_int_equal(ask.need_bytes, UINT64_MAX);
    scopes_plan_tell(&row, LIMIT, (struct scopes_amount){0, 0}, &ask);
    assert_int_equal(ask.need_bytes, 0);
    assert_int_equal(ask.want_bytes, 90 * MIB);
    assert_int_equal(share.version, VERSION);
    scopes_plan_tell(&row, LIMIT + 1, (struct scopes_amount){0, 0}, &ask);
    assert_int_equal(share.limit, LIMIT + 1); /* what was granted of another is nothing */
    assert_int_equal(share.version, 0);
    assert_int_equal(share.granted_bytes, 0);
}

static void room_is_what_is_granted_and_not_used(void **state)
{
    (void)state;
    assert_true(scopes_plan_fits(&row, (struct scopes_amount){10 * MIB, 1000}));
    assert_false(scopes_plan_fits(&row, (struct scopes_amount){10 * MIB + 1, 1}));
    row.granted_messages = 5;
    row.used_messages = 5;
    assert_false(scopes_plan_fits(&row, (struct scopes_amount){1, 1}));
    row.used_bytes = 200 * MIB; /* a fact */
    assert_false(scopes_plan_fits(&row, (struct scopes_amount){0, 0}));
}

static void what_is_in_step_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(duty(), SCOPES_DUTY_NONE);
    row.version = VERSION + 1; /* the directory here is behind */
    assert_int_equal(duty(), SCOPES_DUTY_NONE);
    row.version = VERSION;
    row.limit = 0;
    look.record = NULL; /* never a limit */
    assert_int_equal(duty(), SCOPES_DUTY_NONE);
    row.limit = LIMIT;
    row.version = UINT64_MAX; /* it has heard of the end */
    assert_int_equal(duty(), SCOPES_DUTY_NONE);
}

static void what_got_lost_is_told_again(void **state)
{
    (void)state;
    parts[0].version = VERSION + 1;
    assert_int_equal(duty(), SCOPES_DUTY_GRANT);
    assert_ptr_equal(scopes_plan_duty(&look).share, &parts[0]);
    record.limit = LIMIT + 1; /* of another limit */
    parts[0].version = 1;
    assert_int_equal(duty(), SCOPES_DUTY_GRANT);
    set_up(NULL);
    row.granted_bytes = 95 * MIB;
    assert_int_equal(duty(), SCOPES_DUTY_TOLD);
    row.version = VERSION - 1; /* the group has to hear first: more may be on its way */
    assert_int_equal(duty(), SCOPES_DUTY_GRANT);
}

static void a_limit_that_is_gone_is_asked_for(void **state)
{
    (void)state;
    look.record = NULL;
    assert_int_equal(duty(), SCOPES_DUTY_ASK);
    look.record = &record;
    row.limit = LIMIT + 1;
    assert_int_equal(duty(), SCOPES_DUTY_ASK);
}

static void a_group_without_a_part_tells_what_it_uses(void **state)
{
    (void)state;
    record.n_shares = 0;
    assert_int_equal(duty(), SCOPES_DUTY_ASK);
    row.used_bytes = row.granted_bytes = 0;
    assert_int_equal(duty(), SCOPES_DUTY_NONE);
    row.limit = 0; /* has not heard of the limit */
    assert_int_equal(duty(), SCOPES_DUTY_ASK);
    set_up(NULL);
    row.used_bytes = 120 * MIB; /* hand-overs */
    assert_int_equal(duty(), SCOPES_DUTY_ASK);
    assert_int_equal(scopes_plan_duty(&look).amount.bytes, 0);
    total.bytes = 200 * MIB; /* no room for it: not again and again */
    assert_int_equal(duty(), SCOPES_DUTY_NONE);
}

static void more_than_two_chunks_are_too_much(void **state)
{
    uint64_t chunk = scopes_plan_chunk(&record, 4).bytes;

    (void)state;
    row.used_bytes = 100 * MIB - 2 * chunk;
    assert_int_equal(duty(), SCOPES_DUTY_NONE);
    row.used_bytes--;
    assert_int_equal(duty(), SCOPES_DUTY_RETURN);
    assert_int_equal(scopes_plan_duty(&look).amount.bytes, chunk);
    assert_int_equal(scopes_plan_duty(&look).amount.messages, UINT64_MAX);
    total.bytes = 200 * MIB; /* nothing is left: nobody keeps anything */
    row.used_bytes = 100 * MIB - 1;
    assert_int_equal(duty(), SCOPES_DUTY_RETURN);
    assert_int_equal(scopes_plan_duty(&look).amount.bytes, 0);
}

static void who_wants_room_gets_what_is_not_used(void **state)
{
    (void)state;
    look.wanted = true;
    record.wanted_bytes = 1;
    assert_int_equal(duty(), SCOPES_DUTY_RETURN);
    assert_int_equal(scopes_plan_duty(&look).amount.bytes, 0);
    record.wanted_bytes = 0;
    record.wanted_messages = 1; /* that is not what we have too much of */
    assert_int_equal(duty(), SCOPES_DUTY_NONE);
    row.granted_messages = parts[0].granted_messages = 10;
    parts[1].granted_messages = 10;
    total.messages = 20;
    assert_int_equal(duty(), SCOPES_DUTY_RETURN);
    assert_int_equal(scopes_plan_duty(&look).amount.messages, 0);
    assert_int_equal(scopes_plan_duty(&look).amount.bytes, 10 * MIB); /* as it is */
    set_up(NULL);
    total.bytes = 199 * MIB; /* lowered below what is granted */
    assert_int_equal(duty(), SCOPES_DUTY_RETURN);
    assert_int_equal(scopes_plan_duty(&look).amount.bytes, 0);
    row.used_bytes = 100 * MIB;
    assert_int_equal(duty(), SCOPES_DUTY_NONE);
}

static void more_is_asked_for_before_it_is_needed(void **state)
{
    uint64_t chunk = scopes_plan_chunk(&record, 4).bytes;

    (void)state;
    row.used_bytes = 100 * MIB - chunk / 4;
    assert_int_equal(duty(), SCOPES_DUTY_NONE);
    row.used_bytes++;
    assert_int_equal(duty(), SCOPES_DUTY_ASK);
    assert_int_equal(scopes_plan_duty(&look).amount.bytes, chunk);
    look.wanted = true; /* others need it more */
    assert_int_not_equal(duty(), SCOPES_DUTY_ASK);
    row.used_bytes = 100 * MIB;
    assert_int_equal(duty(), SCOPES_DUTY_NONE);
    look.wanted = false;
    row.used_bytes = 100 * MIB;
    total.bytes = 200 * MIB + 8 * (uint64_t)SCOPES_AHEAD_BYTES_MIN - 8;
    assert_int_equal(duty(), SCOPES_DUTY_NONE); /* hardly anything is left */
    total.bytes += 8;
    assert_int_equal(duty(), SCOPES_DUTY_ASK);
    row = share_of(GROUP, VERSION, 0); /* nobody of the scope has mail here */
    parts[0].granted_bytes = 0;
    assert_int_equal(duty(), SCOPES_DUTY_NONE);
}

/* What is sent frees itself with time: a group keeps what it has, until somebody wants it. */
static void what_may_be_sent_is_kept_until_it_is_wanted(void **state)
{
    struct scopes_step step;

    (void)state;
    record.kind = PR__SCOPE_KIND__SCOPE_SENDING;
    total.bytes = 20000;
    total.messages = 2000;
    parts[0].granted_bytes = parts[0].granted_messages = 500;
    parts[1].granted_bytes = parts[1].granted_messages = 100;
    row.granted_bytes = row.granted_messages = 500;
    row.used_bytes = row.used_messages = 1;
    assert_int_equal(scopes_plan_chunk(&record, 4).messages, 2000 / SCOPES_CHUNK_PARTS);
    assert_int_equal(scopes_plan_chunk(&record, 4).bytes, 20000 / SCOPES_CHUNK_PARTS);
    total.messages = 620;
    assert_int_equal(scopes_plan_chunk(&record, 4).messages, 2); /* of 20 that are left */
    total.messages = 2000;
    total.bytes = 100000000;
    assert_int_equal(scopes_plan_chunk(&record, 4).bytes, SCOPES_CHUNK_SENDING_MAX);
    total.bytes = 20000;
    assert_int_equal(duty(), SCOPES_DUTY_NONE);
    look.wanted = true;
    record.wanted_messages = 4;
    step = scopes_plan_duty(&look);
    assert_int_equal(step.duty, SCOPES_DUTY_RETURN);
    assert_int_equal(step.amount.messages, 0);
    assert_int_equal(step.amount.bytes, 499); /* of a day nothing is wanted */
    look.wanted = false;
    row.used_messages = 500 - 2000 / SCOPES_CHUNK_PARTS / 4;
    assert_int_equal(duty(), SCOPES_DUTY_NONE);
    row.used_messages++;
    assert_int_equal(duty(), SCOPES_DUTY_ASK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_chunk_shrinks_with_what_is_left, set_up),
        cmocka_unit_test_setup(a_question_tells_nothing_as_a_fact, set_up),
        cmocka_unit_test_setup(room_is_what_is_granted_and_not_used, set_up),
        cmocka_unit_test_setup(what_is_in_step_is_left_alone, set_up),
        cmocka_unit_test_setup(what_got_lost_is_told_again, set_up),
        cmocka_unit_test_setup(a_limit_that_is_gone_is_asked_for, set_up),
        cmocka_unit_test_setup(a_group_without_a_part_tells_what_it_uses, set_up),
        cmocka_unit_test_setup(more_than_two_chunks_are_too_much, set_up),
        cmocka_unit_test_setup(who_wants_room_gets_what_is_not_used, set_up),
        cmocka_unit_test_setup(more_is_asked_for_before_it_is_needed, set_up),
        cmocka_unit_test_setup(what_may_be_sent_is_kept_until_it_is_wanted, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
