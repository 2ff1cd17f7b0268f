/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/tls_client.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/tls_expect.h"
#include "node/runtime/tls_pem.h"

enum { RULES_COUNT = TLS_RULE_DANE + 1 };

/*
 * Forward secrecy and authenticated encryption first. The rest of what is not broken stays for
 * old servers; those who have to prove who they are get no more of it than those who do not,
 * since to refuse would keep mail from them that others are sent in the clear.
 */
static const char ciphers_tls12[] = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:HIGH:"
                                    "!aNULL:!eNULL:!PSK:!SRP:!CAMELLIA:!ARIA";

/*
 * Levels as OpenSSL counts them. Public authorities have signed nothing weaker than level 2
 * for long. Whom DANE names may have made his key long ago, and has said himself that it is
 * his. Against those who only listen anything helps, so also keys of 512 bits, and servers that
 * do not know RFC 5746.
 */
static const struct policy {
    int security_level;
    int verify;
    uint64_t options;
} policies[RULES_COUNT] = {
    [TLS_RULE_NONE] = {0, SSL_VERIFY_NONE, SSL_OP_LEGACY_SERVER_CONNECT},
    [TLS_RULE_WEB] = {2, SSL_VERIFY_PEER, 0},
    [TLS_RULE_DANE] = {1, SSL_VERIFY_PEER, 0},
};

/* Where systems keep what they trust, besides where OpenSSL itself looks. */
static const char *const system_files[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

struct tls_client {
    SSL_CTX *contexts[RULES_COUNT];
    X509_STORE *store;
};

SSL_CTX *tls_client_context(struct tls_client *client, enum tls_rule rule)
{
    return client->contexts[rule];
}

X509_STORE *tls_client_store(struct tls_client *client)
{
    return client->store;
}

static SSL_CTX *context_new(const struct policy *policy)
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_client_method());

    CHECK(ssl != NULL);
    CHECK(SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1);
    CHECK(SSL_CTX_set_max_proto_version(ssl, 0) == 1); /* the newest */
    CHECK(SSL_CTX_set_cipher_list(ssl, ciphers_tls12) == 1);
    SSL_CTX_set_security_level(ssl, policy->security_level);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_clear_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_CTX_set_options(ssl, policy->options | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(ssl, policy->verify, NULL);
    return ssl;
}

/* A file with a certificate that OpenSSL cannot read is refused whole. */
static bool load(struct tls_client *client, const char *path)
{
    if (X509_STORE_load_file(client->store, path) == 1)
        return true;
    tls_log_error("authorities cannot be read");
    return false;
}

static void load_system(struct tls_client *client)
{
    const char *environment = getenv(X509_get_default_cert_file_env());
    const char *first = environment != NULL ? environment : X509_get_default_cert_file();

    if (access(first, R_OK) == 0 && load(client, first))
        return;
    for (size_t i = 0; i < sizeof(system_files) / sizeof(*system_files); i++)
        if (access(system_files[i], R_OK) == 0 && load(client, system_files[i]))
            return;
    log_error(NULL, "NO AUTHORITIES ARE TRUSTED: no file of the system has any", NULL);
}

static enum err load_named(struct tls_client *client, const char *path)
{
    if (access(path, R_OK) != 0) {
        log_error(NULL, "authorities cannot be read",
                  LOG_FIELDS(LOG_TEXT("path", path), LOG_TEXT("reason", strerror(errno))));
        return ERR_NOTFOUND;
    }
    return load(client, path) ? ERR_OK : ERR_MALFORMED;
}

enum err tls_client_new(const char *authorities, struct tls_client **made)
{
    struct tls_client *client = calloc(1, sizeof(*client));
    enum err err = ERR_OK;

    CHECK(client != NULL);
    client->store = X509_STORE_new();
    CHECK(client->store != NULL);
    for (unsigned i = 0; i < RULES_COUNT; i++)
        client->contexts[i] = context_new(&policies[i]);
    CHECK(SSL_CTX_set1_verify_cert_store(client->contexts[TLS_RULE_WEB], client->store) == 1);
    CHECK(SSL_CTX_dane_enable(client->contexts[TLS_RULE_DANE]) == 1);
    if (authorities[0] == '\0')
        load_system(client);
    else
        err = load_named(client, authorities);
    if (err != ERR_OK)
        tls_client_free(&client);
    *made = client;
    return err;
}

unsigned tls_client_authorities(const struct tls_client *client)
{
    const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(client->store);
    unsigned count = 0;

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++)
        if (X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i)) != NULL)
            count++;
    return count;
}

void tls_client_free(struct tls_client **client)
{
    if (*client == NULL)
        return;
    for (unsigned i = 0; i < RULES_COUNT; i++)
        SSL_CTX_free((*client)->contexts[i]);
    X509_STORE_free((*client)->store);
    free(*client);
    *client = NULL;
}

#define REPORT_ROW(name, report, text) report,
#define TEXT_ROW(name, report, text) text,
static const char *const reports[] = {TLS_FAILURES(REPORT_ROW)};
static const char *const texts[] = {TLS_FAILURES(TEXT_ROW)};

const char *tls_failure_report(enum tls_failure failure)
{
    CHECK((unsigned)failure < TLS_FAILURE_COUNT);
    return reports[failure];
}

const char *tls_failure_text(enum tls_failure failure)
{
    CHECK((unsigned)failure < TLS_FAILURE_COUNT);
    return texts[failure];
}
