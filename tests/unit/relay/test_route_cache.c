/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long routes are kept, who asks, and who has to wait. */
#include <stdio.h>

#include "unit/relay/route_lab.h"

static void find(const char *domain)
{
    const struct route *route = lab_find(domain);

    route_release(&route);
}

/* After so many seconds the route is still kept, or asked for anew. */
static void expect_kept(const char *domain, unsigned kept_s)
{
    lab.clock_ms = 1000000;
    lab_routes_new();
    find(domain);
    unsigned asked = lab_asked(domain, DNS_MX);
    lab.clock_ms += kept_s * 1000 - 1;
    find(domain);
    if (lab_asked(domain, DNS_MX) != asked)
        fail_msg("%s is kept for less than %u s", domain, kept_s);
    lab.clock_ms += 1;
    find(domain);
    if (lab_asked(domain, DNS_MX) != asked + 1)
        fail_msg("%s is kept for more than %u s", domain, kept_s);
    lab.clock_ms = 0;
}

static void test_time_to_live(void **state)
{
    (void)state;
    lab_ttl(5);
    lab_row("brief.test", DNS_MX, PLAIN, "5 mx.brief.test");
    lab_row("mx.brief.test", DNS_A, PLAIN, "192.0.2.1");
    lab_row("brief0.test", DNS_MX, PLAIN, "0 .");
    lab_ttl(100000);
    lab_row("long.test", DNS_MX, PLAIN, "5 mx.long.test");
    lab_row("mx.long.test", DNS_A, PLAIN, "192.0.2.1");
    lab_row("mx.long.test", DNS_AAAA, PLAIN, "2001:db8::1");
    lab_row("long0.test", DNS_MX, PLAIN, "0 .");
    lab_row("mixed.test", DNS_MX, PLAIN, "5 mx.mixed.test");
    lab_row("mx.mixed.test", DNS_A, PLAIN, "192.0.2.1");
    lab_row("part.test", DNS_MX, PLAIN, "5 mx.part.test");
    lab_row("mx.part.test", DNS_A, PLAIN, "192.0.2.1");
    lab_none("mx.part.test", DNS_AAAA, PLAIN, DNS_SERVFAIL);
    lab_none("down.test", DNS_MX, PLAIN, DNS_SERVFAIL);
    lab_ttl(700);
    lab_row("mx.mixed.test", DNS_AAAA, PLAIN, "2001:db8::1");

    expect_kept("brief.test", ROUTE_GOOD_S_MIN);
    expect_kept("long.test", ROUTE_GOOD_S_MAX);
    expect_kept("mixed.test", 700);
    expect_kept("brief0.test", ROUTE_BAD_S_MIN);
    expect_kept("long0.test", ROUTE_BAD_S_MAX);
    expect_kept("part.test", ROUTE_BAD_S_MIN);
    expect_kept("down.test", ROUTE_BAD_S_MIN);
    lab_ttl(90);
    expect_kept("gone.test", 90);
}

static void test_the_least_used_goes(void **state)
{
    char name[32];

    (void)state;
    lab.config.entries_max = 3;
    lab_routes_new();
    for (unsigned i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "d%u.test", i);
        lab_row(name, DNS_A, PLAIN, "192.0.2.1");
    }
    find("d0.test");
    find("d1.test");
    find("d2.test");
    find("d0.test");
    find("d3.test"); /* d1 goes */
    find("d0.test");
    find("d2.test");
    assert_int_equal(lab_asked("d0.test", DNS_MX), 1);
    assert_int_equal(lab_asked("d2.test", DNS_MX), 1);
    find("d1.test");
    assert_int_equal(lab_asked("d1.test", DNS_MX), 2);
}

static void test_large_routes_do_not_fill_memory(void **state)
{
    char list[1024] = "", name[32];
    size_t used = 0;

    (void)state;
    /* 20 hosts, each with 16 KB of TLSA: 327 KB a domain, so 64 MB hold 204 of them. */
    for (unsigned i = 0; i < 20; i++) {
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s1 m%u.test",
                                 i > 0 ? "," : "", i);
        snprintf(name, sizeof(name), "m%u.test", i);
        lab_row(name, DNS_A, SIGNED, "192.0.2.1");
        snprintf(name, sizeof(name), "_25._tcp.m%u.test", i);
        lab_row(name, DNS_TLSA, SIGNED, "3 0 0 x8000,3 0 0 x8000");
    }
    for (unsigned i = 0; i < 230; i++) {
        snprintf(name, sizeof(name), "big%u.test", i);
        lab_row(name, DNS_MX, SIGNED, list);
        lab.asked = 0;
        find(name);
        lab_forget(name, DNS_MX);
    }
    lab.asked = 0;
    find("big229.test");
    assert_int_equal(lab.asked, 0);
    find("big60.test");
    assert_int_equal(lab.asked, 0);
    find("big0.test");
    assert_int_not_equal(lab.asked, 0);
}

static unsigned told;
static const struct route *seen[4];
static uint64_t to_cancel;

static void on_told(void *context, const struct route *route)
{
    unsigned number = *(const unsigned *)context;

    seen[number] = route;
    told++;
    if (to_cancel != 0)
        route_cancel(lab.routes, to_cancel);
}

static const unsigned numbers[] = {0, 1, 2, 3};

static uint64_t ask(const char *domain, unsigned number)
{
    return route_find(lab.routes, domain, on_told, (void *)(uintptr_t)&numbers[number]);
}

