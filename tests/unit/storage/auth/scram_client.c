/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/auth/scram_client.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"

static char message[4096];
static const char bare_form[] = "n=%s,r=clientnonce";

static const EVP_MD *digest_of(const struct scram_client *client)
{
    return client->sha1 ? EVP_sha1() : EVP_sha256();
}

static void hmac(const struct scram_client *client, const uint8_t *key, struct bytes text,
                 uint8_t *mac)
{
    int size = client->sha1 ? 20 : 32;
    CHECK(HMAC(digest_of(client), key, size, text.at, text.len, mac, NULL) != NULL);
}

struct bytes scram_client_first(struct scram_client *client)
{
    char bare[512];
    snprintf(bare, sizeof(bare), bare_form, client->name);
    int len = snprintf(message, sizeof(message), "%s%s", client->gs2, bare);
    return bytes_from(message, (size_t)len);
}

/* "r=...,s=...,i=..." */
static void read_challenge(struct bytes challenge, char *nonce, size_t nonce_size,
                           uint8_t salt[64], size_t *salt_len, int *iterations)
{
    char text[1024];
    CHECK(challenge.len < sizeof(text));
    memcpy(text, challenge.at, challenge.len);
    text[challenge.len] = '\0';
    char *salt_at = strstr(text, ",s=");
    CHECK(salt_at != NULL && memcmp(text, "r=", 2) == 0);
    char *iterations_at = strstr(salt_at, ",i=");
    CHECK(iterations_at != NULL);
    *salt_at = *iterations_at = '\0';
    snprintf(nonce, nonce_size, "%s", text + 2);
    CHECK(sodium_base642bin(salt, 64, salt_at + 3, strlen(salt_at + 3), NULL, salt_len, NULL,
                            sodium_base64_VARIANT_ORIGINAL) == 0);
    *iterations = atoi(iterations_at + 3);
}

struct bytes scram_client_final(struct scram_client *client, struct bytes challenge)
{
    size_t size = client->sha1 ? 20 : 32;
    char nonce[1024];
    char base64[1024];
    char text[4096];
    uint8_t salt[64];
    uint8_t salted[32];
    uint8_t client_key[32];
    uint8_t server_key[32];
    uint8_t stored[32];
    uint8_t proof[32];
    size_t salt_len;
    int iterations;
    struct buffer bound = BUFFER_EMPTY;

    read_challenge(challenge, nonce, sizeof(nonce), salt, &salt_len, &iterations);
    CHECK(PKCS5_PBKDF2_HMAC(client->password, (int)strlen(client->password), salt,
                            (int)salt_len, iterations, digest_of(client), (int)size,
                            salted) == 1);
    hmac(client, salted, BYTES("Client Key"), client_key);
    hmac(client, salted, BYTES("Server Key"), server_key);
    CHECK(EVP_Digest(client_key, size, stored, NULL, digest_of(client), NULL) == 1);
    buffer_add_string(&bound, client->gs2);
    buffer_add(&bound, client->binding);
    sodium_bin2base64(base64, sizeof(base64), bound.memory + bound.start, buffer_len(&bound),
                      sodium_base64_VARIANT_ORIGINAL);
    buffer_fini(&bound);
    int len = snprintf(text, sizeof(text), bare_form, client->name);
    len += snprintf(text + len, sizeof(text) - (size_t)len, ",%.*s,", BYTES_ARG(challenge));
    int without_proof = snprintf(message, sizeof(message), "c=%s,r=%s%s", base64, nonce,
                                 client->nonce_more != NULL ? client->nonce_more : "");
    len += snprintf(text + len, sizeof(text) - (size_t)len, "%s", message);
    hmac(client, stored, bytes_from(text, (size_t)len), proof);
    hmac(client, server_key, bytes_from(text, (size_t)len), client->signature);
    for (size_t i = 0; i < size; i++)
        proof[i] ^= client_key[i];
    sodium_bin2base64(base64, sizeof(base64), proof, size, sodium_base64_VARIANT_ORIGINAL);
    int end = snprintf(message + without_proof, sizeof(message) - (size_t)without_proof,
                       ",p=%s", base64);
    return bytes_from(message, (size_t)(without_proof + end));
}

bool scram_client_believes(const struct scram_client *client, struct bytes said)
{
    char wanted[64] = "v=";
    sodium_bin2base64(wanted + 2, sizeof(wanted) - 2, client->signature, client->sha1 ? 20 : 32,
                      sodium_base64_VARIANT_ORIGINAL);
    return bytes_equal(said, bytes_of(wanted));
}
