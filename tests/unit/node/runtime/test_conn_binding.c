/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Channel bindings are the same on both sides, and none is given where it would bind nothing.
 */
#include "tests/unit/node/runtime/lines.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "node/runtime/tls_pem.h"

/* "BIND exporter" or "BIND end-point": answered in hexadecimal, "-" for none. */
static const char *binding_of_server(struct client *client, const char *kind, char text[256])
{
    char line[64];
    size_t len = 0;
    snprintf(line, sizeof(line), "BIND %s\n", kind);
    EXPECT(say(client, line));
    while (len < 255 && hear(client, text + len, 1) == 1 && text[len] != '\n')
        len++;
    EXPECT(text[len] == '\n');
    text[len] = '\0';
    return NULL;
}

static void to_hex(const uint8_t *bytes, size_t len, char *text)
{
    for (size_t i = 0; i < len; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    text[2 * len] = '\0';
}

static const char *exporter_is_shared(struct client *client)
{
    static const char label[] = "EXPORTER-Channel-Binding";
    uint8_t secret[32];
    char mine[256], theirs[256];
    EXPECT(SSL_export_keying_material(client->ssl, secret, sizeof(secret), label, 24,
                                      (const uint8_t *)"", 0, 1) == 1);
    to_hex(secret, sizeof(secret), mine);
    EXPECT(binding_of_server(client, "exporter", theirs) == NULL);
    EXPECT(strcmp(mine, theirs) == 0);
    return NULL;
}

static const char *end_point_is_shared(struct client *client)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char mine[256], theirs[256];
    X509 *certificate = SSL_get1_peer_certificate(client->ssl);
    EXPECT(certificate != NULL);
    EXPECT(X509_digest(certificate, EVP_sha256(), digest, &len) == 1 && len == 32);
    X509_free(certificate);
    to_hex(digest, len, mine);
    EXPECT(binding_of_server(client, "end-point", theirs) == NULL);
    EXPECT(strcmp(mine, theirs) == 0);
    return NULL;
}

static const char *bindings_in_tls(struct client *client)
{
    EXPECT(want(client, "hello\n"));
    EXPECT(SSL_version(client->ssl) == TLS1_3_VERSION);
    const char *problem = exporter_is_shared(client);
    if (problem == NULL)
        problem = end_point_is_shared(client);
    return problem;
}

static void both_sides_have_the_same(void **state)
{
    (void)state;
    play(bindings_in_tls, true);
}

static const char *bindings_in_the_clear(struct client *client)
{
    char text[256];
    EXPECT(want(client, "hello\n"));
    EXPECT(binding_of_server(client, "exporter", text) == NULL && strcmp(text, "-") == 0);
    EXPECT(binding_of_server(client, "end-point", text) == NULL && strcmp(text, "-") == 0);
    return NULL;
}

static void there_is_none_in_the_clear(void **state)
{
    (void)state;
    play(bindings_in_the_clear, false);
}

static bool start_old_tls(struct client *client, int version, uint64_t options)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_options(context, options);
    client->ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_fd(client->ssl, client->fd);
    return SSL_connect(client->ssl) == 1;
}

static const char *bindings_in_tls12(struct client *client)
{
    EXPECT(want(client, "hello\n") && say(client, "STARTTLS\n") && want(client, "go\n"));
    EXPECT(start_old_tls(client, TLS1_2_VERSION, 0));
    const char *problem = exporter_is_shared(client);
    if (problem == NULL)
        problem = end_point_is_shared(client);
    return problem;
}

static const char *bindings_without_extended_secret(struct client *client)
{
    char text[256];
    EXPECT(want(client, "hello\n") && say(client, "STARTTLS\n") && want(client, "go\n"));
    EXPECT(start_old_tls(client, TLS1_2_VERSION, SSL_OP_NO_EXTENDED_MASTER_SECRET));
    EXPECT(binding_of_server(client, "exporter", text) == NULL && strcmp(text, "-") == 0);
    return end_point_is_shared(client);
}

static void tls12_needs_the_extended_master_secret(void **state)
{
    (void)state;
    play(bindings_in_tls12, false);
    play(bindings_without_extended_secret, false);
}

static const char *too_old(struct client *client)
{
    EXPECT(want(client, "hello\n") && say(client, "STARTTLS\n") && want(client, "go\n"));
    EXPECT(!start_old_tls(client, TLS1_1_VERSION, 0));
    return NULL;
}

