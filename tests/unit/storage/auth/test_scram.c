/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SCRAM against libgsasl's client, bindings of both kinds, and attackers in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/auth/scram_internal.h"
#include "tests/unit/storage/auth/auth_lab.h"
#include "tests/unit/storage/auth/scram_client.h"

static const enum auth_mechanism scrams[] = {AUTH_SCRAM_SHA_1, AUTH_SCRAM_SHA_1_PLUS,
                                             AUTH_SCRAM_SHA_256, AUTH_SCRAM_SHA_256_PLUS};
static const unsigned plus_offer =
    AUTH_OFFER(AUTH_SCRAM_SHA_1_PLUS) | AUTH_OFFER(AUTH_SCRAM_SHA_256_PLUS);
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

static bool is_plus(enum auth_mechanism mechanism)
{
    return (AUTH_OFFER(mechanism) & plus_offer) != 0;
}

/* A log-in by libgsasl; NONE when it was let in. */
static enum auth_refusal login(enum auth_mechanism mechanism, const char *name,
                               const char *password, struct auth_result *result)
{
    enum auth_next next;
    bool believed;
    enum auth_refusal refusal = AUTH_REFUSAL_NONE;

    struct auth_exchange *exchange =
        auth_lab_client(&lab, mechanism, name, password,
                        is_plus(mechanism) ? LAB_EXPORTER : NULL, &next, &believed);
    if (next == AUTH_DONE) {
        assert_true(believed);
        assert_true(bytes_equal(auth_exchange_result(exchange)->identity, BYTES(LAB_NAME)));
        if (result != NULL)
            *result = *auth_exchange_result(exchange);
    } else {
        assert_int_equal(next, AUTH_REFUSED);
        refusal = auth_exchange_refusal(exchange);
    }
    auth_exchange_free(&exchange);
    return refusal;
}

static void right_and_wrong_passwords(void **unused)
{
    struct auth_result result;
    (void)unused;
    for (size_t i = 0; i < sizeof(scrams) / sizeof(scrams[0]); i++) {
        assert_int_equal(login(scrams[i], LAB_NAME, LAB_PASSWORD, &result), AUTH_REFUSAL_NONE);
        assert_int_equal(result.secret, AUTH_SECRET_PASSWORD);
        assert_int_equal(result.scopes, AUTH_SCOPES_ALL);
        assert_int_equal(login(scrams[i], LAB_NAME, LAB_PASSWORD "x", NULL),
                         AUTH_REFUSAL_SECRET);
        assert_int_equal(login(scrams[i], "nobody@example.com", LAB_PASSWORD, NULL),
                         AUTH_REFUSAL_USER);
    }
}

static void app_passwords_match(void **unused)
{
    struct auth_result result;
    (void)unused;
    for (size_t i = 0; i < sizeof(scrams) / sizeof(scrams[0]); i++) {
        assert_int_equal(login(scrams[i], LAB_NAME, lab.app_texts[0], &result),
                         AUTH_REFUSAL_NONE);
        assert_int_equal(result.secret, AUTH_SECRET_APP_PASSWORD);
        assert_int_equal(result.app_password, 11);
        assert_int_equal(login(scrams[i], LAB_NAME, lab.app_texts[2], &result),
                         AUTH_REFUSAL_NONE);
        assert_int_equal(result.app_password, 13);
        assert_int_equal(result.scopes, AUTH_SCOPE_SUBMISSION);
        assert_int_equal(login(scrams[i], LAB_NAME, lab.app_texts[1], NULL),
                         AUTH_REFUSAL_SCOPE);
    }
}

static void totp_refuses_the_password_alone(void **unused)
{
    (void)unused;
    auth_lab_totp(&lab, 5);
    for (size_t i = 0; i < sizeof(scrams) / sizeof(scrams[0]); i++) {
        assert_int_equal(login(scrams[i], LAB_NAME, LAB_PASSWORD, NULL),
                         AUTH_REFUSAL_TOTP_MISSING);
        assert_int_equal(login(scrams[i], LAB_NAME, "wrong", NULL), AUTH_REFUSAL_SECRET);
        assert_int_equal(login(scrams[i], LAB_NAME, lab.app_texts[2], NULL), AUTH_REFUSAL_NONE);
    }
}

