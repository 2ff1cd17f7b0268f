/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys (RFC 7517, 7518, 8037) and signatures by OpenSSL. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <sodium.h>

#include "node/base/check.h"
#include "storage/auth/base64.h"
#include "storage/auth/oauth_internal.h"

enum {
    RSA_BITS_MIN = 2048,
    RSA_BYTES_MAX = 1024,
    COORDINATE_SIZE = 32, /* P-256, and Ed25519's only one */
    SIGNATURE_SIZE = 64,  /* of both */
};

static const char *const algorithm_names[JWS_ALGORITHM_COUNT] = {
    [JWS_RS256] = "RS256",
    [JWS_PS256] = "PS256",
    [JWS_ES256] = "ES256",
    [JWS_EDDSA] = "EdDSA",
};

bool jws_algorithm_find(const char *name, enum jws_algorithm *algorithm)
{
    for (unsigned i = 0; i < JWS_ALGORITHM_COUNT; i++)
        if (strcmp(name, algorithm_names[i]) == 0) {
            *algorithm = (enum jws_algorithm)i;
            return true;
        }
    return false;
}

static const char *member(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

static bool member_is(const json_t *json, const char *name, const char *value)
{
    const char *text = member(json, name);
    return text != NULL && strcmp(text, value) == 0;
}

static bool member_bytes(const json_t *json, const char *name, uint8_t *bytes, size_t size,
                         size_t *len)
{
    const char *text = member(json, name);
    return auth_base64_decode(AUTH_BASE64_URL, bytes_of(text), bytes, size, len);
}

/* The parameters are used up. */
static EVP_PKEY *key_from(const char *type, OSSL_PARAM_BLD *build)
{
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    CHECK(parameters != NULL && context != NULL);
    if (EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(build);
    return key;
}

static EVP_PKEY *read_rsa(const json_t *json)
{
    uint8_t modulus[RSA_BYTES_MAX];
    uint8_t exponent[8];
    size_t modulus_len;
    size_t exponent_len;

    if (!member_bytes(json, "n", modulus, sizeof(modulus), &modulus_len) ||
        !member_bytes(json, "e", exponent, sizeof(exponent), &exponent_len))
        return NULL;
    BIGNUM *n = BN_bin2bn(modulus, (int)modulus_len, NULL);
    BIGNUM *e = BN_bin2bn(exponent, (int)exponent_len, NULL);
    EVP_PKEY *key = NULL;
    CHECK(n != NULL && e != NULL);
    if (BN_num_bits(n) >= RSA_BITS_MIN && BN_is_odd(n) && BN_is_odd(e) && !BN_is_one(e)) {
        OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
        CHECK(build != NULL && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
              OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1);
        key = key_from("RSA", build);
    }
    BN_free(n);
    BN_free(e);
    return key;
}

/* A point that is not on the curve gives no key. */
static EVP_PKEY *read_p256(const json_t *json)
{
    uint8_t point[1 + 2 * COORDINATE_SIZE] = {POINT_CONVERSION_UNCOMPRESSED};
    size_t x_len;
    size_t y_len;

    if (!member_is(json, "crv", "P-256") ||
        !member_bytes(json, "x", point + 1, COORDINATE_SIZE, &x_len) ||
        !member_bytes(json, "y", point + 1 + COORDINATE_SIZE, COORDINATE_SIZE, &y_len) ||
        x_len != COORDINATE_SIZE || y_len != COORDINATE_SIZE)
        return NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    CHECK(build != NULL &&
          OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) ==
              1 &&
          OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                           sizeof(point)) == 1);
    return key_from("EC", build);
}

static EVP_PKEY *read_ed25519(const json_t *json)
{
    uint8_t bytes[COORDINATE_SIZE];
    size_t len;

    if (!member_is(json, "crv", "Ed25519") ||
        !member_bytes(json, "x", bytes, sizeof(bytes), &len) || len != sizeof(bytes) ||
        crypto_core_ed25519_is_valid_point(bytes) != 1) /* none of small order either */
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, len);
}

