/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/relay/retry.h"

static const uint64_t second = 1000;
static const uint64_t minute = 60 * UINT64_C(1000);
static const uint64_t hour = 3600 * UINT64_C(1000);
static const uint64_t day = 24 * 3600 * UINT64_C(1000);
static const uint64_t t0 = UINT64_C(1795348800000);

static void test_table(void **state)
{
    static const uint64_t want_minutes[] = {2, 5, 10, 20, 40, 60, 120, 240, 240, 240};
    struct retry_config exact = retry_defaults;

    (void)state;
    exact.jitter_percent = 0;
    for (unsigned i = 0; i < sizeof(want_minutes) / sizeof(want_minutes[0]); i++)
        assert_int_equal(retry_after_ms(&exact, i + 1, 12345), want_minutes[i] * minute);
    assert_int_equal(retry_after_ms(&exact, UINT32_MAX, 1), 4 * hour);
    assert_int_equal(retry_after_ms(&exact, 0, 1), 2 * minute);
}

static void test_jitter(void **state)
{
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;

    (void)state;
    for (uint64_t random = 0; random < 100000; random += 7) {
        uint64_t after = retry_after_ms(&retry_defaults, 1, random);
        least = after < least ? after : least;
        most = after > most ? after : most;
    }
    assert_int_equal(least, 96 * second);
    assert_in_range(most, 144 * second - 10, 144 * second);
    assert_in_range(retry_after_ms(&retry_defaults, 20, UINT64_MAX), 4 * hour * 8 / 10,
                    4 * hour * 12 / 10);
}

static void test_config(void **state)
{
    struct retry_config config = retry_defaults;

    (void)state;
    assert_null(retry_config_fault(&config));
    config.step_count = 0;
    assert_non_null(retry_config_fault(&config));
    config.step_count = RETRY_STEPS_MAX + 1;
    assert_non_null(retry_config_fault(&config));
    config = retry_defaults;
    config.steps_ms[3] = 0;
    assert_non_null(retry_config_fault(&config));
    config.steps_ms[3] = UINT64_MAX;
    assert_non_null(retry_config_fault(&config));
    config = retry_defaults;
    config.jitter_percent = 51;
    assert_non_null(retry_config_fault(&config));
    config = retry_defaults;
    config.expire_null_ms = 0;
    assert_non_null(retry_config_fault(&config));
    config = retry_defaults;
    config.delays_ms[1] = config.delays_ms[0];
    assert_non_null(retry_config_fault(&config));
    config = retry_defaults;
    config.hint_least_ms = config.hint_most_ms + 1;
    assert_non_null(retry_config_fault(&config));
}

static void test_expiry(void **state)
{
    const struct retry_config *config = &retry_defaults;

    (void)state;
    assert_false(retry_expired(config, t0, false, t0 + 5 * day - 1));
    assert_true(retry_expired(config, t0, false, t0 + 5 * day));
    assert_false(retry_expired(config, t0, true, t0 + 2 * day - 1));
    assert_true(retry_expired(config, t0, true, t0 + 2 * day));
    assert_int_equal(retry_expires_ms(config, t0, false), t0 + 5 * day);
    assert_int_equal(retry_expires_ms(config, UINT64_MAX - 1, false), UINT64_MAX);
    /* A clock that went back is no reason to give up. */
    assert_false(retry_expired(config, t0, false, 0));
    /* FUTURERELEASE: the time before the release does not count. */
    assert_int_equal(retry_begin_ms(t0, 0), t0);
    assert_int_equal(retry_begin_ms(t0, t0 - hour), t0);
    assert_int_equal(retry_begin_ms(t0, t0 + 30 * day), t0 + 30 * day);
}