static void prepared_passwords_match(void **unused)
{
    (void)unused;
    assert_int_equal(auth_scram_make(BYTES("\xe2\x85\xa8 a\xc2\xa0"
                                           "b"),
                                     lab.secrets.salt, LAB_ITERATIONS,
                                     &lab.secrets.password_scram),
                     ERR_OK);
    assert_int_equal(login(AUTH_SCRAM_SHA_256, LAB_NAME, "IX a b", NULL), AUTH_REFUSAL_NONE);
    assert_int_equal(login(AUTH_SCRAM_SHA_256, LAB_NAME, "I\xc2\xadX a b", NULL),
                     AUTH_REFUSAL_NONE);
}

static void verifiers_that_are_not_there(void **unused)
{
    (void)unused;
    lab.secrets.password_scram.present = false;
    assert_int_equal(login(AUTH_SCRAM_SHA_256, LAB_NAME, LAB_PASSWORD, NULL),
                     AUTH_REFUSAL_SECRET);
    lab.secrets.scram = false;
    assert_int_equal(login(AUTH_SCRAM_SHA_256, LAB_NAME, lab.app_texts[0], NULL),
                     AUTH_REFUSAL_SECRET);
}

/* What a client can see before it proves anything is the same for all names. */
static void challenges_tell_nothing(void **unused)
{
    static const char first[] = "n,,n=user@example.com,r=abc";
    static const char unknown[] = "n,,n=usex@example.com,r=abc";
    char challenges[4][128];
    enum auth_next next;
    (void)unused;
    lab.secrets.iterations = AUTH_SCRAM_ITERATIONS;
    for (unsigned i = 0; i < 4; i++) {
        lab.secrets.scram = i != 1; /* an account without keys looks like one with */
        struct auth_exchange *exchange =
            auth_lab_say(&lab, AUTH_SCRAM_SHA_256, bytes_of(i < 2 ? first : unknown), &next);
        assert_int_equal(next, AUTH_CONTINUE);
        struct bytes challenge = auth_exchange_challenge(exchange);
        assert_true(challenge.len < sizeof(challenges[i]));
        memcpy(challenges[i], challenge.at, challenge.len);
        challenges[i][challenge.len] = '\0';
        auth_exchange_free(&exchange);
    }
    assert_string_equal(challenges[0], challenges[1]);
    assert_string_equal(challenges[2], challenges[3]); /* stable for who does not exist */
    assert_string_not_equal(challenges[0], challenges[2]);
    assert_int_equal(strlen(challenges[0]), strlen(challenges[2]));
    lab.config.server_key[0] ^= 1;
    struct auth_exchange *exchange =
        auth_lab_say(&lab, AUTH_SCRAM_SHA_256, bytes_of(unknown), &next);
    assert_false(bytes_equal(auth_exchange_challenge(exchange), bytes_of(challenges[2])));
    auth_exchange_free(&exchange);
}

static void work_is_the_same(void **unused)
{
    struct auth_work works[4];
    (void)unused;
    for (unsigned i = 0; i < 4; i++) {
        enum auth_next next;
        bool believed;
        lab.secrets.app_password_count = i == 1 ? 0 : LAB_APPS;
        lab.secrets.scram = i != 2;
        struct auth_exchange *exchange =
            auth_lab_client(&lab, AUTH_SCRAM_SHA_1, i == 3 ? "nobody@example.com" : LAB_NAME,
                            "wrong", NULL, &next, &believed);
        assert_int_equal(next, AUTH_REFUSED);
        works[i] = exchange->work;
        auth_exchange_free(&exchange);
        assert_memory_equal(&works[i], &works[0], sizeof(works[0]));
    }
    assert_int_equal(works[0].compares, SCRAM_SLOTS);
    assert_int_equal(works[0].hmacs, SCRAM_SLOTS + 1);
}

