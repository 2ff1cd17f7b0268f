/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PLAIN and LOGIN: passwords, app passwords, one-time codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>

#include "storage/auth/auth_internal.h"
#include "storage/auth/totp.h"
#include "tests/unit/storage/auth/auth_lab.h"

static struct auth_lab lab;

static int setup(void **unused)
{
    (void)unused;
    auth_lab_init(&lab);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    auth_lab_fini(&lab);
    return 0;
}

/* The refusal, or NONE when it was let in; the result goes to `result` then. */
static enum auth_refusal plain(const char *authzid, const char *name, const char *password,
                               struct auth_result *result)
{
    enum auth_next next;
    enum auth_refusal refusal = AUTH_REFUSAL_NONE;
    struct auth_exchange *exchange =
        auth_lab_say(&lab, AUTH_PLAIN, auth_lab_plain(authzid, name, password), &next);

    if (next == AUTH_DONE) {
        assert_true(bytes_equal(auth_exchange_result(exchange)->identity, BYTES(LAB_NAME)));
        if (result != NULL)
            *result = *auth_exchange_result(exchange);
    } else {
        assert_int_equal(next, AUTH_REFUSED);
        refusal = auth_exchange_refusal(exchange);
        assert_int_not_equal(refusal, AUTH_REFUSAL_NONE);
    }
    auth_exchange_free(&exchange);
    return refusal;
}

static void plain_password(void **unused)
{
    struct auth_result result;
    (void)unused;
    assert_int_equal(plain("", LAB_NAME, LAB_PASSWORD, &result), AUTH_REFUSAL_NONE);
    assert_int_equal(result.secret, AUTH_SECRET_PASSWORD);
    assert_int_equal(result.scopes, AUTH_SCOPES_ALL);
    assert_false(result.totp_used);
    assert_int_equal(plain(LAB_NAME, LAB_NAME, LAB_PASSWORD, NULL), AUTH_REFUSAL_NONE);
    assert_int_equal(plain("other@example.com", LAB_NAME, LAB_PASSWORD, NULL),
                     AUTH_REFUSAL_IDENTITY);
    assert_int_equal(plain("", LAB_NAME, "wrong", NULL), AUTH_REFUSAL_SECRET);
    assert_int_equal(plain("", "nobody@example.com", LAB_PASSWORD, NULL), AUTH_REFUSAL_USER);
    assert_int_equal(plain("", LAB_NAME, "\x01nobody knows", NULL), AUTH_REFUSAL_SECRET);
    assert_int_equal(plain("", "nobody@example.com", "\x01nobody knows", NULL),
                     AUTH_REFUSAL_USER); /* the decoy itself lets nobody in */
}

static void malformed_plain(void **unused)
{
    static char large[AUTH_MESSAGE_SIZE_MAX + 2];
    static const struct bytes rows[] = {
        BYTES_INIT(""),
        BYTES_INIT("user"),
        BYTES_INIT("\0user@example.com"),
        BYTES_INIT("\0\0"),
        BYTES_INIT("\0user@example.com\0"),
        BYTES_INIT("\0\0correct horse battery"),
        BYTES_INIT("\0user@example.com\0correct horse battery\0"),
        BYTES_INIT("\0user@example.com\0correct horse\0battery")};
    enum auth_next next;
    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct auth_exchange *exchange = auth_lab_say(&lab, AUTH_PLAIN, rows[i], &next);
        assert_int_equal(next, AUTH_REFUSED);
        assert_int_equal(auth_exchange_refusal(exchange), AUTH_REFUSAL_MALFORMED);
        auth_exchange_free(&exchange);
    }
    memset(large, 'x', sizeof(large));
    large[0] = large[10] = '\0';
    for (size_t len = sizeof(large); len > AUTH_PASSWORD_SIZE_MAX + 11; len -= 250) {
        struct auth_exchange *exchange =
            auth_lab_say(&lab, AUTH_PLAIN, bytes_from(large, len), &next);
        assert_int_equal(next, AUTH_REFUSED);
        assert_int_equal(auth_exchange_refusal(exchange), AUTH_REFUSAL_MALFORMED);
        auth_exchange_free(&exchange);
    }
    assert_int_equal(lab.hashes, 0);
}

