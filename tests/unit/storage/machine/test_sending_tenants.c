/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all accounts of a tenant send together, from several groups, with commands between them
 * and the directory that come late, twice or never, under leaders whose clocks differ: in no
 * hour and no day more than the limit, and as much as the limit when nobody else wants it.
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/machine/scope.h"
#include "tests/unit/storage/machine/sending_tenants_lab.h"

enum { SEEDS = 12, STEPS = 3000 };

/* One letter, out of order; sometimes it is lost, sometimes it comes again. */
static void letter_next(void)
{
    unsigned at;
    struct letter letter;

    if (tenants_world.letter_count == 0)
        return;
    at = tenants_below(tenants_world.letter_count);
    letter = tenants_world.letters[at];
    if (tenants_below(5) != 0)
        tenants_world.letters[at] = tenants_world.letters[--tenants_world.letter_count];
    if (tenants_below(6) != 0)
        tenants_letter_deliver(letter);
}

static void lead_anew(uint32_t group)
{
    tenants_world.ahead_ms[group] = tenants_below((uint32_t)tenants_world.ahead_max_ms + 1);
}

static void step(void)
{
    uint32_t group = 1 + tenants_below(GROUPS);
    unsigned tenant = tenants_below(TENANTS);
    uint32_t what = tenants_below(100);

    if (tenants_below(40) == 0)
        tenants_pass(
            tenants_below(tenants_below(20) == 0 ? (uint32_t)(9 * HOUR_MS) : 20 * MINUTE_MS));
    else
        tenants_world.now_ms += tenants_below(40000);
    if (what < 45)
        tenants_write_one(group, tenant, 1 + tenants_below(RECIPIENTS_MAX));
    else if (what < 80)
        letter_next();
    else if (what < 98)
        tenants_duty(group, tenant, tenants_below(4) == 0);
    else
        lead_anew(group);
}

/* ---- the tests ---- */

/* One group can send all that is left, to the last recipient: what is refused is more than
 * the limit with what was sent in the last hour and a slot, or day and a slot. */
static void to_the_last_recipient(unsigned tenant)
{
    const struct tenant *of = &tenants_world.tenants[tenant];
    uint64_t longer_ms = tenants_world.ahead_max_ms + MINUTE_MS;
    unsigned full = 0;

    tenants_all_letters();
    for (unsigned i = 0; i < 600 && full < 20; i++) {
        if (tenants_write_until_refused(2, tenant, 1) == ERR_OK)
            continue;
        assert_true(tenants_sent_since(of, 65 * MINUTE_MS + longer_ms) >= of->hour_max ||
                    tenants_sent_since(of, DAY_MS + HOUR_MS + longer_ms) >= of->day_max);
        full++;
        tenants_pass(11 * MINUTE_MS);
    }
    assert_true(full == 20);
}

static void run(uint64_t ahead_max_ms)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        tenants_open(seed, ahead_max_ms);
        for (unsigned i = 0; i < STEPS; i++) {
            step();
            for (unsigned tenant = 0; tenant < TENANTS; tenant++)
                tenants_check(tenant);
        }
        for (unsigned i = 0; i < TENANTS; i++) {
            assert_true(tenants_world.tenants[i].refused > 50 &&
                        tenants_world.tenants[i].count > 50);
            to_the_last_recipient(i);
        }
        tenants_close();
    }
}

static void in_no_hour_and_no_day_more_than_the_limit(void **state)
{
    (void)state;
    run(0);
}

static void leaders_whose_clocks_differ_let_go_so_much_earlier(void **state)
{
    (void)state;
    run(2 * MINUTE_MS);
}

/* What one sends does not concern the other; nor does a limit that is lowered or lifted. */
static void tenants_do_not_hold_each_other_up(void **state)
{
    (void)state;
    tenants_open(5, 0);
    while (tenants_write_until_refused(1, 0, 5) == ERR_OK)
        tenants_world.now_ms += 1000;
    assert_int_equal(tenants_sent_since(&tenants_world.tenants[0], HOUR_MS), HOUR_MAX);
    assert_int_equal(tenants_write_until_refused(2, 0, 1), ERR_GRANT);
    for (unsigned i = 0; i < HOUR_MAX / RECIPIENTS_MAX; i++)
        assert_int_equal(tenants_write_until_refused(1 + i % GROUPS, 1, 5), ERR_OK);
    assert_int_equal(tenants_write_until_refused(2, 1, 1), ERR_GRANT);
    tenants_pass(65 * MINUTE_MS);
    assert_int_equal(tenants_write_until_refused(2, 0, 5), ERR_OK);
    assert_int_equal(tenants_write_until_refused(3, 0, 5), ERR_OK);
    tenants_close();
}

static uint64_t total_of(unsigned tenant)
{
    return tenants_record_of(tenant)->total->messages;
}

static struct letter question(unsigned tenant)
{
    struct letter letter = {.tenant = tenant, .share = *tenants_row_of(1, tenant)};

    letter.share.limit = 1;
    return letter;
}