static void test_delay(void **state)
{
    const struct retry_config *config = &retry_defaults;

    (void)state;
    assert_false(retry_delay_due(config, t0, 0, 0, t0 + 4 * hour - 1));
    assert_true(retry_delay_due(config, t0, 0, 0, t0 + 4 * hour));
    assert_false(retry_delay_due(config, t0, 0, 1, t0 + 4 * hour));
    assert_false(retry_delay_due(config, t0, 0, 1, t0 + 24 * hour - 1));
    assert_true(retry_delay_due(config, t0, 0, 1, t0 + 24 * hour));
    assert_false(retry_delay_due(config, t0, 0, 2, t0 + 100 * day));
    /* BY with mode N is told of once, whichever time comes first. */
    assert_false(retry_delay_due(config, t0, t0 + minute, 0, t0 + minute - 1));
    assert_true(retry_delay_due(config, t0, t0 + minute, 0, t0 + minute));
    assert_false(retry_delay_due(config, t0, t0 + minute, 1, t0 + 4 * hour - 1));
    assert_true(retry_delay_due(config, t0, t0 + minute, 1, t0 + 4 * hour));
    assert_true(retry_delay_due(config, t0, t0 + 5 * hour, 1, t0 + 5 * hour));
    assert_false(retry_delay_due(config, t0, t0 + 5 * hour, 3, t0 + 90 * hour));
}

static void expect_hop(enum retry_by_mode mode, int64_t left_ms, bool offered, uint32_t least_s,
                       enum retry_by_verdict verdict, int32_t seconds)
{
    struct retry_by by = {mode, (uint64_t)((int64_t)t0 + left_ms)};
    struct retry_by_hop hop = retry_by_hop(by, offered, least_s, t0);

    assert_int_equal(hop.verdict, verdict);
    assert_int_equal(hop.seconds, seconds);
}

static void test_by_hop(void **state)
{
    (void)state;
    expect_hop(RETRY_BY_NONE, 5000, true, 0, RETRY_BY_UNSAID, 0);
    expect_hop(RETRY_BY_NONE, 5000, false, 0, RETRY_BY_UNSAID, 0);
    expect_hop(RETRY_BY_RETURN, 120000, true, 0, RETRY_BY_SAY, 120);
    expect_hop(RETRY_BY_RETURN, 119999, true, 119, RETRY_BY_SAY, 119);
    expect_hop(RETRY_BY_RETURN, 119999, true, 120, RETRY_BY_REFUSED, 0);
    expect_hop(RETRY_BY_RETURN, 119999, true, UINT32_MAX, RETRY_BY_REFUSED, 0);
    expect_hop(RETRY_BY_RETURN, 120000, false, 0, RETRY_BY_REFUSED, 0);
    expect_hop(RETRY_BY_RETURN, 999, true, 0, RETRY_BY_REFUSED, 0);
    expect_hop(RETRY_BY_RETURN, -1, true, 0, RETRY_BY_REFUSED, 0);
    /* min-by-time is about mode R alone (RFC 2852 section 3). */
    expect_hop(RETRY_BY_NOTIFY, 60000, true, 300, RETRY_BY_SAY, 60);
    expect_hop(RETRY_BY_NOTIFY, 0, true, 0, RETRY_BY_SAY, 0);
    expect_hop(RETRY_BY_NOTIFY, -1, true, 0, RETRY_BY_SAY, -1);
    expect_hop(RETRY_BY_NOTIFY, -60000, true, 0, RETRY_BY_SAY, -60);
    expect_hop(RETRY_BY_NOTIFY, 60000, false, 0, RETRY_BY_RELAYED, 0);
    expect_hop(RETRY_BY_NOTIFY, INT64_C(2000000000) * 1000, true, 0, RETRY_BY_SAY, 999999999);
    expect_hop(RETRY_BY_NOTIFY, -INT64_C(1700000000) * 1000, true, 0, RETRY_BY_SAY, -999999999);
}

static void test_by_over(void **state)
{
    (void)state;
    assert_false(retry_by_over((struct retry_by){RETRY_BY_NONE, 0}, t0));
    assert_false(retry_by_over((struct retry_by){RETRY_BY_NOTIFY, t0 - day}, t0));
    assert_false(retry_by_over((struct retry_by){RETRY_BY_RETURN, t0 + 1000}, t0));
    assert_true(retry_by_over((struct retry_by){RETRY_BY_RETURN, t0 + 999}, t0));
    assert_true(retry_by_over((struct retry_by){RETRY_BY_RETURN, t0 - day}, t0));
    assert_true(retry_by_over((struct retry_by){RETRY_BY_RETURN, t0}, UINT64_MAX));
}

