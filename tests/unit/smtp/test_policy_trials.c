/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From connect to verdict, over a resolver and a name server, with a store in memory. */
#include "tests/unit/node/runtime/until.h"

#include <stdio.h>
#include <stdlib.h>

#include "smtp/policy/internal.h"
#include "smtp/policy/sender_check.h"
#include "tests/unit/node/runtime/name_server.h"
#include "unit/smtp/policy_lab.h"

#define MX(host) BYTES_INIT("\0\12" host)
#define NOBODY BYTES_INIT("\x7f\0\0\2")
#define HOST(n) BYTES_INIT("\xc6\x33\x64" n)
#define SOA                                                                                    \
    BYTES_INIT("\2ns\4good\7example\0\2ns\4good\7example\0\0\0\0\1\0\0\1\0\0\0\1\0\0\0\1\0\0"  \
               "\0\0\1")

static const struct zone_row rows[] = {
    {"7.100.51.198.in-addr.arpa", DNS_PTR, ANSWERS, BYTES_INIT("\4mail\4good\7example\0"), NULL,
     0},
    {"mail.good.example", DNS_A, ANSWERS, HOST("\7"), NULL, 0},
    {"8.100.51.198.in-addr.arpa", DNS_PTR, IS_SLOW, BYTES_INIT("\4mail\4good\7example\0"), NULL,
     0},
    {"9.100.51.198.in-addr.arpa", DNS_PTR, FAILS, BYTES_INIT(""), NULL, 0},
    {"5.100.51.198.bl.example", DNS_A, ANSWERS, NOBODY, NULL, 0},
    {"7.100.51.198.bl.example", DNS_A, ANSWERS, BYTES_INIT("\x7f\xff\xff\xfe"), NULL, 0},
    {"5.100.51.198.all.example", DNS_A, ANSWERS, NOBODY, NULL, 0},
    {"1.0.0.127.all.example", DNS_A, ANSWERS, NOBODY, NULL, 0},
    {"5.100.51.198.out.example", DNS_A, FAILS, BYTES_INIT(""), NULL, 0},
    {"1.0.0.127.out.example", DNS_A, FAILS, BYTES_INIT(""), NULL, 0},
    {"5.100.51.198.wl.example", DNS_A, ANSWERS, NOBODY, NULL, 0},
    {"5.100.51.198.slow.example", DNS_A, IS_SLOW, NOBODY, NULL, 0},
    {"good.example", DNS_SOA, ANSWERS, SOA, NULL, 0},
    {"good.example", DNS_NS, ANSWERS, BYTES_INIT("\2ns\4good\7example\0"), NULL, 0},
    {"good.example", DNS_MX, ANSWERS, MX("\4mail\4good\7example\0"), NULL, 0},
    {"good.example", DNS_TXT, ANSWERS, BYTES_INIT("\13v=spf1 -all"), NULL, 0},
    {"lonely.example", DNS_SOA, ANSWERS, SOA, NULL, 0},
    {"sentinel.example", DNS_A, IS_SLOW, NOBODY, NULL, 0},
    {"broken.example", DNS_SOA, FAILS, BYTES_INIT(""), NULL, 0},
    {"broken.example", DNS_NS, FAILS, BYTES_INIT(""), NULL, 0},
    {"broken.example", DNS_MX, FAILS, BYTES_INIT(""), NULL, 0},
    {"broken.example", DNS_A, FAILS, BYTES_INIT(""), NULL, 0},
    {"broken.example", DNS_AAAA, FAILS, BYTES_INIT(""), NULL, 0},
    {"broken.example", DNS_TXT, FAILS, BYTES_INIT(""), NULL, 0},
    {"_dmarc.broken.example", DNS_TXT, FAILS, BYTES_INIT(""), NULL, 0},
};

struct world {
    struct loop *loop;
    struct store_client *store;
    struct dns *dns;
    struct name_server *server;
    struct policy_times times;
    struct policy *policy;
    struct policy_client *client;
    bool answered;
    unsigned answers;
    unsigned code;
    char text[500];
    bool greeted;
};

