/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/auth/token_lab.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <stdlib.h>

#include "node/base/buffer.h"
#include "node/base/check.h"

enum { KEYS = 5, URL = sodium_base64_VARIANT_URLSAFE_NO_PADDING };
static const char *const kids[KEYS] = {"rsa", "pss", "ec", "ed", "enc"};

struct token_lab {
    EVP_PKEY *keys[KEYS];
    struct buffer jwks;
    struct buffer token;
};

static void add_base64(struct buffer *buffer, const uint8_t *bytes, size_t len)
{
    size_t size = sodium_base64_encoded_len(len, URL);
    sodium_bin2base64((char *)buffer_reserve(buffer, size), size, bytes, len, URL);
    buffer_added(buffer, size - 1);
}

static void add_number(struct buffer *jwks, EVP_PKEY *key, const char *name, const char *member,
                       int size)
{
    uint8_t bytes[512];
    BIGNUM *number = NULL;

    CHECK(EVP_PKEY_get_bn_param(key, name, &number) == 1);
    int len = size > 0 ? BN_bn2binpad(number, bytes, size) : BN_bn2bin(number, bytes);
    CHECK(len > 0 && (size_t)len <= sizeof(bytes));
    buffer_printf(jwks, ",\"%s\":\"", member);
    add_base64(jwks, bytes, (size_t)len);
    buffer_add_byte(jwks, '"');
    BN_free(number);
}

static void add_rsa(struct buffer *jwks, EVP_PKEY *key, const char *kid, const char *more)
{
    buffer_printf(jwks, "{\"kty\":\"RSA\",\"kid\":\"%s\"%s", kid, more);
    add_number(jwks, key, OSSL_PKEY_PARAM_RSA_N, "n", 0);
    add_number(jwks, key, OSSL_PKEY_PARAM_RSA_E, "e", 0);
    buffer_add_string(jwks, "},");
}

struct token_lab *token_lab_new(void)
{
    struct token_lab *lab = calloc(1, sizeof(*lab));
    uint8_t public_key[32];
    size_t len = sizeof(public_key);

    CHECK(lab != NULL);
    CHECK(sodium_init() >= 0);
    lab->keys[0] = EVP_RSA_gen(2048);
    lab->keys[1] = EVP_RSA_gen(2048);
    lab->keys[2] = EVP_EC_gen("prime256v1");
    lab->keys[3] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    lab->keys[4] = EVP_RSA_gen(2048);
    for (size_t i = 0; i < KEYS; i++)
        CHECK(lab->keys[i] != NULL);
    buffer_init(&lab->jwks);
    buffer_init(&lab->token);
    buffer_add_string(&lab->jwks, "{\"keys\":[");
    add_rsa(&lab->jwks, lab->keys[0], "rsa", ",\"use\":\"sig\"");
    add_rsa(&lab->jwks, lab->keys[1], "pss", ",\"alg\":\"PS256\",\"key_ops\":[\"verify\"]");
    add_rsa(&lab->jwks, lab->keys[4], "enc", ",\"use\":\"enc\"");
    buffer_add_string(&lab->jwks, "{\"kty\":\"oct\",\"kid\":\"oct\",\"k\":\"c2VjcmV0\"},"
                                  "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"ec\"");
    add_number(&lab->jwks, lab->keys[2], OSSL_PKEY_PARAM_EC_PUB_X, "x", 32);
    add_number(&lab->jwks, lab->keys[2], OSSL_PKEY_PARAM_EC_PUB_Y, "y", 32);
    CHECK(EVP_PKEY_get_raw_public_key(lab->keys[3], public_key, &len) == 1);
    buffer_add_string(&lab->jwks,
                      "},{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\",\"x\":\"");
    add_base64(&lab->jwks, public_key, len);
    buffer_add_string(&lab->jwks, "\"}]}");
    return lab;
}

void token_lab_free(struct token_lab **lab)
{
    for (size_t i = 0; i < KEYS; i++)
        EVP_PKEY_free((*lab)->keys[i]);
    buffer_fini(&(*lab)->jwks);
    buffer_fini(&(*lab)->token);
    free(*lab);
    *lab = NULL;
}

struct bytes token_lab_jwks(const struct token_lab *lab)
{
    return buffer_bytes(&lab->jwks);
}

struct auth_oauth_config token_lab_config(const struct token_lab *lab)
{
    return (struct auth_oauth_config){
        .issuer = TOKEN_ISSUER,
        .audience = TOKEN_AUDIENCE,
        .scope = "mail",
        .discovery = "https://id.example.com/.well-known/openid-configuration",
        .jwks = token_lab_jwks(lab),
        .skew_s = 60,
    };
}

static size_t sign_hs256(EVP_PKEY *key, struct bytes text, uint8_t *signature)
{
    BIO *pem = BIO_new(BIO_s_mem());
    char *secret;
    unsigned len = 0;

    CHECK(pem != NULL && PEM_write_bio_PUBKEY(pem, key) == 1);
    long secret_len = BIO_get_mem_data(pem, &secret);
    CHECK(HMAC(EVP_sha256(), secret, (int)secret_len, text.at, text.len, signature, &len) !=
          NULL);
    BIO_free(pem);
    return len;
}

/* DER to r and s. */
static size_t ecdsa_parts(uint8_t *signature, size_t len)
{
    const uint8_t *der = signature;
    ECDSA_SIG *parts = d2i_ECDSA_SIG(NULL, &der, (long)len);
    uint8_t plain[64];

    CHECK(parts != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(parts), plain, 32) == 32 &&
          BN_bn2binpad(ECDSA_SIG_get0_s(parts), plain + 32, 32) == 32);
    memcpy(signature, plain, sizeof(plain));
    ECDSA_SIG_free(parts);
    return sizeof(plain);
}

static size_t sign(EVP_PKEY *key, enum token_signing signing, struct bytes text,
                   uint8_t *signature, size_t size)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *padding = NULL;

    CHECK(context != NULL);
    CHECK(EVP_DigestSignInit(context, &padding, signing == SIGN_EDDSA ? NULL : EVP_sha256(),
                             NULL, key) == 1);
    if (signing == SIGN_PS256)
        CHECK(EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) == 1 &&
              EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST) == 1);
    CHECK(EVP_DigestSign(context, signature, &size, text.at, text.len) == 1);
    EVP_MD_CTX_free(context);
    return signing == SIGN_ES256 ? ecdsa_parts(signature, size) : size;
}

struct bytes token_lab_sign(struct token_lab *lab, const char *header, const char *claims,
                            const char *key, enum token_signing signing)
{
    struct buffer *token = &lab->token;
    uint8_t signature[512];
    size_t len = 0;
    size_t i = 0;

    while (strcmp(kids[i], key) != 0)
        CHECK(++i < KEYS);
    buffer_clear(token);
    add_base64(token, (const uint8_t *)header, strlen(header));
    buffer_add_byte(token, '.');
    add_base64(token, (const uint8_t *)claims, strlen(claims));
    if (signing == SIGN_HS256)
        len = sign_hs256(lab->keys[i], buffer_bytes(token), signature);
    else if (signing != SIGN_NOT)
        len = sign(lab->keys[i], signing, buffer_bytes(token), signature, sizeof(signature));
    buffer_add_byte(token, '.');
    add_base64(token, signature, len);
    return buffer_bytes(token);
}