static void login_prompts(void **unused)
{
    (void)unused;
    for (unsigned initial = 0; initial < 2; initial++) {
        struct auth_exchange *exchange = auth_lab_new(&lab, AUTH_LOGIN);
        if (!initial) {
            assert_int_equal(auth_exchange_begin(exchange), AUTH_CONTINUE);
            assert_true(bytes_equal(auth_exchange_challenge(exchange), BYTES("Username:")));
        }
        assert_int_equal(auth_lab_step(&lab, exchange, BYTES(LAB_NAME)), AUTH_CONTINUE);
        assert_true(bytes_equal(auth_exchange_challenge(exchange), BYTES("Password:")));
        assert_int_equal(auth_lab_step(&lab, exchange, BYTES(LAB_PASSWORD)), AUTH_DONE);
        /* A third message is one too many, and takes away what the second one gave. */
        assert_int_equal(auth_lab_step(&lab, exchange, BYTES(LAB_PASSWORD)), AUTH_REFUSED);
        auth_exchange_free(&exchange);
    }
}

static void login_refuses(void **unused)
{
    enum auth_next next;
    (void)unused;
    struct auth_exchange *exchange = auth_lab_say(&lab, AUTH_LOGIN, BYTES(""), &next);
    assert_int_equal(next, AUTH_REFUSED);
    auth_exchange_free(&exchange);
    exchange = auth_lab_say(&lab, AUTH_LOGIN, BYTES(LAB_NAME), &next);
    assert_int_equal(auth_lab_step(&lab, exchange, BYTES("")), AUTH_REFUSED);
    assert_int_equal(lab.hashes, 0);
    auth_exchange_free(&exchange);
    exchange = auth_lab_say(&lab, AUTH_LOGIN, BYTES("nobody"), &next);
    assert_int_equal(auth_lab_step(&lab, exchange, BYTES(LAB_PASSWORD)), AUTH_REFUSED);
    assert_int_equal(auth_exchange_refusal(exchange), AUTH_REFUSAL_USER);
    assert_int_equal(lab.hashes, 1);
    auth_exchange_free(&exchange);
}

static void app_passwords(void **unused)
{
    struct auth_result result;
    char changed[AUTH_APP_TEXT_SIZE];
    (void)unused;
    assert_int_equal(plain("", LAB_NAME, lab.app_texts[0], &result), AUTH_REFUSAL_NONE);
    assert_int_equal(result.secret, AUTH_SECRET_APP_PASSWORD);
    assert_int_equal(result.app_password, 11);
    assert_int_equal(result.scopes, AUTH_SCOPES_ALL);
    assert_int_equal(plain("", LAB_NAME, lab.app_texts[2], &result), AUTH_REFUSAL_NONE);
    assert_int_equal(result.app_password, 13);
    assert_int_equal(result.scopes, AUTH_SCOPE_SUBMISSION);
    assert_int_equal(plain("", LAB_NAME, lab.app_texts[1], NULL), AUTH_REFUSAL_SCOPE);
    assert_int_equal(lab.hashes, 0); /* none of them needs the slow hash */
    for (size_t i = 0; lab.app_texts[0][i] != '\0'; i++) {
        memcpy(changed, lab.app_texts[0], sizeof(changed));
        changed[i] = changed[i] == 'a' ? 'b' : 'a';
        assert_int_equal(plain("", LAB_NAME, changed, NULL), AUTH_REFUSAL_SECRET);
    }
    assert_int_equal(plain("", "nobody@example.com", lab.app_texts[0], NULL),
                     AUTH_REFUSAL_USER);
}

