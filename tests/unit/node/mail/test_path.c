/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/mail/path.h"

enum { NULL_TOO = 1, UTF8 = 2 };

static const struct {
    const char *text;
    unsigned flags;
    enum err want;
    const char *local;
    const char *domain;
    const char *rest;
    const char *form; /* NULL: local@domain */
} rows[] = {
    {"<a@b>", 0, ERR_OK, "a", "b", "", NULL},
    {"<A.b+c@Example.ORG> SIZE=1", 0, ERR_OK, "A.b+c", "example.org", " SIZE=1", NULL},
    {"<>", NULL_TOO, ERR_OK, "", "", "", ""},
    {"<> x", NULL_TOO, ERR_OK, "", "", " x", ""},
    {"<>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<Postmaster>", 0, ERR_OK, "Postmaster", "", "", "Postmaster"},
    {"<someone>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<@x,@y.z:a@b>", 0, ERR_OK, "a", "b", "", NULL},
    {"<@[192.0.2.1]:a@b>", 0, ERR_OK, "a", "b", "", NULL},
    {"<@x,a@b>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<@x:>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<@x a@b>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<\"a b\\\"c\"@d>", 0, ERR_OK, "a b\"c", "d", "", "\"a b\\\"c\"@d"},
    {"<\"a\"@d>", 0, ERR_OK, "a", "d", "", NULL},
    {"<\"\"@d>", 0, ERR_OK, "", "d", "", "\"\"@d"},
    {"<\"a@b>c\"@d>", 0, ERR_OK, "a@b>c", "d", "", "\"a@b>c\"@d"},
    {"<\"a@d>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<\"a\\", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<\"a\"b@d>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<.a@b>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a.@b>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a..a@b>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<@b>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a@>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a@b", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"a@b", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"< a@b>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a@b >", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a@b.>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a@-b>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a@b_c>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a@b@c>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a@1.2.3.4>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a@[192.0.2.1]>", 0, ERR_OK, "a", "[192.0.2.1]", "", NULL},
    {"<a@[IPv6:2001:DB8::1]>", 0, ERR_OK, "a", "[ipv6:2001:db8::1]", "", NULL},
    {"<a@[192.0.2.256]>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a@[2001:db8::1]>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a@[tag:x]>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a@[]>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a@[192.0.2.1>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<(c)a@b>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a\r\nDATA@b>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<\"a\r\n\"@b>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<\"a\\\r\"@b>", UTF8, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<a\x7F@b>", UTF8, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<\xC3\xA4@b>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<\xC3\xA4@b>", UTF8, ERR_OK, "\xC3\xA4", "b", "", NULL},
    {"<\"\xC3\xA4 \"@b>", UTF8, ERR_OK, "\xC3\xA4 ", "b", "", "\"\xC3\xA4 \"@b"},
    {"<a@b\xC3\xBC.XN--c>", UTF8, ERR_OK, "a", "b\xC3\xBC.xn--c", "", NULL},
    {"<a@b\xC3\xBC.c>", 0, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<\xC3@b>", UTF8, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<\xC0\xAF@b>", UTF8, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<\xC2\x85@b>", UTF8, ERR_MALFORMED, NULL, NULL, NULL, NULL},
    {"<\xE2\x80\xA8@b>", UTF8, ERR_MALFORMED, NULL, NULL, NULL, NULL},
};

static void test_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bytes text = bytes_of(rows[i].text);
        struct mail_path path;
        struct arena arena;
        arena_init(&arena);
        enum err err = mail_path_parse(&text, rows[i].flags & NULL_TOO, rows[i].flags & UTF8,
                                       &arena, &path);
        if (err != rows[i].want)
            print_error("%s\n", rows[i].text);
        assert_int_equal(err, rows[i].want);
        if (err == ERR_OK) {
            const char *form = rows[i].form;
            if (form == NULL)
                form = arena_printf(&arena, "%s@%s", rows[i].local, rows[i].domain);
            assert_string_equal(arena_string(&arena, path.local), rows[i].local);
            assert_string_equal(arena_string(&arena, path.domain), rows[i].domain);
            assert_string_equal(arena_string(&arena, text), rows[i].rest);
            assert_int_equal(path.is_null, rows[i].text[1] == '>');
            assert_string_equal(arena_string(&arena, mail_path_format(&arena, &path)), form);
        }
        arena_fini(&arena);
    }
}

