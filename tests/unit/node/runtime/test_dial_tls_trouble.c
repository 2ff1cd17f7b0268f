/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS with mail servers that get it wrong, and with somebody between them and us. */
#include "tests/unit/node/runtime/dial_lab.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/runtime/tls_pem.h"

struct lab {
    struct tls_client *client;
    EVP_PKEY *key;
    X509 *certificate;
};

static X509 *make(EVP_PKEY *key)
{
    const struct tls_certificate_form form = {
        .common_name = "mx", .names = "DNS:mx.example.org", .days = 10, .use = TLS_FORM_SERVER};
    return tls_certificate_make(&form, key, NULL, key);
}

static int setup(void **state)
{
    struct lab *lab = calloc(1, sizeof(*lab));
    assert_non_null(lab);
    lab->key = tls_key_new();
    lab->certificate = make(lab->key);
    assert_int_equal(tls_client_new("", &lab->client), ERR_OK);
    *state = lab;
    return 0;
}

static int teardown(void **state)
{
    struct lab *lab = *state;
    X509_free(lab->certificate);
    EVP_PKEY_free(lab->key);
    tls_client_free(&lab->client);
    free(lab);
    return 0;
}

static struct caller caller_of(struct lab *lab)
{
    return (struct caller){
        .tls = lab->client,
        .expect = {.rule = TLS_RULE_NONE, .host = "mx.example.org"},
    };
}

static SSL_CTX *tls_of(struct lab *lab)
{
    return host_tls(lab->certificate, NULL, 0, lab->key);
}

static void want_failure(const struct caller *caller, enum tls_failure failure)
{
    if (caller->failure != failure)
        fail_msg("%s, %s", tls_failure_text(caller->failure), caller->why);
    assert_int_equal(caller->started, 0);
    assert_false(caller->echoed);
    assert_int_equal(caller->verified, TLS_VERIFIED_NOTHING);
}

static void what_is_put_behind_the_answer_cuts(void **state)
{
    struct caller caller = caller_of(*state);
    struct host host = {.answer = "220 go\r\n250 injected\r\n", .tls = tls_of(*state)};
    caller_talk(&caller, &host, NULL);
    assert_int_equal(caller.err, ERR_OK); /* it was asked for within feed() */
    want_failure(&caller, TLS_FAILURE_INJECTED);
    assert_false(host.shook);
    caller = caller_of(*state);
    host = (struct host){.answer = "220 go\r\n\r", .tls = tls_of(*state)};
    caller_talk(&caller, &host, NULL);
    want_failure(&caller, TLS_FAILURE_INJECTED);
}

static void who_asks_later_is_told(void **state)
{
    struct caller caller = caller_of(*state);
    struct host host = {.answer = "220 go\r\n250 injected\r\n", .tls = tls_of(*state)};
    caller.later = true;
    caller_talk(&caller, &host, NULL);
    assert_int_equal(caller.err, ERR_INVALID);
    want_failure(&caller, TLS_FAILURE_NONE);
    caller = caller_of(*state);
    caller.later = true;
    host = (struct host){.tls = tls_of(*state)};
    caller_talk(&caller, &host, NULL);
    assert_int_equal(caller.err, ERR_OK);
    assert_int_equal(caller.started, 1);
    assert_true(caller.echoed);
}

/* It comes when the handshake is under way, and is no reply any more. */
static void what_comes_in_the_clear_later_is_no_reply(void **state)
{
    struct caller caller = caller_of(*state);
    struct host host = {.later = "250 injected, and all is well\r\n"};
    caller_talk(&caller, &host, NULL);
    want_failure(&caller, TLS_FAILURE_PROTOCOL);
}

/* At the start of its side of the handshake, in the middle, and near the end. */
static void a_cut_in_the_handshake_is_a_cut(void **state)
{
    static const size_t places[] = {1, 4, 100, 300, 500};
    for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
        struct caller caller = caller_of(*state);
        struct host host = {.tls = tls_of(*state), .cut_after = places[i]};
        caller_talk(&caller, &host, NULL);
        want_failure(&caller, TLS_FAILURE_CUT);
    }
    struct caller caller = caller_of(*state);
    struct host host = {.tls = NULL};
    caller_talk(&caller, &host, NULL);
    want_failure(&caller, TLS_FAILURE_CUT);
}

static void a_silent_server_takes_too_long(void **state)
{
    struct conn_limits limits = conn_limits_default;
    struct caller caller = caller_of(*state);
    struct host host = {.silent = true};
    limits.tls_handshake_ms = 300;
    caller_talk(&caller, &host, &limits);
    want_failure(&caller, TLS_FAILURE_TIMEOUT);
}

static struct caller talk_version(struct lab *lab, int version, enum tls_rule rule)
{
    struct caller caller = caller_of(lab);
    struct host host = {.tls = tls_of(lab)};
    caller.expect.rule = rule;
    CHECK(SSL_CTX_set_min_proto_version(host.tls, version) == 1);
    CHECK(SSL_CTX_set_max_proto_version(host.tls, version) == 1);
    CHECK(SSL_CTX_set_cipher_list(host.tls, "ALL:@SECLEVEL=0") == 1);
    caller_talk(&caller, &host, NULL);
    return caller;
}

