/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of the answers of DNS about a domain. */
#include "unit/relay/route_lab.h"

#include <stdio.h>

static void expect_hosts(const char *domain, const char *hosts, const char *provider)
{
    const struct route *route = lab_find(domain);

    assert_int_equal(route->kind, ROUTE_GOOD);
    assert_string_equal(lab_hosts(route), hosts);
    assert_string_equal(route->provider, provider);
    route_release(&route);
}

static void test_hosts_come_by_preference(void **state)
{
    (void)state;
    lab_row("good.test", DNS_MX, PLAIN, "20 mx2.test,10 mx1.test,30 mx2.test");
    lab_row("mx1.test", DNS_A, PLAIN, "192.0.2.1,192.0.2.2");
    lab_row("mx1.test", DNS_AAAA, PLAIN, "2001:db8::1");
    lab_row("mx2.test", DNS_A, PLAIN, "192.0.2.3");
    const struct route *route = lab_find("GOOD.test.");

    assert_int_equal(route->kind, ROUTE_GOOD);
    assert_string_equal(route->domain, "good.test");
    assert_string_equal(route->text, "");
    assert_string_equal(route->status, "");
    assert_int_equal(route->code, 0);
    assert_false(route->permanent);
    assert_int_equal(route->host_count, 2);
    assert_int_equal(route->hosts[0].preference, 10);
    assert_int_equal(route->hosts[1].preference, 20);
    assert_int_equal(route->hosts[0].port, 25);
    assert_int_equal(route->hosts[0].address_count, 3);
    assert_string_equal(route->hosts[1].name, "mx2.test");
    assert_string_equal(route->hosts[1].expanded, "mx2.test");
    assert_string_equal(route->provider, "mx#.test");
    assert_false(route->fixed);
    route_release(&route);
    assert_null(route);
}

static void test_the_domain_is_its_own_host_only_without_mx(void **state)
{
    (void)state;
    lab_row("plain7.test", DNS_A, PLAIN, "192.0.2.1");
    expect_hosts("plain7.test", "plain7.test 192.0.2.1", "plain#.test");

    lab_row("trouble.test", DNS_A, PLAIN, "192.0.2.1");
    lab_none("trouble.test", DNS_MX, PLAIN, DNS_SERVFAIL);
    lab_expect("trouble.test", ROUTE_TROUBLE, "4.4.3", "servfail");
    lab_none("slow.test", DNS_MX, PLAIN, DNS_TIMEOUT);
    lab_expect("slow.test", ROUTE_TROUBLE, "4.4.3", "timeout");
    lab_none("forged.test", DNS_MX, PLAIN, DNS_BOGUS);
    lab_expect("forged.test", ROUTE_BOGUS, "4.4.3", "DNSSEC");
    assert_int_equal(lab_asked("trouble.test", DNS_A), 0);
    assert_int_equal(lab_asked("forged.test", DNS_A), 0);
}

static void test_refusals(void **state)
{
    char name[400];

    (void)state;
    lab_row("null.test", DNS_MX, PLAIN, "0 .");
    lab_row("null.test", DNS_A, PLAIN, "192.0.2.1");
    const struct route *route = lab_find("null.test");
    assert_int_equal(route->code, 556);
    route_release(&route);
    lab_expect("null.test", ROUTE_NULL_MX, "5.1.10", "null MX");
    assert_int_equal(lab_asked("null.test", DNS_A), 0);

    lab_expect("nowhere.test", ROUTE_NO_DOMAIN, "5.1.2", "does not exist");
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    lab_expect(name, ROUTE_NO_DOMAIN, "5.1.2", "does not exist");

    lab_row("text.test", DNS_TXT, PLAIN, "");
    lab_expect("text.test", ROUTE_NO_ADDRESS, "5.4.4", "neither MX hosts nor an address");
    lab_row("empty.test", DNS_MX, PLAIN, "10 gone.test,20 text.test");
    lab_expect("empty.test", ROUTE_NO_ADDRESS, "5.4.4", "gone.test has no address");
}