static void test_hints(void **state)
{
    static const struct {
        const char *text;
        uint64_t want_s; /* without jitter; 0: none */
    } cases[] = {
        {"4.2.0 Greylisted, please try again in 300 seconds", 300},
        {"4.7.1 <a@b>: Recipient address rejected: Greylisted for 7 minutes", 420},
        {"4.7.1 Greylisting in action, please come back later", 300},
        {"4.7.1 graylisted - please try again", 300},
        {"you have been grey listed", 300},
        {"Gray-listing active", 300},
        {"Please try again in 10 min", 600},
        {"please retry in 600s", 600},
        {"4.7.0 Try again after at least 12 minutes.", 720},
        {"Temporarily deferred, come back in 00:06:30", 390},
        {"greylisted, wait 06:30 and try again", 390},
        {"Try again in 5 seconds", 300},        /* never under the least */
        {"Try again in 24 hours", 900},         /* nor over the most */
        {"Try again in 999999 h", 900},         /*  */
        {"Try again in 4000000000 seconds", 0}, /* no number that anybody means */
        {"come back in 400 seconds or in 800 seconds", 400},
        {"4.7.1 Try again later", 0},
        {"4.2.2 mailbox full, quota 300 MB for 600 messages, try again", 0},
        {"4.7.0 10 messages per 60 seconds are allowed, try again", 0},
        {"connection refused for 192.0.2.15 min, try again", 0},
        {"rate limit: 300 seconds", 0},
        {"4.3.0 in 300 seconds", 0},
        {"evergrey listing", 0},
        {"see http://grey.example/list", 0},
        {"", 0},
    };
    struct retry_config exact = retry_defaults;

    (void)state;
    exact.jitter_percent = 0;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t hint = retry_hint_ms(&exact, 450, bytes_of(cases[i].text), 99);
        if (hint != cases[i].want_s * second)
            fail_msg("\"%s\": %llu ms", cases[i].text, (unsigned long long)hint);
    }
    /* A refusal for good, or none at all, asks for nothing. */
    assert_int_equal(retry_hint_ms(&exact, 550, bytes_of(cases[0].text), 0), 0);
    assert_int_equal(retry_hint_ms(&exact, 0, bytes_of(cases[0].text), 0), 0);
    assert_int_equal(retry_hint_ms(&exact, 399, bytes_of(cases[0].text), 0), 0);
    assert_int_equal(retry_hint_ms(&exact, 499, bytes_of(cases[0].text), 0), 300 * second);
}

/* Later by some of it, never earlier, and still within the bounds. */
static void test_hint_jitter(void **state)
{
    struct bytes text = BYTES("try again in 400 seconds");

    (void)state;
    for (uint64_t random = 0; random < 200000; random += 97)
        assert_in_range(retry_hint_ms(&retry_defaults, 451, text, random), 400 * second,
                        480 * second);
    assert_int_equal(retry_hint_ms(&retry_defaults, 451,
                                   BYTES("try again in 14 minutes 59 seconds"),
                                   UINT64_MAX / 2) <= 15 * minute,
                     1);
}

/* Only the start is read, each byte once. */
static void test_hint_size(void **state)
{
    static uint8_t text[8 * RETRY_HINT_SIZE_MAX];
    static const char words[] = " greylisted";

    (void)state;
    memset(text, '1', sizeof(text));
    assert_int_equal(retry_hint_ms(&retry_defaults, 450, bytes_from(text, sizeof(text)), 0), 0);
    memset(text, ' ', sizeof(text));
    memcpy(text + RETRY_HINT_SIZE_MAX, words, sizeof(words));
    assert_int_equal(retry_hint_ms(&retry_defaults, 450, bytes_from(text, sizeof(text)), 0), 0);
    memcpy(text + RETRY_HINT_SIZE_MAX - sizeof(words), words, sizeof(words) - 1);
    assert_int_equal(retry_hint_ms(&retry_defaults, 450, bytes_from(text, sizeof(text)), 0),
                     5 * minute);
}

static struct retry_plan plan_at(struct retry_facts facts, uint64_t age_ms)
{
    struct retry_config exact = retry_defaults;

    exact.jitter_percent = 0;
    facts.begin_ms = t0;
    return retry_plan(&exact, &facts, t0 + age_ms, 1);
}

