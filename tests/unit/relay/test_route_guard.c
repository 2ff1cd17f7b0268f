/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where mail must not go: to addresses of nobody, and back to ourselves. */
#include "smtp/relay/route_guard.h"

#include "unit/relay/route_lab.h"

static const struct {
    const char *address;
    const char *what; /* NULL: may be sent to */
} guarded[] = {
    {"0.0.0.0", "unspecified"},
    {"0.0.0.1", "this network"},
    {"0.255.255.255", "this network"},
    {"1.0.0.0", NULL},
    {"9.255.255.255", NULL},
    {"10.0.0.0", "private"},
    {"10.255.255.255", "private"},
    {"11.0.0.0", NULL},
    {"100.63.255.255", NULL},
    {"100.64.0.0", "shared"},
    {"100.127.255.255", "shared"},
    {"100.128.0.0", NULL},
    {"126.255.255.255", NULL},
    {"127.0.0.1", "loopback"},
    {"127.255.255.255", "loopback"},
    {"128.0.0.0", NULL},
    {"169.253.255.255", NULL},
    {"169.254.169.254", "link-local"},
    {"169.255.0.0", NULL},
    {"172.15.255.255", NULL},
    {"172.16.0.0", "private"},
    {"172.31.255.255", "private"},
    {"172.32.0.0", NULL},
    {"191.255.255.255", NULL},
    {"192.0.0.0", "reserved"},
    {"192.0.0.255", "reserved"},
    {"192.0.1.0", NULL},
    {"192.0.2.255", "documentation"},
    {"192.0.3.0", NULL},
    {"192.88.98.255", NULL},
    {"192.88.99.1", "reserved"},
    {"192.88.100.0", NULL},
    {"192.167.255.255", NULL},
    {"192.168.0.0", "private"},
    {"192.168.255.255", "private"},
    {"192.169.0.0", NULL},
    {"198.17.255.255", NULL},
    {"198.18.0.0", "benchmarking"},
    {"198.19.255.255", "benchmarking"},
    {"198.20.0.0", NULL},
    {"198.51.99.255", NULL},
    {"198.51.100.7", "documentation"},
    {"198.51.101.0", NULL},
    {"203.0.112.255", NULL},
    {"203.0.113.7", "documentation"},
    {"203.0.114.0", NULL},
    {"223.255.255.255", NULL},
    {"224.0.0.1", "multicast"},
    {"239.255.255.255", "multicast"},
    {"240.0.0.1", "reserved"},
    {"255.255.255.254", "reserved"},
    {"255.255.255.255", "broadcast"},
    {"::", "unspecified"},
    {"::1", "loopback"},
    {"::2", "reserved"},
    {"::7f00:1", "reserved"},
    {"::ffff:127.0.0.1", "loopback"},
    {"::ffff:10.0.0.1", "private"},
    {"::ffff:8.8.8.8", NULL},
    {"::ffff:0:8.8.8.8", "reserved"},
    {"64:ff9b::7f00:1", "loopback"},
    {"64:ff9b::808:808", NULL},
    {"64:ff9b:1::808:808", "reserved"},
    {"100::1", "discard"},
    {"1fff:ffff::1", "reserved"},
    {"2000::1", NULL},
    {"2001::1", "reserved"},
    {"2001:1ff:ffff::1", "reserved"},
    {"2001:200::1", NULL},
    {"2001:db7:ffff::1", NULL},
    {"2001:db8::1", "documentation"},
    {"2001:db9::1", NULL},
    {"2002:7f00:1::1", "loopback"},
    {"2002:c0a8:101::1", "private"},
    {"2002:808:808::1", NULL},
    {"2606:4700::1", NULL},
    {"3ffe::1", NULL},
    {"3fff:0fff::1", "documentation"},
    {"3fff:1000::1", NULL},
    {"4000::1", "reserved"},
    {"5f00::1", "reserved"},
    {"fbff::1", "reserved"},
    {"fc00::1", "private"},
    {"fdff::1", "private"},
    {"fe00::1", "reserved"},
    {"fe80::1", "link-local"},
    {"febf::1", "link-local"},
    {"fec0::1", "private"},
    {"ff02::1", "multicast"},
};

static void test_table(void **state)
{
    struct address address;

    (void)state;
    for (size_t i = 0; i < sizeof(guarded) / sizeof(*guarded); i++) {
        assert_true(address_parse(bytes_of(guarded[i].address), &address));
        const char *what = route_guard(&address);
        const char *want = guarded[i].what != NULL ? guarded[i].what : "good";
        if (strcmp(what != NULL ? what : "good", want) != 0)
            fail_msg("%s: %s, not %s", guarded[i].address, what != NULL ? what : "good", want);
    }
}

