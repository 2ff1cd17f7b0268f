/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OAUTHBEARER (RFC 7628): messages, identities, and how it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/base/buffer.h"
#include "tests/unit/storage/auth/auth_lab.h"
#include "tests/unit/storage/auth/token_lab.h"

#define INVALID_TOKEN                                                                          \
    "{\"status\":\"invalid_token\",\"scope\":\"mail\",\"openid-configuration\":"               \
    "\"https://id.example.com/.well-known/openid-configuration\"}"

static struct auth_lab lab;
static struct token_lab *tokens;
static struct auth_oauth *oauth;
static struct buffer message;

static int setup(void **unused)
{
    const char *why;
    (void)unused;
    auth_lab_init(&lab);
    tokens = token_lab_new();
    struct auth_oauth_config config = token_lab_config(tokens);
    oauth = auth_oauth_new(&config, &why);
    lab.config.oauth = oauth;
    buffer_init(&message);
    return oauth == NULL;
}

static int teardown(void **unused)
{
    (void)unused;
    buffer_fini(&message);
    auth_oauth_free(&oauth);
    token_lab_free(&tokens);
    auth_lab_fini(&lab);
    return 0;
}

static struct bytes good_token(void)
{
    return token_lab_sign(tokens, "{\"alg\":\"EdDSA\"}", TOKEN_CLAIMS, "ed", SIGN_EDDSA);
}

/* `form` has one %.*s, for the token. */
#define SAY(form, token)                                                                       \
    (buffer_clear(&message), buffer_printf(&message, form, BYTES_ARG(token)),                  \
     auth_lab_say(&lab, AUTH_OAUTHBEARER, buffer_bytes(&message), &next))

static void messages_that_get_in(void **unused)
{
    enum auth_next next;
    struct auth_exchange *exchange;
    (void)unused;
    struct bytes token = good_token();
    /* As in RFC 7628 section 4.1. */
    exchange = SAY("n,a=user@example.com,\1host=server.example.com\1port=143\1"
                   "auth=Bearer %.*s\1\1",
                   token);
    assert_int_equal(next, AUTH_DONE);
    const struct auth_result *result = auth_exchange_result(exchange);
    assert_true(bytes_equal(result->identity, BYTES(LAB_NAME)));
    assert_int_equal(result->secret, AUTH_SECRET_TOKEN);
    assert_int_equal(result->scopes, AUTH_SCOPES_ALL);
    auth_exchange_free(&exchange);
    exchange = SAY("n,,\1auth=bearer  %.*s\1\1", token);
    assert_int_equal(next, AUTH_DONE);
    auth_exchange_free(&exchange);
    auth_lab_totp(&lab, 3); /* that is the issuer's business */
    exchange = SAY("y,,\1auth=Bearer %.*s\1future=x\1\1", token);
    assert_int_equal(next, AUTH_DONE);
    auth_exchange_free(&exchange);
}

/* Section 3.2.3: the reason, the client's ^A, the end. */
static void fails_in_two_steps(struct auth_exchange *exchange, enum auth_next next,
                               const char *reason, enum auth_refusal refusal,
                               enum auth_token verdict)
{
    assert_int_equal(next, AUTH_CONTINUE);
    assert_true(bytes_equal(auth_exchange_challenge(exchange), bytes_of(reason)));
    assert_int_equal(auth_lab_step(&lab, exchange, BYTES("\1")), AUTH_REFUSED);
    assert_int_equal(auth_exchange_refusal(exchange), refusal);
    assert_int_equal(auth_exchange_token(exchange), verdict);
    auth_exchange_free(&exchange);
}

static void failures(void **unused)
{
    enum auth_next next;
    struct auth_exchange *exchange;
    (void)unused;
    /* RFC 7628 section 4.3, with a token that is none of ours. */
    exchange = SAY("n,a=user@example.com,\1host=server.example.com\1port=143\1"
                   "auth=Bearer %.*s\1\1",
                   BYTES("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="));
    fails_in_two_steps(exchange, next, INVALID_TOKEN, AUTH_REFUSAL_TOKEN, AUTH_TOKEN_MALFORMED);
    struct bytes forged = token_lab_sign(tokens, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}",
                                         TOKEN_CLAIMS, "enc", SIGN_RS256);
    exchange = SAY("n,,\1auth=Bearer %.*s\1\1", forged);
    fails_in_two_steps(exchange, next, INVALID_TOKEN, AUTH_REFUSAL_TOKEN, AUTH_TOKEN_SIGNATURE);
    struct bytes expired = token_lab_sign(
        tokens, "{\"alg\":\"EdDSA\"}",
        "{\"iss\":\"https://id.example.com\",\"aud\":\"mail.example.com\",\"exp\":1700000000,"
        "\"scope\":\"mail\",\"email\":\"user@example.com\"}",
        "ed", SIGN_EDDSA);
    exchange = SAY("n,,\1auth=Bearer %.*s\1\1", expired);
    fails_in_two_steps(exchange, next, INVALID_TOKEN, AUTH_REFUSAL_TOKEN, AUTH_TOKEN_EXPIRED);
    struct bytes scopeless = token_lab_sign(
        tokens, "{\"alg\":\"EdDSA\"}",
        "{\"iss\":\"https://id.example.com\",\"aud\":\"mail.example.com\",\"exp\":1790000300,"
        "\"email\":\"user@example.com\"}",
        "ed", SIGN_EDDSA);
    exchange = SAY("n,,\1auth=Bearer %.*s\1\1", scopeless);
    fails_in_two_steps(exchange, next,
                       "{\"status\":\"insufficient_scope\",\"scope\":\"mail\","
                       "\"openid-configuration\":"
                       "\"https://id.example.com/.well-known/openid-configuration\"}",
                       AUTH_REFUSAL_TOKEN, AUTH_TOKEN_SCOPE);
    exchange = SAY("n,a=other@example.com,\1auth=Bearer %.*s\1\1", good_token());
    fails_in_two_steps(exchange, next, INVALID_TOKEN, AUTH_REFUSAL_IDENTITY, AUTH_TOKEN_CLAIM);
    struct bytes stranger = token_lab_sign(
        tokens, "{\"alg\":\"EdDSA\"}",
        "{\"iss\":\"https://id.example.com\",\"aud\":\"mail.example.com\",\"exp\":1790000300,"
        "\"scope\":\"mail\",\"email\":\"stranger@example.com\"}",
        "ed", SIGN_EDDSA);
    exchange = SAY("n,,\1auth=Bearer %.*s\1\1", stranger);
    fails_in_two_steps(exchange, next, INVALID_TOKEN, AUTH_REFUSAL_USER, AUTH_TOKEN_CLAIM);
}