static bool is_for_verifying(const json_t *json)
{
    const json_t *operations = json_object_get(json, "key_ops");
    const json_t *use = json_object_get(json, "use");
    size_t i;
    json_t *operation;

    if (use != NULL && !member_is(json, "use", "sig"))
        return false;
    if (operations == NULL)
        return true;
    json_array_foreach(operations, i, operation)
    {
        const char *text = json_string_value(operation);
        if (text != NULL && strcmp(text, "verify") == 0)
            return true;
    }
    return false;
}

bool jwk_read(const json_t *json, struct arena *arena, struct jwk *jwk)
{
    static const struct {
        const char *type;
        EVP_PKEY *(*read)(const json_t *json);
        unsigned algorithms;
    } types[] = {
        {"RSA", read_rsa, JWS_BIT(JWS_RS256) | JWS_BIT(JWS_PS256)},
        {"EC", read_p256, JWS_BIT(JWS_ES256)},
        {"OKP", read_ed25519, JWS_BIT(JWS_EDDSA)},
    };
    const json_t *algorithm_json = json_object_get(json, "alg");
    const json_t *kid = json_object_get(json, "kid");
    enum jws_algorithm algorithm;

    *jwk = (struct jwk){.key = NULL};
    if (!json_is_object(json) || !is_for_verifying(json) || (kid && !json_is_string(kid)))
        return false;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && jwk->key == NULL; i++) {
        if (!member_is(json, "kty", types[i].type))
            continue;
        jwk->algorithms = types[i].algorithms;
        if (algorithm_json != NULL) { /* the key is for this one alone */
            if (!json_is_string(algorithm_json) ||
                !jws_algorithm_find(json_string_value(algorithm_json), &algorithm))
                return false;
            jwk->algorithms &= JWS_BIT(algorithm);
        }
        if (jwk->algorithms != 0)
            jwk->key = types[i].read(json);
    }
    if (jwk->key != NULL && kid != NULL)
        jwk->kid = arena_string(arena, bytes_of(json_string_value(kid)));
    return jwk->key != NULL;
}

void jwk_fini(struct jwk *jwk)
{
    EVP_PKEY_free(jwk->key);
    jwk->key = NULL;
}

/* JWS has r and s of fixed size one behind the other (RFC 7518 section 3.4), OpenSSL wants DER.
 */
static uint8_t *ecdsa_der(struct bytes signature, size_t *len)
{
    ECDSA_SIG *parts = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature.at, COORDINATE_SIZE, NULL);
    BIGNUM *s = BN_bin2bn(signature.at + COORDINATE_SIZE, COORDINATE_SIZE, NULL);
    uint8_t *der = NULL;

    CHECK(parts != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(parts, r, s) == 1);
    int size = i2d_ECDSA_SIG(parts, &der);
    CHECK(size > 0);
    *len = (size_t)size;
    ECDSA_SIG_free(parts);
    return der;
}

bool jwk_verify(const struct jwk *jwk, enum jws_algorithm algorithm, struct bytes signed_text,
                struct bytes signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *padding = NULL;
    const EVP_MD *md = algorithm == JWS_EDDSA ? NULL : EVP_sha256();
    uint8_t *der = NULL;
    bool good = (jwk->algorithms & JWS_BIT(algorithm)) != 0;

    CHECK(context != NULL);
    if (algorithm == JWS_ES256 || algorithm == JWS_EDDSA)
        good = good && signature.len == SIGNATURE_SIZE;
    good = good && EVP_DigestVerifyInit(context, &padding, md, NULL, jwk->key) == 1;
    if (good &&
        algorithm == JWS_PS256) /* RFC 7518 section 3.5: the salt is as long as the hash */
        good = EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST) == 1;
    if (good && algorithm == JWS_ES256) {
        der = ecdsa_der(signature, &signature.len);
        signature.at = der;
    }
    good = good && EVP_DigestVerify(context, signature.at, signature.len, signed_text.at,
                                    signed_text.len) == 1;
    OPENSSL_free(der);
    EVP_MD_CTX_free(context);
    return good;
}