static void expect_hosts(const char *domain, const char *hosts, const char *words)
{
    const struct route *route = lab_find(domain);

    assert_int_equal(route->kind, ROUTE_GOOD);
    assert_string_equal(lab_hosts(route), hosts);
    assert_non_null(strstr(route->text, words));
    route_release(&route);
}

static void test_forbidden_targets(void **state)
{
    (void)state;
    lab_row("home.test", DNS_MX, PLAIN, "10 in1.test,20 in2.test");
    lab_row("in1.test", DNS_A, PLAIN, "127.0.0.1,10.0.0.1");
    lab_row("in2.test", DNS_AAAA, PLAIN, "::ffff:192.168.1.1,fd00::1");
    lab_expect("home.test", ROUTE_FORBIDDEN, "5.4.4", "in1.test is at 10.0.0.1 (private)");
    lab_row("inside.test", DNS_A, PLAIN, "0.0.0.0");
    lab_expect("inside.test", ROUTE_FORBIDDEN, "5.4.4", "(unspecified)");
    /* Good addresses beside them stay. */
    lab_row("part.test", DNS_MX, PLAIN, "10 in1.test,20 out.test");
    lab_row("out.test", DNS_A, PLAIN, "10.0.0.2,192.0.2.1");
    expect_hosts("part.test", "in1.test, out.test 192.0.2.1", "in1.test is at");
    /* Trouble with the rest: not for good. */
    lab_row("both.test", DNS_MX, PLAIN, "10 in1.test,20 slow.test");
    lab_none("slow.test", DNS_A, PLAIN, DNS_TIMEOUT);
    lab_expect("both.test", ROUTE_TROUBLE, "4.4.3", "slow.test");
}

static void test_allowed_ones(void **state)
{
    struct address_prefix allowed[2];

    (void)state;
    assert_true(address_prefix_parse(BYTES("10.1.0.0/16"), &allowed[0]));
    assert_true(address_prefix_parse(BYTES("fd00:1::/32"), &allowed[1]));
    lab.config.allowed = allowed;
    lab.config.allowed_count = 2;
    lab_routes_new();
    lab_row("lab.test", DNS_A, PLAIN, "10.1.2.3,10.2.2.3,192.0.2.1");
    lab_row("lab.test", DNS_AAAA, PLAIN, "fd00:1::1,fd00:2::1");
    expect_hosts("lab.test", "lab.test 10.1.2.3 fd00:1::1", "");
}

static void test_loops(void **state)
{
    (void)state;
    lab_row("a.test", DNS_A, PLAIN, "192.0.2.1");
    lab_row("b.test", DNS_A, PLAIN, "192.0.2.2");
    lab_row("c.test", DNS_A, PLAIN, "192.0.2.3");
    lab_row("we.test", DNS_A, PLAIN, "192.0.2.9,192.0.2.99");
    lab_row("mx.own.test", DNS_A, PLAIN, "192.0.2.98");
    /* By name: nobody asks for the addresses of those that go. */
    lab_row("name.test", DNS_MX, PLAIN, "10 a.test,20 mx.own.test,20 b.test,30 c.test");
    expect_hosts("name.test", "a.test 192.0.2.1", "mx.own.test is this host");
    assert_int_equal(lab_asked("b.test", DNS_A), 0);
    lab_row("equal.test", DNS_MX, PLAIN, "10 a.test,20 b.test,20 mx.own.test");
    expect_hosts("equal.test", "a.test 192.0.2.1", "mx.own.test is this host");
    lab_row("best.test", DNS_MX, PLAIN, "10 mx.own.test,10 b.test,30 c.test");
    lab_expect("best.test", ROUTE_LOOP, "5.4.6", "mx.own.test is this host");
    /* By address. */
    lab_row("address.test", DNS_MX, PLAIN, "10 a.test,20 we.test,20 b.test,30 c.test");
    expect_hosts("address.test", "a.test 192.0.2.1", "we.test is this host");
    lab_row("first.test", DNS_MX, PLAIN, "10 we.test,20 a.test");
    lab_expect("first.test", ROUTE_LOOP, "5.4.6", "we.test is this host");
    lab_expect("we.test", ROUTE_LOOP, "5.4.6", "");
    lab_expect("mx.own.test", ROUTE_LOOP, "5.4.6", "");
    /* The better ones cannot be reached: what is left is we. */
    lab_row("rest.test", DNS_MX, PLAIN, "10 gone.test,20 we.test");
    lab_expect("rest.test", ROUTE_LOOP, "5.4.6", "gone.test has no address");
    lab_none("gone.test", DNS_A, PLAIN, DNS_SERVFAIL);
    lab_row("wait.test", DNS_MX, PLAIN, "10 gone.test,20 we.test");
    lab_expect("wait.test", ROUTE_TROUBLE, "4.4.3", "gone.test");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test_setup_teardown(test_forbidden_targets, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_allowed_ones, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_loops, lab_setup, lab_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
