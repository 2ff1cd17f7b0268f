/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of addresses, and which of them are true. */
#include "tests/unit/node/runtime/until.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/runtime/dns.h"
#include "tests/unit/node/runtime/name_server.h"

#define ORG "\7example\3org\0"

static const struct zone_row rows[] = {
    {"mx.example.org", DNS_A, ANSWERS, BYTES_INIT("\xc0\0\2\1"), NULL, 0},
    {"mx.example.org", DNS_A, ANSWERS, BYTES_INIT("\xc0\0\2\2"), NULL, 0},
    {"mx.example.org", DNS_AAAA, ANSWERS, BYTES_INIT("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"),
     NULL, 0},
    {"liar.example.org", DNS_A, ANSWERS, BYTES_INIT("\xc6\x33\x64\1"), NULL, 0},
    {"fails.example.org", DNS_A, FAILS, BYTES_INIT(""), NULL, 0},
    {"silent.example.org", DNS_A, IS_SILENT, BYTES_INIT(""), NULL, 0},
    {"1.2.0.192.in-addr.arpa", DNS_PTR, ANSWERS, BYTES_INIT("\5a\x20\x62\x0d\x0a" ORG), NULL,
     0},
    {"1.2.0.192.in-addr.arpa", DNS_PTR, ANSWERS, BYTES_INIT("\2mx" ORG), NULL, 0},
    {"1.2.0.192.in-addr.arpa", DNS_PTR, ANSWERS, BYTES_INIT("\4liar" ORG), NULL, 0},
    {"1.2.0.192.in-addr.arpa", DNS_PTR, ANSWERS, BYTES_INIT("\3org\0"), NULL, 0},
    {"2.2.0.192.in-addr.arpa", DNS_PTR, ANSWERS, BYTES_INIT("\4liar" ORG), NULL, 0},
    {"3.2.0.192.in-addr.arpa", DNS_PTR, ANSWERS, BYTES_INIT("\6nobody" ORG), NULL, 0},
    {"4.2.0.192.in-addr.arpa", DNS_PTR, ANSWERS, BYTES_INIT("\5a\x20\x62\x0d\x0a" ORG), NULL,
     0},
    {"5.2.0.192.in-addr.arpa", DNS_PTR, ANSWERS, BYTES_INIT("\3org\0"), NULL, 0},
    {"6.2.0.192.in-addr.arpa", DNS_PTR, ANSWERS, BYTES_INIT("\6silent" ORG), NULL, 0},
    {"7.2.0.192.in-addr.arpa", DNS_PTR, ANSWERS, BYTES_INIT("\5fails" ORG), NULL, 0},
    {"8.2.0.192.in-addr.arpa", DNS_PTR, FAILS, BYTES_INIT(""), NULL, 0},
    {"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", DNS_PTR,
     ANSWERS, BYTES_INIT("\2mx" ORG), NULL, 0},
};

struct world {
    struct loop *loop;
    struct dns *dns;
    struct name_server *server;
    char text[512];
    bool there;
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->server = name_server_start(rows, sizeof(rows) / sizeof(*rows), 0);
    const char *servers[] = {name_server_address(world->server)};
    const struct dns_config config = {
        .servers = servers, .servers_count = 1, .timeout_ms = 2000};
    world->loop = loop_new();
    world->dns = dns_new(world->loop, &config);
    assert_non_null(world->dns);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    dns_free(&world->dns);
    loop_free(&world->loop);
    name_server_stop(&world->server);
    free(world);
    return 0;
}

static void on_heard(void *context, const struct dns_fcrdns *answer)
{
    struct world *world = context;
    size_t used = (size_t)snprintf(
        world->text, sizeof(world->text), "%s%s%s claimed=%s", dns_result_text(answer->result),
        answer->trouble ? " trouble" : "", answer->secure ? " secure" : "", answer->claimed);
    for (unsigned i = 0; i < answer->count; i++)
        used += (size_t)snprintf(world->text + used, sizeof(world->text) - used, " %s",
                                 answer->names[i]);
    assert_false(world->there);
    world->there = true;
}