static void test_names_that_are_none(void **state)
{
    (void)state;
    lab_row("mx1.test", DNS_A, PLAIN, "192.0.2.1");
    lab_row("odd.test", DNS_MX, PLAIN,
            "5 192.0.2.7,6 a\\032b.test,7 .,8 -x.test,9 x.123,10 mx1.test,10 a..b");
    const struct route *route = lab_find("odd.test");
    assert_string_equal(lab_hosts(route), "mx1.test 192.0.2.1");
    assert_non_null(strstr(route->text, "MX \"192.0.2.7\" is no host name"));
    assert_string_equal(route->provider, "mx#.test");
    route_release(&route);
    assert_int_equal(lab_asked("192.0.2.7", DNS_A), 0);

    lab_row("none.test", DNS_MX, PLAIN, "5 192.0.2.7");
    lab_expect("none.test", ROUTE_NO_ADDRESS, "5.4.4", "192.0.2.7");
    /* Underscores are in use. */
    lab_row("some_mx.test", DNS_A, PLAIN, "192.0.2.1");
    lab_row("under.test", DNS_MX, PLAIN, "5 some_mx.test");
    expect_hosts("under.test", "some_mx.test 192.0.2.1", "some_mx.test");
}

static void test_aliases_of_hosts(void **state)
{
    (void)state;
    lab_row("alias.test", DNS_MX, PLAIN, "5 mx.alias.test");
    lab_alias("mx.alias.test", "real.test");
    lab_row("real.test", DNS_A, PLAIN, "192.0.2.1");
    const struct route *route = lab_find("alias.test");
    assert_string_equal(lab_hosts(route), "mx.alias.test 192.0.2.1");
    assert_string_equal(route->hosts[0].expanded, "real.test");
    route_release(&route);

    lab_alias("www.test", "good.test");
    lab_row("good.test", DNS_MX, PLAIN, "5 real.test");
    route = lab_find("www.test");
    assert_string_equal(route->target, "good.test");
    assert_string_equal(lab_hosts(route), "real.test 192.0.2.1");
    route_release(&route);
}

static void test_trouble_with_a_part(void **state)
{
    (void)state;
    lab_row("half.test", DNS_MX, PLAIN, "5 half1.test");
    lab_row("half1.test", DNS_A, PLAIN, "192.0.2.1");
    lab_none("half1.test", DNS_AAAA, PLAIN, DNS_SERVFAIL);
    expect_hosts("half.test", "half1.test 192.0.2.1", "half#.test");

    /* A family without addresses beside one in trouble is no absence. */
    lab_row("dark.test", DNS_MX, PLAIN, "5 dark1.test,6 gone.test");
    lab_none("dark1.test", DNS_A, PLAIN, DNS_TIMEOUT);
    lab_none("dark1.test", DNS_AAAA, PLAIN, DNS_NODATA);
    lab_expect("dark.test", ROUTE_TROUBLE, "4.4.3",
               "addresses of dark1.test could not be looked up (timeout)");
    lab_row("fake.test", DNS_MX, PLAIN, "5 fake1.test");
    lab_none("fake1.test", DNS_A, PLAIN, DNS_BOGUS);
    lab_none("fake1.test", DNS_AAAA, PLAIN, DNS_BOGUS);
    lab_expect("fake.test", ROUTE_BOGUS, "4.4.3", "fake1.test");

    /* A worse host is better than none. */
    lab_row("both.test", DNS_MX, PLAIN, "5 dark1.test,10 half1.test");
    expect_hosts("both.test", "dark1.test, half1.test 192.0.2.1", "dark#.test");
    lab_expect("both.test", ROUTE_GOOD, "", "dark1.test");
}