static void malformed_messages(void **unused)
{
    static const char *const forms[] = {
        "n,,\1auth=Bearer %.*s\1", /* cut */
        "n,,\1auth=Bearer %.*s",
        "n,,auth=Bearer %.*s\1\1",
        "n,\1auth=Bearer %.*s\1\1",
        "p=tls-exporter,,\1auth=Bearer %.*s\1\1",
        "n,x=user@example.com,\1auth=Bearer %.*s\1\1",
        "n,a=,\1auth=Bearer %.*s\1\1x",
        "n,,\1auth=Bearer %.*s\1\1\1",
        "n,,\1auth=Basic %.*s\1\1",
        "n,,\1auth=Bearer%.*s\1\1",
        "n,,\1auth=Bearer x\1auth=Bearer %.*s\1\1",
        "n,,\1=x\1auth=Bearer %.*s\1\1",
        "n,,\1x\1auth=Bearer %.*s\1\1",
        "n,,\1Auth=Bearer %.*s\1\1",
    };
    enum auth_next next;
    (void)unused;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct bytes token = good_token();
        const char *at = strstr(forms[i], "%.*s");
        buffer_clear(&message);
        buffer_add(&message, bytes_from(forms[i], (size_t)(at - forms[i])));
        buffer_add(&message, token);
        buffer_add_string(&message, at + 4);
        struct auth_exchange *exchange =
            auth_lab_say(&lab, AUTH_OAUTHBEARER, buffer_bytes(&message), &next);
        assert_int_equal(next, AUTH_CONTINUE);
        assert_int_equal(auth_exchange_token(exchange), AUTH_TOKEN_NONE);
        assert_true(bytes_start_nocase(auth_exchange_challenge(exchange),
                                       BYTES("{\"status\":\"invalid_request\"")));
        assert_int_equal(auth_lab_step(&lab, exchange, BYTES("")), AUTH_REFUSED);
        auth_exchange_free(&exchange);
    }
    struct auth_exchange *exchange = auth_lab_say(&lab, AUTH_OAUTHBEARER, BYTES("\1"), &next);
    assert_int_equal(next, AUTH_CONTINUE);
    assert_int_equal(auth_lab_step(&lab, exchange, BYTES("\1")), AUTH_REFUSED);
    auth_exchange_free(&exchange);
}

/* A good token after the error does not help, nor does a second one after success. */
static void no_second_try(void **unused)
{
    enum auth_next next;
    struct auth_exchange *exchange;
    (void)unused;
    exchange = SAY("n,,\1auth=Bearer %.*sx\1\1", good_token());
    assert_int_equal(next, AUTH_CONTINUE);
    buffer_clear(&message);
    buffer_printf(&message, "n,,\1auth=Bearer %.*s\1\1", BYTES_ARG(good_token()));
    assert_int_equal(auth_lab_step(&lab, exchange, buffer_bytes(&message)), AUTH_REFUSED);
    auth_exchange_free(&exchange);
    exchange = auth_lab_say(&lab, AUTH_OAUTHBEARER, buffer_bytes(&message), &next);
    assert_int_equal(next, AUTH_DONE);
    assert_int_equal(auth_lab_step(&lab, exchange, buffer_bytes(&message)), AUTH_REFUSED);
    auth_exchange_free(&exchange);
}

static void without_an_issuer(void **unused)
{
    enum auth_next next;
    (void)unused;
    lab.config.oauth = NULL;
    struct auth_exchange *exchange = SAY("n,,\1auth=Bearer %.*s\1\1", good_token());
    assert_int_equal(next, AUTH_REFUSED);
    auth_exchange_free(&exchange);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(messages_that_get_in), TEST(failures),          TEST(malformed_messages),
        TEST(no_second_try),        TEST(without_an_issuer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
