/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The resolver against a name server of our own that behaves well, badly, or not at all. */
#include "tests/unit/node/runtime/until.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/runtime/dns.h"
#include "node/runtime/metrics.h"
#include "tests/unit/node/runtime/name_server.h"

enum { SLOW_MS = 300, TIMEOUT_MS = 2000, CNAME = 5 };

#define ORG "\7example\3org\0"

static const struct zone_row rows[] = {
    {"mx.example.org", DNS_A, ANSWERS, BYTES_INIT("\xc0\0\2\1"), NULL, 0},
    {"mx.example.org", DNS_A, ANSWERS, BYTES_INIT("\xc0\0\2\2"), NULL, 0},
    {"mx.example.org", DNS_AAAA, ANSWERS, BYTES_INIT("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"),
     NULL, 0},
    {"example.org", DNS_MX, ANSWERS, BYTES_INIT("\0\x14\5other" ORG), NULL, 0},
    {"example.org", DNS_MX, ANSWERS, BYTES_INIT("\0\x0a\2MX" ORG), NULL, 0},
    {"example.org", DNS_NS, ANSWERS, BYTES_INIT("\2ns" ORG), NULL, 0},
    {"example.org", DNS_SOA, ANSWERS,
     BYTES_INIT("\2ns" ORG "\4a.b\x2f" ORG "\0\0\0\7\0\0\x0e\x10\0\0\2\x58\0\1\x51\x80\0\0\0"
                "\x3c"),
     NULL, 0},
    {"example.org", DNS_TXT, ANSWERS, BYTES_INIT("\7v=spf1 \4-all\0"), NULL, 0},
    {"null.example.org", DNS_MX, ANSWERS, BYTES_INIT("\0\0\0"), NULL, 0},
    {"_25._tcp.mx.example.org", DNS_TLSA, ANSWERS, BYTES_INIT("\3\1\1\xaa\xbb"), NULL, 0},
    {"www.example.org", DNS_A, ANSWERS, BYTES_INIT("\2mx" ORG), NULL, CNAME},
    {"www.example.org", DNS_A, ANSWERS, BYTES_INIT("\xc0\0\2\1"), "mx.example.org", 0},
    {"fails.example.org", DNS_A, FAILS, BYTES_INIT(""), NULL, 0},
    {"refuses.example.org", DNS_A, REFUSES, BYTES_INIT(""), NULL, 0},
    {"silent.example.org", DNS_A, IS_SILENT, BYTES_INIT(""), NULL, 0},
    {"silent2.example.org", DNS_A, IS_SILENT, BYTES_INIT(""), NULL, 0},
    {"silent3.example.org", DNS_A, IS_SILENT, BYTES_INIT(""), NULL, 0},
    {"slow.example.org", DNS_A, IS_SLOW, BYTES_INIT("\xc0\0\2\3"), NULL, 0},
    {"long.example.org", DNS_TXT, TRUNCATES, BYTES_INIT("\4long"), NULL, 0},
    {"forged.example.org", DNS_A, FORGES, BYTES_INIT("\xcb\0\x71\1"), NULL, 0},
    {"forged.example.org", DNS_A, FORGES, BYTES_INIT("\xc0\0\2\4"), NULL, 0},
    {"babble.example.org", DNS_A, BABBLES, BYTES_INIT(""), NULL, 0},
    {"6.2.0.192.in-addr.arpa", DNS_PTR, IS_SILENT, BYTES_INIT(""), NULL, 0},
};

struct world {
    struct loop *loop;
    struct dns *dns;
    struct name_server *server;
};

static void world_new(struct world *world, unsigned timeout_ms, unsigned outstanding_max)
{
    world->server = name_server_start(rows, sizeof(rows) / sizeof(*rows), SLOW_MS);
    const char *servers[] = {name_server_address(world->server)};
    const struct dns_config config = {.servers = servers,
                                      .servers_count = 1,
                                      .timeout_ms = timeout_ms,
                                      .outstanding_max = outstanding_max};
    world->loop = loop_new();
    world->dns = dns_new(world->loop, &config);
    assert_non_null(world->dns);
}

static void world_free(struct world *world)
{
    dns_free(&world->dns);
    assert_null(world->dns);
    loop_free(&world->loop);
    name_server_stop(&world->server);
    assert_int_equal(metric_get(METRIC_DNS_OUTSTANDING), 0);
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    world_new(world, TIMEOUT_MS, 0);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    free(*state);
    return 0;
}

/* An answer as one line: "ok ttl=300 target=... 192.0.2.1 192.0.2.2". */
struct heard {
    char text[1024];
    bool there;
    unsigned count;
};