static void old_versions_are_not_spoken(void **state)
{
    struct caller caller = talk_version(*state, TLS1_1_VERSION, TLS_RULE_NONE);
    want_failure(&caller, TLS_FAILURE_PROTOCOL);
    assert_non_null(strstr(caller.why, "version"));
    caller = talk_version(*state, TLS1_1_VERSION, TLS_RULE_WEB);
    want_failure(&caller, TLS_FAILURE_PROTOCOL);
    caller = talk_version(*state, TLS1_2_VERSION, TLS_RULE_NONE);
    assert_int_equal(caller.started, 1);
    assert_memory_equal(caller.tls_text, "TLSv1.2 ", 8);
    caller = talk_version(*state, TLS1_3_VERSION, TLS_RULE_NONE);
    assert_memory_equal(caller.tls_text, "TLSv1.3 ", 8);
}

static struct caller talk_weak(struct lab *weak, enum tls_rule rule, const char *ciphers)
{
    struct caller caller = caller_of(weak);
    struct host host = {.tls = tls_of(weak)};
    caller.expect.rule = rule;
    CHECK(SSL_CTX_set_max_proto_version(host.tls, TLS1_2_VERSION) == 1);
    CHECK(SSL_CTX_set_cipher_list(host.tls, ciphers) == 1);
    CHECK(SSL_CTX_set_dh_auto(host.tls, 1) == 1); /* as short as the key */
    caller_talk(&caller, &host, NULL);
    return caller;
}

/* Short keys and no forward secrecy: better than the clear, and nothing to be proven by. */
static void weak_servers_are_taken_where_nothing_is_asked(void **state)
{
    struct lab *lab = *state;
    struct lab weak = {.client = lab->client, .key = EVP_RSA_gen(1024)};
    weak.certificate = make(weak.key);
    struct caller caller = talk_weak(&weak, TLS_RULE_NONE, "AES128-SHA:@SECLEVEL=0");
    assert_string_equal(caller.tls_text, "TLSv1.2 AES128-SHA");
    assert_true(caller.echoed);
    caller = talk_weak(&weak, TLS_RULE_NONE, "DHE-RSA-AES128-SHA256:@SECLEVEL=0");
    assert_string_equal(caller.tls_text, "TLSv1.2 DHE-RSA-AES128-SHA256");
    assert_true(caller.echoed);
    caller = talk_weak(&weak, TLS_RULE_WEB, "AES128-SHA:@SECLEVEL=0");
    want_failure(&caller, TLS_FAILURE_NOT_TRUSTED);
    X509_free(weak.certificate);
    EVP_PKEY_free(weak.key);
}

/* In TLS 1.3 the client is through when the server refuses it. */
static void a_server_that_refuses_afterwards_is_heard(void **state)
{
    struct caller caller = caller_of(*state);
    struct host host = {.tls = tls_of(*state)};
    SSL_CTX_set_verify(host.tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    caller_talk(&caller, &host, NULL);
    assert_int_equal(caller.started, 1);
    assert_false(caller.echoed);
    assert_int_equal(caller.failure_then, TLS_FAILURE_NONE);
    assert_int_equal(caller.failure, TLS_FAILURE_PROTOCOL);
    assert_non_null(strstr(caller.why, "certificate required"));
}

/* Nothing to prove it by: said before the handshake. */
static void what_cannot_be_proven_is_not_tried(void **state)
{
    const uint8_t digest[32] = {0};
    const struct tls_tlsa unusable = {1, 0, 1, {digest, 32}}, usable = {3, 1, 1, {digest, 32}};
    const char *dotted = ".example.org";
    const struct tls_expect wants[] = {
        {.rule = TLS_RULE_DANE, .host = "mx.example.org"},
        {.rule = TLS_RULE_DANE,
         .host = "mx.example.org",
         .records = &unusable,
         .records_count = 1},
        {.rule = TLS_RULE_DANE, .host = "", .records = &usable, .records_count = 1},
        {.rule = TLS_RULE_WEB, .host = ""},
        {.rule = TLS_RULE_WEB, .host = "mx.example.org", .names = &dotted, .names_count = 1},
    };
    for (unsigned i = 0; i < sizeof(wants) / sizeof(*wants); i++) {
        struct caller caller = caller_of(*state);
        struct host host = {.tls = NULL};
        caller.expect = wants[i];
        caller_talk(&caller, &host, NULL);
        assert_int_equal(caller.err, ERR_MALFORMED);
        want_failure(&caller, TLS_FAILURE_NONE);
    }
}

static void address_literals_are_no_server_names(void **state)
{
    static const char *const literals[] = {"192.0.2.1", "2001:db8::1"};
    for (unsigned i = 0; i < 2; i++) {
        struct caller caller = caller_of(*state);
        struct host host = {.tls = tls_of(*state)};
        caller.expect.host = literals[i];
        caller_talk(&caller, &host, NULL);
        assert_true(caller.echoed);
        assert_string_equal(host.server_name, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_behind_the_answer_cuts),
        cmocka_unit_test(who_asks_later_is_told),
        cmocka_unit_test(what_comes_in_the_clear_later_is_no_reply),
        cmocka_unit_test(a_cut_in_the_handshake_is_a_cut),
        cmocka_unit_test(a_silent_server_takes_too_long),
        cmocka_unit_test(old_versions_are_not_spoken),
        cmocka_unit_test(weak_servers_are_taken_where_nothing_is_asked),
        cmocka_unit_test(a_server_that_refuses_afterwards_is_heard),
        cmocka_unit_test(what_cannot_be_proven_is_not_tried),
        cmocka_unit_test(address_literals_are_no_server_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
