/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/base/bytes.h"
#include "node/base/err.h"
#include "node/base/hex.h"

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        bool is_number;
        uint64_t number;
    } rows[] = {
        {"0", true, 0},
        {"00000000000000000007", true, 7},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551614", true, UINT64_MAX - 1},
        {"18446744073709551616", false, 0},
        {"18446744073709551620", false, 0},
        {"99999999999999999999", false, 0},
        {"000000000000000000007", false, 0},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1a", false, 0},
        {"/", false, 0},
        {":", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t number = 0;
        assert_int_equal(bytes_to_u64(bytes_of(rows[i].text), &number), rows[i].is_number);
        if (rows[i].is_number)
            assert_int_equal(number, rows[i].number);
    }
}

static void test_hexadecimal(void **state)
{
    static const char *const wrong[] = {"0", "000", "0g", "g0", " 0", "0x", "00000", ""};
    uint8_t all[256];
    uint8_t again[256];
    char text[513];

    (void)state;
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)i;
    hex_encode(bytes_from(all, sizeof(all)), text);
    assert_int_equal(strlen(text), 512);
    assert_memory_equal(text + 2 * 0xAB, "ab", 2);
    assert_true(hex_decode(bytes_of(text), again, sizeof(again)));
    assert_memory_equal(all, again, sizeof(all));
    assert_true(hex_decode(BYTES("aBCd"), again, 2));
    assert_memory_equal(again, "\xAB\xCD", 2);
    assert_true(hex_decode(BYTES(""), again, 0));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(hex_decode(bytes_of(wrong[i]), again, 1));
}

static void test_comparing(void **state)
{
    (void)state;
    assert_true(bytes_equal((struct bytes){NULL, 0}, BYTES("")));
    assert_false(bytes_equal(BYTES("a"), BYTES("A")));
    assert_true(bytes_equal_nocase(BYTES("aZ[\xC4"), BYTES("Az[\xC4")));
    assert_false(bytes_equal_nocase(BYTES("\xC4"), BYTES("\xE4")));
    assert_false(bytes_equal_nocase(BYTES("[@"), BYTES("{`")));
    assert_true(bytes_start_nocase(BYTES("Mail From"), BYTES("mail ")));
    assert_false(bytes_start_nocase(BYTES("mai"), BYTES("mail")));
    assert_true(bytes_start_nocase(BYTES(""), BYTES("")));
}

static void test_cutting(void **state)
{
    struct bytes rest = BYTES("one  two");

    (void)state;
    assert_true(bytes_equal(bytes_take_word(&rest), BYTES("one")));
    assert_true(bytes_equal(bytes_take_word(&rest), BYTES("")));
    assert_true(bytes_equal(bytes_take_word(&rest), BYTES("two")));
    assert_true(bytes_equal(bytes_take_word(&rest), BYTES("")));
    assert_int_equal(bytes_skip(BYTES("abc"), 99).len, 0);
    assert_null(bytes_skip((struct bytes){NULL, 0}, 1).at);
    assert_int_equal(bytes_find(BYTES("abc"), 'c'), 2);
    assert_int_equal(bytes_find(BYTES("abc"), 'd'), 3);
    assert_int_equal(bytes_find((struct bytes){NULL, 0}, 'd'), 0);
    assert_true(bytes_equal(bytes_trim(BYTES(" \t a b\t ")), BYTES("a b")));
    assert_int_equal(bytes_trim(BYTES(" \t ")).len, 0);
    assert_int_equal(bytes_of(NULL).len, 0);
}

static void test_errors_have_names(void **state)
{
    (void)state;
    assert_string_equal(err_name(ERR_OK), "OK");
    assert_string_equal(err_name(ERR_CONFLICT), "CONFLICT");
    assert_string_equal(err_text(ERR_IO), "input/output error");
    for (enum err err = ERR_OK; err < ERR_COUNT; err++) {
        assert_true(strlen(err_name(err)) > 0);
        assert_true(strlen(err_text(err)) > 0);
    }
    /* The numbers lie on disk. */
    assert_int_equal(ERR_NOTLEADER, 6);
    assert_int_equal(ERR_CONFLICT, 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),           cmocka_unit_test(test_hexadecimal),
        cmocka_unit_test(test_comparing),         cmocka_unit_test(test_cutting),
        cmocka_unit_test(test_errors_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
