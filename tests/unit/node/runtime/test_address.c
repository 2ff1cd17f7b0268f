/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "node/runtime/address.h"

static void addresses_are_read_and_written(void **state)
{
    static const struct {
        const char *text, *written; /* NULL: refused */
    } rows[] = {
        {"192.0.2.7", "192.0.2.7"},
        {"2001:DB8::0:1", "2001:db8::1"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"::", "::"},
        {"", NULL},
        {"192.0.2", NULL},
        {"192.0.2.256", NULL},
        {"192.0.2.07", NULL},
        {"[::1]", NULL},
        {"fe80::1%lo", NULL},
        {"localhost", NULL},
        {"192.0.2.7 ", NULL},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL},
    };
    char text[ADDRESS_TEXT_SIZE];
    struct address address;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(address_parse(bytes_of(rows[i].text), &address),
                         rows[i].written != NULL);
        if (rows[i].written == NULL)
            continue;
        address_text(&address, text);
        assert_string_equal(text, rows[i].written);
        assert_int_equal(address_is_v4(&address), strchr(text, ':') == NULL);
    }
    assert_false(address_parse(BYTES("192.0.2.7\0"), &address));
}

static void prefixes_hold_what_is_in_them(void **state)
{
    static const struct {
        const char *prefix;
        int bits; /* -1: refused */
        const char *in, *out;
    } rows[] = {
        {"192.0.2.0/24", 120, "192.0.2.255", "192.0.3.0"},
        {"192.0.2.128/25", 121, "192.0.2.128", "192.0.2.127"},
        {"192.0.2.1", 128, "192.0.2.1", "192.0.2.0"},
        {"::ffff:192.0.2.0/120", 120, "192.0.2.9", "192.0.1.9"},
        {"0.0.0.0/0", 96, "203.0.113.1", "2001:db8::1"},
        {"2001:db8::/33", 33, "2001:db8:7fff::", "2001:db8:8000::"},
        {"::/0", 0, "192.0.2.1", NULL},
        {"2001:db8::1", 128, "2001:db8::1", "2001:db8::2"},
        {"192.0.2.1/24", -1, NULL, NULL},
        {"192.0.2.0/33", -1, NULL, NULL},
        {"192.0.2.0/", -1, NULL, NULL},
        {"192.0.2.0/-1", -1, NULL, NULL},
        {"2001:db8::/129", -1, NULL, NULL},
        {"/24", -1, NULL, NULL},
        {"", -1, NULL, NULL},
    };
    struct address_prefix prefix;
    struct address address;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(address_prefix_parse(bytes_of(rows[i].prefix), &prefix),
                         rows[i].bits >= 0);
        if (rows[i].bits < 0)
            continue;
        assert_int_equal(prefix.bits, rows[i].bits);
        assert_true(address_parse(bytes_of(rows[i].in), &address));
        assert_true(address_in(&address, &prefix));
        if (rows[i].out == NULL)
            continue;
        assert_true(address_parse(bytes_of(rows[i].out), &address));
        assert_false(address_in(&address, &prefix));
    }
}

static void socket_addresses_of_both_families_are_taken(void **state)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(25)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(587)};
    const struct sockaddr local = {.sa_family = AF_UNIX};
    struct address a, b;
    uint16_t port;
    (void)state;
    inet_pton(AF_INET, "192.0.2.7", &v4.sin_addr);
    inet_pton(AF_INET6, "::ffff:192.0.2.7", &v6.sin6_addr);
    assert_true(address_of_socket((const struct sockaddr *)&v4, &a, &port));
    assert_int_equal(port, 25);
    assert_true(address_of_socket((const struct sockaddr *)&v6, &b, &port));
    assert_int_equal(port, 587);
    assert_true(address_equal(&a, &b));
    assert_true(address_of_socket((const struct sockaddr *)&v6, &b, NULL));
    assert_false(address_of_socket(&local, &b, &port));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(prefixes_hold_what_is_in_them),
        cmocka_unit_test(socket_addresses_of_both_families_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
