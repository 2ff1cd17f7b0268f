/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random zones, judged a second time by a few lines that know nothing of how it is done. */
#include <stdio.h>

#include "unit/relay/route_lab.h"

enum { WORLDS = 600, HOSTS_MAX = 6, ADDRESSES_MAX = 3 };

static uint64_t random_state = 20261122;

static unsigned pick(unsigned below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % below;
}

struct host {
    char name[32];
    unsigned preference;
    bool own, trouble, forbidden, good[2];
};

static const char *const private[2] = {"10.0.0.1", "fd00::1"};

static void make_family(struct host *host, unsigned number, unsigned family)
{
    enum dns_type type = family == 0 ? DNS_A : DNS_AAAA;
    char data[256] = "";
    size_t used = 0;
    unsigned what = pick(10);

    if (what < 2) {
        host->trouble = true;
        lab_none(host->name, type, PLAIN, what == 0 ? DNS_SERVFAIL : DNS_TIMEOUT);
        return;
    }
    if (what < 5) {
        lab_none(host->name, type, PLAIN, what == 2 ? DNS_NXDOMAIN : DNS_NODATA);
        return;
    }
    for (unsigned i = 1 + pick(ADDRESSES_MAX); i > 0; i--) {
        unsigned sort = pick(12);
        if (used > 0)
            used += (size_t)snprintf(data + used, sizeof(data) - used, ",");
        if (sort == 0 && family == 0) {
            host->own = true;
            used += (size_t)snprintf(data + used, sizeof(data) - used, "192.0.2.99");
        } else if (sort < 6) {
            host->forbidden = true;
            used += (size_t)snprintf(data + used, sizeof(data) - used, "%s", private[family]);
        } else {
            host->good[family] = true;
            used +=
                (size_t)snprintf(data + used, sizeof(data) - used,
                                 family == 0 ? "192.0.2.%u" : "2001:db8::%u", number * 10 + i);
        }
    }
    lab_row(host->name, type, PLAIN, data);
}

static unsigned make_world(struct host hosts[HOSTS_MAX])
{
    unsigned count = 1 + pick(HOSTS_MAX);
    char data[512] = "";
    size_t used = 0;

    for (unsigned i = 0; i < count; i++) {
        struct host *host = &hosts[i];
        *host = (struct host){.preference = pick(4)};
        host->own = pick(15) == 0;
        snprintf(host->name, sizeof(host->name), host->own ? "mx.own.test" : "h%u.test", i);
        for (unsigned before = 0; before < i; before++)
            if (strcmp(hosts[before].name, host->name) == 0) {
                host->own = false;
                snprintf(host->name, sizeof(host->name), "h%u.test", i);
            }
        used += (size_t)snprintf(data + used, sizeof(data) - used, "%s%u %s", i > 0 ? "," : "",
                                 host->preference, host->name);
        make_family(host, i, 0);
        make_family(host, i, 1);
    }
    lab_row("world.test", DNS_MX, PLAIN, data);
    return count;
}

static enum route_kind judge(const struct host *hosts, unsigned count, unsigned limit,
                             bool families[2])
{
    bool trouble = false, forbidden = false, good = false;

    families[0] = families[1] = false;
    for (unsigned i = 0; i < count; i++) {
        if (hosts[i].preference >= limit)
            continue;
        trouble = trouble || hosts[i].trouble;
        forbidden = forbidden || hosts[i].forbidden;
        for (unsigned family = 0; family < 2; family++) {
            good = good || hosts[i].good[family];
            families[family] = families[family] || hosts[i].good[family];
        }
    }
    return good           ? ROUTE_GOOD
           : trouble      ? ROUTE_TROUBLE
           : limit < 1000 ? ROUTE_LOOP
           : forbidden    ? ROUTE_FORBIDDEN
                          : ROUTE_NO_ADDRESS;
}

static void check_plan(const struct route *route, unsigned limit, const bool families[2])
{
    const struct route_wish wish = {.seed = random_state, .v4_first = pick(2) == 0};
    struct route_plan plan;
    bool seen[2] = {false, false};
    unsigned preference = 0;

    route_plan(route, &wish, &plan);
    assert_in_range(plan.count, 1, ROUTE_PLAN_DEFAULT);
    for (unsigned i = 0; i < plan.count; i++) {
        const struct route_host *host = &route->hosts[plan.steps[i].host];
        char text[ADDRESS_TEXT_SIZE];
        bool v4 = address_is_v4(&plan.steps[i].address);
        address_text(&plan.steps[i].address, text);
        assert_int_equal(strncmp(text, v4 ? "192.0.2." : "2001:db8:", v4 ? 8 : 9), 0);
        assert_string_not_equal(text, "192.0.2.99");
        assert_true(host->preference < limit && host->preference >= preference);
        preference = host->preference;
        seen[v4 ? 0 : 1] = true;
        for (unsigned j = 0; j < i; j++)
            assert_false(address_equal(&plan.steps[i].address, &plan.steps[j].address));
    }
    assert_int_equal(seen[0], families[0]);
    assert_int_equal(seen[1], families[1]);
}

static void test_worlds(void **state)
{
    unsigned kinds[ROUTE_KINDS] = {0};

    for (unsigned world = 0; world < WORLDS; world++) {
        struct host hosts[HOSTS_MAX];
        unsigned limit = 1000;
        bool families[2];
        lab_setup(state);
        unsigned count = make_world(hosts);
        for (unsigned i = 0; i < count; i++)
            if (hosts[i].own && hosts[i].preference < limit)
                limit = hosts[i].preference;
        enum route_kind want = judge(hosts, count, limit, families);
        const struct route *route = lab_find("world.test");
        if (route->kind != want)
            fail_msg("world %u: %s (%s), not %s", world, route_kind_text(route->kind),
                     route->text, route_kind_text(want));
        if (want == ROUTE_GOOD)
            check_plan(route, limit, families);
        kinds[want]++;
        route_release(&route);
        lab_teardown(state);
    }
    assert_true(kinds[ROUTE_GOOD] > 20 && kinds[ROUTE_TROUBLE] > 20 && kinds[ROUTE_LOOP] > 20 &&
                kinds[ROUTE_FORBIDDEN] > 5 && kinds[ROUTE_NO_ADDRESS] > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_worlds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