static bool all_told(void *context)
{
    return told >= *(const unsigned *)context;
}

static void start_over(void)
{
    told = 0;
    to_cancel = 0;
    memset(seen, 0, sizeof(seen));
}

static void test_equal_questions_are_asked_once(void **state)
{
    (void)state;
    start_over();
    lab_row("once.test", DNS_A, PLAIN, "192.0.2.1");
    ask("once.test", 0);
    ask("ONCE.test.", 1);
    uint64_t third = ask("once.test", 2);
    assert_int_equal(told, 0);
    route_cancel(lab.routes, third);
    run_until(lab.loop, all_told, (void *)(uintptr_t)&numbers[2]);
    assert_ptr_equal(seen[0], seen[1]);
    assert_null(seen[2]);
    assert_int_equal(lab_asked("once.test", DNS_MX), 1);
    /* What is known comes later, too. */
    ask("once.test", 3);
    assert_null(seen[3]);
    run_until(lab.loop, all_told, (void *)(uintptr_t)&numbers[3]);
    assert_ptr_equal(seen[3], seen[0]);
    route_cancel(lab.routes, third);
    route_cancel(lab.routes, 12345);
}

static void test_cancelled_while_others_are_told(void **state)
{
    (void)state;
    start_over();
    lab_row("once.test", DNS_A, PLAIN, "192.0.2.1");
    ask("once.test", 0);
    to_cancel = ask("once.test", 1);
    find("once.test");
    assert_int_equal(told, 1);
    assert_null(seen[1]);
}

static void test_nobody_waits_any_more(void **state)
{
    (void)state;
    start_over();
    lab_row("left.test", DNS_A, HELD, "192.0.2.1");
    uint64_t ticket = ask("left.test", 0);
    find("other.test");
    route_cancel(lab.routes, ticket);
    lab_let_go();
    find("left.test");
    assert_int_equal(lab_asked("left.test", DNS_MX), 1);
    assert_int_equal(told, 0);
}

static void test_freed_while_asking(void **state)
{
    (void)state;
    start_over();
    lab.config.queries_max = 2;
    lab_routes_new();
    lab_row("held.test", DNS_MX, HELD, "5 a.test");
    lab_row("held2.test", DNS_A, HELD, "192.0.2.1");
    lab_row("kept.test", DNS_A, PLAIN, "192.0.2.1");
    const struct route *route = lab_find("kept.test");
    ask("held.test", 0);
    ask("held2.test", 1);
    ask("held3.test", 2);
    ask("kept.test", 3);
    find("kept.test");
    routes_free(&lab.routes);
    routes_free(&lab.routes);
    assert_int_equal(lab.open, 0);
    assert_string_equal(lab_hosts(route), "kept.test 192.0.2.1");
    route_release(&route);
    route_release(&route);
}

static void test_only_so_many_questions_at_a_time(void **state)
{
    char list[2048] = "";
    size_t used = 0;

    (void)state;
    start_over();
    lab.config.queries_max = 7;
    lab_routes_new();
    for (unsigned i = 0; i < 20; i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s1 m%u.test",
                                 i > 0 ? "," : "", i);
    lab_row("m7.test", DNS_A, PLAIN, "192.0.2.1");
    lab_row("x.test", DNS_MX, PLAIN, list);
    lab_row("y.test", DNS_MX, PLAIN, list);
    ask("x.test", 0);
    ask("y.test", 1);
    run_until(lab.loop, all_told, (void *)(uintptr_t)&numbers[2]);
    assert_int_equal(seen[0]->kind, ROUTE_GOOD);
    assert_int_equal(lab.open_most, 7);
    assert_int_equal(lab.asked, 2 + 2 * 40);
}

static void test_an_end_to_waiting(void **state)
{
    (void)state;
    lab.lookup_ms = 20;
    lab_row("mute.test", DNS_MX, SILENT, "5 a.test");
    lab_expect("mute.test", ROUTE_TROUBLE, "4.4.3", "no answer in time");
    /* What is there by then counts. */
    lab_row("half.test", DNS_MX, SIGNED, "5 a.test,6 b.test");
    lab_row("a.test", DNS_A, SIGNED, "192.0.2.1");
    lab_row("a.test", DNS_AAAA, SILENT, "");
    lab_row("b.test", DNS_A, PLAIN, "192.0.2.2");
    const struct route *route = lab_find("half.test");
    assert_int_equal(route->kind, ROUTE_GOOD);
    /* Its keys could not be asked for any more. */
    assert_int_equal(route->hosts[0].tlsa, ROUTE_TLSA_TROUBLE);
    assert_int_equal(lab_asked("_25._tcp.a.test", DNS_TLSA), 0);
    route_release(&route);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_time_to_live, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_the_least_used_goes, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_large_routes_do_not_fill_memory, lab_setup,
                                        lab_teardown),
        cmocka_unit_test_setup_teardown(test_equal_questions_are_asked_once, lab_setup,
                                        lab_teardown),
        cmocka_unit_test_setup_teardown(test_cancelled_while_others_are_told, lab_setup,
                                        lab_teardown),
        cmocka_unit_test_setup_teardown(test_nobody_waits_any_more, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_freed_while_asking, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_only_so_many_questions_at_a_time, lab_setup,
                                        lab_teardown),
        cmocka_unit_test_setup_teardown(test_an_end_to_waiting, lab_setup, lab_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