static void bindings_must_match(void **unused)
{
    enum auth_next next;
    bool believed;
    (void)unused;
    struct auth_exchange *exchange =
        auth_lab_client(&lab, AUTH_SCRAM_SHA_256_PLUS, LAB_NAME, LAB_PASSWORD,
                        "another channel of 32 bytes.....", &next, &believed);
    assert_int_equal(next, AUTH_REFUSED);
    assert_int_equal(auth_exchange_refusal(exchange), AUTH_REFUSAL_BINDING);
    auth_exchange_free(&exchange);
    lab.channel.tls_exporter = bytes_from(NULL, 0); /* we have none to compare with */
    assert_int_equal(login(AUTH_SCRAM_SHA_256_PLUS, LAB_NAME, LAB_PASSWORD, NULL),
                     AUTH_REFUSAL_BINDING);
}

/* A client of our own: libgsasl's has no tls-server-end-point, and never lies. */
static enum auth_refusal talk(enum auth_mechanism mechanism, const char *gs2,
                              const char *binding_data)
{
    struct scram_client client = {
        .sha1 = mechanism == AUTH_SCRAM_SHA_1 || mechanism == AUTH_SCRAM_SHA_1_PLUS,
        .gs2 = gs2,
        .binding = bytes_of(binding_data),
        .name = LAB_NAME,
        .password = LAB_PASSWORD,
    };
    enum auth_next next;
    enum auth_refusal refusal = AUTH_REFUSAL_NONE;
    struct auth_exchange *exchange =
        auth_lab_say(&lab, mechanism, scram_client_first(&client), &next);

    if (next == AUTH_CONTINUE)
        next = auth_lab_step(&lab, exchange,
                             scram_client_final(&client, auth_exchange_challenge(exchange)));
    if (next == AUTH_CONTINUE) {
        assert_true(scram_client_believes(&client, auth_exchange_challenge(exchange)));
        next = auth_lab_step(&lab, exchange, BYTES(""));
    }
    if (next != AUTH_DONE) {
        assert_int_equal(next, AUTH_REFUSED);
        refusal = auth_exchange_refusal(exchange);
    }
    auth_exchange_free(&exchange);
    return refusal;
}