static const char *look_up(struct world *world, const char *text, unsigned budget_ms)
{
    struct address address;
    assert_true(address_parse(bytes_of(text), &address));
    world->there = false;
    dns_fcrdns(world->dns, &address, budget_ms, on_heard, world);
    assert_false(world->there);
    run_until(world->loop, is_set, &world->there);
    return world->text;
}

static void names_that_lead_back_are_confirmed(void **state)
{
    static const struct {
        const char *address, *want;
    } asked[] = {
        {"192.0.2.2", "ok claimed=liar.example.org"},
        {"192.0.2.3", "ok claimed=nobody.example.org"},
        {"192.0.2.4", "ok claimed="},
        {"192.0.2.5", "ok claimed="},
        {"192.0.2.9", "nxdomain claimed="},
        {"2001:db8::1", "ok claimed=mx.example.org mx.example.org"},
        {"192.0.2.8", "servfail trouble claimed="},
        {"192.0.2.7", "ok trouble claimed=fails.example.org"},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++)
        assert_string_equal(look_up(world, asked[i].address, 0), asked[i].want);
    /* Several names, in whichever order: two are none that a host could have. */
    const char *text = look_up(world, "192.0.2.1", 0);
    assert_true(strcmp(text, "ok claimed=mx.example.org mx.example.org") == 0 ||
                strcmp(text, "ok claimed=liar.example.org mx.example.org") == 0);
}

static void the_budget_bounds_all_of_it(void **state)
{
    struct world *world = *state;
    uint64_t began_ms = clock_monotonic_ms();
    assert_string_equal(look_up(world, "192.0.2.6", 300),
                        "ok trouble claimed=silent.example.org");
    uint64_t took_ms = clock_monotonic_ms() - began_ms;
    assert_true(took_ms >= 290 && took_ms < 2000);
}

static void who_cancels_hears_nothing(void **state)
{
    struct world *world = *state;
    struct address address;
    assert_true(address_parse(BYTES("192.0.2.1"), &address));
    uint64_t ticket = dns_fcrdns(world->dns, &address, 0,
                                 (void (*)(void *, const struct dns_fcrdns *))abort, NULL);
    dns_cancel(world->dns, ticket);
    look_up(world, "192.0.2.3", 0);
    ticket = dns_fcrdns(world->dns, &address, 0,
                        (void (*)(void *, const struct dns_fcrdns *))abort, NULL);
    dns_cancel(world->dns, ticket);
}

static void names_of_addresses_are_made(void **state)
{
    char name[DNS_NAME_SIZE], zone[300];
    struct address v4, v6;
    (void)state;
    assert_true(address_parse(BYTES("192.0.2.10"), &v4));
    assert_true(address_parse(BYTES("2001:db8::f1"), &v6));
    dns_reverse_name(&v4, name);
    assert_string_equal(name, "10.2.0.192.in-addr.arpa");
    dns_reverse_name(&v6, name);
    assert_string_equal(
        name, "1.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    assert_true(dns_list_name(&v4, "List.Example.", name));
    assert_string_equal(name, "10.2.0.192.list.example");
    assert_true(dns_list_name(&v6, "l.example", name));
    assert_string_equal(
        name, "1.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.l.example");
    memset(zone, 'a', sizeof(zone));
    for (size_t i = 10; i < sizeof(zone); i += 10)
        zone[i] = '.';
    zone[253 - 11] = '\0'; /* "10.2.0.192." in front */
    assert_true(dns_list_name(&v4, zone, name));
    assert_int_equal(strlen(name), 253);
    assert_false(dns_list_name(&v6, zone, name));
    zone[253 - 11] = 'a';
    zone[253 - 10] = '\0';
    assert_false(dns_list_name(&v4, zone, name));
    assert_string_equal(name, "");
    assert_false(dns_list_name(&v4, "", name));
    assert_false(dns_list_name(&v4, "a..b", name));
    assert_false(dns_list_name(&v4, ".", name));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_that_lead_back_are_confirmed),
        TEST(the_budget_bounds_all_of_it),
        TEST(who_cancels_hears_nothing),
        cmocka_unit_test(names_of_addresses_are_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
