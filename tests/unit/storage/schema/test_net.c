/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nets as keys, sets of texts, and what local parts mean. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <arpa/inet.h>
#include <stdlib.h>

#include "storage/schema/address.h"
#include "storage/schema/net.h"
#include "storage/schema/text_set.h"

static void test_one_form(void **state)
{
    static const char *const rows[][2] = {
        {"192.0.2.7", "192.0.2.7"},
        {"192.0.2.7/32", "192.0.2.7"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"2001:DB8:0:0::/32", "2001:db8::/32"},
        {"2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"},
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
        {"1:0:0:2:3:0:0:4", "1::2:3:0:0:4"},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
        {"1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"},
        {"::/0", "::/0"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"::1.2.3.4", "::102:304"},
        {"AS1", "AS1"},
        {"AS4294967295", "AS4294967295"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char text[NET_TEXT_SIZE];
        struct net net;
        struct net again;
        if (!net_parse(bytes_of(rows[i][0]), &net))
            fail_msg("%s is a net", rows[i][0]);
        net_text(&net, text);
        assert_string_equal(text, rows[i][1]);
        assert_true(net_parse(bytes_of(text), &again));
        assert_memory_equal(&net, &again, sizeof(net));
    }
}

static void test_what_is_none(void **state)
{
    static const char *const rows[] = {
        "",
        "/",
        "192.0.2.7/33",
        "192.0.2.7/",
        "192.0.2.7/08",
        "192.0.2.1/24",
        "2001:db8::1/32",
        "2001:db8::/129",
        "192.0.2",
        "192.0.2.256",
        "192.0.02.1",
        " 192.0.2.1",
        "192.0.2.1 ",
        "fe80::1%eth0",
        "::ffff:192.0.2.1",
        "::ffff:0:0/96",
        "AS",
        "AS0",
        "AS01",
        "AS4294967296",
        "as64500",
        "AS64500/2",
        "example.net",
        "192.0.2.1/-1",
        "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111",
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct net net;
        if (net_parse(bytes_of(rows[i]), &net))
            fail_msg("%s is no net", rows[i]);
    }
}

/* Compared with the C library's, for addresses with many zeros. */
static void test_addresses_as_others_write_them(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct net net = {.kind = NET_V6, .bits = 128};
        char want[INET6_ADDRSTRLEN];
        char text[NET_TEXT_SIZE];
        for (unsigned k = 0; k < 16; k++) {
            seed = seed * 1664525 + 1013904223;
            net.address[k] = seed >> 30 != 0 ? 0 : (uint8_t)(seed >> 16);
        }
        assert_non_null(inet_ntop(AF_INET6, net.address, want, sizeof(want)));
        net_text(&net, text);
        if (strchr(want, '.') == NULL) /* IPv4 in IPv6 is written in two ways */
            assert_string_equal(text, want);
    }
}

static int key_compare(const struct net *a, const struct net *b)
{
    uint8_t left[NET_KEY_SIZE_MAX] = {0};
    uint8_t right[NET_KEY_SIZE_MAX] = {0};
    size_t len = net_key(a, left);

    assert_true(len <= NET_KEY_SIZE_MAX);
    net_key(b, right);
    return memcmp(left, right, sizeof(left));
}

static void test_order_and_cover(void **state)
{
    static const char *const rows[] = {
        "0.0.0.0/0", "10.0.0.0/8",    "10.0.0.0/16", "10.0.0.1", "11.0.0.0/8",
        "::/0",      "2001:db8::/32", "2001:db8::1", "AS5",      "AS300"};
    struct net nets[sizeof(rows) / sizeof(*rows)];
    size_t count = sizeof(rows) / sizeof(*rows);

    (void)state;
    for (size_t i = 0; i < count; i++)
        assert_true(net_parse(bytes_of(rows[i]), &nets[i]));
    for (size_t i = 1; i < count; i++)
        assert_true(key_compare(&nets[i - 1], &nets[i]) < 0);
    assert_true(net_covers(&nets[0], &nets[3]));
    assert_true(net_covers(&nets[2], &nets[3]));
    assert_true(net_covers(&nets[3], &nets[3]));
    assert_false(net_covers(&nets[3], &nets[2]));
    assert_false(net_covers(&nets[1], &nets[4]));
    assert_false(net_covers(&nets[0], &nets[7]));
    assert_true(net_covers(&nets[5], &nets[7]));
    assert_false(net_covers(&nets[8], &nets[9]));
    assert_true(net_covers(&nets[8], &nets[8]));
}

static void test_texts_once(void **state)
{
    struct arena arena;
    struct text_set set;

    (void)state;
    arena_init(&arena);
    text_set_init(&set, &arena);
    assert_false(text_set_has(&set, BYTES("")));
    assert_true(text_set_add(&set, bytes_from(NULL, 0)));
    assert_false(text_set_add(&set, BYTES("")));
    for (unsigned i = 0; i < 5000; i++)
        assert_true(text_set_add(&set, bytes_of(arena_printf(&arena, "t%u", i))));
    for (unsigned i = 0; i < 5000; i++) {
        assert_false(text_set_add(&set, bytes_of(arena_printf(&arena, "t%u", i))));
        assert_false(text_set_has(&set, bytes_of(arena_printf(&arena, "u%u", i))));
    }
    assert_int_equal(set.count, 5001);
    arena_fini(&arena);
}

static void test_local_parts(void **state)
{
    struct arena arena;
    struct bytes list;

    (void)state;
    arena_init(&arena);
    assert_true(address_list_part(BYTES("news-owner"), LIST_OWNER, &list));
    assert_true(bytes_equal(list, BYTES("news")));
    assert_false(address_list_part(BYTES("-owner"), LIST_OWNER, &list));
    assert_false(address_list_part(BYTES("owner"), LIST_OWNER, &list));
    assert_false(address_list_part(BYTES("news-owner"), LIST_BOUNCES, &list));
    assert_true(bytes_equal(address_of_list(&arena, BYTES("news@a.example"), LIST_BOUNCES),
                            BYTES("news-bounces@a.example")));
    assert_true(address_is_rewritten(BYTES("srs0=x")));
    assert_true(address_is_rewritten(BYTES("SRS1-x")));
    assert_true(address_is_rewritten(BYTES("srs0+")));
    assert_false(address_is_rewritten(BYTES("srs0")));
    assert_false(address_is_rewritten(BYTES("srs2=x")));
    assert_false(address_is_rewritten(BYTES("srs0x=")));
    assert_true(address_is_role(BYTES("abuse")));
    assert_true(address_is_role(BYTES("postmaster")));
    assert_false(address_is_role(BYTES("abuse+x")));
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_form),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_addresses_as_others_write_them),
        cmocka_unit_test(test_order_and_cover),
        cmocka_unit_test(test_texts_once),
        cmocka_unit_test(test_local_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
