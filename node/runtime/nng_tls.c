/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/runtime/nng_tls.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>

#include "node/base/check.h"
#include "node/runtime/nng_tls_engine.h"

static void register_engine(void)
{
    static nng_tls_engine_config_ops config_operations;
    static nng_tls_engine_conn_ops conn_operations;
    static nng_tls_engine engine = {
        .version = NNG_TLS_ENGINE_VERSION,
        .config_ops = &config_operations,
        .conn_ops = &conn_operations,
        .name = "openssl",
        .description = "OpenSSL 3, TLS 1.3",
    };
    nng_tls_config *config;

    config_operations = nng_tls_config_operations;
    conn_operations = nng_tls_conn_operations;
    nng_tls_conn_setup();
    /* The first call of nng's TLS installs its built-in engine; ours must come behind that. */
    CHECK(nng_tls_config_alloc(&config, NNG_TLS_MODE_CLIENT) == 0);
    nng_tls_config_free(config);
    CHECK(nng_tls_engine_register(&engine) == 0);
}

void nng_tls_engine_use(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, register_engine) == 0);
}

enum err nng_tls_credentials(const struct tls_credentials *credentials, nng_tls_mode mode,
                             bool anonymous_peer, const char *server_name,
                             nng_tls_config **config)
{
    struct arena call_arena;
    enum err err = ERR_MALFORMED;

    nng_tls_engine_use();
    arena_init(&call_arena);
    CHECK(nng_tls_config_alloc(config, mode) == 0);
    const char *authority = arena_string(&call_arena, credentials->authority);
    const char *certificate = arena_string(&call_arena, credentials->certificate);
    const char *key = arena_string(&call_arena, credentials->key);
    /* The authority is sent along: one that joins knows it by its fingerprint only. */
    const char *chain = arena_printf(&call_arena, "%s\n%s", certificate, authority);
    nng_tls_auth_mode auth =
        anonymous_peer ? NNG_TLS_AUTH_MODE_NONE : NNG_TLS_AUTH_MODE_REQUIRED;
    if (nng_tls_config_ca_chain(*config, authority, NULL) == 0 &&
        nng_tls_config_own_cert(*config, chain, key, NULL) == 0 &&
        nng_tls_config_auth_mode(*config, auth) == 0 &&
        (server_name == NULL || nng_tls_config_server_name(*config, server_name) == 0))
        err = ERR_OK;
    if (err != ERR_OK) {
        nng_tls_config_free(*config);
        *config = NULL;
    }
    arena_fini(&call_arena);
    return err;
}

enum err nng_tls_pinned(const char *authority_pin, nng_tls_config **config)
{
    char text[sizeof(NNG_TLS_PIN_PREFIX) + 2 * NNG_TLS_PIN_LEN];
    int len = snprintf(text, sizeof(text), "%s%s", NNG_TLS_PIN_PREFIX, authority_pin);

    *config = NULL;
    if (len < 0 || (size_t)len >= sizeof(text))
        return ERR_MALFORMED;
    nng_tls_engine_use();
    CHECK(nng_tls_config_alloc(config, NNG_TLS_MODE_CLIENT) == 0);
    if (nng_tls_config_ca_chain(*config, text, NULL) == 0)
        return ERR_OK;
    nng_tls_config_free(*config);
    *config = NULL;
    return ERR_MALFORMED;
}

static enum err own_identity(const struct tls_credentials *credentials,
                             char cluster_id[TLS_CLUSTER_ID_SIZE], uint64_t *node_id)
{
    X509 *own = tls_pem_certificate(credentials->certificate);
    bool named = own != NULL && tls_certificate_identity(own, cluster_id, node_id);

    X509_free(own);
    ERR_clear_error();
    return named ? ERR_OK : ERR_MALFORMED;
}

enum err nng_tls_own_node(const struct tls_credentials *credentials, uint64_t *node_id)
{
    char cluster_id[TLS_CLUSTER_ID_SIZE];
    return own_identity(credentials, cluster_id, node_id);
}

enum err nng_tls_server_name(const struct tls_credentials *credentials, uint64_t node_id,
                             char name[NNG_TLS_NAME_SIZE])
{
    char cluster_id[TLS_CLUSTER_ID_SIZE];
    uint64_t own_id;
    enum err err = own_identity(credentials, cluster_id, &own_id);

    if (err == ERR_OK)
        snprintf(name, NNG_TLS_NAME_SIZE, "node-%llu.%s.postraft", (unsigned long long)node_id,
                 cluster_id);
    return err;
}

uint64_t nng_tls_pipe_node(nng_pipe pipe)
{
    bool verified = false;

    nng_tls_found_clear();
    if (nng_pipe_get_bool(pipe, NNG_OPT_TLS_VERIFIED, &verified) != 0 || !verified)
        return 0;
    return nng_tls_found();
}

uint64_t nng_tls_stream_node(nng_stream *stream)
{
    bool verified = false;

    nng_tls_found_clear();
    if (nng_stream_get_bool(stream, NNG_OPT_TLS_VERIFIED, &verified) != 0 || !verified)
        return 0;
    return nng_tls_found();
}
