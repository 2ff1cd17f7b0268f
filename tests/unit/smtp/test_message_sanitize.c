/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/mail/text.h"
#include "smtp/message/sanitize.h"

/* Row 14 of the list of attacks: what would end a line, or a string, somewhere. */
static const struct bytes dirty[] = {
    BYTES_INIT("a\r\nBcc: b"),
    BYTES_INIT("a\nb"),
    BYTES_INIT("a\rb"),
    BYTES_INIT("a\0b"),
    BYTES_INIT("a\tb"),
    BYTES_INIT("a\x1B[2J"),
    BYTES_INIT("a\x7F"),
    BYTES_INIT("a\xC2\x85"
               "b"),
    BYTES_INIT("a\xE2\x80\xA8"
               "b"),
    BYTES_INIT("a\xE2\x80\xA9"),
    BYTES_INIT("a\xFF"),
    BYTES_INIT("a\xC3"),
    BYTES_INIT("\xC0\x8A"),
};

static void test_clean(void **state)
{
    (void)state;
    assert_true(smtp_text_clean(BYTES("")));
    assert_true(smtp_text_clean(BYTES("a b \xC3\xA4 ~")));
    for (size_t i = 0; i < sizeof(dirty) / sizeof(dirty[0]); i++) {
        struct buffer text = BUFFER_EMPTY;
        assert_false(smtp_text_clean(dirty[i]));
        assert_int_equal(smtp_field_add(&text, BYTES("X"), dirty[i]), ERR_MALFORMED);
        assert_int_equal(buffer_len(&text), 0);
        smtp_text_add_clean(&text, dirty[i]);
        assert_true(smtp_text_clean(buffer_bytes(&text)));
        buffer_fini(&text);
    }
    struct buffer text = BUFFER_EMPTY;
    smtp_text_add_clean(&text, BYTES("a\r\nb\tc\xC3\xA4\xE2\x80\xA8"));
    assert_true(bytes_equal(buffer_bytes(&text), BYTES("a??b c\xC3\xA4???")));
    buffer_fini(&text);
}

static void test_folding(void **state)
{
    char value[400];
    struct arena arena;
    (void)state;
    arena_init(&arena);
    for (size_t word = 1; word < 120; word++) {
        struct buffer text = BUFFER_EMPTY;
        struct mail_field field;
        for (size_t i = 0; i < sizeof(value); i++)
            value[i] = i % (word + 1) == word ? ' ' : 'w';
        struct bytes want = bytes_trim(bytes_from(value, sizeof(value)));
        assert_int_equal(smtp_field_add(&text, BYTES("Subject"), want), ERR_OK);
        assert_true(smtp_fields_valid(buffer_bytes(&text)));
        struct bytes at = buffer_bytes(&text);
        assert_true(mail_field_next(&at, &field));
        assert_int_equal(at.len, 0);
        assert_true(bytes_equal(mail_unfold(&arena, field.value), want));
        for (struct bytes line = buffer_bytes(&text); line.len > 0;) {
            size_t len = bytes_find(line, '\n');
            assert_true(len - 1 <= 78 || word + 10 > 78);
            line = bytes_skip(line, len + 1);
        }
        buffer_fini(&text);
    }
    arena_fini(&arena);
}

static void test_field_limits(void **state)
{
    static char value[SMTP_FIELD_VALUE_SIZE_MAX + 1];
    struct buffer text = BUFFER_EMPTY;
    (void)state;
    memset(value, 'x', sizeof(value));
    assert_int_equal(smtp_field_add(&text, BYTES("X"), bytes_from(value, 998 - 3)), ERR_OK);
    buffer_clear(&text);
    assert_int_equal(smtp_field_add(&text, BYTES("X"), bytes_from(value, 998 - 2)), ERR_TOOBIG);
    assert_int_equal(buffer_len(&text), 0);
    for (size_t i = 50; i < sizeof(value); i += 51)
        value[i] = ' ';
    assert_int_equal(smtp_field_add(&text, BYTES("X"), bytes_from(value, sizeof(value))),
                     ERR_TOOBIG);
    assert_int_equal(smtp_field_add(&text, BYTES("X"), bytes_from(value, sizeof(value) - 1)),
                     ERR_OK);
    buffer_clear(&text);
    /* Nothing but space makes no line of its own. */
    memset(value, ' ', 400);
    assert_int_equal(smtp_field_add(&text, BYTES("X"), bytes_from(value, 400)), ERR_OK);
    assert_true(bytes_equal(buffer_bytes(&text), BYTES("X: \r\n")));
    buffer_fini(&text);
}

static void test_fields_valid(void **state)
{
    static const char *const good[] = {"", "A: b\r\n", "A:\r\n", "A: b\r\n\tc\r\nD: e\r\n"};
    static const char *const bad[] = {
        "A: b",        "A: b\n",      "\r\n",           "A: b\r\n\r\n", " A: b\r\n",
        "A b\r\n",     ": b\r\n",     "A: b\r\n  \r\n", "A : b\r\n",    "A: \x01\r\n",
        "A: b\rc\r\n", "A: b\nc\r\n", "\xC3\xA4: b\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(smtp_fields_valid(bytes_of(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(smtp_fields_valid(bytes_of(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_folding),
        cmocka_unit_test(test_field_limits),
        cmocka_unit_test(test_fields_valid),
    };
    return cmocka_run_group_tests_name("smtp/message/sanitize", tests, NULL, NULL);
}