static enum err parse_lengths(size_t local_len, size_t domain_len, size_t route_len)
{
    char text[4096];
    char *end = text;
    struct mail_path path;
    struct arena arena;

    *end++ = '<';
    if (route_len > 0) {
        *end++ = '@';
        for (size_t i = 0; i < route_len; i++)
            *end++ = i % 50 == 49 ? '.' : 'r';
        *end++ = ':';
    }
    for (size_t i = 0; i < local_len; i++)
        *end++ = 'a';
    *end++ = '@';
    for (size_t i = 0; i < domain_len; i++)
        *end++ = i % 50 == 49 ? '.' : 'b';
    *end++ = '>';
    struct bytes rest = bytes_from(text, (size_t)(end - text));
    arena_init(&arena);
    enum err err = mail_path_parse(&rest, false, false, &arena, &path);
    arena_fini(&arena);
    return err;
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(parse_lengths(64, 189, 0), ERR_OK);
    assert_int_equal(parse_lengths(65, 10, 0), ERR_TOOBIG);
    assert_int_equal(parse_lengths(64, 190, 0), ERR_TOOBIG);
    assert_int_equal(parse_lengths(10, 10, 231), ERR_OK);
    assert_int_equal(parse_lengths(10, 10, 232), ERR_TOOBIG);
    assert_int_equal(parse_lengths(1000, 10, 0), ERR_TOOBIG);
    assert_int_equal(parse_lengths(10, 3000, 0), ERR_TOOBIG);
}

static void test_addresses(void **state)
{
    struct mail_path path;
    struct arena arena;

    (void)state;
    arena_init(&arena);
    assert_int_equal(mail_address_parse(BYTES("Ann@Example.org"), &arena, &path), ERR_OK);
    assert_string_equal(arena_string(&arena, path.local), "Ann");
    assert_string_equal(arena_string(&arena, path.domain), "example.org");
    assert_int_equal(mail_address_parse(BYTES("<a@b>"), &arena, &path), ERR_MALFORMED);
    assert_int_equal(mail_address_parse(BYTES("a@b "), &arena, &path), ERR_MALFORMED);
    assert_int_equal(mail_address_parse(BYTES("postmaster"), &arena, &path), ERR_MALFORMED);
    assert_int_equal(mail_address_parse(BYTES(""), &arena, &path), ERR_MALFORMED);
    assert_int_equal(mail_address_parse(BYTES("a@b\0c"), &arena, &path), ERR_MALFORMED);
    arena_fini(&arena);
}

static void test_domains(void **state)
{
    (void)state;
    assert_true(mail_domain_valid(BYTES("a")));
    assert_true(mail_domain_valid(BYTES("a-b.C1.xn--d")));
    assert_true(mail_domain_valid(BYTES("1.2.3.4a")));
    assert_false(mail_domain_valid(BYTES("")));
    assert_false(mail_domain_valid(BYTES("a.")));
    assert_false(mail_domain_valid(BYTES(".a")));
    assert_false(mail_domain_valid(BYTES("a..b")));
    assert_false(mail_domain_valid(BYTES("a-.b")));
    assert_false(mail_domain_valid(BYTES("a.1")));
    assert_false(mail_domain_valid(BYTES("a\0b")));
    assert_false(mail_domain_valid(BYTES("\xC3\xA4.b")));
    assert_true(mail_domain_valid(
        BYTES("123456789012345678901234567890123456789012345678901234567890abc.d")));
    assert_false(mail_domain_valid(
        BYTES("123456789012345678901234567890123456789012345678901234567890abcd.e")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_domains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