static void test_plan(void **state)
{
    struct retry_facts facts = {.attempts = 1};

    (void)state;
    assert_int_equal(plan_at(facts, 0).verdict, RETRY_AGAIN);
    assert_int_equal(plan_at(facts, 0).after_ms, 2 * minute);
    assert_false(plan_at(facts, 0).delay_due);
    assert_true(plan_at(facts, 4 * hour).delay_due);
    facts.delays_told = 1;
    assert_false(plan_at(facts, 4 * hour).delay_due);
    /* The last attempt is made when the time is over, not hours before. */
    facts.attempts = 30;
    assert_int_equal(plan_at(facts, 5 * day - hour).after_ms, hour);
    assert_int_equal(plan_at(facts, 5 * day - 1).after_ms, 1);
    assert_int_equal(plan_at(facts, 5 * day).verdict, RETRY_EXPIRED);
    assert_false(plan_at(facts, 5 * day).delay_due);
    facts.null_sender = true;
    assert_int_equal(plan_at(facts, 2 * day - hour).verdict, RETRY_AGAIN);
    assert_int_equal(plan_at(facts, 2 * day).verdict, RETRY_EXPIRED);
}

static void test_plan_hint(void **state)
{
    struct retry_facts facts = {
        .attempts = 1, .code = 450, .reply = BYTES("greylisted, try again in 6 minutes")};

    (void)state;
    assert_int_equal(plan_at(facts, 0).after_ms, 6 * minute);
    facts.attempts = 4;
    assert_int_equal(plan_at(facts, 0).after_ms, 6 * minute);
    /* Who says so for ever is tried as seldom as anybody. */
    facts.attempts = 5;
    assert_int_equal(plan_at(facts, 0).after_ms, 40 * minute);
}

static void test_plan_by(void **state)
{
    struct retry_facts facts = {.attempts = 5};

    (void)state;
    facts.by = (struct retry_by){RETRY_BY_RETURN, t0 + 30 * minute};
    assert_int_equal(plan_at(facts, 10 * minute).verdict, RETRY_AGAIN);
    assert_int_equal(plan_at(facts, 10 * minute).after_ms, 20 * minute);
    assert_int_equal(plan_at(facts, 30 * minute).verdict, RETRY_BY_FAILED);
    assert_int_equal(plan_at(facts, 6 * day).verdict, RETRY_BY_FAILED);
    facts.by = (struct retry_by){RETRY_BY_NOTIFY, t0 + 30 * minute};
    assert_int_equal(plan_at(facts, 10 * minute).after_ms, 20 * minute);
    assert_false(plan_at(facts, 10 * minute).delay_due);
    assert_true(plan_at(facts, 30 * minute).delay_due);
    assert_int_equal(plan_at(facts, 30 * minute).after_ms, 40 * minute);
    facts.delays_told = 1;
    assert_false(plan_at(facts, 70 * minute).delay_due);
    assert_int_equal(plan_at(facts, 5 * day).verdict, RETRY_EXPIRED);
}

/* A whole life: 5 days of refusals. */
static void test_life(void **state)
{
    struct retry_facts facts = {.begin_ms = t0};
    unsigned notices = 0;
    uint64_t now = t0;
    struct retry_plan plan;

    (void)state;
    for (;;) {
        facts.attempts++;
        plan = retry_plan(&retry_defaults, &facts, now, now * 2654435761U);
        if (plan.verdict != RETRY_AGAIN)
            break;
        notices += plan.delay_due;
        facts.delays_told += plan.delay_due;
        assert_true(plan.after_ms > 0);
        now += plan.after_ms;
    }
    assert_int_equal(plan.verdict, RETRY_EXPIRED);
    assert_int_equal(now, t0 + 5 * day);
    assert_int_equal(notices, 2);
    assert_in_range(facts.attempts, 32, 44);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),       cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_config),      cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_delay),       cmocka_unit_test(test_by_hop),
        cmocka_unit_test(test_by_over),     cmocka_unit_test(test_hints),
        cmocka_unit_test(test_hint_jitter), cmocka_unit_test(test_hint_size),
        cmocka_unit_test(test_plan),        cmocka_unit_test(test_plan_hint),
        cmocka_unit_test(test_plan_by),     cmocka_unit_test(test_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
