/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose TLSA records are asked for, and what their absence means (RFC 7672 section 2.2). */
#include "unit/relay/route_lab.h"

static const char *const words[] = {
    [ROUTE_TLSA_INSECURE] = "insecure",
    [ROUTE_TLSA_NONE] = "none",
    [ROUTE_TLSA_SECURE] = "secure",
    [ROUTE_TLSA_TROUBLE] = "trouble",
};

/* Of the first host of "d.test" in a world that `arrange` makes. */
static const struct route *look(const char *tlsa)
{
    lab_routes_new();
    const struct route *route = lab_find("d.test");

    assert_int_equal(route->kind, ROUTE_GOOD);
    assert_string_equal(words[route->hosts[0].tlsa], tlsa);
    return route;
}

static void expect(const char *tlsa)
{
    const struct route *route = look(tlsa);

    route_release(&route);
}

static void arrange(unsigned mx, unsigned a)
{
    lab_row("d.test", DNS_MX, mx, "10 mx.d.test,20 mx2.d.test");
    lab_row("mx.d.test", DNS_A, a, "192.0.2.1");
    lab_none("mx.d.test", DNS_AAAA, a, DNS_NODATA);
    lab_row("mx2.d.test", DNS_A, PLAIN, "192.0.2.2");
}

static void test_records(void **state)
{
    (void)state;
    arrange(SIGNED, SIGNED);
    lab_row("_25._tcp.mx.d.test", DNS_TLSA, SIGNED, "3 1 1 abcd,2 0 2 efgh");
    const struct route *route = look("secure");
    const struct route_host *host = &route->hosts[0];
    assert_true(route->secure);
    assert_string_equal(host->tlsa_base, "mx.d.test");
    assert_int_equal(host->tlsa_count, 2);
    assert_int_equal(host->tlsa_records[0].tlsa.usage, 3);
    assert_int_equal(host->tlsa_records[0].tlsa.selector, 1);
    assert_int_equal(host->tlsa_records[0].tlsa.matching, 1);
    assert_true(bytes_equal(host->tlsa_records[0].tlsa.data, BYTES("abcd")));
    assert_int_equal(host->tlsa_records[1].tlsa.usage, 2);
    assert_true(bytes_equal(host->tlsa_records[1].tlsa.data, BYTES("efgh")));
    assert_int_equal(route->hosts[1].tlsa, ROUTE_TLSA_INSECURE);
    assert_string_equal(route->hosts[1].tlsa_base, "");
    assert_int_equal(lab_asked("_25._tcp.mx2.d.test", DNS_TLSA), 0);
    route_release(&route);
}

static void test_absence(void **state)
{
    (void)state;
    arrange(SIGNED, SIGNED);
    lab_none("_25._tcp.mx.d.test", DNS_TLSA, SIGNED, DNS_NXDOMAIN);
    expect("none");
    lab_none("_25._tcp.mx.d.test", DNS_TLSA, SIGNED, DNS_NODATA);
    expect("none");
    /* Unsigned words about keys are worth nothing, in either direction. */
    lab_none("_25._tcp.mx.d.test", DNS_TLSA, PLAIN, DNS_NODATA);
    expect("insecure");
    lab_row("_25._tcp.mx.d.test", DNS_TLSA, PLAIN, "3 1 1 abcd");
    expect("insecure");
}

static void test_only_where_all_is_signed(void **state)
{
    (void)state;
    lab_row("_25._tcp.mx.d.test", DNS_TLSA, SIGNED, "3 1 1 abcd");
    arrange(PLAIN, SIGNED);
    expect("insecure");
    arrange(SIGNED, PLAIN);
    expect("insecure");
    arrange(PLAIN, PLAIN);
    expect("insecure");
    assert_int_equal(lab_asked("_25._tcp.mx.d.test", DNS_TLSA), 0);
    /* One family of a host is enough; the other one may not answer at all. */
    arrange(SIGNED, SIGNED);
    lab_row("mx.d.test", DNS_AAAA, PLAIN, "2001:db8::1");
    expect("secure");
    lab_none("mx.d.test", DNS_AAAA, PLAIN, DNS_SERVFAIL);
    expect("secure");
    arrange(SIGNED, PLAIN);
    lab_none("mx.d.test", DNS_AAAA, SIGNED, DNS_NODATA);
    expect("secure");
}