static void open_world(struct world *world, bool with_dns)
{
    const char *servers[] = {name_server_address(world->server)};
    const struct dns_config dns_config = {
        .servers = servers, .servers_count = 1, .timeout_ms = 2000};

    world->times = policy_times_default;
    world->times.greet_min_ms = 30;
    world->times.greet_max_ms = 300;
    world->times.facts_ms = 3000;
    world->loop = loop_new();
    world->store = lab_store_open(world->loop);
    world->dns = with_dns ? dns_new(world->loop, &dns_config) : NULL;
    const struct policy_config config = {
        .loop = world->loop,
        .store = world->store,
        .dns = world->dns,
        .hostname = "mx.test",
        .times = &world->times,
    };
    world->policy = policy_new(&config);
}

static void close_world(struct world *world)
{
    policy_client_free(&world->client);
    policy_free(&world->policy);
    dns_free(&world->dns);
    store_client_free(&world->store);
    loop_free(&world->loop);
    assert_int_equal(lab_store.open, 0);
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->server = name_server_start(rows, sizeof(rows) / sizeof(*rows), 400);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    name_server_stop(&world->server);
    free(world);
    return 0;
}

static void connect_from(struct world *world, const char *text)
{
    struct address address;

    policy_client_free(&world->client);
    run_until(world->loop, lab_is_polled, NULL);
    assert_true(address_parse(bytes_of(text), &address));
    world->client = policy_client_new(world->policy, &address, 1);
}

static void on_done(void *context, const struct smtp_refusal *refusal)
{
    struct world *world = context;

    world->answered = true;
    world->answers++;
    world->code = refusal != NULL ? refusal->code : 250;
    snprintf(world->text, sizeof(world->text), "%s %s",
             refusal != NULL ? refusal->enhanced : "", refusal != NULL ? refusal->text : "");
}

static bool is_answered(void *context)
{
    return ((struct world *)context)->answered;
}

static struct policy_trial *try_from(struct world *world, const char *sender, bool role)
{
    const struct policy_question question = {
        .helo = BYTES("[198.51.100.5]"),
        .sender = bytes_of(sender),
        .recipient = BYTES("y@here.test"),
        .tenant_id = 3,
        .domain_id = 4,
        .account_id = 5,
        .role = role,
    };
    world->answered = false;
    world->text[0] = '\0';
    return policy_try(world->client, &question, on_done, world);
}

static unsigned verdict(struct world *world, const char *sender)
{
    run_until(world->loop, lab_is_polled, NULL);
    if (try_from(world, sender, false) == NULL)
        return 250;
    run_until(world->loop, is_answered, world);
    return world->code;
}

static void quiet(void)
{
    lab_set(0, 0, "judge.new_domain.enabled", "off");
    lab_set(0, 0, "judge.helo.enabled", "off");
}

static void test_verdicts(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    quiet();
    lab_set(0, 0, "dnsbl.zones", "bl.example=12 all.example=50 out.example=50");
    lab_set(0, 0, "dnswl.zones", "wl.example=-11");
    connect_from(world, "198.51.100.7"); /* "listed" by 127.255.255.254: the list is dead */
    assert_int_equal(verdict(world, "a@b.example"), 250);
    lab_set(0, 0, "dnswl.zones", "none.example=-1");
    connect_from(world, "198.51.100.5");
    lab_set(2, 4, "policy.grey_score", "100");
    assert_int_equal(verdict(world, "a@b.example"), 250);
    close_world(world);

    open_world(world, true);
    quiet();
    lab_set(0, 0, "dnsbl.zones", "bl.example=12 all.example=50 out.example=50");
    connect_from(world, "198.51.100.5");
    assert_int_equal(verdict(world, "a@b.example"), 550);
    assert_non_null(strstr(world->text, "5.7.1 Refused by policy: listed by bl.example;"));
    assert_int_equal(lab_store.greylist_asks, 0);
    assert_null(try_from(world, "a@b.example", true)); /* abuse@ */
    lab_set(0, 0, "dnswl.zones", "wl.example=-11");
    lab_set(0, 0, "policy.grey_score", "100");
    lab_set(1, 3, "policy.dry_run", "on");
    connect_from(world, "198.51.100.5");
    assert_int_equal(verdict(world, "a@b.example"), 250); /* 12 + 2.5 - 11 */
    lab_set(0, 0, "dnswl.zones", "none.example=-1");
    assert_int_equal(verdict(world, "a@b.example"), 250); /* dry */
    lab_set(2, 4, "policy.dry_run", "off");
    connect_from(world, "198.51.100.5");
    assert_int_equal(verdict(world, "a@b.example"), 550);
    close_world(world);
}