static void test_literals(void **state)
{
    (void)state;
    expect_hosts("[192.0.2.1]", "192.0.2.1 192.0.2.1", "[192.0.2.1]");
    expect_hosts("[IPV6:2001:DB8::1]", "2001:db8::1 2001:db8::1", "[2001:db8::1]");
    const struct route *route = lab_find("[192.0.2.1]");
    assert_true(route->hosts[0].literal);
    assert_int_equal(route->hosts[0].tlsa, ROUTE_TLSA_INSECURE);
    route_release(&route);
    lab_expect("[10.1.2.3]", ROUTE_FORBIDDEN, "5.4.4", "10.1.2.3 (private)");
    lab_expect("[IPv6:::ffff:10.1.2.3]", ROUTE_FORBIDDEN, "5.4.4", "private");
    lab_expect("[192.0.2.99]", ROUTE_LOOP, "5.4.6", "this host");
    static const char *const wrong[] = {
        "[192.0.2.1",   "[]", "[2001:db8::1]", "[IPv6:192.0.2.1]", "[192.0.2.256]",
        "[x400:quark]", "[",  "[IPv6:]",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        lab_expect(wrong[i], ROUTE_NO_DOMAIN, "5.1.2", "brackets");
    assert_int_equal(lab.asked, 0);
}

static void test_a_hundred_hosts(void **state)
{
    char list[8192], name[32], address[32], first[64] = "";
    size_t used = 0;
    bool differs = false;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s10 h%u.test",
                                 i > 0 ? "," : "", i);
        snprintf(name, sizeof(name), "h%u.test", i);
        snprintf(address, sizeof(address), "198.51.100.%u", i);
        lab_row(name, DNS_A, PLAIN, address);
    }
    lab_row("many.test", DNS_MX, PLAIN, list);
    for (unsigned turn = 0; turn < 4; turn++) {
        lab.asked = 0;
        lab_routes_new();
        lab.config.seed++;
        const struct route *route = lab_find("many.test");
        assert_int_equal(route->kind, ROUTE_GOOD);
        assert_int_equal(route->host_count, ROUTE_HOSTS_MAX);
        assert_int_equal(lab.asked, 1 + 2 * ROUTE_HOSTS_MAX);
        assert_non_null(strstr(route->text, "80 more MX hosts"));
        assert_string_equal(route->provider, "h#.test");
        differs = differs || (turn > 0 && strcmp(first, route->hosts[0].name) != 0);
        snprintf(first, sizeof(first), "%s", route->hosts[0].name);
        route_release(&route);
    }
    assert_true(differs);
}

/* However much there is to tell, it is one short line. */
static void test_long_words(void **state)
{
    char list[2048] = "", label[64];
    size_t used = 0;

    (void)state;
    memset(label, 'a', sizeof(label) - 1);
    label[sizeof(label) - 1] = '\0';
    for (unsigned i = 0; i < 8; i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s1 x%u.%s.%s.%s",
                                 i > 0 ? "," : "", i, label, label, label);
    lab_row("wordy.test", DNS_MX, PLAIN, list);
    lab_expect("wordy.test", ROUTE_NO_ADDRESS, "5.4.4", "x0.aaaa");
}

/* Where hosts are equal, all domains that have them name them in the same order. */
static void test_equal_hosts_in_one_order(void **state)
{
    (void)state;
    lab_row("c.test", DNS_A, PLAIN, "192.0.2.3");
    lab_row("e1.test", DNS_MX, PLAIN, "1 c.test,1 a.test,1 b.test,0 d.test");
    lab_row("e2.test", DNS_MX, PLAIN, "1 b.test,1 c.test,0 d.test,1 a.test");
    expect_hosts("e1.test", "d.test, a.test, b.test, c.test 192.0.2.3", "d.test");
    expect_hosts("e2.test", "d.test, a.test, b.test, c.test 192.0.2.3", "d.test");
}

static void test_many_addresses_of_a_host(void **state)
{
    char list[2048] = "", list_v6[4096] = "";
    size_t used = 0, used_v6 = 0;

    (void)state;
    for (unsigned i = 1; i <= 60; i++) {
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s192.0.2.%u",
                                 i > 1 ? "," : "", i);
        used_v6 += (size_t)snprintf(list_v6 + used_v6, sizeof(list_v6) - used_v6,
                                    "%s2001:db8::%x", i > 1 ? "," : "", i);
    }
    lab_row("wide.test", DNS_A, PLAIN, list);
    lab_row("wide.test", DNS_AAAA, PLAIN, list_v6);
    const struct route *route = lab_find("wide.test");
    unsigned v4 = 0;
    assert_int_equal(route->hosts[0].address_count, ROUTE_HOST_ADDRESSES_MAX);
    for (unsigned i = 0; i < route->hosts[0].address_count; i++)
        v4 += address_is_v4(&route->hosts[0].addresses[i]);
    assert_int_equal(v4, ROUTE_HOST_ADDRESSES_MAX / 2);
    route_release(&route);
}

