/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/relay/notice_text.h"

static void expect_bytes(struct buffer *got, const char *want)
{
    buffer_add_byte(got, '\0');
    assert_string_equal((const char *)buffer_bytes(got).at, want);
    buffer_fini(got);
}

static void expect_text(const char *text, size_t size_max, enum notice_charset charset,
                        const char *want, const char *want_line)
{
    struct buffer clean = BUFFER_EMPTY;
    struct buffer line = BUFFER_EMPTY;

    notice_text_add(&clean, bytes_of(text), size_max, charset);
    expect_bytes(&clean, want);
    notice_line_add(&line, bytes_of(text), size_max, charset);
    expect_bytes(&line, want_line);
}

static void test_text(void **state)
{
    (void)state;
    expect_text("", 10, NOTICE_ASCII, "", "");
    expect_text("a\r\n b\tc\x7f", 99, NOTICE_ASCII, "a   b c ", "a b c");
    expect_text(" \r\n ", 99, NOTICE_ASCII, "    ", "");
    expect_text("0123456789", 10, NOTICE_ASCII, "0123456789", "0123456789");
    expect_text("0123456789x", 10, NOTICE_ASCII, "0123456789 [...]", "0123456789 [...]");
    expect_text("\xC3\xA9t\xC3\xA9", 99, NOTICE_ASCII, "?t?", "?t?");
    expect_text("\xC3\xA9t\xC3\xA9", 99, NOTICE_UTF8, "\xC3\xA9t\xC3\xA9", "\xC3\xA9t\xC3\xA9");
    /* No character is cut in two. */
    expect_text("\xC3\xA9t\xC3\xA9", 4, NOTICE_UTF8, "\xC3\xA9t [...]", "\xC3\xA9t [...]");
    /* Not well-formed, C1, a line separator, an override of directions. */
    expect_text("\xFFz\xC3", 99, NOTICE_UTF8, "\xEF\xBF\xBDz\xEF\xBF\xBD",
                "\xEF\xBF\xBDz\xEF\xBF\xBD");
    expect_text("\xC2\x85\xE2\x80\xA8\xE2\x80\xAE", 99, NOTICE_UTF8,
                "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    expect_text("\xE2\x81\xA6\xEF\xBB\xBF", 99, NOTICE_UTF8, "\xEF\xBF\xBD\xEF\xBF\xBD",
                "\xEF\xBF\xBD\xEF\xBF\xBD");
}

static void test_unitext(void **state)
{
    struct buffer clean = BUFFER_EMPTY;

    (void)state;
    notice_unitext_add(&clean, BYTES("a+b=\\ \r\xC3\xA9\xF0\x9F\x98\x80\xFF@x"), 99);
    expect_bytes(&clean, "a\\x{2B}b\\x{3D}\\x{5C}\\x{20}\\x{0D}\\x{E9}\\x{1F600}?@x");
}

/* The lines of what was written, each at most `most` long; unfolded, it is `name: value`. */
static void expect_field(struct bytes value, size_t most, bool is_same)
{
    struct buffer field = BUFFER_EMPTY;
    struct buffer unfolded = BUFFER_EMPTY;
    struct buffer want = BUFFER_EMPTY;

    notice_field_add(&field, "X-Name", value);
    struct bytes rest = buffer_bytes(&field);
    assert_true(notice_is_plain(rest));
    for (bool first = true; rest.len > 0; first = false) {
        size_t len = bytes_find(rest, '\r');
        struct bytes line = bytes_from(rest.at, len);
        assert_true(len <= most);
        assert_true(first || (line.len > 0 && line.at[0] == ' '));
        assert_true(bytes_trim(line).len > 0);
        buffer_add(&unfolded, line);
        rest = bytes_skip(rest, len + 2);
    }
    buffer_add_string(&want, "X-Name: ");
    buffer_add(&want, value);
    assert_int_equal(bytes_equal(buffer_bytes(&want), buffer_bytes(&unfolded)), is_same);
    buffer_fini(&field);
    buffer_fini(&unfolded);
    buffer_fini(&want);
}

static void test_fold(void **state)
{
    static uint8_t text[5000];

    (void)state;
    expect_field(BYTES(""), 78, true);
    expect_field(BYTES("short"), 78, true);
    for (size_t len = 1; len < 300; len++) { /* words of 1 to 12 */
        for (size_t i = 0; i < len; i++)
            text[i] = i % 13 == len % 13 ? ' ' : 'a';
        expect_field(bytes_from(text, len), 78, true);
    }
    memset(text, 'a', sizeof(text));
    expect_field(bytes_from(text, 890), 900, true);
    expect_field(bytes_from(text, sizeof(text)), 998, false);
    memset(text + 10, ' ', 100);
    expect_field(bytes_from(text, 200), 200, true);
    memset(text, ' ', sizeof(text));
    expect_field(bytes_from(text, 500), 200, false);
    memset(text, 'a', 60); /* spaces at the end that would begin a line: left out */
    expect_field(bytes_from(text, 150), 78, false);
    memset(text, 0xC3, sizeof(text));
    for (size_t i = 1; i < sizeof(text); i += 2)
        text[i] = 0xA9;
    struct buffer field = BUFFER_EMPTY;
    notice_field_add(&field, "X", bytes_from(text, sizeof(text)));
    assert_true(notice_is_utf8(buffer_bytes(&field)));
    buffer_fini(&field);
}

static void test_wrap(void **state)
{
    struct buffer lines = BUFFER_EMPTY;

    (void)state;
    notice_wrap(&lines, BYTES("one two"), 2);
    notice_wrap(&lines,
                BYTES("a line of more than seventy-eight characters, which has to go on in "
                      "another one"),
                4);
    expect_bytes(&lines,
                 "  one two\r\n    a line of more than seventy-eight characters, which has "
                 "to go on in\r\n    another one\r\n");
}

static void expect_quoted(const char *text, const char *want)
{
    struct buffer quoted = BUFFER_EMPTY;

    notice_quoted_add(&quoted, bytes_of(text));
    expect_bytes(&quoted, want);
}

static void test_quoted(void **state)
{
    (void)state;
    expect_quoted("a=b\r\n", "a=3Db\r\n");
    expect_quoted("a \r\nb\t\r\n", "a=20\r\nb=09\r\n");
    expect_quoted("a ", "a=20");
    expect_quoted("a\rb\nc\x7f\xE9", "a=0Db=0Ac=7F=E9");
    expect_quoted("\r", "=0D");
    expect_quoted(
        "0123456789012345678901234567890123456789012345678901234567890123456789012345",
        "012345678901234567890123456789012345678901234567890123456789012345678901234="
        "\r\n5");
}

static void test_plain(void **state)
{
    static uint8_t line[1001];

    (void)state;
    assert_true(notice_is_plain(BYTES("")));
    assert_true(notice_is_plain(BYTES("a\r\n\r\nb")));
    assert_false(notice_is_plain(BYTES("a\nb")));
    assert_false(notice_is_plain(BYTES("a\rb")));
    assert_false(notice_is_plain(BYTES("a\r\r\n")));
    assert_false(notice_is_plain(BYTES("a\r")));
    assert_false(notice_is_plain(BYTES("a\0b")));
    memset(line, 'a', sizeof(line));
    assert_true(notice_is_plain(bytes_from(line, 998)));
    assert_false(notice_is_plain(bytes_from(line, 999)));
    memcpy(line + 998, "\r\n", 2);
    assert_true(notice_is_plain(bytes_from(line, 1001)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),   cmocka_unit_test(test_unitext),
        cmocka_unit_test(test_fold),   cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_quoted), cmocka_unit_test(test_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