/* Who comes first of all is judged by the cluster's settings as well. */
static void test_first_client(void **state)
{
    const struct address client = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 198, 51, 100, 5}};
    struct world *world = *state;

    open_world(world, true);
    lab_set(0, 0, "policy.reject_score", "2");
    lab_set(2, 4, "judge.helo.enabled", "off");
    world->client = policy_client_new(world->policy, &client, 1);
    assert_non_null(try_from(world, "", false));
    run_until(world->loop, is_answered, world);
    assert_int_equal(world->code, 550);
    close_world(world);

    open_world(world, true);
    lab_store.fails = true;
    world->client = policy_client_new(world->policy, &client, 1);
    assert_non_null(try_from(world, "", false));
    run_until(world->loop, is_answered, world);
    assert_int_equal(world->code, 250);
    close_world(world);
}

static void test_nets(void **state)
{
    struct address a, b, net;

    (void)state;
    assert_true(address_parse(BYTES("198.51.100.77"), &a));
    assert_true(address_parse(BYTES("198.51.100.0"), &b));
    net = policy_net(&a, 24);
    assert_true(address_equal(&net, &b));
    net = policy_net(&a, 32);
    assert_true(address_equal(&net, &a));
    assert_true(address_parse(BYTES("2001:db8:1:2:3:4:5:6"), &a));
    assert_true(address_parse(BYTES("2001:db8:1:2::"), &b));
    net = policy_net(&a, 24);
    assert_true(address_equal(&net, &b));
}

static void test_trouble_is_nobodys_fault(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    quiet();
    lab_set(0, 0, "dnsbl.zones", "out.example=50");
    lab_set(0, 0, "policy.grey_score", "0.01");
    connect_from(world, "198.51.100.9");
    assert_int_equal(verdict(world, "a@b.example"), 250);
    lab_store.fails = true; /* nor that of a store that is away */
    connect_from(world, "198.51.100.9");
    assert_int_equal(verdict(world, "a@b.example"), 250);
    close_world(world);

    open_world(world, false); /* nor is a resolver that there is not */
    lab_set(0, 0, "dnsbl.zones", "bl.example=50");
    connect_from(world, "198.51.100.5");
    assert_true(policy_client_greet(world->client, NULL, NULL));
    assert_int_equal(verdict(world, "a@b.example"), 250);
    close_world(world);
}

static void test_greylist(void **state)
{
    struct world *world = *state;

    open_world(world, true);
    quiet();
    lab_set(0, 0, "policy.grey_score", "2");
    connect_from(world, "198.51.100.5");
    assert_int_equal(verdict(world, "a@b.example"), 450);
    assert_non_null(strstr(world->text, "4.7.1 Greylisted, try again in 5 minutes"));
    connect_from(world, "198.51.100.6"); /* the net */
    assert_int_equal(verdict(world, "other@sub.b.example"), 250);
    assert_int_equal(verdict(world, "a@c.example"), 450);
    connect_from(world, "198.51.101.6");
    assert_int_equal(verdict(world, "a@b.example"), 450);
    lab_set(0, 0, "judge.greylist.enabled", "off");
    connect_from(world, "198.51.102.6");
    assert_int_equal(verdict(world, "a@b.example"), 250);
    assert_int_equal(lab_store.greylist_asks, 4);
    close_world(world);
}

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

