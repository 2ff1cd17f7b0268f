/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes over the real resolver, which answers out of data of its own. */
#include "smtp/relay/route.h"
#include "tests/unit/node/runtime/until.h"

static const char *const data[] = {
    "good.test. 600 IN MX 20 mx2.good.test.", "good.test. 600 IN MX 10 mx1.good.test.",
    "mx1.good.test. 600 IN A 198.18.0.1",     "mx1.good.test. 600 IN AAAA 2a00::1",
    "mx2.good.test. 600 IN A 9.9.9.9",        "null.test. 600 IN MX 0 .",
    "plain.test. 600 IN A 9.9.9.9",           "text.test. 600 IN TXT \"nothing else\"",
    "home.test. 600 IN MX 1 localhost.",
};

static const struct {
    const char *domain;
    enum route_kind kind;
    unsigned hosts, steps;
} rows[] = {
    {"good.test", ROUTE_GOOD, 2, 2},
    {"null.test", ROUTE_NULL_MX, 0, 0},
    {"Plain.Test.", ROUTE_GOOD, 1, 1},
    {"text.test", ROUTE_NO_ADDRESS, 0, 0},
    {"nowhere.test", ROUTE_NO_DOMAIN, 0, 0},
    {"home.test", ROUTE_FORBIDDEN, 0, 0},
    {"[9.9.9.9]", ROUTE_GOOD, 1, 1},
    {"a b", ROUTE_NO_DOMAIN, 0, 0},
    {"\xc3\xa4.test", ROUTE_NO_DOMAIN, 0, 0},
    {"", ROUTE_NO_DOMAIN, 0, 0},
    {".", ROUTE_NO_DOMAIN, 0, 0},
};

enum { ROWS = sizeof(rows) / sizeof(*rows) };

static const struct route *found[ROWS];
static unsigned count;

static void on_found(void *context, const struct route *route)
{
    *(const struct route **)context = route_hold(route);
    count++;
}

static bool all_found(void *context)
{
    (void)context;
    return count == ROWS;
}

static void test_answers(void **state)
{
    const struct dns_config dns_config = {.local_data = data,
                                          .local_data_count = sizeof(data) / sizeof(*data)};
    struct loop *loop = loop_new();
    struct dns *dns = dns_new(loop, &dns_config);
    const struct routes_config config = {.loop = loop, .dns = dns, .seed = 1};
    struct routes *routes = routes_new(&config);

    (void)state;
    assert_non_null(dns);
    for (unsigned i = 0; i < ROWS; i++)
        route_find(routes, rows[i].domain, on_found, &found[i]);
    run_until(loop, all_found, NULL);
    for (unsigned i = 0; i < ROWS; i++) {
        const struct route_wish wish = {.seed = i};
        struct route_plan plan;
        if (found[i]->kind != rows[i].kind)
            fail_msg("\"%s\": %s (%s)", rows[i].domain, route_kind_text(found[i]->kind),
                     found[i]->text);
        assert_int_equal(found[i]->host_count, rows[i].hosts);
        route_plan(found[i], &wish, &plan);
        assert_int_equal(plan.count, rows[i].steps);
        route_release(&found[i]);
    }
    /* The answer is under way when all ends. */
    route_find(routes, "late.test", on_found, &found[0]);
    routes_free(&routes);
    dns_free(&dns);
    loop_free(&loop);
    assert_int_equal(count, ROWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
