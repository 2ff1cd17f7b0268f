/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "storage/auth/totp.h"

/* RFC 4226 appendix D and RFC 6238 appendix B have this secret. */
static const struct bytes rfc_secret = BYTES_INIT("12345678901234567890");

static void counters_of_rfc_4226(void **unused)
{
    static const uint32_t codes[] = {755224, 287082, 359152, 969429, 338314,
                                     254676, 287922, 162583, 399871, 520489};
    (void)unused;
    for (uint64_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        assert_int_equal(auth_hotp(rfc_secret, i), codes[i]);
}

/* The RFC gives eight digits; ours are the last six of them. */
static void times_of_rfc_6238(void **unused)
{
    static const struct {
        uint64_t now_s;
        const char *code;
    } rows[] = {{59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
                {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}};
    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t step = 0;
        assert_int_equal(
            auth_totp_check(rfc_secret, bytes_of(rows[i].code), rows[i].now_s, 0, &step),
            AUTH_TOTP_RIGHT);
        assert_int_equal(step, rows[i].now_s / AUTH_TOTP_STEP_S);
    }
}

static enum auth_totp check_offset(int64_t offset, uint64_t last_step, uint64_t *step)
{
    const uint64_t now_s = 1790000010;
    char code[7];

    snprintf(code, sizeof(code), "%06u",
             (unsigned)auth_hotp(rfc_secret, (uint64_t)((int64_t)(now_s / 30) + offset)));
    return auth_totp_check(rfc_secret, bytes_of(code), now_s, last_step, step);
}

static void window_is_one_step(void **unused)
{
    const uint64_t now = 1790000010 / 30;
    uint64_t step;
    (void)unused;
    for (int64_t offset = -4; offset <= 4; offset++) {
        bool inside = offset >= -1 && offset <= 1;
        step = 0;
        assert_int_equal(check_offset(offset, 0, &step),
                         inside ? AUTH_TOTP_RIGHT : AUTH_TOTP_WRONG);
        assert_int_equal(step, inside ? now + (uint64_t)offset : 0);
    }
}

static void used_steps_are_spent(void **unused)
{
    const uint64_t now = 1790000010 / 30;
    uint64_t step = 0;
    (void)unused;
    assert_int_equal(check_offset(0, now, &step), AUTH_TOTP_SPENT);
    assert_int_equal(check_offset(-1, now, &step), AUTH_TOTP_SPENT); /* earlier than the last */
    assert_int_equal(check_offset(-1, now - 1, &step), AUTH_TOTP_SPENT);
    assert_int_equal(step, 0);
    assert_int_equal(check_offset(1, now, &step), AUTH_TOTP_RIGHT);
    assert_int_equal(step, now + 1);
    assert_int_equal(check_offset(0, now - 1, &step), AUTH_TOTP_RIGHT);
}

static void code_has_six_digits(void **unused)
{
    static const char *const codes[] = {"", "28708", "2870822", "28708a", " 28708", "+87082"};
    uint64_t step;
    (void)unused;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        assert_int_equal(auth_totp_check(rfc_secret, bytes_of(codes[i]), 59, 0, &step),
                         AUTH_TOTP_WRONG);
    assert_int_equal(auth_totp_check(BYTES("short"), BYTES("287082"), 59, 0, &step),
                     AUTH_TOTP_WRONG);
}

static void secret_as_text(void **unused)
{
    /* RFC 4648 section 10, without padding. */
    static const char *const rows[][2] = {{"f", "MY"},           {"fo", "MZXQ"},
                                          {"foo", "MZXW6"},      {"foob", "MZXW6YQ"},
                                          {"fooba", "MZXW6YTB"}, {"foobar", "MZXW6YTBOI"}};
    struct buffer text = BUFFER_EMPTY;
    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buffer_clear(&text);
        auth_totp_secret_text(bytes_of(rows[i][0]), &text);
        assert_true(bytes_equal(buffer_bytes(&text), bytes_of(rows[i][1])));
    }
    buffer_fini(&text);
}

static void uri_is_escaped(void **unused)
{
    struct buffer uri = BUFFER_EMPTY;
    (void)unused;
    auth_totp_uri(rfc_secret, BYTES("Caf\xc3\xa9 & Co"), BYTES("a+b@example.com"), &uri);
    assert_true(
        bytes_equal(buffer_bytes(&uri),
                    BYTES("otpauth://totp/Caf%C3%A9%20%26%20Co:a%2Bb%40example.com"
                          "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Caf%C3%A9%20%26%20Co"
                          "&algorithm=SHA1&digits=6&period=30")));
    buffer_fini(&uri);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_of_rfc_4226), cmocka_unit_test(times_of_rfc_6238),
        cmocka_unit_test(window_is_one_step),   cmocka_unit_test(used_steps_are_spent),
        cmocka_unit_test(code_has_six_digits),  cmocka_unit_test(secret_as_text),
        cmocka_unit_test(uri_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