static void test_local_clients(void **state)
{
    static const char *const locals[] = {"127.0.0.1", "10.1.2.3",    "::1",
                                         "fe80::1",   "192.168.7.7", "100.64.0.1"};
    struct world *world = *state;

    open_world(world, true);
    lab_set(0, 0, "judge.greylist.weight", "50");
    lab_set(0, 0, "dnsbl.zones", "bl.example=50");
    for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++) {
        connect_from(world, locals[i]);
        assert_true(policy_client_greet(world->client, NULL, NULL));
        assert_null(try_from(world, "a@b.example", false));
        assert_false(world->client->reverse_asked);
        assert_int_equal(world->client->facts.listing_count, 0);
    }
    connect_from(world, "172.32.0.1");
    assert_int_equal(verdict(world, "a@b.example"), 550);
    lab_set(0, 0, "policy.local", "on");
    assert_int_equal(verdict(world, "a@b.example"), 550);
    connect_from(world, "127.0.0.1");
    assert_int_equal(verdict(world, "a@b.example"), 550);
    close_world(world);
}

static void on_greet(void *context)
{
    ((struct world *)context)->greeted = true;
}

static bool is_greeted(void *context)
{
    return ((struct world *)context)->greeted;
}

static void test_greeting(void **state)
{
    const struct policy_times times = {.greet_min_ms = 2000, .greet_max_ms = 6000};
    struct world *world = *state;

    assert_int_equal(policy_greet_wait_ms(&times, 0, false), 2000);
    assert_int_equal(policy_greet_wait_ms(&times, 1999, true), 1);
    assert_int_equal(policy_greet_wait_ms(&times, 2000, false), 0);
    assert_true(policy_greet_wait_ms(&times, 2000, true) > 0);
    assert_int_equal(policy_greet_wait_ms(&times, 5999, true), 1);
    assert_int_equal(policy_greet_wait_ms(&times, 6000, true), 0);

    open_world(world, true);
    quiet();
    connect_from(world, "198.51.100.7");
    assert_false(policy_client_greet(world->client, on_greet, world));
    assert_false(world->greeted);
    run_until(world->loop, is_greeted, world);
    assert_int_equal(verdict(world, "a@b.example"), 250);
    connect_from(world, "198.51.100.7"); /* by now it is familiar */
    assert_true(policy_client_greet(world->client, NULL, NULL));
    connect_from(world, "198.51.100.70");
    assert_false(policy_client_greet(world->client, on_greet, world));
    close_world(world); /* while it waits */
}

static void on_sentinel(void *context, const struct dns_answer *answer)
{
    (void)answer;
    *(bool *)context = true;
}

/* What is slow and was asked before has come by now. */
static void wait_for_slow(struct world *world)
{
    bool there = false;

    dns_query(world->dns, "sentinel.example", DNS_A, on_sentinel, &there);
    run_until(world->loop, is_set, &there);
}

static bool never(void *context)
{
    (void)context;
    return true;
}

/* Clients leave at any step, with all kinds of questions under way. */
static void test_leaving(void **state)
{
    struct world *world = *state;

    for (unsigned step = 0; step < 6; step++) {
        open_world(world, true);
        lab_set(0, 0, "dnsbl.zones", "slow.example=3 bl.example=1");
        lab_set(0, 0, "policy.grey_score", "1");
        if (step == 4)
            lab_store.silent = true;
        connect_from(world, step % 2 == 0 ? "198.51.100.8" : "198.51.100.5");
        world->answers = 0;
        if (step > 0)
            assert_non_null(try_from(world, "a@good.example", false));
        if (step > 1)
            assert_non_null(try_from(world, "b@broken.example", false));
        if (step > 2)
            run_until(world->loop, never, world);
        if (step == 5) {
            struct policy_trial *trial = try_from(world, "c@good.example", false);
            policy_cancel(&trial);
            assert_null(trial);
            run_until(world->loop, is_answered, world);
        }
        policy_client_free(&world->client);
        unsigned answers = world->answers;
        wait_for_slow(world);
        assert_int_equal(world->answers, answers);
        close_world(world);
    }
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

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_verdicts),      WORLD_TEST(test_trouble_is_nobodys_fault),
        WORLD_TEST(test_greylist),      WORLD_TEST(test_new_domains),
        WORLD_TEST(test_suspects),      WORLD_TEST(test_new_domains_of_a_day),
        WORLD_TEST(test_local_clients), WORLD_TEST(test_greeting),
        WORLD_TEST(test_leaving),       cmocka_unit_test(test_sender_judge),
        WORLD_TEST(test_first_client),  cmocka_unit_test(test_nets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