static const char *far_too_old(struct client *client)
{
    EXPECT(want(client, "hello\n") && say(client, "STARTTLS\n") && want(client, "go\n"));
    EXPECT(!start_old_tls(client, TLS1_VERSION, 0));
    return NULL;
}

/* OpenSSL's security level refuses old versions too, but that is the machine's to change. */
static void the_policy_names_tls12(struct server *server)
{
    assert_int_equal(SSL_CTX_get_min_proto_version(tls_context_ssl(server->tls)),
                     TLS1_2_VERSION);
}

static void nothing_older_than_tls12_is_spoken(void **state)
{
    (void)state;
    struct server probe;
    server_start(&probe, false, conn_limits_default);
    the_policy_names_tls12(&probe);
    server_stop(&probe);
    struct server server = play(too_old, false);
    assert_int_equal(server.tls_started, 0);
    server = play(far_too_old, false);
    assert_int_equal(server.tls_started, 0);
}

/* A certificate that is signed in a way that has no hash of its own, or a weak one. */
static void make_signed(const char *key_type, const EVP_MD *hash, struct arena *arena,
                        struct bytes *certificate, struct bytes *key)
{
    struct bytes *const texts[] = {certificate, key};
    EVP_PKEY *pair = strcmp(key_type, "RSA") == 0 ? EVP_RSA_gen(2048)
                                                  : EVP_PKEY_Q_keygen(NULL, NULL, key_type);
    X509 *made = X509_new();
    assert_true(pair != NULL && made != NULL);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), 0);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_set_pubkey(made, pair);
    assert_true(X509_sign(made, pair, hash) > 0);
    for (int i = 0; i < 2; i++) {
        BIO *bio = BIO_new(BIO_s_mem());
        char *at;
        assert_int_equal(i == 0
                             ? PEM_write_bio_X509(bio, made)
                             : PEM_write_bio_PrivateKey(bio, pair, NULL, NULL, 0, NULL, NULL),
                         1);
        long len = BIO_get_mem_data(bio, &at);
        *texts[i] = arena_copy(arena, bytes_from(at, (size_t)len));
        BIO_free(bio);
    }
    X509_free(made);
    EVP_PKEY_free(pair);
}

static const EVP_MD *(*hash_wanted)(void); /* NULL: none */

static const char *end_point_of_certificate(struct client *client)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char mine[256] = "-", theirs[256];
    EXPECT(want(client, "hello\n"));
    X509 *certificate = SSL_get1_peer_certificate(client->ssl);
    if (hash_wanted != NULL) {
        EXPECT(X509_digest(certificate, hash_wanted(), digest, &len) == 1);
        to_hex(digest, len, mine);
    }
    X509_free(certificate);
    EXPECT(binding_of_server(client, "end-point", theirs) == NULL);
    EXPECT(strcmp(mine, theirs) == 0);
    return NULL;
}

static void play_with_certificate(const char *key_type, const EVP_MD *hash)
{
    struct client client = {.script = end_point_of_certificate};
    struct arena arena;
    struct bytes certificate, key;
    struct server server;
    pthread_t thread;
    client.server = &server;
    server_start(&server, true, conn_limits_default);
    arena_init(&arena);
    make_signed(key_type, hash, &arena, &certificate, &key);
    assert_int_equal(tls_context_replace(server.tls, certificate, key), ERR_OK);
    arena_fini(&arena);
    assert_int_equal(pthread_create(&thread, NULL, client_main, &client), 0);
    run_until(server.loop, all_is_over, &server);
    pthread_join(thread, NULL);
    if (client.problem != NULL)
        fail_msg("client: %s", client.problem);
    server_stop(&server);
}

static void the_certificates_own_hash_is_taken(void **state)
{
    (void)state;
    hash_wanted = EVP_sha384;
    play_with_certificate("RSA", EVP_sha384());
    hash_wanted = NULL;
    play_with_certificate("ED25519", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_have_the_same),
        cmocka_unit_test(there_is_none_in_the_clear),
        cmocka_unit_test(tls12_needs_the_extended_master_secret),
        cmocka_unit_test(nothing_older_than_tls12_is_spoken),
        cmocka_unit_test(the_certificates_own_hash_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
