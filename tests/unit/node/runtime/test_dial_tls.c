/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a mail server has to prove before it is believed, rule by rule, good and bad. */
#include "tests/unit/node/runtime/dial_lab.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/arena.h"
#include "node/runtime/tls_pem.h"

/*
 * root -> mx, wild, other, old, under (whose names say nothing of mail);
 * stranger: an authority that nobody trusts -> strange, and itself (self-signed).
 */
enum which { MX, WILD, OTHER, OLD, COMMON, STRANGE, SELF, CERTIFICATES };

struct pki {
    EVP_PKEY *key; /* of all servers */
    EVP_PKEY *root_key, *stranger_key;
    X509 *root, *stranger;
    X509 *certificates[CERTIFICATES];
    char file[64]; /* with the root in it */
    struct tls_client *client;
};

static X509 *make(const char *name, const char *names, EVP_PKEY *key, X509 *issuer,
                  EVP_PKEY *issuer_key)
{
    const struct tls_certificate_form form = {.common_name = name,
                                              .names = names,
                                              .days = 10,
                                              .use = names != NULL ? TLS_FORM_SERVER
                                                                   : TLS_FORM_AUTHORITY};
    return tls_certificate_make(&form, key, issuer, issuer_key);
}

/* Over since an hour. */
static void expire(X509 *certificate, EVP_PKEY *issuer_key)
{
    X509_gmtime_adj(X509_getm_notAfter(certificate), -3600);
    assert_true(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
}

static void make_certificates(struct pki *pki)
{
    X509 **made = pki->certificates;
    pki->key = tls_key_new();
    pki->root_key = tls_key_new();
    pki->stranger_key = tls_key_new();
    pki->root = make("root", NULL, pki->root_key, NULL, pki->root_key);
    pki->stranger = make("stranger", NULL, pki->stranger_key, NULL, pki->stranger_key);
    made[MX] = make("mx", "DNS:mx.example.org", pki->key, pki->root, pki->root_key);
    made[WILD] = make("wild", "DNS:*.example.org", pki->key, pki->root, pki->root_key);
    made[OTHER] =
        make("mx.example.org", "DNS:mx.example.com", pki->key, pki->root, pki->root_key);
    made[OLD] = make("old", "DNS:mx.example.org", pki->key, pki->root, pki->root_key);
    expire(made[OLD], pki->root_key);
    made[COMMON] =
        make("mx.example.org", "email:a@b.example", pki->key, pki->root, pki->root_key);
    made[STRANGE] =
        make("strange", "DNS:mx.example.org", pki->key, pki->stranger, pki->stranger_key);
    made[SELF] = make("self", "DNS:mx.example.org", pki->key, NULL, pki->key);
}

static int setup(void **state)
{
    struct pki *pki = calloc(1, sizeof(*pki));
    struct arena arena;
    assert_non_null(pki);
    make_certificates(pki);
    snprintf(pki->file, sizeof(pki->file), "/tmp/test-dial-XXXXXX");
    int fd = mkstemp(pki->file);
    arena_init(&arena);
    struct bytes pem = tls_certificate_pem(pki->root, &arena);
    assert_int_equal(write(fd, pem.at, pem.len), pem.len);
    arena_fini(&arena);
    close(fd);
    assert_int_equal(tls_client_new(pki->file, &pki->client), ERR_OK);
    assert_int_equal(tls_client_authorities(pki->client), 1);
    unlink(pki->file); /* it is in memory */
    *state = pki;
    return 0;
}

static int teardown(void **state)
{
    struct pki *pki = *state;
    for (unsigned i = 0; i < CERTIFICATES; i++)
        X509_free(pki->certificates[i]);
    X509_free(pki->root);
    X509_free(pki->stranger);
    EVP_PKEY_free(pki->key);
    EVP_PKEY_free(pki->root_key);
    EVP_PKEY_free(pki->stranger_key);
    tls_client_free(&pki->client);
    free(pki);
    return 0;
}

static void key_digest(X509 *certificate, uint8_t digest[SHA256_DIGEST_LENGTH])
{
    uint8_t *key = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
    assert_true(len > 0);
    SHA256(key, (size_t)len, digest);
    OPENSSL_free(key);
}

/* With a server that has this certificate, and sends its issuer as well. */
static struct caller talk_with(struct pki *pki, enum which which,
                               const struct tls_expect *expect)
{
    struct caller caller = {.tls = pki->client, .expect = *expect};
    X509 *const issuer = which == STRANGE ? pki->stranger : pki->root;
    struct host host = {
        .tls = host_tls(pki->certificates[which], &issuer, which != SELF, pki->key)};
    caller_talk(&caller, &host, NULL);
    if (caller.started == 1) {
        uint8_t digest[SHA256_DIGEST_LENGTH];
        key_digest(pki->certificates[which], digest);
        assert_true(caller.echoed && caller.has_key);
        assert_memory_equal(caller.key, digest, sizeof(digest));
        assert_string_equal(host.server_name, expect->host);
        assert_string_equal(caller.tls_text, "TLSv1.3 TLS_AES_256_GCM_SHA384");
    } else {
        assert_false(caller.has_key);
        assert_int_equal(caller.verified, TLS_VERIFIED_NOTHING);
        assert_true(strlen(caller.why) > 5);
    }
    return caller;
}

static char current[64]; /* for who reads of a failure */

static void want(const struct caller *caller, enum tls_verified verified,
                 enum tls_failure failure)
{
    if (caller->failure != failure)
        fail_msg("%s: %s, %s", current, tls_failure_text(caller->failure), caller->why);
    assert_int_equal(caller->verified, verified);
    assert_int_equal(caller->started, failure == TLS_FAILURE_NONE);
}

static void without_a_rule_every_certificate_does(void **state)
{
    const struct tls_expect expect = {.rule = TLS_RULE_NONE, .host = "mx.example.org"};
    for (enum which which = 0; which < CERTIFICATES; which++) {
        struct caller caller = talk_with(*state, which, &expect);
        want(&caller, TLS_VERIFIED_NOTHING, TLS_FAILURE_NONE);
    }
}

static const struct {
    enum which which;
    const char *host, *name, *second; /* the names to look for; NULL: the host */
    enum tls_failure failure;
} web_cases[] = {
    {MX, "mx.example.org", NULL, NULL, TLS_FAILURE_NONE},
    {MX, "", "mx.example.org", NULL, TLS_FAILURE_NONE},
    {MX, "MX.example.ORG", NULL, NULL, TLS_FAILURE_NONE},
    {MX, "mx.example.net", "a.example.net", "mx.example.org", TLS_FAILURE_NONE},
    {MX, "mx.example.org", "mx.example.net", NULL, TLS_FAILURE_NAME_MISMATCH},
    {MX, "mx.example.org", "a.example.net", "b.example.net", TLS_FAILURE_NAME_MISMATCH},
    {MX, "example.org", NULL, NULL, TLS_FAILURE_NAME_MISMATCH},
    {MX, "mx.example.org", ".example.org", "x.example.org", TLS_FAILURE_NAME_MISMATCH},
    {WILD, "mx.example.org", NULL, NULL, TLS_FAILURE_NONE},
    {WILD, "a.mx.example.org", NULL, NULL, TLS_FAILURE_NAME_MISMATCH},
    {WILD, "example.org", NULL, NULL, TLS_FAILURE_NAME_MISMATCH},
    {OTHER, "mx.example.org", NULL, NULL, TLS_FAILURE_NAME_MISMATCH},
    {COMMON, "mx.example.org", NULL, NULL, TLS_FAILURE_NAME_MISMATCH},
    {OLD, "mx.example.org", NULL, NULL, TLS_FAILURE_EXPIRED},
    {STRANGE, "mx.example.org", NULL, NULL, TLS_FAILURE_NOT_TRUSTED},
    {SELF, "mx.example.org", NULL, NULL, TLS_FAILURE_NOT_TRUSTED},
};

static void the_web_rule_wants_chain_time_and_name(void **state)
{
    for (unsigned i = 0; i < sizeof(web_cases) / sizeof(*web_cases); i++) {
        const char *names[] = {web_cases[i].name, web_cases[i].second};
        const struct tls_expect expect = {
            .rule = TLS_RULE_WEB,
            .host = web_cases[i].host,
            .names = names,
            .names_count = (unsigned)(names[0] != NULL) + (names[1] != NULL),
        };
        snprintf(current, sizeof(current), "case %u", i);
        struct caller caller = talk_with(*state, web_cases[i].which, &expect);
        want(&caller,
             web_cases[i].failure == TLS_FAILURE_NONE ? TLS_VERIFIED_WEB : TLS_VERIFIED_NOTHING,
             web_cases[i].failure);
    }
}

/* Goes on, and says what the rule would have said. */
static void who_is_lenient_learns_what_failed(void **state)
{
    for (unsigned i = 0; i < sizeof(web_cases) / sizeof(*web_cases); i++) {
        const char *names[] = {web_cases[i].name, web_cases[i].second};
        const struct tls_expect expect = {
            .rule = TLS_RULE_WEB,
            .lenient = true,
            .host = web_cases[i].host,
            .names = names,
            .names_count = (unsigned)(names[0] != NULL) + (names[1] != NULL),
        };
        struct caller caller = talk_with(*state, web_cases[i].which, &expect);
        assert_int_equal(caller.started, 1);
        assert_int_equal(caller.failure_then, web_cases[i].failure);
        assert_int_equal(caller.failure, web_cases[i].failure);
        assert_int_equal(caller.verified, web_cases[i].failure == TLS_FAILURE_NONE
                                              ? TLS_VERIFIED_WEB
                                              : TLS_VERIFIED_NOTHING);
    }
}

/* A TLSA record about a certificate, and the memory of it. */
struct record {
    struct tls_tlsa tlsa;
    uint8_t data[4096];
};

static void fill(struct record *record, X509 *certificate, uint8_t usage, uint8_t selector,
                 uint8_t matching)
{
    uint8_t plain[4096], *at = plain;
    int len = selector == 0 ? i2d_X509(certificate, &at)
                            : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &at);
    assert_true(len > 0 && len < (int)sizeof(plain));
    record->tlsa = (struct tls_tlsa){.usage = usage,
                                     .selector = selector,
                                     .matching = matching,
                                     .data = {record->data, (size_t)len}};
    if (matching == 1) {
        SHA256(plain, (size_t)len, record->data);
        record->tlsa.data.len = SHA256_DIGEST_LENGTH;
    } else if (matching == 2) {
        SHA512(plain, (size_t)len, record->data);
        record->tlsa.data.len = SHA512_DIGEST_LENGTH;
    } else {
        memcpy(record->data, plain, (size_t)len);
    }
}