static void bindings_by_name(void **unused)
{
    static const struct {
        enum auth_mechanism mechanism;
        const char *gs2;
        const char *data;
        enum auth_refusal refusal;
    } rows[] = {
        {AUTH_SCRAM_SHA_256, "n,,", "", AUTH_REFUSAL_NONE},
        {AUTH_SCRAM_SHA_1, "n,,", "", AUTH_REFUSAL_NONE},
        {AUTH_SCRAM_SHA_256_PLUS, "p=tls-server-end-point,,", LAB_END_POINT, AUTH_REFUSAL_NONE},
        {AUTH_SCRAM_SHA_1_PLUS, "p=tls-server-end-point,,", LAB_END_POINT, AUTH_REFUSAL_NONE},
        {AUTH_SCRAM_SHA_256_PLUS, "p=tls-exporter,,", LAB_EXPORTER, AUTH_REFUSAL_NONE},
        {AUTH_SCRAM_SHA_256_PLUS, "p=tls-server-end-point,,", LAB_EXPORTER,
         AUTH_REFUSAL_BINDING},
        {AUTH_SCRAM_SHA_256_PLUS, "p=tls-exporter,,", LAB_END_POINT, AUTH_REFUSAL_BINDING},
        {AUTH_SCRAM_SHA_256_PLUS, "p=tls-exporter,,", "", AUTH_REFUSAL_BINDING},
        {AUTH_SCRAM_SHA_256_PLUS, "p=tls-unique,,", LAB_EXPORTER, AUTH_REFUSAL_BINDING},
        {AUTH_SCRAM_SHA_256_PLUS, "p=TLS-EXPORTER,,", LAB_EXPORTER, AUTH_REFUSAL_BINDING},
        {AUTH_SCRAM_SHA_256_PLUS, "n,,", "", AUTH_REFUSAL_MALFORMED},
        {AUTH_SCRAM_SHA_256_PLUS, "y,,", "", AUTH_REFUSAL_MALFORMED},
        {AUTH_SCRAM_SHA_256, "p=tls-exporter,,", LAB_EXPORTER, AUTH_REFUSAL_MALFORMED},
        {AUTH_SCRAM_SHA_256, "n,,", "x", AUTH_REFUSAL_BINDING},
        {AUTH_SCRAM_SHA_256, "n,a=user@example.com,", "", AUTH_REFUSAL_NONE},
        {AUTH_SCRAM_SHA_256, "n,a=other@example.com,", "", AUTH_REFUSAL_IDENTITY},
        {AUTH_SCRAM_SHA_256, "n,a==,", "", AUTH_REFUSAL_MALFORMED},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(talk(rows[i].mechanism, rows[i].gs2, rows[i].data), rows[i].refusal);
}

/* Binding to nothing is no binding. */
static void nothing_binds_nothing(void **unused)
{
    (void)unused;
    lab.channel.tls_exporter = bytes_from(NULL, 0);
    lab.channel.tls_server_end_point = bytes_from(NULL, 0);
    assert_int_equal(talk(AUTH_SCRAM_SHA_256_PLUS, "p=tls-exporter,,", ""),
                     AUTH_REFUSAL_BINDING);
    assert_int_equal(talk(AUTH_SCRAM_SHA_256_PLUS, "p=tls-server-end-point,,", ""),
                     AUTH_REFUSAL_BINDING);
    assert_int_equal(talk(AUTH_SCRAM_SHA_256_PLUS, "p=tls-unique,,", ""), AUTH_REFUSAL_BINDING);
}

/* Somebody in between took the PLUS mechanisms out of our offer; or we never made one. */
static void downgrade_is_noticed(void **unused)
{
    (void)unused;
    assert_int_equal(talk(AUTH_SCRAM_SHA_256, "y,,", ""), AUTH_REFUSAL_DOWNGRADE);
    assert_int_equal(talk(AUTH_SCRAM_SHA_1, "y,,", ""), AUTH_REFUSAL_DOWNGRADE);
    lab.channel.offered &= ~AUTH_OFFER(AUTH_SCRAM_SHA_256_PLUS);
    assert_int_equal(talk(AUTH_SCRAM_SHA_256, "y,,", ""), AUTH_REFUSAL_DOWNGRADE);
    lab.channel.offered &= ~plus_offer;
    assert_int_equal(talk(AUTH_SCRAM_SHA_256, "y,,", ""), AUTH_REFUSAL_NONE);
}

static void last_message_is_empty(void **unused)
{
    struct scram_client client = {
        .gs2 = "n,,", .binding = BYTES(""), .name = LAB_NAME, .password = LAB_PASSWORD};
    enum auth_next next;
    (void)unused;
    struct auth_exchange *exchange =
        auth_lab_say(&lab, AUTH_SCRAM_SHA_256, scram_client_first(&client), &next);
    assert_int_equal(next, AUTH_CONTINUE);
    next = auth_lab_step(&lab, exchange,
                         scram_client_final(&client, auth_exchange_challenge(exchange)));
    assert_int_equal(next, AUTH_CONTINUE);
    assert_int_equal(auth_lab_step(&lab, exchange, BYTES("x")), AUTH_REFUSED);
    auth_exchange_free(&exchange);
}

/* With a proof that is right for what it says. */
static void nonce_has_to_come_back(void **unused)
{
    struct scram_client client = {.gs2 = "n,,",
                                  .binding = BYTES(""),
                                  .name = LAB_NAME,
                                  .password = LAB_PASSWORD,
                                  .nonce_more = "x"};
    enum auth_next next;
    (void)unused;
    struct auth_exchange *exchange =
        auth_lab_say(&lab, AUTH_SCRAM_SHA_256, scram_client_first(&client), &next);
    assert_int_equal(next, AUTH_CONTINUE);
    next = auth_lab_step(&lab, exchange,
                         scram_client_final(&client, auth_exchange_challenge(exchange)));
    assert_int_equal(next, AUTH_REFUSED);
    assert_int_equal(auth_exchange_refusal(exchange), AUTH_REFUSAL_MALFORMED);
    auth_exchange_free(&exchange);
}

static void names_with_commas_and_equals(void **unused)
{
    enum auth_next next;
    (void)unused;
    struct auth_exchange *exchange =
        auth_lab_say(&lab, AUTH_SCRAM_SHA_256, BYTES("n,,n=a=2Cb=3Dc,r=abc"), &next);
    assert_int_equal(next, AUTH_CONTINUE);
    assert_true(bytes_equal(auth_exchange_name(exchange), BYTES("a,b=c")));
    auth_exchange_free(&exchange);
}

/* A proof seen on the wire does not fit another nonce. */
static void replay_is_refused(void **unused)
{
    enum auth_next next;
    bool believed;
    struct buffer finals = BUFFER_EMPTY;
    (void)unused;
    struct auth_exchange *exchange = auth_lab_client(&lab, AUTH_SCRAM_SHA_256, LAB_NAME,
                                                     LAB_PASSWORD, NULL, &next, &believed);
    assert_int_equal(next, AUTH_DONE);
    auth_exchange_free(&exchange);
    assert_int_equal(lab.said_count, 3);
    buffer_add(&finals, lab.said[1]);
    lab.channel.nonce[3] ^= 1;
    exchange = auth_lab_say(&lab, AUTH_SCRAM_SHA_256, lab.said[0], &next);
    assert_int_equal(next, AUTH_CONTINUE);
    assert_int_equal(auth_lab_step(&lab, exchange, buffer_bytes(&finals)), AUTH_REFUSED);
    auth_exchange_free(&exchange);
    buffer_fini(&finals);
}

static void sizes_are_bounded(void **unused)
{
    struct buffer message = BUFFER_EMPTY;
    enum auth_next next;
    (void)unused;
    static const struct {
        size_t name;
        size_t nonce;
        enum auth_next next;
    } rows[] = {{AUTH_NAME_SIZE_MAX, SCRAM_NONCE_SIZE_MAX, AUTH_CONTINUE},
                {AUTH_NAME_SIZE_MAX + 1, 10, AUTH_REFUSED},
                {10, SCRAM_NONCE_SIZE_MAX + 1, AUTH_REFUSED},
                {3000, 10, AUTH_REFUSED},
                {100000, 10, AUTH_REFUSED}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buffer_clear(&message);
        buffer_add_string(&message, "n,,n=");
        memset(buffer_reserve(&message, rows[i].name), 'x', rows[i].name);
        buffer_added(&message, rows[i].name);
        buffer_add_string(&message, ",r=");
        memset(buffer_reserve(&message, rows[i].nonce), 'x', rows[i].nonce);
        buffer_added(&message, rows[i].nonce);
        struct auth_exchange *exchange =
            auth_lab_say(&lab, AUTH_SCRAM_SHA_256, buffer_bytes(&message), &next);
        assert_int_equal(next, rows[i].next);
        auth_exchange_free(&exchange);
    }
    buffer_fini(&message);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(right_and_wrong_passwords),
        TEST(app_passwords_match),
        TEST(totp_refuses_the_password_alone),
        TEST(prepared_passwords_match),
        TEST(verifiers_that_are_not_there),
        TEST(challenges_tell_nothing),
        TEST(work_is_the_same),
        TEST(bindings_must_match),
        TEST(bindings_by_name),
        TEST(nothing_binds_nothing),
        TEST(last_message_is_empty),
        TEST(nonce_has_to_come_back),
        TEST(downgrade_is_noticed),
        TEST(names_with_commas_and_equals),
        TEST(replay_is_refused),
        TEST(sizes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
