/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The order of attempts, and who runs the hosts. */
#include <stdio.h>

#include "unit/relay/route_lab.h"

static void expect_plan(const struct route *route, const struct route_wish *wish,
                        const char *want)
{
    assert_string_equal(lab_plan(route, wish), want);
}

static const struct route *two_hosts(void)
{
    lab_row("two.test", DNS_MX, PLAIN, "10 mx1.test,20 mx2.test");
    lab_row("mx1.test", DNS_A, PLAIN, "192.0.2.1");
    lab_row("mx1.test", DNS_AAAA, PLAIN, "2001:db8::1");
    lab_row("mx2.test", DNS_A, PLAIN, "192.0.2.2,192.0.2.1");
    lab_row("mx2.test", DNS_AAAA, PLAIN, "2001:db8::2");
    return lab_find("two.test");
}

static void test_families(void **state)
{
    const struct route *route = two_hosts();
    struct route_wish wish = {.seed = 0};

    (void)state;
    expect_plan(route, &wish, "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2");
    wish.v4_first = true;
    expect_plan(route, &wish, "192.0.2.1 2001:db8::1 192.0.2.2 2001:db8::2");
    wish.without_v6 = true;
    expect_plan(route, &wish, "192.0.2.1 192.0.2.2");
    wish.without_v4 = true;
    expect_plan(route, &wish, "");
    wish = (struct route_wish){.without_v4 = true};
    expect_plan(route, &wish, "2001:db8::1 2001:db8::2");
    wish = (struct route_wish){.without_hosts = 1};
    struct route_plan plan;
    route_plan(route, &wish, &plan);
    assert_int_equal(plan.count, 3);
    for (unsigned i = 0; i < plan.count; i++) {
        assert_int_equal(plan.steps[i].host, 1);
        assert_int_equal(plan.steps[i].port, 25);
    }
    wish = (struct route_wish){.addresses_max = 1};
    expect_plan(route, &wish, "2001:db8::1");
    wish = (struct route_wish){.addresses_max = 1000};
    expect_plan(route, &wish, "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2");
    route_release(&route);
}

static void test_one_of_each_family_at_least(void **state)
{
    struct route_plan plan;
    unsigned v6 = 0;

    (void)state;
    lab_row("w.test", DNS_MX, PLAIN, "10 w1.test,20 w2.test");
    lab_row("w1.test", DNS_A, PLAIN,
            "192.0.2.1,192.0.2.2,192.0.2.3,192.0.2.4,192.0.2.5,192.0.2.6,192.0.2.7");
    lab_row("w2.test", DNS_AAAA, PLAIN, "2001:db8::1,2001:db8::2");
    const struct route *route = lab_find("w.test");
    for (uint64_t seed = 0; seed < 20; seed++) {
        const struct route_wish wish = {.seed = seed};
        route_plan(route, &wish, &plan);
        assert_int_equal(plan.count, ROUTE_PLAN_DEFAULT);
        for (unsigned i = 0; i < 4; i++)
            assert_true(address_is_v4(&plan.steps[i].address));
        assert_false(address_is_v4(&plan.steps[4].address));
        assert_int_equal(plan.steps[4].host, 1);
        v6 += plan.steps[4].address.bytes[15] == 1;
    }
    assert_in_range(v6, 1, 19);
    route_release(&route);
}

/* Of hosts of one preference each comes first about equally often; the preference holds. */
static void test_random_inside_a_preference(void **state)
{
    enum { TURNS = 3000 };
    unsigned first[4] = {0}, second_of_zero[4] = {0};
    struct route_plan plan;

    (void)state;
    lab_row("r.test", DNS_MX, PLAIN, "10 a.test,10 b.test,10 c.test,20 d.test");
    lab_row("a.test", DNS_A, PLAIN, "192.0.2.0");
    lab_row("b.test", DNS_A, PLAIN, "192.0.2.1");
    lab_row("c.test", DNS_A, PLAIN, "192.0.2.2");
    lab_row("d.test", DNS_A, PLAIN, "192.0.2.3");
    const struct route *route = lab_find("r.test");
    for (uint64_t seed = 0; seed < TURNS; seed++) {
        const struct route_wish wish = {.seed = seed};
        route_plan(route, &wish, &plan);
        assert_int_equal(plan.count, 4);
        assert_int_equal(plan.steps[3].address.bytes[15], 3);
        first[plan.steps[0].address.bytes[15]]++;
        if (plan.steps[0].address.bytes[15] == 0)
            second_of_zero[plan.steps[1].address.bytes[15]]++;
    }
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(first[i], TURNS / 3 - 150, TURNS / 3 + 150);
    assert_in_range(second_of_zero[1], TURNS / 6 - 100, TURNS / 6 + 100);
    /* The same wish, the same plan. */
    const struct route_wish wish = {.seed = 7};
    char before[256];
    snprintf(before, sizeof(before), "%s", lab_plan(route, &wish));
    expect_plan(route, &wish, before);
    route_release(&route);
}