static void add_record(enum dns_type type, const struct dns_record *record, char *text,
                       size_t size)
{
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        address_text(&record->address, text);
        break;
    case DNS_NS:
    case DNS_PTR:
        snprintf(text, size, "%s", record->name);
        break;
    case DNS_MX:
        snprintf(text, size, "%u:%s", record->mx.preference, record->mx.host);
        break;
    case DNS_TXT:
        snprintf(text, size, "%.*s", BYTES_ARG(record->text));
        break;
    case DNS_TLSA:
        snprintf(text, size, "%u.%u.%u:%02x+%zu", record->tlsa.usage, record->tlsa.selector,
                 record->tlsa.matching, record->tlsa.data.at[0], record->tlsa.data.len);
        break;
    case DNS_SOA:
        snprintf(text, size, "%s %s %u %u %u %u %u", record->soa.primary, record->soa.mailbox,
                 record->soa.serial, record->soa.refresh_s, record->soa.retry_s,
                 record->soa.expire_s, record->soa.minimum_s);
        break;
    }
}

static void on_heard(void *context, const struct dns_answer *answer)
{
    struct heard *heard = context;
    size_t used = 0;
    used += (size_t)snprintf(heard->text, sizeof(heard->text), "%s%s",
                             dns_result_text(answer->result), answer->secure ? " secure" : "");
    if (strcmp(answer->target, answer->name) != 0)
        used += (size_t)snprintf(heard->text + used, sizeof(heard->text) - used, " ->%s",
                                 answer->target);
    for (unsigned i = 0; i < answer->count; i++) {
        heard->text[used++] = ' ';
        add_record(answer->type, &answer->records[i], heard->text + used,
                   sizeof(heard->text) - used);
        used += strlen(heard->text + used);
    }
    assert_int_equal(answer->count > 0, answer->result == DNS_OK);
    assert_true(!dns_trouble(answer->result) || (answer->ttl_s == 0 && answer->count == 0));
    assert_true(answer->result != DNS_OK || (answer->ttl_s > 0 && answer->ttl_s <= 300));
    heard->there = true;
    heard->count++;
}

static const char *ask(struct world *world, const char *name, enum dns_type type,
                       struct heard *heard)
{
    *heard = (struct heard){.there = false};
    dns_query(world->dns, name, type, on_heard, heard);
    assert_false(heard->there); /* never inside the call */
    run_until(world->loop, is_set, &heard->there);
    return heard->text;
}

static void records_of_all_types_are_read(void **state)
{
    static const struct {
        const char *name;
        enum dns_type type;
        const char *want;
    } asked[] = {
        {"mx.example.org", DNS_AAAA, "ok 2001:db8::1"},
        {"example.org", DNS_MX, "ok 10:mx.example.org 20:other.example.org"},
        {"Example.ORG.", DNS_MX, "ok ->example.org 10:mx.example.org 20:other.example.org"},
        {"example.org", DNS_NS, "ok ns.example.org"},
        {"example.org", DNS_SOA,
         "ok ns.example.org a\\046b\\047.example.org 7 3600 600 86400 60"},
        {"example.org", DNS_TXT, "ok v=spf1 -all"},
        {"null.example.org", DNS_MX, "ok 0:"},
        {"_25._tcp.mx.example.org", DNS_TLSA, "ok 3.1.1:aa+2"},
        {"example.org", DNS_A, "nodata"},
        {"nobody.example.org", DNS_A, "nxdomain"},
        {"long.example.org", DNS_TXT, "ok long"},
    };
    struct world *world = *state;
    struct heard heard;
    for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++)
        assert_string_equal(ask(world, asked[i].name, asked[i].type, &heard), asked[i].want);
    assert_int_equal(name_server_asked_tcp(world->server), 1);
    const char *both = ask(world, "mx.example.org", DNS_A, &heard);
    assert_true(strcmp(both, "ok 192.0.2.1 192.0.2.2") == 0 ||
                strcmp(both, "ok 192.0.2.2 192.0.2.1") == 0);
    const char *target = ask(world, "www.example.org", DNS_A, &heard);
    assert_memory_equal(target, "ok ->mx.example.org 192.0.2.", 28);
}

static void trouble_is_not_absence(void **state)
{
    struct world *world = *state;
    struct heard heard;
    assert_string_equal(ask(world, "fails.example.org", DNS_A, &heard), "servfail");
    assert_string_equal(ask(world, "refuses.example.org", DNS_A, &heard), "servfail");
    assert_string_equal(ask(world, "forged.example.org", DNS_A, &heard), "ok 192.0.2.4");
    ask(world, "babble.example.org", DNS_A, &heard);
    assert_true(strcmp(heard.text, "servfail") == 0 || strcmp(heard.text, "timeout") == 0);
    uint64_t began_ms = clock_monotonic_ms();
    assert_string_equal(ask(world, "silent.example.org", DNS_A, &heard), "timeout");
    uint64_t took_ms = clock_monotonic_ms() - began_ms;
    assert_true(took_ms >= TIMEOUT_MS - 10);
    assert_int_equal(heard.count, 1);
}

