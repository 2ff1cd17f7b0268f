/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the TLS connections of one nng listener or dialer share. */
#include <openssl/err.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/hex.h"
#include "node/runtime/nng_tls_engine.h"

/*
 * The peer sent its chain, authority included, and only the pin says which authority to trust.
 */
static int verify_pinned(X509_STORE_CTX *context, void *argument)
{
    const struct nng_tls_engine_config *config = argument;
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(context);
    STACK_OF(X509) *trusted = sk_X509_new_null();
    int verified = 0;

    CHECK(trusted != NULL);
    for (int i = 0; i < sk_X509_num(sent); i++) {
        uint8_t digest[EVP_MAX_MD_SIZE];
        unsigned len = 0;
        if (X509_digest(sk_X509_value(sent, i), EVP_sha256(), digest, &len) == 1 &&
            len == NNG_TLS_PIN_LEN && memcmp(digest, config->pin, len) == 0)
            CHECK(sk_X509_push(trusted, sk_X509_value(sent, i)) > 0);
    }
    if (sk_X509_num(trusted) > 0) {
        X509_STORE_CTX_set0_trusted_stack(context, trusted);
        verified = X509_verify_cert(context) == 1;
    } else {
        X509_STORE_CTX_set_error(context, X509_V_ERR_CERT_UNTRUSTED);
    }
    sk_X509_free(trusted);
    return verified;
}

static int config_init(nng_tls_engine_config *config, nng_tls_mode mode)
{
    config->server = mode == NNG_TLS_MODE_SERVER;
    config->ssl = SSL_CTX_new(TLS_method());
    CHECK(config->ssl != NULL);
    CHECK(SSL_CTX_set_min_proto_version(config->ssl, TLS1_3_VERSION) == 1);
    CHECK(SSL_CTX_set_max_proto_version(config->ssl, TLS1_3_VERSION) == 1);
    CHECK(SSL_CTX_set_num_tickets(config->ssl, 0) == 1);
    SSL_CTX_set_session_cache_mode(config->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(config->ssl,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(config->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

static void config_fini(nng_tls_engine_config *config)
{
    SSL_CTX_free(config->ssl);
    free(config->server_name);
}

static int config_server(nng_tls_engine_config *config, const char *name)
{
    free(config->server_name);
    config->server_name = strdup(name);
    CHECK(config->server_name != NULL);
    return 0;
}

static int config_auth(nng_tls_engine_config *config, nng_tls_auth_mode mode)
{
    int verify = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;

    if (mode == NNG_TLS_AUTH_MODE_NONE)
        verify = SSL_VERIFY_NONE;
    else if (mode == NNG_TLS_AUTH_MODE_OPTIONAL)
        verify = SSL_VERIFY_PEER;
    SSL_CTX_set_verify(config->ssl, verify, NULL);
    return 0;
}

static int config_authority(nng_tls_engine_config *config, const char *pem, const char *crl)
{
    static const char prefix[] = NNG_TLS_PIN_PREFIX;

    (void)crl; /* who leaves the cluster is struck from its directory */
    if (strncmp(pem, prefix, sizeof(prefix) - 1) == 0) {
        struct bytes digits = bytes_skip(bytes_of(pem), sizeof(prefix) - 1);
        if (!hex_decode(digits, config->pin, sizeof(config->pin)))
            return NNG_EINVAL;
        config->pinned = true;
        SSL_CTX_set_cert_verify_callback(config->ssl, verify_pinned, config);
        return 0;
    }
    X509 *authority = tls_pem_certificate(bytes_of(pem));
    if (authority == NULL) {
        ERR_clear_error();
        return NNG_ECRYPTO;
    }
    CHECK(X509_STORE_add_cert(SSL_CTX_get_cert_store(config->ssl), authority) == 1);
    X509_free(authority);
    return 0;
}

static int config_own(nng_tls_engine_config *config, const char *chain, const char *key,
                      const char *password)
{
    uint64_t node_id;
    int result = NNG_ECRYPTO;
    X509 *own = tls_pem_certificate(bytes_of(chain));

    (void)password;
    if (own != NULL && tls_certificate_identity(own, config->cluster_id, &node_id) &&
        tls_use_pair(config->ssl, bytes_of(chain), bytes_of(key)))
        result = 0;
    X509_free(own);
    ERR_clear_error();
    return result;
}

static int config_version(nng_tls_engine_config *config, nng_tls_version least,
                          nng_tls_version most)
{
    (void)config;
    return least <= NNG_TLS_1_3 && most >= NNG_TLS_1_3 ? 0 : NNG_ENOTSUP;
}

const nng_tls_engine_config_ops nng_tls_config_operations = {
    .size = sizeof(struct nng_tls_engine_config),
    .init = config_init,
    .fini = config_fini,
    .server = config_server,
    .auth = config_auth,
    .ca_chain = config_authority,
    .own_cert = config_own,
    .version = config_version,
};