/* As people type it. */
static void app_passwords_as_typed(void **unused)
{
    char typed[64];
    size_t len = 0;
    (void)unused;
    for (size_t i = 0; lab.app_texts[0][i] != '\0'; i++)
        if (lab.app_texts[0][i] != '-')
            typed[len++] = (char)toupper(lab.app_texts[0][i]);
    typed[len] = '\0';
    assert_int_equal(len, 20);
    assert_int_equal(plain("", LAB_NAME, typed, NULL), AUTH_REFUSAL_NONE);
    snprintf(typed, sizeof(typed), " %.4s %.4s %.4s-%.14s ", lab.app_texts[0],
             lab.app_texts[0] + 5, lab.app_texts[0] + 10, lab.app_texts[0] + 15);
    assert_int_equal(plain("", LAB_NAME, typed, NULL), AUTH_REFUSAL_NONE);
    snprintf(typed, sizeof(typed), "%sa", lab.app_texts[0]);
    assert_int_equal(plain("", LAB_NAME, typed, NULL), AUTH_REFUSAL_SECRET);
}

/* No text but an app password's own may match a slot: not even all that have no digest. */
static void texts_that_are_none_match_nothing(void **unused)
{
    (void)unused;
    memset(lab.apps[0].digest, 255, AUTH_DIGEST_SIZE);
    memset(lab.apps[2].digest, 0, AUTH_DIGEST_SIZE);
    assert_int_equal(plain("", LAB_NAME, "not of that form", NULL), AUTH_REFUSAL_SECRET);
}