static void test_rules(void **state)
{
    static const struct route_rule rules[] = {
        {"*", "smart.test", 587, false},           {".corp.test", "[10.0.0.1]", 2525, false},
        {"Deep.corp.test", "hub.test", 0, true},   {"free.test", "", 0, false},
        {".sub.corp.test", "lost.test", 0, false}, {"broken.test", "[10.0.0]", 0, false},
        {"x.late.test", "[10.0.0.8]", 0, false},   {"x.late.test", "[10.0.0.9]", 0, false},
        {".late.test", "[10.0.0.7]", 0, false},    {"*", "[10.0.0.6]", 0, false},
    };

    (void)state;
    lab.config.rules = rules;
    lab.config.rule_count = sizeof(rules) / sizeof(*rules);
    lab.config.port = 2025;
    lab_routes_new();
    lab_row("smart.test", DNS_A, PLAIN, "127.0.0.1,192.0.2.99");
    lab_row("smart.test", DNS_MX, PLAIN, "10 wrong.test");
    lab_row("hub.test", DNS_MX, PLAIN, "10 mx.hub.test");
    lab_row("mx.hub.test", DNS_A, PLAIN, "192.0.2.5");
    lab_row("free.test", DNS_A, PLAIN, "192.0.2.6");

    /* The operator's word: no MX, no guard. */
    const struct route *route = lab_find("any.example");
    assert_true(route->fixed && route->secure);
    assert_string_equal(lab_hosts(route), "smart.test 127.0.0.1 192.0.2.99");
    assert_int_equal(route->hosts[0].port, 587);
    route_release(&route);
    assert_int_equal(lab_asked("smart.test", DNS_MX), 0);

    route = lab_find("a.corp.test");
    assert_string_equal(lab_hosts(route), "10.0.0.1 10.0.0.1");
    assert_int_equal(route->hosts[0].port, 2525);
    route_release(&route);
    expect_hosts("corp.test", "smart.test 127.0.0.1 192.0.2.99", "smart.test");
    route = lab_find("deep.corp.test");
    assert_string_equal(lab_hosts(route), "mx.hub.test 192.0.2.5");
    assert_int_equal(route->hosts[0].port, 2025);
    assert_false(route->fixed);
    route_release(&route);
    expect_hosts("free.test", "free.test 192.0.2.6", "free.test");

    expect_hosts("x.late.test", "10.0.0.8 10.0.0.8", "[10.0.0.8]");
    expect_hosts("y.late.test", "10.0.0.7 10.0.0.7", "[10.0.0.7]");

    /* A rule that leads nowhere is no reason to return mail. */
    lab_expect("x.sub.corp.test", ROUTE_NO_ADDRESS, "4.4.4", "lost.test has no address");
    lab_expect("broken.test", ROUTE_NO_DOMAIN, "4.1.2", "brackets");
}

/* What needs nobody works; the rest is not known now, and asked for by nobody. */
static void test_without_dns(void **state)
{
    static const struct route_rule rules[] = {
        {.pattern = "fixed.test", .host = "[10.0.0.1]"},
        {.pattern = "named.test", .host = "inner.test"},
    };

    (void)state;
    lab.config.rules = rules;
    lab.config.rule_count = sizeof(rules) / sizeof(*rules);
    lab.config.dns = NULL;
    lab_routes_new();
    expect_hosts("fixed.test", "10.0.0.1 10.0.0.1", "[10.0.0.1]");
    lab_expect("far.test", ROUTE_TROUBLE, "4.4.3", "no name server is asked");
    lab_expect("named.test", ROUTE_TROUBLE, "4.4.3", "addresses of inner.test");
    assert_int_equal(lab_asked("far.test", DNS_MX), 0);
    assert_int_equal(lab_asked("inner.test", DNS_A), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hosts_come_by_preference, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_the_domain_is_its_own_host_only_without_mx,
                                        lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_refusals, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_names_that_are_none, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_aliases_of_hosts, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_trouble_with_a_part, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_literals, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_a_hundred_hosts, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_many_addresses_of_a_host, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_long_words, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_equal_hosts_in_one_order, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_rules, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_without_dns, lab_setup, lab_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