static const struct {
    const char *mx;
    const char *provider;
} providers[] = {
    {"5 gmail-smtp-in.l.google.com,10 alt1.gmail-smtp-in.l.google.com", "google"},
    {"1 aspmx.l.google.com,5 alt1.aspmx.l.google.com,10 aspmx2.googlemail.com", "google"},
    {"1 smtp.google.com", "google"},
    {"0 example-com.mail.protection.outlook.com", "o365"},
    {"0 example-com.p-v1.mx.microsoft", "o365-dane"},
    {"2 hotmail-com.olc.protection.outlook.com", "outlook"},
    {"1 mta5.am0.yahoodns.net,1 mta6.am0.yahoodns.net", "yahoo"},
    {"10 mx01.mail.icloud.com", "apple"},
    {"10 mx00.gmx.net,10 mx01.gmx.net", "gmx"},
    {"10 mx-ha02.web.de", "gmx"},
    {"10 eu-smtp-inbound-1.mimecast.com", "mimecast"},
    {"10 za-smtp-inbound-1.mimecast.co.za", "mimecast-za"},
    {"10 mxa-1.gslb.pphosted.com", "proofpoint"},
    {"10 d1.ess.barracudanetworks.com", "barracuda"},
    {"10 mx3.qq.com", "qq"},
    {"10 gmx.net", "gmx"},
    /* Not of every host, and not of the whole label. */
    {"1 aspmx.l.google.com,5 mx9.example", "aspmx.l.google.com"},
    {"1 mx.notgoogle.com", "mx.notgoogle.com"},
    {"1 google.com.evil.test", "google.com.evil.test"},
    /* The best preference is the site. */
    {"10 mx22.example,10 mx1.example,10 in.example2,20 spare9.example",
     "in.example2,mx#.example"},
    {"10 a1b22.c3.test", "a#b#.c3.test"},
};

static void test_providers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(providers) / sizeof(*providers); i++) {
        char data[256], domain[32];
        struct route_plan plan;
        const struct route_wish wish = {.seed = i};

        snprintf(data, sizeof(data), "%s", providers[i].mx);
        snprintf(domain, sizeof(domain), "p%zu.test", i);
        lab_row(domain, DNS_MX, PLAIN, providers[i].mx);
        char *save = NULL;
        for (char *item = strtok_r(data, ",", &save); item != NULL;
             item = strtok_r(NULL, ",", &save))
            lab_row(strchr(item, ' ') + 1, DNS_A, PLAIN, "192.0.2.1");
        const struct route *route = lab_find(domain);
        assert_int_equal(route->kind, ROUTE_GOOD);
        if (strcmp(route->provider, providers[i].provider) != 0)
            fail_msg("%s: %s, not %s", providers[i].mx, route->provider, providers[i].provider);
        route_plan(route, &wish, &plan);
        assert_int_equal(plan.count, 1);
        route_release(&route);
    }
}

/* Long keys are cut, differ by what was cut off, and do not depend on the order of hosts. */
static void test_long_sites(void **state)
{
    static const char long_name[] =
        "mail-exchanger-with-a-long-name.department-of-something.subsidiary.example";
    char data[1024], keys[3][ROUTE_PROVIDER_SIZE];
    static const char *const orders[] = {"x,y,z", "z,y,x", "x,y,w"};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        char domain[32];
        snprintf(data, sizeof(data), "1 %c.%s,1 %c.%s,1 %c.%s", orders[i][0], long_name,
                 orders[i][2], long_name, orders[i][4], long_name);
        snprintf(domain, sizeof(domain), "l%u.test", i);
        lab_row(domain, DNS_MX, PLAIN, data);
        snprintf(data, sizeof(data), "x.%s", long_name);
        lab_row(data, DNS_A, PLAIN, "192.0.2.1");
        const struct route *route = lab_find(domain);
        assert_int_equal(strlen(route->provider), ROUTE_PROVIDER_SIZE - 1);
        snprintf(keys[i], sizeof(keys[i]), "%s", route->provider);
        route_release(&route);
    }
    assert_string_equal(keys[0], keys[1]);
    assert_string_not_equal(keys[0], keys[2]);
}

static void test_providers_of_the_configuration(void **state)
{
    static const struct route_provider own[] = {{"ours", ".a.test .b.test"}};

    (void)state;
    lab.config.providers = own;
    lab.config.provider_count = 1;
    lab_routes_new();
    lab_row("x.test", DNS_MX, PLAIN, "1 mx.a.test,2 mx.b.test");
    lab_row("mx.a.test", DNS_A, PLAIN, "192.0.2.1");
    lab_row("y.test", DNS_MX, PLAIN, "1 smtp.google.com");
    lab_row("smtp.google.com", DNS_A, PLAIN, "192.0.2.1");
    const struct route *route = lab_find("x.test");
    assert_string_equal(route->provider, "ours");
    route_release(&route);
    route = lab_find("y.test");
    assert_string_equal(route->provider, "smtp.google.com");
    route_release(&route);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_families, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_one_of_each_family_at_least, lab_setup,
                                        lab_teardown),
        cmocka_unit_test_setup_teardown(test_random_inside_a_preference, lab_setup,
                                        lab_teardown),
        cmocka_unit_test_setup_teardown(test_providers, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_long_sites, lab_setup, lab_teardown),
        cmocka_unit_test_setup_teardown(test_providers_of_the_configuration, lab_setup,
                                        lab_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