static void made_app_passwords(void **unused)
{
    uint8_t random[AUTH_APP_RANDOM_SIZE];
    uint8_t digest[AUTH_DIGEST_SIZE];
    uint8_t other[AUTH_DIGEST_SIZE];
    char text[AUTH_APP_TEXT_SIZE];
    unsigned letters[256] = {0};
    (void)unused;
    for (unsigned value = 0; value < 256; value++) {
        memset(random, (int)value, sizeof(random));
        auth_app_password_make(random, text);
        assert_int_equal(strlen(text), 24);
        letters[(uint8_t)text[0]]++;
        assert_true(auth_app_password_digest(bytes_of(text), digest));
        random[19] ^= 1;
        auth_app_password_make(random, text);
        assert_true(auth_app_password_digest(bytes_of(text), other));
        assert_memory_not_equal(digest, other, sizeof(digest));
    }
    static const char *const others[] = {"",
                                         "abcd",
                                         "aaaa-aaaa-aaaa-aaaa-aaa",
                                         "aaaa-aaaa-aaaa-aaaa-aaaaa",
                                         "aaaa-aaaa-aaaa-aaaa-aaal",
                                         "aaaa_aaaa_aaaa_aaaa_aaaa"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(auth_app_password_digest(bytes_of(others[i]), digest));
    unsigned used = 0;
    for (unsigned i = 0; i < 256; i++)
        if (letters[i] > 0) {
            used++;
            assert_int_equal(letters[i], 8); /* each letter is as likely */
        }
    assert_int_equal(used, 32);
}

static const char *with_code(uint64_t step)
{
    static char text[64];
    snprintf(text, sizeof(text), "%s%06u", LAB_PASSWORD,
             (unsigned)auth_hotp(lab.secrets.totp_secret, step));
    return text;
}

static void totp_is_behind_the_password(void **unused)
{
    const uint64_t now = LAB_NOW / AUTH_TOTP_STEP_S;
    struct auth_result result;
    (void)unused;
    auth_lab_totp(&lab, 77);
    for (uint64_t step = now - 1; step <= now + 1; step++) {
        assert_int_equal(plain("", LAB_NAME, with_code(step), &result), AUTH_REFUSAL_NONE);
        assert_true(result.totp_used);
        assert_int_equal(result.totp_step, step);
        assert_int_equal(result.secret, AUTH_SECRET_PASSWORD);
    }
    assert_int_equal(plain("", LAB_NAME, with_code(now - 2), NULL), AUTH_REFUSAL_TOTP_WRONG);
    assert_int_equal(plain("", LAB_NAME, with_code(now + 2), NULL), AUTH_REFUSAL_TOTP_WRONG);
    assert_int_equal(plain("", LAB_NAME, LAB_PASSWORD, NULL), AUTH_REFUSAL_TOTP_MISSING);
    assert_int_equal(plain("", LAB_NAME, "123456", NULL), AUTH_REFUSAL_SECRET);
    lab.secrets.totp_step = now;
    assert_int_equal(plain("", LAB_NAME, with_code(now), NULL), AUTH_REFUSAL_TOTP_SPENT);
    assert_int_equal(plain("", LAB_NAME, with_code(now + 1), NULL), AUTH_REFUSAL_NONE);
}

/* Wrong password with the right code, and the right password with a wrong one, take the same
 * road. */
static void totp_tells_nothing(void **unused)
{
    const uint64_t now = LAB_NOW / AUTH_TOTP_STEP_S;
    char text[64];
    (void)unused;
    auth_lab_totp(&lab, 77);
    snprintf(text, sizeof(text), "wrong%06u",
             (unsigned)auth_hotp(lab.secrets.totp_secret, now));
    assert_int_equal(plain("", LAB_NAME, text, NULL), AUTH_REFUSAL_SECRET);
    assert_int_equal(lab.hashes, 1);
    assert_int_equal(plain("", LAB_NAME, LAB_PASSWORD "000000", NULL), AUTH_REFUSAL_TOTP_WRONG);
    assert_int_equal(lab.hashes, 2);
    assert_int_equal(plain("", LAB_NAME, LAB_PASSWORD, NULL), AUTH_REFUSAL_TOTP_MISSING);
    assert_int_equal(lab.hashes, 3);
}

static void app_passwords_need_no_code(void **unused)
{
    struct auth_result result;
    (void)unused;
    auth_lab_totp(&lab, 77);
    assert_int_equal(plain("", LAB_NAME, lab.app_texts[0], &result), AUTH_REFUSAL_NONE);
    assert_false(result.totp_used);
}

static void nobody_without_a_password(void **unused)
{
    (void)unused;
    lab.secrets.password_hash = NULL;
    assert_int_equal(plain("", LAB_NAME, LAB_PASSWORD, NULL), AUTH_REFUSAL_SECRET);
    assert_int_equal(plain("", LAB_NAME, "\x01nobody knows", NULL), AUTH_REFUSAL_SECRET);
    assert_int_equal(plain("", LAB_NAME, lab.app_texts[0], NULL), AUTH_REFUSAL_NONE);
}

/* Known or not, with or without app passwords: the same is computed. */
static void work_is_the_same(void **unused)
{
    struct auth_work works[4];
    (void)unused;
    for (unsigned i = 0; i < 4; i++) {
        enum auth_next next;
        lab.secrets.app_password_count = i == 1 ? 0 : LAB_APPS;
        if (i == 2)
            auth_lab_totp(&lab, 77);
        struct bytes message =
            auth_lab_plain("", i == 3 ? "nobody@example.com" : LAB_NAME, "wrong");
        struct auth_exchange *exchange = auth_lab_say(&lab, AUTH_PLAIN, message, &next);
        assert_int_equal(next, AUTH_REFUSED);
        assert_int_equal(lab.hashes, i + 1);
        works[i] = exchange->work;
        auth_exchange_free(&exchange);
        assert_memory_equal(&works[i], &works[0], sizeof(works[0]));
    }
    assert_int_equal(works[0].compares, AUTH_APP_PASSWORDS_MAX);
}

static void calls_out_of_order_refuse(void **unused)
{
    struct auth_exchange *exchange = auth_lab_new(&lab, AUTH_PLAIN);
    (void)unused;
    assert_int_equal(auth_exchange_password_checked(exchange, true), AUTH_REFUSED);
    assert_int_equal(auth_exchange_refusal(exchange), AUTH_REFUSAL_ORDER);
    auth_exchange_free(&exchange);
    exchange = auth_lab_new(&lab, AUTH_PLAIN);
    assert_int_equal(auth_exchange_user(exchange, BYTES("x"), &lab.secrets, 1), AUTH_REFUSED);
    auth_exchange_free(&exchange);
    exchange = auth_lab_new(&lab, AUTH_PLAIN);
    struct bytes message = auth_lab_plain("", LAB_NAME, LAB_PASSWORD);
    assert_int_equal(auth_exchange_step(exchange, message, 1), AUTH_NEED_USER);
    assert_int_equal(auth_exchange_step(exchange, message, 1), AUTH_REFUSED);
    assert_int_equal(auth_exchange_user(exchange, BYTES("x"), &lab.secrets, 1), AUTH_REFUSED);
    auth_exchange_free(&exchange);
    auth_exchange_free(&exchange);
}

static void tried_passwords_have_a_digest(void **unused)
{
    uint8_t digests[3][AUTH_DIGEST_SIZE];
    static const char *const passwords[] = {"wrong", "wrong", "wrongs"};
    enum auth_next next;
    (void)unused;
    for (unsigned i = 0; i < 3; i++) {
        struct auth_exchange *exchange =
            auth_lab_say(&lab, AUTH_PLAIN, auth_lab_plain("", LAB_NAME, passwords[i]), &next);
        assert_true(auth_exchange_tried(exchange, digests[i]));
        auth_exchange_free(&exchange);
    }
    assert_memory_equal(digests[0], digests[1], AUTH_DIGEST_SIZE);
    assert_memory_not_equal(digests[0], digests[2], AUTH_DIGEST_SIZE);
    struct auth_exchange *exchange = auth_lab_new(&lab, AUTH_PLAIN);
    assert_false(auth_exchange_tried(exchange, digests[0]));
    auth_exchange_free(&exchange);
}

static void mechanisms_are_found_when_offered(void **unused)
{
    char text[AUTH_OFFER_TEXT_SIZE];
    unsigned offered = AUTH_OFFER(AUTH_PLAIN) | AUTH_OFFER(AUTH_SCRAM_SHA_256);
    (void)unused;
    assert_int_equal(auth_mechanism_find(BYTES("plain"), offered), AUTH_PLAIN);
    assert_int_equal(auth_mechanism_find(BYTES("LOGIN"), offered), AUTH_MECHANISM_NONE);
    assert_int_equal(auth_mechanism_find(BYTES("SCRAM-SHA-256-PLUS"), offered),
                     AUTH_MECHANISM_NONE);
    assert_int_equal(auth_mechanism_find(BYTES(""), ~0u), AUTH_MECHANISM_NONE);
    auth_mechanism_list(offered, text);
    assert_string_equal(text, "SCRAM-SHA-256 PLAIN");
    auth_mechanism_list(~0u, text);
    assert_string_equal(text, "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 "
                              "OAUTHBEARER PLAIN LOGIN");
    auth_mechanism_list(0, text);
    assert_string_equal(text, "");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(plain_password),
        TEST(malformed_plain),
        TEST(login_prompts),
        TEST(login_refuses),
        TEST(app_passwords),
        TEST(app_passwords_as_typed),
        TEST(texts_that_are_none_match_nothing),
        TEST(made_app_passwords),
        TEST(totp_is_behind_the_password),
        TEST(totp_tells_nothing),
        TEST(app_passwords_need_no_code),
        TEST(nobody_without_a_password),
        TEST(work_is_the_same),
        TEST(calls_out_of_order_refuse),
        TEST(tried_passwords_have_a_digest),
        TEST(mechanisms_are_found_when_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