/* The newest settings count, whoever brings them; older ones are not heeded. */
static void settings_come_with_those_who_ask(void **state)
{
    struct letter letter;

    (void)state;
    tenants_open(6, 0);
    letter = question(0);
    assert_int_equal(tenants_ask(&letter)->err, ERR_OK);
    assert_int_equal(total_of(0), HOUR_MAX);
    tenants_world.settings_version = 3;
    tenants_limit(0, 20, DAY_MAX);
    assert_int_equal(tenants_ask(&letter)->err, ERR_OK);
    assert_int_equal(total_of(0), 20);
    assert_int_equal(tenants_record_of(0)->limit, 1); /* changed, not new */
    tenants_world.settings_version = 2;
    tenants_limit(0, 70, DAY_MAX);
    assert_int_equal(tenants_ask(&letter)->err, ERR_OK);
    assert_int_equal(total_of(0), 20);
    tenants_world.settings_version = 4;
    tenants_limit(0, 0, DAY_MAX); /* none an hour */
    assert_int_equal(tenants_ask(&letter)->err, ERR_OK);
    assert_int_equal(tenants_record_of(0)->total->messages, 0);
    assert_int_equal(tenants_part_of(tenants_record_of(0), 1)->granted_messages,
                     SCOPE_UNLIMITED);
    tenants_world.settings_version = 5;
    tenants_limit(0, 30, DAY_MAX);
    assert_int_equal(tenants_ask(&letter)->err, ERR_OK);
    assert_int_equal(tenants_record_of(0)->limit, 2); /* what was boundless is nothing now */
    tenants_all_letters();
    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(tenants_write_until_refused(1 + i % GROUPS, 0, 1), ERR_OK);
    assert_int_equal(tenants_write_until_refused(1, 0, 1), ERR_GRANT);
    tenants_close();
}

/* When there is room is known to the group that has a part which is large enough. */
static void a_refusal_says_until_when(void **state)
{
    Pr__Outcome *outcome;
    uint64_t then;

    (void)state;
    tenants_open(7, 0);
    for (unsigned i = 0; i < HOUR_MAX / 5; i++)
        assert_int_equal(tenants_write_until_refused(1, 0, 5), ERR_OK);
    outcome = tenants_submit(1, 0, 3, lab_id(&tenants_world.lab));
    assert_int_equal(outcome->err, ERR_GRANT);
    then = outcome->share->free_ms;
    assert_true(then > tenants_world.now_ms && then <= tenants_world.now_ms + 65 * MINUTE_MS);
    assert_int_equal(
        tenants_submit(1, 0, HOUR_MAX + 1, lab_id(&tenants_world.lab))->share->free_ms, 0);
    tenants_world.now_ms = then - 1;
    assert_int_equal(tenants_submit(1, 0, 3, lab_id(&tenants_world.lab))->err, ERR_GRANT);
    tenants_world.now_ms = then;
    assert_int_equal(tenants_submit(1, 0, 3, lab_id(&tenants_world.lab))->err, ERR_OK);
    tenants_close();
}

/* With the tenant goes its limit, and what the groups have of it. */
static void a_tenant_that_is_gone_leaves_nothing(void **state)
{
    Pr__TenantRemove gone = PR__TENANT_REMOVE__INIT;
    struct letter letter;
    Pr__Outcome *outcome;

    (void)state;
    tenants_open(8, 0);
    assert_int_equal(tenants_write_until_refused(1, 1, 5), ERR_OK);
    assert_int_not_equal(tenants_row_of(1, 1)->granted_messages, 0);
    gone.name = arena_string(&tenants_world.lab.arena, bytes_of("beta"));
    assert_int_equal(tenants_apply(0, LAB_COMMAND(tenant_remove, TENANT_REMOVE, &gone))->err,
                     ERR_OK);
    assert_null(tenants_record_of(1));
    tenants_pass(2 * DAY_MS);
    letter = question(1);
    outcome = tenants_ask(&letter);
    assert_int_equal(outcome->err, ERR_OK);
    assert_true(outcome->share->version == SCOPE_ENDED);
    letter.kind = GRANT;
    letter.share = *outcome->share;
    tenants_letter_deliver(letter);
    assert_int_equal(tenants_row_of(1, 1)->limit, 0);
    assert_int_equal(tenants_row_of(1, 1)->used_bytes, 0);
    tenants_close();
}

/* What this format brings is, below it, what no release knows. */
static void below_the_format_there_is_no_such_scope(void **state)
{
    Pr__ScopeGrant grant = PR__SCOPE_GRANT__INIT;
    Pr__ScopeShare share = PR__SCOPE_SHARE__INIT;
    Pr__Outcome *outcome;

    (void)state;
    memset(&tenants_world, 0, sizeof(tenants_world));
    lab_open(&tenants_world.lab);
    tenants_world.now_ms = tenants_world.lab.now_ms;
    scope_lab_directory(&tenants_world.lab, FORMAT_SCOPES);
    scope_lab_format(&tenants_world.lab, 1, FORMAT_SCOPES);
    share.kind = OF_SENDING;
    share.scope_id = share.limit = share.version = 1;
    share.group = 1;
    grant.share = &share;
    outcome = tenants_apply(1, LAB_COMMAND(scope_grant, SCOPE_GRANT, &grant));
    assert_int_equal(outcome->err, ERR_INVALID);
    assert_string_equal(outcome->text, "a scope of kind 3");
    const struct letter letter = {.share = share, .need = 1, .want = 1};
    tenants_world.tenants[0].hour_max = tenants_world.tenants[0].day_max = 10;
    outcome = tenants_ask(&letter);
    assert_int_equal(outcome->err, ERR_INVALID);
    assert_string_equal(outcome->text, "no scope, or no limit on it");
    tenants_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_no_hour_and_no_day_more_than_the_limit),
        cmocka_unit_test(leaders_whose_clocks_differ_let_go_so_much_earlier),
        cmocka_unit_test(tenants_do_not_hold_each_other_up),
        cmocka_unit_test(settings_come_with_those_who_ask),
        cmocka_unit_test(a_refusal_says_until_when),
        cmocka_unit_test(a_tenant_that_is_gone_leaves_nothing),
        cmocka_unit_test(below_the_format_there_is_no_such_scope),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