enum about { ABOUT_SERVER, ABOUT_ROOT, ABOUT_STRANGER };

static X509 *subject(struct pki *pki, enum which which, enum about about)
{
    if (about == ABOUT_SERVER)
        return pki->certificates[which];
    return about == ABOUT_ROOT ? pki->root : pki->stranger;
}

static struct caller dane(struct pki *pki, enum which which, struct record *records,
                          unsigned count, const char *name)
{
    struct tls_tlsa list[4];
    const struct tls_expect expect = {.rule = TLS_RULE_DANE,
                                      .host = "mx.example.org",
                                      .names = &name,
                                      .names_count = name != NULL,
                                      .records = list,
                                      .records_count = count};
    for (unsigned i = 0; i < count; i++)
        list[i] = records[i].tlsa;
    return talk_with(pki, which, &expect);
}

static const struct {
    enum which which;
    uint8_t usage;
    enum about about;
    const char *name;
    enum tls_failure failure;
} dane_cases[] = {
    /* The certificate itself: names and time do not count, nor who signed it. */
    {MX, 3, ABOUT_SERVER, NULL, TLS_FAILURE_NONE},
    {OTHER, 3, ABOUT_SERVER, NULL, TLS_FAILURE_NONE},
    {OLD, 3, ABOUT_SERVER, NULL, TLS_FAILURE_NONE},
    {SELF, 3, ABOUT_SERVER, NULL, TLS_FAILURE_NONE},
    {STRANGE, 3, ABOUT_SERVER, "mx.example.net", TLS_FAILURE_NONE},
    {MX, 3, ABOUT_ROOT, NULL, TLS_FAILURE_DANE_MISMATCH},
    {MX, 3, ABOUT_STRANGER, NULL, TLS_FAILURE_DANE_MISMATCH},
    /* An authority in the chain, whoever else trusts it: names and time count. */
    {MX, 2, ABOUT_ROOT, NULL, TLS_FAILURE_NONE},
    {STRANGE, 2, ABOUT_STRANGER, NULL, TLS_FAILURE_NONE},
    {WILD, 2, ABOUT_ROOT, NULL, TLS_FAILURE_NONE},
    {OTHER, 2, ABOUT_ROOT, NULL, TLS_FAILURE_NAME_MISMATCH},
    {OTHER, 2, ABOUT_ROOT, "mx.example.com", TLS_FAILURE_NONE},
    {COMMON, 2, ABOUT_ROOT, NULL, TLS_FAILURE_NONE}, /* RFC 7672 section 3.2.3 */
    {MX, 2, ABOUT_ROOT, "mx.example.net", TLS_FAILURE_NAME_MISMATCH},
    {OLD, 2, ABOUT_ROOT, NULL, TLS_FAILURE_EXPIRED},
    {MX, 2, ABOUT_STRANGER, NULL, TLS_FAILURE_DANE_MISMATCH},
    {STRANGE, 2, ABOUT_ROOT, NULL, TLS_FAILURE_DANE_MISMATCH},
};

