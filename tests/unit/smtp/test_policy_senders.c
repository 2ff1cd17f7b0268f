/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Senders' domains: who is checked, and what comes of it. */
#include "unit/smtp/policy_world.h"

static bool is_judged(void *context)
{
    (void)context;
    return lab_store.domain_count > 0 && lab_store.domains[0].verdict != 0;
}

static bool second_is_judged(void *context)
{
    (void)context;
    return lab_store.domain_count > 1 && lab_store.domains[1].verdict != 0;
}

static void test_new_domains(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    lab_set(0, 0, "judge.helo.enabled", "off");
    lab_set(0, 0, "newdomain.exempt", "known.example");
    connect_from(world, "198.51.100.7");
    assert_int_equal(verdict(world, "a@sub.known.example"), 250);
    assert_int_equal(verdict(world, ""), 250);
    assert_int_equal(lab_store.domain_asks, 0);
    assert_int_equal(verdict(world, "a@sub.good.example"), 450);
    assert_non_null(strstr(world->text, "4.7.1 New sending domain, being checked, try again "
                                        "in 10 minutes"));
    run_until(world->loop, is_judged, world);
    assert_string_equal(lab_store.domains[0].name, "good.example");
    assert_string_equal(lab_store.domains[0].reason, "");
    assert_int_equal(lab_store.domains[0].verdict, 1);
    assert_int_equal(verdict(world, "a@good.example"), 250);
    unsigned asks = lab_store.domain_asks;
    assert_int_equal(verdict(world, "b@other.good.example"), 250);
    assert_int_equal(lab_store.domain_asks, asks); /* it is remembered here */

    assert_int_equal(verdict(world, "a@lonely.example"), 450);
    run_until(world->loop, second_is_judged, world);
    assert_string_equal(lab_store.domains[1].reason, "domain has neither MX nor address");
    assert_int_equal(verdict(world, "a@broken.example"), 450);
    assert_int_equal(lab_store.domains[2].verdict, 0);
    lab_store.domains[2].first_ms -= 31 * 60 * 1000;
    assert_int_equal(verdict(world, "a@broken.example"), 250);
    assert_int_equal(lab_store.domains[2].verdict, 0);
    close_world(world);
}

/* More than the day's share are not put off. */
static void test_new_domains_of_a_day(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    lab_set(0, 0, "judge.helo.enabled", "off");
    lab_set(0, 0, "newdomain.day", "1");
    connect_from(world, "198.51.100.7");
    assert_int_equal(verdict(world, "a@one.example"), 450);
    assert_int_equal(verdict(world, "a@two.example"), 250);
    assert_int_equal(verdict(world, "a@one.example"), 450);
    assert_int_equal(lab_store.domain_count, 1);
    close_world(world);
}

static void test_suspects(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    lab_set(0, 0, "judge.helo.enabled", "off");
    lab_set(0, 0, "newdomain.suspect_hour", "2");
    connect_from(world, "198.51.100.7");
    for (unsigned i = 0; i < 3; i++) {
        static const char *const names[] = {"bad.example", "null.example", "odd.example"};
        snprintf(lab_store.domains[i].name, sizeof(lab_store.domains[i].name), "%s", names[i]);
        lab_store.domains[i].verdict = i == 0 ? 3 : 2;
        snprintf(lab_store.domains[i].reason, sizeof(lab_store.domains[i].reason), "%s",
                 i == 1 ? SENDER_NULL_MX : "words");
    }
    lab_store.domain_count = 3;
    assert_int_equal(verdict(world, "a@bad.example"), 550);
    assert_non_null(strstr(world->text, "5.7.1 Sender's domain is refused: words"));
    assert_int_equal(verdict(world, "a@null.example"), 550);
    assert_non_null(strstr(world->text, "5.7.27 "));
    assert_int_equal(verdict(world, "a@sub.null.example"), 450); /* may have an MX: suspect */
    assert_non_null(strstr(world->text, "Greylisted"));
    assert_int_equal(verdict(world, "a@odd.example"), 450);
    assert_int_equal(verdict(world, "a@odd.example"), 250);
    assert_int_equal(verdict(world, "a@odd.example"), 450);
    assert_non_null(strstr(world->text, "in an hour"));
    close_world(world);
}

static void test_sender_judge(void **state)
{
    const struct sender_found good = {
        .soa = SENDER_PRESENT,
        .ns = SENDER_PRESENT,
        .mx = SENDER_PRESENT,
        .mx_address = SENDER_PRESENT,
        .spf = SENDER_PRESENT,
        .dmarc = SENDER_ABSENT,
    };
    struct sender_found found = good;
    const char *reason;

    (void)state;
    assert_int_equal(sender_judge(&good, &reason), SENDER_VERDICT_GOOD);
    found.spf = SENDER_ABSENT;
    assert_int_equal(sender_judge(&found, &reason), SENDER_VERDICT_SUSPECT);
    found.spf = SENDER_NOT_KNOWN;
    assert_int_equal(sender_judge(&found, &reason), SENDER_VERDICT_NONE);
    found = good;
    found.mx_address = SENDER_ABSENT;
    assert_int_equal(sender_judge(&found, &reason), SENDER_VERDICT_SUSPECT);
    found = good;
    found.null_mx = true;
    assert_int_equal(sender_judge(&found, &reason), SENDER_VERDICT_SUSPECT);
    assert_string_equal(reason, SENDER_NULL_MX);
    found = (struct sender_found){.soa = SENDER_ABSENT, .ns = SENDER_ABSENT};
    assert_int_equal(sender_judge(&found, &reason), SENDER_VERDICT_BAD);
    found.ns = SENDER_NOT_KNOWN;
    assert_int_equal(sender_judge(&found, &reason), SENDER_VERDICT_NONE);
    found = (struct sender_found){
        .soa = SENDER_PRESENT, .mx = SENDER_ABSENT, .address = SENDER_ABSENT};
    assert_int_equal(sender_judge(&found, &reason), SENDER_VERDICT_SUSPECT);
    found = (struct sender_found){0};
    assert_int_equal(sender_judge(&found, &reason), SENDER_VERDICT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_new_domains),
        WORLD_TEST(test_suspects),
        WORLD_TEST(test_new_domains_of_a_day),
        cmocka_unit_test(test_sender_judge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