static void what_is_no_name_is_not_asked_for(void **state)
{
    static const char *const names[] = {
        "",
        "a..b",
        ".a",
        "a b.example",
        "a\\.example",
        "\xc3\xa4.example",
        "a\nb.example",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example",
    };
    struct world *world = *state;
    struct heard heard;
    char long_name[300];
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        assert_string_equal(ask(world, names[i], DNS_A, &heard), "nxdomain");
    memset(long_name, 'a', sizeof(long_name));
    for (size_t i = 10; i < sizeof(long_name); i += 10)
        long_name[i] = '.';
    long_name[254] = '\0';
    assert_string_equal(ask(world, long_name, DNS_A, &heard), "nxdomain");
    assert_int_equal(name_server_asked(world->server, long_name, DNS_A), 0);
}

static bool all_there(void *context)
{
    const struct heard *heard = context;
    for (unsigned i = 0; i < 4; i++)
        if (!heard[i].there)
            return false;
    return true;
}

static void equal_questions_are_asked_once(void **state)
{
    struct world *world = *state;
    struct heard heard[4] = {{.there = false}};
    uint64_t joined = metric_get(METRIC_DNS_JOINED);
    for (unsigned i = 0; i < 4; i++)
        dns_query(world->dns, i % 2 ? "slow.example.org" : "SLOW.example.org.", DNS_A, on_heard,
                  &heard[i]);
    run_until(world->loop, all_there, heard);
    assert_int_equal(metric_get(METRIC_DNS_JOINED) - joined, 3);
    for (unsigned i = 0; i < 4; i++) {
        assert_non_null(strstr(heard[i].text, "192.0.2.3"));
        assert_int_equal(heard[i].count, 1);
    }
    unsigned asked = name_server_asked(world->server, "slow.example.org", DNS_A);
    struct heard again;
    assert_string_equal(ask(world, "slow.example.org", DNS_A, &again), "ok 192.0.2.3");
    assert_int_equal(name_server_asked(world->server, "slow.example.org", DNS_A), asked);
}

static void who_cancels_hears_nothing(void **state)
{
    struct world *world = *state;
    struct heard first = {.there = false}, second = {.there = false}, bad = {.there = false};
    uint64_t ticket = dns_query(world->dns, "slow.example.org", DNS_A, on_heard, &first);
    dns_query(world->dns, "slow.example.org", DNS_A, on_heard, &second);
    uint64_t instant = dns_query(world->dns, "a..b", DNS_A, on_heard, &bad);
    dns_cancel(world->dns, ticket);
    dns_cancel(world->dns, instant);
    dns_cancel(world->dns, ticket);
    dns_cancel(world->dns, 0);
    dns_cancel(world->dns, 123456);
    run_until(world->loop, is_set, &second.there);
    assert_false(first.there);
    assert_false(bad.there);
}

/* Somebody's answer makes him forget what else he asked. */
struct pair {
    struct world *world;
    uint64_t tickets[2];
    unsigned heard;
    bool over;
};

static void on_first(void *context, const struct dns_answer *answer)
{
    struct pair *pair = context;
    (void)answer;
    pair->heard++;
    dns_cancel(pair->world->dns, pair->tickets[0]);
    dns_cancel(pair->world->dns, pair->tickets[1]);
}

static void on_last(void *context, const struct dns_answer *answer)
{
    struct pair *pair = context;
    (void)answer;
    pair->over = true;
}

static void an_answer_may_cancel_another(void **state)
{
    static const char *const names[] = {"slow.example.org", "a..b"};
    struct world *world = *state;
    for (size_t i = 0; i < 2; i++) {
        struct pair pair = {.world = world};
        pair.tickets[0] = dns_query(world->dns, names[i], DNS_A, on_first, &pair);
        pair.tickets[1] = dns_query(world->dns, names[i], DNS_A, on_first, &pair);
        dns_query(world->dns, "fails.example.org", DNS_A, on_last, &pair);
        dns_query(world->dns, "slow.example.org", DNS_A, on_last, &pair);
        pair.over = false;
        run_until(world->loop, is_set, &pair.over);
        while (pair.heard == 0)
            run_until(world->loop, is_set, &pair.over);
        assert_int_equal(pair.heard, 1);
    }
    /* What was told is in no list any more: the next that is abandoned stands alone. */
    for (size_t i = 0; i < 2; i++)
        dns_cancel(world->dns,
                   dns_query(world->dns, i == 0 ? "silent.example.org" : "silent2.example.org",
                             DNS_A, on_last, NULL));
}

