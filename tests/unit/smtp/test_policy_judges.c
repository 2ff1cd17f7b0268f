/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "smtp/policy/judges.h"

struct lab {
    struct arena arena;
    struct settings settings;
    struct policy_facts facts;
    struct policy_listing listings[4];
    struct policy_sum sum;
};

static void lab_begin(struct lab *lab, const char *client)
{
    memset(lab, 0, sizeof(*lab));
    arena_init(&lab->arena);
    settings_init(&lab->settings, &lab->arena);
    assert_true(address_parse(bytes_of(client), &lab->facts.client));
    lab->facts.hostname = "mx.test";
    lab->facts.listings = lab->listings;
}

static void put(struct lab *lab, enum settings_scope scope, const char *name, const char *value)
{
    char reason[SETTINGS_REASON_SIZE];

    assert_true(settings_check(bytes_of(name), scope, bytes_of(value), reason));
    settings_put(&lab->settings, scope, bytes_of(name), bytes_of(value));
}

static int64_t sum(struct lab *lab)
{
    policy_judge_all(&lab->facts, &lab->settings, &lab->sum);
    return lab->sum.score;
}

static void listing(struct lab *lab, const char *zone, const char *answers)
{
    struct policy_listing *row = &lab->facts.listings[lab->facts.listing_count++];
    unsigned a, b, c, d;
    int used;

    memset(row, 0, sizeof(*row));
    snprintf(row->zone, sizeof(row->zone), "%s", zone);
    row->known = true;
    while (sscanf(answers, " %u.%u.%u.%u%n", &a, &b, &c, &d, &used) == 4) {
        const uint8_t answer[4] = {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d};
        memcpy(row->answers[row->count++], answer, 4);
        answers += used;
    }
}

static void test_nothing_known(void **state)
{
    struct lab lab;

    (void)state;
    lab_begin(&lab, "192.0.2.7");
    put(&lab, SETTINGS_CLUSTER, "dnsbl.zones", "bl.test=6");
    assert_int_equal(sum(&lab), 0);
    arena_fini(&lab.arena);
}

static void test_fcrdns(void **state)
{
    struct lab lab;

    (void)state;
    lab_begin(&lab, "192.0.2.7");
    lab.facts.reverse = POLICY_REVERSE_NONE;
    assert_int_equal(sum(&lab), 250);
    assert_string_equal(policy_judges[lab.sum.worst].name, "fcrdns");
    lab.facts.reverse = POLICY_REVERSE_UNCONFIRMED;
    snprintf(lab.facts.name, sizeof(lab.facts.name), "mail.example.net");
    assert_int_equal(sum(&lab), 150);
    lab.facts.reverse = POLICY_REVERSE_CONFIRMED;
    assert_int_equal(sum(&lab), 0);
    lab.facts.reverse = POLICY_REVERSE_NONE;
    put(&lab, SETTINGS_CLUSTER, "judge.fcrdns.weight", "7.25");
    assert_int_equal(sum(&lab), 725);
    put(&lab, SETTINGS_DOMAIN, "judge.fcrdns.weight", "1");
    assert_int_equal(sum(&lab), 100);
    put(&lab, SETTINGS_DOMAIN, "judge.fcrdns.enabled", "off");
    assert_int_equal(sum(&lab), 0);
    arena_fini(&lab.arena);
}

static void test_generic_names(void **state)
{
    static const struct {
        const char *name;
        const char *address;
        bool generic;
    } cases[] = {
        {"192-0-2-7.pool.example.net", "192.0.2.7", true},
        {"7.2.0.192.example.net", "192.0.2.7", true},
        {"host192000002007.example.net", "192.0.2.7", true},
        {"c0000207.example.net", "192.0.2.7", true},
        {"p-192-000-002-007.example.net", "192.0.2.7", true},
        {"a2-7.dynamic.example.net", "192.0.2.7", true},
        {"7-2.dsl.example.net", "192.0.2.7", true},
        {"x0-2-7.example.net", "192.0.2.7", true},
        {"a2-7.example.net", "192.0.2.7", false},
        {"mail7.example.net", "192.0.2.7", false},
        {"mx1.example.net", "192.0.2.1", false},
        {"192-0-2-8.example.net", "192.0.2.7", false},
        {"mail.dynamic.example.net", "192.0.2.7", false},
        {"smtp99999999992.0.2.example.net", "192.0.2.7", false},
        {"2001-0db8-0000-0000-1234-5678-9abc-def0.example.net", "2001:db8::1234:5678:9abc:def0",
         true},
        {"0.f.e.d.c.b.a.9.8.7.6.5.4.3.2.1.ip6.example.net", "2001:db8::1234:5678:9abc:def0",
         true},
        {"mail.example.net", "2001:db8::1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct address address;
        assert_true(address_parse(bytes_of(cases[i].address), &address));
        if (policy_name_generic(cases[i].name, &address) != cases[i].generic)
            fail_msg("%s", cases[i].name);
    }
}

static void test_helo(void **state)
{
    static const struct {
        const char *helo;
        enum policy_helo_name name;
        int64_t score;
    } cases[] = {
        {"", POLICY_HELO_UNKNOWN, 0},
        {"mail.example.net", POLICY_HELO_FITS, 0},
        {"mail.example.net", POLICY_HELO_THERE, 0},
        {"mail.example.net", POLICY_HELO_UNKNOWN, 0},
        {"mail.example.net", POLICY_HELO_MISSING, 120},
        {"MX.test", POLICY_HELO_THERE, 300},
        {"localhost", POLICY_HELO_UNKNOWN, 200},
        {"[192.0.2.8]", POLICY_HELO_UNKNOWN, 200},
        {"[IPv6:2001:db8::1]", POLICY_HELO_UNKNOWN, 200},
        {"192.0.2.7", POLICY_HELO_UNKNOWN, 200},
        {"[192.0.2.7]", POLICY_HELO_UNKNOWN, 50},
        {"DESKTOP", POLICY_HELO_UNKNOWN, 150},
        {"under_score.example.net", POLICY_HELO_UNKNOWN, 150},
    };
    struct lab lab;

    (void)state;
    lab_begin(&lab, "192.0.2.7");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lab.facts.helo = bytes_of(cases[i].helo);
        lab.facts.helo_name = cases[i].name;
        if (sum(&lab) != cases[i].score)
            fail_msg("%s: %lld", cases[i].helo, (long long)lab.sum.score);
    }
    arena_fini(&lab.arena);
}

