/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a server has to prove: by whom its certificate is signed, what its names are, and which
 * TLSA records fit it. */
#include "node/runtime/tls_expect.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "node/base/check.h"
#include "node/runtime/address.h"

enum {
    USAGE_AUTHORITY = 2, /* DANE-TA */
    USAGE_END = 3,       /* DANE-EE */
    SELECTOR_CERTIFICATE = 0,
    SELECTOR_KEY = 1,
    MATCHING_FULL = 0,
    NAME_LEN_MAX = 253,
};

/* All of `data` is one certificate whose key can be used, or one key. */
static bool is_whole(const struct tls_tlsa *record)
{
    const uint8_t *at = record->data.at, *end = at + record->data.len;
    bool good = false;

    if (record->selector == SELECTOR_CERTIFICATE) {
        X509 *certificate = d2i_X509(NULL, &at, (long)record->data.len);
        good = certificate != NULL && at == end && X509_get0_pubkey(certificate) != NULL;
        X509_free(certificate);
    } else {
        EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)record->data.len);
        good = key != NULL && at == end;
        EVP_PKEY_free(key);
    }
    ERR_clear_error();
    return good;
}

static bool is_usable(const struct tls_tlsa *record)
{
    static const size_t digest_sizes[] = {[1] = 32, [2] = 64}; /* by matching type */

    if ((record->usage != USAGE_AUTHORITY && record->usage != USAGE_END) ||
        record->selector > SELECTOR_KEY || record->data.len == 0)
        return false;
    if (record->matching == MATCHING_FULL)
        return is_whole(record);
    return record->matching < sizeof(digest_sizes) / sizeof(*digest_sizes) &&
           record->data.len == digest_sizes[record->matching];
}

static unsigned capped(unsigned count, unsigned most)
{
    return count < most ? count : most;
}

unsigned tls_tlsa_usable(const struct tls_tlsa *records, unsigned count)
{
    unsigned usable = 0;

    for (unsigned i = 0; i < capped(count, TLS_TLSA_MAX); i++)
        usable += is_usable(&records[i]);
    return usable;
}

/* For OpenSSL a name with a dot in front is every name below it, and no name is any name. */
static bool is_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= NAME_LEN_MAX && name[0] != '.';
}

/* False: there is none. */
static bool set_names(SSL *ssl, const struct tls_expect *expect)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    const char *const *names = expect->names_count > 0 ? expect->names : &expect->host;
    unsigned count = expect->names_count > 0 ? capped(expect->names_count, TLS_NAMES_MAX) : 1;
    bool any = false;

    CHECK(X509_VERIFY_PARAM_set1_host(param, NULL, 0) == 1);
    for (unsigned i = 0; i < count; i++)
        if (is_name(names[i])) {
            CHECK(X509_VERIFY_PARAM_add1_host(param, names[i], 0) == 1);
            any = true;
        }
    X509_VERIFY_PARAM_set_hostflags(
        param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                   (expect->rule == TLS_RULE_WEB ? X509_CHECK_FLAG_NEVER_CHECK_SUBJECT : 0));
    return any;
}

/* RFC 6066 section 3: no address literals. */
static void set_server_name(SSL *ssl, const char *host)
{
    char name[NAME_LEN_MAX + 1]; /* OpenSSL's macro takes the const away */
    struct address address;

    if (!is_name(host) || address_parse(bytes_of(host), &address))
        return;
    memcpy(name, host, strlen(host) + 1);
    CHECK(SSL_set_tlsext_host_name(ssl, name) == 1);
}

/* False: none can be used. */
static bool set_records(SSL *ssl, const struct tls_expect *expect)
{
    bool any = false;

    CHECK(SSL_dane_enable(ssl, NULL) == 1);
    SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS); /* RFC 7672 section 3.1.1 */
    for (unsigned i = 0; i < capped(expect->records_count, TLS_TLSA_MAX); i++) {
        const struct tls_tlsa *record = &expect->records[i];
        if (is_usable(record) &&
            SSL_dane_tlsa_add(ssl, record->usage, record->selector, record->matching,
                              record->data.at, record->data.len) == 1)
            any = true;
    }
    ERR_clear_error();
    return any;
}

enum err tls_expect_ssl(struct tls_client *client, const struct tls_expect *expect, SSL **made)
{
    bool lenient = expect->rule == TLS_RULE_WEB && expect->lenient;
    SSL *ssl = SSL_new(tls_client_context(client, lenient ? TLS_RULE_NONE : expect->rule));
    bool good = true;

    CHECK(ssl != NULL);
    set_server_name(ssl, expect->host);
    if (lenient)
        CHECK(SSL_set1_verify_cert_store(ssl, tls_client_store(client)) == 1);
    if (expect->rule == TLS_RULE_DANE)
        good = set_records(ssl, expect);
    if (expect->rule != TLS_RULE_NONE)
        good = set_names(ssl, expect) && good;
    if (!good) {
        SSL_free(ssl);
        ssl = NULL;
    }
    *made = ssl;
    return good ? ERR_OK : ERR_MALFORMED;
}

enum tls_failure tls_expect_failure(long verify_result)
{
    switch (verify_result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return TLS_FAILURE_EXPIRED;
    case X509_V_ERR_HOSTNAME_MISMATCH:
        return TLS_FAILURE_NAME_MISMATCH;
    case X509_V_ERR_DANE_NO_MATCH:
        return TLS_FAILURE_DANE_MISMATCH;
    default:
        return TLS_FAILURE_NOT_TRUSTED;
    }
}