static void test_trouble(void **state)
{
    static const enum dns_result troubles[] = {DNS_SERVFAIL, DNS_TIMEOUT, DNS_BOGUS};
    const struct route_wish wish = {.seed = 1};

    (void)state;
    arrange(SIGNED, SIGNED);
    for (unsigned i = 0; i < 3; i++) {
        lab_none("_25._tcp.mx.d.test", DNS_TLSA, PLAIN, troubles[i]);
        const struct route *route = look("trouble");
        assert_non_null(strstr(route->text, "TLSA records of mx.d.test"));
        assert_string_equal(lab_plan(route, &wish), "192.0.2.2");
        route_release(&route);
    }
    /* The only host: nothing is left, and it is not for good. */
    lab_row("d.test", DNS_MX, SIGNED, "10 mx.d.test");
    lab_routes_new();
    lab_expect("d.test", ROUTE_BOGUS, "4.4.3", "TLSA records of mx.d.test");
    lab_none("_25._tcp.mx.d.test", DNS_TLSA, PLAIN, DNS_SERVFAIL);
    lab_routes_new();
    lab_expect("d.test", ROUTE_TROUBLE, "4.4.3", "TLSA records of mx.d.test");
}

static void test_aliases(void **state)
{
    (void)state;
    lab_row("d.test", DNS_MX, SIGNED, "10 mx.d.test");
    lab_alias("mx.d.test", "host.test");
    lab_row("host.test", DNS_A, SIGNED, "192.0.2.1");
    lab_row("_25._tcp.host.test", DNS_TLSA, SIGNED, "3 1 1 aaaa");
    lab_row("_25._tcp.mx.d.test", DNS_TLSA, SIGNED, "3 1 1 bbbb");
    const struct route *route = look("secure");
    assert_string_equal(route->hosts[0].tlsa_base, "host.test");
    assert_true(bytes_equal(route->hosts[0].tlsa_records[0].tlsa.data, BYTES("aaaa")));
    route_release(&route);
    assert_int_equal(lab_asked("_25._tcp.mx.d.test", DNS_TLSA), 0);

    lab_none("_25._tcp.host.test", DNS_TLSA, SIGNED, DNS_NXDOMAIN);
    route = look("secure");
    assert_string_equal(route->hosts[0].tlsa_base, "mx.d.test");
    assert_true(bytes_equal(route->hosts[0].tlsa_records[0].tlsa.data, BYTES("bbbb")));
    route_release(&route);

    lab_none("_25._tcp.mx.d.test", DNS_TLSA, SIGNED, DNS_NODATA);
    expect("none");
    lab_none("_25._tcp.mx.d.test", DNS_TLSA, PLAIN, DNS_SERVFAIL);
    lab_row("d.test", DNS_MX, SIGNED, "10 mx.d.test,20 mx2.d.test");
    lab_row("mx2.d.test", DNS_A, PLAIN, "192.0.2.2");
    expect("trouble");
    /* In trouble with the first name, the second one is no way out. */
    lab_row("_25._tcp.mx.d.test", DNS_TLSA, SIGNED, "3 1 1 bbbb");
    lab_none("_25._tcp.host.test", DNS_TLSA, PLAIN, DNS_TIMEOUT);
    expect("trouble");
}

static void test_without_mx(void **state)
{
    (void)state;
    lab_none("d.test", DNS_MX, SIGNED, DNS_NODATA);
    lab_row("d.test", DNS_A, SIGNED, "192.0.2.1");
    lab_row("_25._tcp.d.test", DNS_TLSA, SIGNED, "3 1 1 abcd");
    expect("secure");
    lab_none("d.test", DNS_MX, PLAIN, DNS_NODATA);
    expect("insecure");
}

static void test_rules(void **state)
{
    static const struct route_rule rules[] = {{"d.test", "smart.test", 587, false}};

    (void)state;
    lab.config.rules = rules;
    lab.config.rule_count = 1;
    lab_row("smart.test", DNS_A, SIGNED, "192.0.2.1");
    lab_row("_587._tcp.smart.test", DNS_TLSA, SIGNED, "3 1 1 abcd");
    expect("secure");
    lab_row("smart.test", DNS_A, PLAIN, "192.0.2.1");
    expect("insecure");
}

static void test_sizes(void **state)
{
    (void)state;
    arrange(SIGNED, SIGNED);
    lab_row("_25._tcp.mx.d.test", DNS_TLSA, SIGNED,
            "3 1 1 a,3 1 1 b,3 1 1 c,3 1 1 d,3 1 1 e,3 1 1 f,3 1 1 g,3 1 1 h,3 1 1 i,3 1 1 j,"
            "3 1 1 k,3 1 1 l,3 1 1 m,3 1 1 n,3 1 1 o,3 1 1 p,3 1 1 q,3 1 1 r");
    const struct route *route = look("secure");
    assert_int_equal(route->hosts[0].tlsa_count, ROUTE_TLSA_MAX);
    route_release(&route);
    lab_row("_25._tcp.mx.d.test", DNS_TLSA, SIGNED, "3 0 0 x16384");
    expect("secure");
    lab_row("_25._tcp.mx.d.test", DNS_TLSA, SIGNED, "3 0 0 x16384,3 1 1 a");
    expect("trouble");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_records, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_absence, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_only_where_all_is_signed, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_trouble, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_aliases, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_without_mx, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_rules, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_sizes, lab_setup, lab_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
