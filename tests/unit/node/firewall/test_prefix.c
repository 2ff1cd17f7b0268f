/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "node/firewall/digest.h"
#include "node/firewall/prefix.h"

static const struct {
    const char *text;
    enum err err;
    const char *meant; /* as it is written again; NULL where there is none */
} cases[] = {
    {"192.0.2.0/24", ERR_OK, "192.0.2.0/24"},
    {"192.0.2.7", ERR_OK, "192.0.2.7"},
    {"192.0.2.7/32", ERR_OK, "192.0.2.7"},
    {"0.0.0.0/0", ERR_OK, "0.0.0.0/0"},
    {"255.255.255.255", ERR_OK, "255.255.255.255"},
    {"192.0.2.1/24", ERR_INVALID, "192.0.2.0/24"},
    {"192.0.2.0/33", ERR_MALFORMED, NULL},
    {"192.0.2.0/", ERR_MALFORMED, NULL},
    {"192.0.2.0/024", ERR_MALFORMED, NULL},
    {"192.0.2.0/+4", ERR_MALFORMED, NULL},
    {"192.0.2.0/24 ", ERR_MALFORMED, NULL},
    {" 192.0.2.0", ERR_MALFORMED, NULL},
    {"192.0.2", ERR_MALFORMED, NULL},
    {"192.0.2.256", ERR_MALFORMED, NULL},
    {"2001:db8::/32", ERR_OK, "2001:db8::/32"},
    {"2001:DB8::1", ERR_OK, "2001:db8::1"},
    {"2001:db8::1/64", ERR_INVALID, "2001:db8::/64"},
    {"2001:db8::/129", ERR_MALFORMED, NULL},
    {"::/0", ERR_OK, "::/0"},
    {"::ffff:192.0.2.7", ERR_OK, "192.0.2.7"},
    {"::ffff:192.0.2.0/120", ERR_OK, "192.0.2.0/24"},
    {"::ffff:c000:200/120", ERR_OK, "192.0.2.0/24"},
    {"::ffff:0.0.0.0/95", ERR_MALFORMED, NULL},
    {"fe80::1%eth0", ERR_MALFORMED, NULL},
    {"[2001:db8::1]", ERR_MALFORMED, NULL},
    {"AS64500", ERR_OK, "AS64500"},
    {"as1", ERR_OK, "AS1"},
    {"AS4294967295", ERR_OK, "AS4294967295"},
    {"AS4294967296", ERR_MALFORMED, NULL},
    {"AS0", ERR_MALFORMED, NULL},
    {"AS01", ERR_MALFORMED, NULL},
    {"AS", ERR_MALFORMED, NULL},
    {"AS1/24", ERR_MALFORMED, NULL},
    {"", ERR_MALFORMED, NULL},
    {"/24", ERR_MALFORMED, NULL},
    {"example.org", ERR_MALFORMED, NULL},
};

static void places_are_read_and_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct firewall_place place;
        char text[FIREWALL_PLACE_TEXT_SIZE];
        print_message("%s\n", cases[i].text);
        assert_int_equal(firewall_place_parse(bytes_of(cases[i].text), &place), cases[i].err);
        if (cases[i].meant == NULL)
            continue;
        firewall_place_text(&place, text);
        assert_string_equal(text, cases[i].meant);
    }
    struct firewall_place place;
    assert_int_equal(firewall_place_parse(bytes_from("1.2.3.4\0x", 9), &place), ERR_MALFORMED);
}

static struct firewall_place place_of(const char *text)
{
    struct firewall_place place;

    assert_int_equal(firewall_place_parse(bytes_of(text), &place), ERR_OK);
    return place;
}

static bool holds(const char *prefix, const char *address)
{
    struct firewall_place outer = place_of(prefix);
    struct firewall_place inner = place_of(address);
    bool covers = firewall_prefix_covers(&outer.prefix, &inner.prefix);

    assert_int_equal(covers, firewall_prefix_holds(&outer.prefix, &inner.prefix.address));
    return covers;
}

static void prefixes_hold_their_own_family(void **state)
{
    (void)state;
    assert_true(holds("192.0.2.0/24", "192.0.2.255"));
    assert_false(holds("192.0.2.0/24", "192.0.3.0"));
    assert_true(holds("192.0.2.7", "192.0.2.7"));
    assert_true(holds("192.0.2.0/24", "::ffff:192.0.2.9"));
    assert_true(holds("0.0.0.0/0", "203.0.113.1"));
    assert_false(holds("0.0.0.0/0", "2001:db8::1"));
    assert_false(holds("::/0", "192.0.2.1"));
    assert_false(holds("::/64", "192.0.2.1"));
    assert_true(holds("::/0", "2001:db8::1"));
    assert_true(holds("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(holds("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(holds("2001:db8::/65", "2001:db8::7fff:0:0:1"));
    assert_false(holds("2001:db8::/65", "2001:db8::8000:0:0:1"));
}

static void an_address_has_a_net(void **state)
{
    static const char *const pairs[][2] = {
        {"192.0.2.77", "192.0.2.0/24"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
    };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct firewall_place place = place_of(pairs[i][0]);
        struct firewall_prefix net = firewall_net_of(&place.prefix.address);
        char text[FIREWALL_PLACE_TEXT_SIZE];
        uint8_t bytes[16];
        firewall_prefix_text(&net, text);
        assert_string_equal(text, pairs[i][1]);
        firewall_address_bytes(&place.prefix.address, bytes);
        struct firewall_address again = firewall_address_from(bytes);
        assert_true(firewall_address_equal(&again, &place.prefix.address));
    }
}

/* The vectors of the paper: key 00 01 .. 0f, input 00 01 .. */
static void digests_are_siphash(void **state)
{
    struct firewall_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    uint8_t input[16];

    (void)state;
    for (uint8_t i = 0; i < 16; i++)
        input[i] = i;
    assert_true(firewall_digest(&key, bytes_from(input, 0)) == 0x726fdb47dd0e0e31);
    assert_true(firewall_digest(&key, bytes_from(input, 15)) == 0xa129ca6149be45e5);
    assert_true(firewall_digest(&key, bytes_from(input, 8)) !=
                firewall_digest(&key, bytes_from(input, 9)));
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t digest = firewall_secret_digest(&key, bytes_from(&i, sizeof(i)));
        assert_in_range(digest, 1, FIREWALL_SECRET_MAX);
    }
    assert_true(firewall_account_digest(&key, BYTES("joe")) !=
                firewall_account_digest(&key, BYTES("jo")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_read_and_written),
        cmocka_unit_test(prefixes_hold_their_own_family),
        cmocka_unit_test(an_address_has_a_net),
        cmocka_unit_test(digests_are_siphash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