/* A question that nobody waits for any more is still answered, and is there for the next. */
static void a_late_answer_is_not_lost(void **state)
{
    struct world world;
    struct heard heard;
    (void)state;
    world_new(&world, 100, 0);
    assert_string_equal(ask(&world, "slow.example.org", DNS_A, &heard), "timeout");
    assert_int_equal(metric_get(METRIC_DNS_OUTSTANDING), 1);
    uint64_t end_ms = clock_monotonic_ms() + UNTIL_MAX_MS;
    while (strcmp(ask(&world, "slow.example.org", DNS_A, &heard), "ok 192.0.2.3") != 0)
        assert_true(clock_monotonic_ms() < end_ms);
    world_free(&world);
}

static void outstanding_questions_are_bounded(void **state)
{
    struct world world;
    struct heard heard[4] = {{.there = false}};
    (void)state;
    world_new(&world, 500, 2);
    uint64_t ticket = dns_query(world.dns, "slow.example.org", DNS_A, on_heard, &heard[0]);
    dns_query(world.dns, "silent2.example.org", DNS_A, on_heard, &heard[1]);
    dns_query(world.dns, "silent3.example.org", DNS_A, on_heard, &heard[2]);
    run_until(world.loop, is_set, &heard[2].there);
    assert_string_equal(heard[2].text, "servfail");
    assert_false(heard[0].there || heard[1].there);
    /* One that is under way can be joined, and one that nobody waits for makes room; its answer
     * comes before the other's time is over, and finds nobody. */
    dns_query(world.dns, "silent2.example.org", DNS_A, on_heard, &heard[2]);
    dns_cancel(world.dns, ticket);
    assert_int_equal(metric_get(METRIC_DNS_OUTSTANDING), 2);
    dns_query(world.dns, "mx.example.org", DNS_AAAA, on_heard, &heard[3]);
    assert_int_equal(metric_get(METRIC_DNS_OUTSTANDING), 2);
    run_until(world.loop, is_set, &heard[3].there);
    assert_string_equal(heard[3].text, "ok 2001:db8::1");
    run_until(world.loop, is_set, &heard[1].there);
    assert_string_equal(heard[1].text, "timeout");
    world_free(&world);
}

static void what_is_under_way_at_the_end_is_forgotten(void **state)
{
    struct world world;
    struct heard heard = {.there = false};
    struct address address;
    (void)state;
    world_new(&world, 0, 0);
    assert_true(address_parse(BYTES("192.0.2.6"), &address));
    dns_query(world.dns, "silent.example.org", DNS_A, on_heard, &heard);
    dns_query(world.dns, "a..b", DNS_A, on_heard, &heard);
    dns_fcrdns(world.dns, &address, 0, (void (*)(void *, const struct dns_fcrdns *))abort,
               NULL);
    world_free(&world);
    assert_false(heard.there);
}

/* Without the world: what was put there. */
static void own_data_is_answered(void **state)
{
    static const char *const data[] = {"mx.test. 60 IN A 192.0.2.77",
                                       "a.example.net. 60 IN TXT \"one\" \" two\""};
    const struct dns_config config = {.local_data = data, .local_data_count = 2};
    struct world world = {.loop = loop_new()};
    struct heard heard;
    (void)state;
    world.dns = dns_new(world.loop, &config);
    assert_non_null(world.dns);
    assert_string_equal(ask(&world, "mx.test", DNS_A, &heard), "ok 192.0.2.77");
    assert_string_equal(ask(&world, "a.example.net", DNS_TXT, &heard), "ok one two");
    assert_string_equal(ask(&world, "my.test", DNS_A, &heard), "nxdomain");
    dns_free(&world.dns);
    loop_free(&world.loop);
}

static void what_cannot_be_set_up_is_said(void **state)
{
    static const char *const bad_server[] = {"not-a-number:53"};
    static const char *const bad_data[] = {"nonsense"};
    const struct dns_config configs[] = {
        {.servers = bad_server, .servers_count = 1},
        {.trust_anchor = "/nowhere/root.key"},
        {.local_data = bad_data, .local_data_count = 1},
    };
    struct loop *loop = loop_new();
    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(*configs); i++)
        assert_null(dns_new(loop, &configs[i]));
    loop_free(&loop);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_of_all_types_are_read),
        TEST(trouble_is_not_absence),
        TEST(what_is_no_name_is_not_asked_for),
        TEST(equal_questions_are_asked_once),
        TEST(who_cancels_hears_nothing),
        TEST(an_answer_may_cancel_another),
        cmocka_unit_test(a_late_answer_is_not_lost),
        cmocka_unit_test(outstanding_questions_are_bounded),
        cmocka_unit_test(what_is_under_way_at_the_end_is_forgotten),
        cmocka_unit_test(own_data_is_answered),
        cmocka_unit_test(what_cannot_be_set_up_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
