/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <gsasl.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "node/base/check.h"
#include "storage/auth/secrets.h"

void auth_scram_salt(const uint8_t server_key[AUTH_SERVER_KEY_SIZE], struct bytes name,
                     uint8_t salt[AUTH_SALT_SIZE])
{
    static const char domain[] = "scram salt";
    crypto_generichash_state state;

    CHECK(sodium_init() >= 0);
    crypto_generichash_init(&state, server_key, AUTH_SERVER_KEY_SIZE, AUTH_SALT_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)domain, sizeof(domain));
    crypto_generichash_update(&state, name.at, name.len);
    crypto_generichash_final(&state, salt, AUTH_SALT_SIZE);
}

/* SASLprep'd, NUL-terminated, freed with gsasl_free(); NULL: forbidden. Characters that are
 * newer than Unicode 3.2 (most emoji) are taken as they are: clients do so too, or do not
 * prepare passwords at all. Which of the flags allows them has changed between releases. */
static char *prepare(struct bytes password)
{
    char text[AUTH_PASSWORD_SIZE_MAX + 1];
    char *prepared = NULL;

    memcpy(text, password.at, password.len);
    text[password.len] = '\0';
    if (gsasl_saslprep(text, 0, &prepared, NULL) != GSASL_OK &&
        gsasl_saslprep(text, GSASL_ALLOW_UNASSIGNED, &prepared, NULL) != GSASL_OK)
        prepared = NULL;
    sodium_memzero(text, sizeof(text));
    return prepared;
}

static void derive(const char *prepared, const uint8_t salt[AUTH_SALT_SIZE],
                   uint32_t iterations, Gsasl_hash hash, const char *name, uint8_t *stored,
                   uint8_t *server)
{
    uint8_t salted[GSASL_HASH_MAX_SIZE];
    char client_key[GSASL_HASH_MAX_SIZE];
    size_t size = gsasl_hash_length(hash);
    EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);

    CHECK(md != NULL);
    CHECK(PKCS5_PBKDF2_HMAC(prepared, (int)strlen(prepared), salt, AUTH_SALT_SIZE,
                            (int)iterations, md, (int)size, salted) == 1);
    CHECK(gsasl_scram_secrets_from_salted_password(hash, (const char *)salted, client_key,
                                                   (char *)server, (char *)stored) == GSASL_OK);
    sodium_memzero(salted, sizeof(salted));
    sodium_memzero(client_key, sizeof(client_key));
    EVP_MD_free(md);
}

enum err auth_scram_make(struct bytes password, const uint8_t salt[AUTH_SALT_SIZE],
                         uint32_t iterations, struct auth_scram_keys *keys)
{
    CHECK(sodium_init() >= 0);
    memset(keys, 0, sizeof(*keys));
    if (password.len > AUTH_PASSWORD_SIZE_MAX || iterations < AUTH_SCRAM_ITERATIONS_MIN ||
        iterations > AUTH_SCRAM_ITERATIONS_MAX)
        return ERR_TOOBIG;
    if (password.len == 0 || bytes_find(password, 0) < password.len)
        return ERR_INVALID;
    char *prepared = prepare(password);
    if (prepared == NULL)
        return ERR_INVALID;
    bool empty = prepared[0] == '\0'; /* of soft hyphens and their like only */
    if (!empty) {
        derive(prepared, salt, iterations, GSASL_HASH_SHA1, "SHA1", keys->stored_sha1,
               keys->server_sha1);
        derive(prepared, salt, iterations, GSASL_HASH_SHA256, "SHA256", keys->stored_sha256,
               keys->server_sha256);
        keys->present = true;
    }
    sodium_memzero(prepared, strlen(prepared));
    gsasl_free(prepared);
    return empty ? ERR_INVALID : ERR_OK;
}