static void tlsa_records_say_who_is_right(void **state)
{
    struct pki *pki = *state;
    for (unsigned i = 0; i < sizeof(dane_cases) / sizeof(*dane_cases); i++)
        for (unsigned form = 0; form < 6; form++) {
            struct record record;
            fill(&record, subject(pki, dane_cases[i].which, dane_cases[i].about),
                 dane_cases[i].usage, (uint8_t)(form / 3), (uint8_t)(form % 3));
            assert_int_equal(tls_tlsa_usable(&record.tlsa, 1), 1);
            snprintf(current, sizeof(current), "case %u, %u %u %u", i, dane_cases[i].usage,
                     form / 3, form % 3);
            struct caller caller =
                dane(pki, dane_cases[i].which, &record, 1, dane_cases[i].name);
            want(&caller,
                 dane_cases[i].failure == TLS_FAILURE_NONE ? TLS_VERIFIED_DANE
                                                           : TLS_VERIFIED_NOTHING,
                 dane_cases[i].failure);
        }
}

/* "2 0 1" of one between the server and a root that nobody sends. */
static void an_authority_in_the_middle_can_be_the_anchor(void **state)
{
    struct pki *pki = *state;
    struct record record;
    EVP_PKEY *key = tls_key_new();
    X509 *middle = make("middle", NULL, key, pki->stranger, pki->stranger_key);
    X509 *server = make("mx", "DNS:mx.example.org", pki->key, middle, key);
    fill(&record, middle, 2, 0, 1);
    for (unsigned sent = 0; sent < 2; sent++) {
        struct host host = {.tls = host_tls(server, &middle, sent, pki->key)};
        struct caller caller = {.tls = pki->client,
                                .expect = {.rule = TLS_RULE_DANE,
                                           .host = "mx.example.org",
                                           .records = &record.tlsa,
                                           .records_count = 1}};
        caller_talk(&caller, &host, NULL);
        want(&caller, sent ? TLS_VERIFIED_DANE : TLS_VERIFIED_NOTHING,
             sent ? TLS_FAILURE_NONE : TLS_FAILURE_DANE_MISMATCH);
    }
    X509_free(server);
    X509_free(middle);
    EVP_PKEY_free(key);
}

static void one_record_of_several_is_enough(void **state)
{
    struct pki *pki = *state;
    struct record records[4];
    fill(&records[0], pki->stranger, 3, 1, 1);
    fill(&records[1], pki->stranger, 2, 0, 1);
    fill(&records[2], pki->certificates[SELF], 1, 0, 1); /* PKIX-EE is nothing here */
    fill(&records[3], pki->certificates[SELF], 3, 1, 1);
    struct caller caller = dane(pki, SELF, records, 4, NULL);
    want(&caller, TLS_VERIFIED_DANE, TLS_FAILURE_NONE);
    caller = dane(pki, SELF, records, 3, NULL);
    want(&caller, TLS_VERIFIED_NOTHING, TLS_FAILURE_DANE_MISMATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_rule_every_certificate_does),
        cmocka_unit_test(the_web_rule_wants_chain_time_and_name),
        cmocka_unit_test(who_is_lenient_learns_what_failed),
        cmocka_unit_test(tlsa_records_say_who_is_right),
        cmocka_unit_test(an_authority_in_the_middle_can_be_the_anchor),
        cmocka_unit_test(one_record_of_several_is_enough),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
