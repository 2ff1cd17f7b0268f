/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which authorities are trusted, which TLSA records can be used, and the words of reports. */
#include "tests/unit/node/runtime/until.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/base/arena.h"
#include "node/runtime/tls_client.h"
#include "node/runtime/tls_pem.h"

static X509 *make_authority(const char *name, EVP_PKEY *key)
{
    const struct tls_certificate_form form = {
        .common_name = name, .days = 10, .use = TLS_FORM_AUTHORITY};
    return tls_certificate_make(&form, key, NULL, key);
}

struct file {
    char path[64];
};

static struct file file_of(const char *text)
{
    struct file file = {.path = "/tmp/test-tls-client-XXXXXX"};
    int fd = mkstemp(file.path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return file;
}

static enum err made_of(const char *text, unsigned *count)
{
    struct file file = file_of(text);
    struct tls_client *client;
    enum err err = tls_client_new(file.path, &client);
    assert_true((err == ERR_OK) == (client != NULL));
    *count = client != NULL ? tls_client_authorities(client) : 0;
    tls_client_free(&client);
    assert_null(client);
    unlink(file.path);
    return err;
}

static const char *two_authorities(struct arena *arena)
{
    EVP_PKEY *key = tls_key_new();
    char *text = arena_alloc(arena, 8192);
    text[0] = '\0';
    for (unsigned i = 0; i < 2; i++) {
        X509 *made = make_authority(i == 0 ? "one" : "two", key);
        strcat(text, arena_string(arena, tls_certificate_pem(made, arena)));
        X509_free(made);
    }
    EVP_PKEY_free(key);
    return text;
}

static void a_named_file_has_to_be_one(void **state)
{
    struct tls_client *client;
    struct arena arena;
    unsigned count;
    (void)state;
    arena_init(&arena);
    const char *two = two_authorities(&arena);
    char broken[8400];
    assert_int_equal(made_of(two, &count), ERR_OK);
    assert_int_equal(count, 2);
    assert_int_equal(made_of("nothing of the kind\n", &count), ERR_MALFORMED);
    assert_int_equal(made_of("", &count), ERR_MALFORMED);
    snprintf(broken, sizeof(broken),
             "%s-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", two);
    assert_int_equal(made_of(broken, &count), ERR_MALFORMED);
    assert_int_equal(tls_client_new("/nowhere/at/all.pem", &client), ERR_NOTFOUND);
    assert_null(client);
    arena_fini(&arena);
}

/* The environment names the system's file for OpenSSL, and for us. */
static void the_systems_file_is_taken_unless_one_is_named(void **state)
{
    struct tls_client *client;
    struct arena arena;
    (void)state;
    arena_init(&arena);
    struct file file = file_of(two_authorities(&arena));
    setenv("SSL_CERT_FILE", file.path, 1);
    assert_int_equal(tls_client_new("", &client), ERR_OK);
    assert_int_equal(tls_client_authorities(client), 2);
    tls_client_free(&client);
    unsetenv("SSL_CERT_FILE");
    unlink(file.path);
    arena_fini(&arena);
}

/* What can be told of a record without a certificate. */
static void records_of_no_use_are_not_counted(void **state)
{
    static const uint8_t zeros[64];
    static const struct {
        uint8_t usage, selector, matching;
        size_t len;
        bool usable;
    } rows[] = {
        {3, 1, 1, 32, true},    {3, 0, 1, 32, true},    {3, 1, 2, 64, true},
        {2, 0, 1, 32, true},    {2, 1, 2, 64, true},    {0, 0, 1, 32, false},
        {1, 1, 1, 32, false},   {4, 1, 1, 32, false},   {255, 1, 1, 32, false},
        {3, 2, 1, 32, false},   {3, 255, 1, 32, false}, {3, 1, 3, 32, false},
        {3, 1, 255, 32, false}, {3, 1, 1, 31, false},   {3, 1, 1, 33, false},
        {3, 1, 1, 0, false},    {3, 1, 2, 32, false},   {3, 1, 0, 64, false},
        {3, 0, 0, 64, false},   {2, 0, 0, 0, false},
    };
    struct tls_tlsa all[sizeof(rows) / sizeof(*rows)];
    unsigned usable = 0;
    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        all[i] = (struct tls_tlsa){
            rows[i].usage, rows[i].selector, rows[i].matching, {zeros, rows[i].len}};
        assert_int_equal(tls_tlsa_usable(&all[i], 1), rows[i].usable);
        usable += rows[i].usable;
    }
    assert_int_equal(tls_tlsa_usable(all, sizeof(rows) / sizeof(*rows)), usable);
    assert_int_equal(tls_tlsa_usable(NULL, 0), 0);
}

/* Whole certificates and keys, and nothing behind them. */
static void whole_records_have_to_be_whole(void **state)
{
    EVP_PKEY *key = tls_key_new();
    X509 *made = make_authority("one", key);
    (void)state;
    for (uint8_t selector = 0; selector < 2; selector++) {
        uint8_t data[4096], *at = data;
        int len = selector == 0 ? i2d_X509(made, &at)
                                : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(made), &at);
        assert_true(len > 0 && (size_t)len < sizeof(data));
        struct tls_tlsa record = {2, selector, 0, {data, (size_t)len}};
        assert_int_equal(tls_tlsa_usable(&record, 1), 1);
        record.selector = !selector;
        assert_int_equal(tls_tlsa_usable(&record, 1), 0);
        record.selector = selector;
        record.data.len++;
        assert_int_equal(tls_tlsa_usable(&record, 1), 0);
        record.data.len -= 2;
        assert_int_equal(tls_tlsa_usable(&record, 1), 0);
    }
    X509_free(made);
    EVP_PKEY_free(key);
}

static void reports_are_in_the_words_of_the_rfc(void **state)
{
    (void)state;
    assert_string_equal(tls_failure_report(TLS_FAILURE_NONE), "");
    assert_string_equal(tls_failure_report(TLS_FAILURE_NOT_OFFERED), "starttls-not-supported");
    assert_string_equal(tls_failure_report(TLS_FAILURE_NOT_TRUSTED), "certificate-not-trusted");
    assert_string_equal(tls_failure_report(TLS_FAILURE_EXPIRED), "certificate-expired");
    assert_string_equal(tls_failure_report(TLS_FAILURE_NAME_MISMATCH),
                        "certificate-host-mismatch");
    for (unsigned i = TLS_FAILURE_DANE_MISMATCH; i < TLS_FAILURE_COUNT; i++) {
        assert_string_equal(tls_failure_report((enum tls_failure)i), "validation-failure");
        assert_true(strlen(tls_failure_text((enum tls_failure)i)) > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_named_file_has_to_be_one),
        cmocka_unit_test(the_systems_file_is_taken_unless_one_is_named),
        cmocka_unit_test(records_of_no_use_are_not_counted),
        cmocka_unit_test(whole_records_have_to_be_whole),
        cmocka_unit_test(reports_are_in_the_words_of_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