static void test_zones(void **state)
{
    struct lab lab;

    (void)state;
    lab_begin(&lab, "192.0.2.7");
    put(&lab, SETTINGS_CLUSTER, "dnsbl.zones",
        "bl.test=6:127.0.0.2-4 bl.test=1.5:127.0.0.10,127.0.0.11 other.test=2 unasked.test=9");
    put(&lab, SETTINGS_CLUSTER, "dnswl.zones", "wl.test=-3");
    listing(&lab, "bl.test", "127.0.0.3");
    assert_int_equal(sum(&lab), 600);
    assert_false(policy_is_welcome(&lab.facts, &lab.settings));
    lab.facts.listing_count = 0;
    listing(&lab, "bl.test", "127.0.0.11 127.0.0.4 127.0.0.2");
    assert_int_equal(sum(&lab), 750);
    assert_string_equal(lab.sum.by[3].words, "listed by bl.test bl.test");
    lab.facts.listing_count = 0;
    listing(&lab, "bl.test", "127.0.0.5");
    assert_int_equal(sum(&lab), 0);
    listing(&lab, "other.test", "127.0.0.99");
    assert_int_equal(sum(&lab), 200);
    listing(&lab, "wl.test", "127.0.3.1");
    assert_int_equal(sum(&lab), -100);
    assert_true(policy_is_welcome(&lab.facts, &lab.settings));
    put(&lab, SETTINGS_DOMAIN, "judge.dnsbl.weight", "0.5");
    assert_int_equal(sum(&lab), -200);
    lab.facts.listings[1].known = false;
    assert_int_equal(sum(&lab), -300);
    put(&lab, SETTINGS_DOMAIN, "judge.dnswl.enabled", "off");
    assert_int_equal(sum(&lab), 0);
    assert_false(policy_is_welcome(&lab.facts, &lab.settings));
    arena_fini(&lab.arena);
}

static void test_network(void **state)
{
    struct lab lab;

    (void)state;
    lab_begin(&lab, "192.0.2.7");
    put(&lab, SETTINGS_CLUSTER, "network.list",
        "192.0.0.0/16=5 AS64500=3 192.0.2.0/24=1.5 2001:db8::/32=4");
    assert_int_equal(sum(&lab), 150);
    lab.facts.network.asn = 64500;
    assert_int_equal(sum(&lab), 150);
    assert_true(address_parse(BYTES("192.0.3.7"), &lab.facts.client));
    assert_int_equal(sum(&lab), 500);
    assert_true(address_parse(BYTES("198.51.100.1"), &lab.facts.client));
    assert_int_equal(sum(&lab), 300);
    assert_true(address_parse(BYTES("2001:db8:1::1"), &lab.facts.client));
    assert_int_equal(sum(&lab), 400);
    put(&lab, SETTINGS_CLUSTER, "network.list", "2001:db8:1::/48=7 2001:db8::/32=4");
    assert_int_equal(sum(&lab), 700);
    put(&lab, SETTINGS_CLUSTER, "network.list", "2001:db8::/32=4");
    lab.facts.network.hostile = true;
    assert_int_equal(sum(&lab), 1400);
    put(&lab, SETTINGS_CLUSTER, "judge.network.weight", "0.1");
    assert_int_equal(sum(&lab), 140);
    arena_fini(&lab.arena);
}

static void test_sender_and_stranger(void **state)
{
    struct lab lab;

    (void)state;
    lab_begin(&lab, "192.0.2.7");
    lab.facts.sender = POLICY_SENDER_SUSPECT;
    assert_int_equal(sum(&lab), 300);
    lab.facts.sender = POLICY_SENDER_UNCHECKED;
    assert_int_equal(sum(&lab), 150);
    lab.facts.sender = POLICY_SENDER_GOOD;
    assert_int_equal(sum(&lab), 0);
    put(&lab, SETTINGS_CLUSTER, "judge.greylist.weight", "4");
    assert_int_equal(sum(&lab), 400);
    lab.facts.familiar = true;
    assert_int_equal(sum(&lab), 0);
    arena_fini(&lab.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_fcrdns),
        cmocka_unit_test(test_generic_names),
        cmocka_unit_test(test_helo),
        cmocka_unit_test(test_zones),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_sender_and_stranger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
