/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tokens: what counts, and the known attacks (RFC 8725 section 2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "node/base/buffer.h"
#include "storage/auth/base64.h"
#include "storage/auth/oauth_internal.h"
#include "tests/unit/storage/auth/token_lab.h"

static struct token_lab *lab;
static struct auth_oauth *oauth;
static char address[AUTH_CLAIM_SIZE_MAX + 1];

static int setup(void **unused)
{
    const char *why;
    (void)unused;
    lab = token_lab_new();
    struct auth_oauth_config config = token_lab_config(lab);
    oauth = auth_oauth_new(&config, &why);
    return oauth == NULL;
}

static int teardown(void **unused)
{
    (void)unused;
    auth_oauth_free(&oauth);
    token_lab_free(&lab);
    return 0;
}

static enum auth_token verify(struct bytes token)
{
    address[0] = '\0';
    enum auth_token verdict = auth_oauth_verify(oauth, token, TOKEN_NOW, address);
    if (verdict != AUTH_TOKEN_OK)
        assert_string_equal(address, "");
    return verdict;
}

static enum auth_token claims_verdict(const char *claims)
{
    return verify(token_lab_sign(lab, "{\"alg\":\"EdDSA\"}", claims, "ed", SIGN_EDDSA));
}

static enum auth_token header_verdict(const char *header, const char *key,
                                      enum token_signing signing)
{
    return verify(token_lab_sign(lab, header, TOKEN_CLAIMS, key, signing));
}

static void each_algorithm(void **unused)
{
    static const struct {
        const char *header;
        const char *key;
        enum token_signing signing;
    } rows[] = {
        {"{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"JWT\"}", "rsa", SIGN_RS256},
        {"{\"alg\":\"PS256\",\"kid\":\"rsa\"}", "rsa", SIGN_PS256},
        {"{\"alg\":\"PS256\",\"kid\":\"pss\",\"typ\":\"at+jwt\"}", "pss", SIGN_PS256},
        {"{\"alg\":\"ES256\",\"kid\":\"ec\"}", "ec", SIGN_ES256},
        {"{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", "ed", SIGN_EDDSA},
        {"{\"alg\":\"RS256\"}", "rsa", SIGN_RS256}, /* the only key for it */
        {"{\"alg\":\"EdDSA\"}", "ed", SIGN_EDDSA},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(header_verdict(rows[i].header, rows[i].key, rows[i].signing),
                         AUTH_TOKEN_OK);
        assert_string_equal(address, "user@example.com");
    }
}

/* RFC 7515 appendix A.3 and RFC 8037 appendix A.4. */
static void signatures_of_the_rfcs(void **unused)
{
    static const struct {
        const char *key;
        enum jws_algorithm algorithm;
        const char *text;
        const char *signature;
    } rows[] = {
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
         "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
         "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
         JWS_ES256,
         "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
         "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
         "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU"
         "1Q"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
         "7TyWQHOg7hcvPapiMlrwIaaPcHURo"
         "\"}",
         JWS_EDDSA, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
         "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0K"
         "Ag"},
    };
    struct arena arena;
    (void)unused;
    arena_init(&arena);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *json = json_loads(rows[i].key, 0, NULL);
        uint8_t signature[64];
        size_t len;
        struct jwk jwk;
        assert_true(jwk_read(json, &arena, &jwk));
        assert_true(auth_base64_decode(AUTH_BASE64_URL, bytes_of(rows[i].signature), signature,
                                       sizeof(signature), &len));
        assert_true(jwk_verify(&jwk, rows[i].algorithm, bytes_of(rows[i].text),
                               bytes_from(signature, len)));
        signature[40] ^= 1;
        assert_false(jwk_verify(&jwk, rows[i].algorithm, bytes_of(rows[i].text),
                                bytes_from(signature, len)));
        jwk_fini(&jwk);
        json_decref(json);
    }
    arena_fini(&arena);
}

static void algorithms_that_do_not_count(void **unused)
{
    (void)unused;
    assert_int_equal(header_verdict("{\"alg\":\"none\"}", "rsa", SIGN_NOT),
                     AUTH_TOKEN_MALFORMED); /* no signature at all */
    assert_int_equal(header_verdict("{\"alg\":\"none\"}", "rsa", SIGN_RS256),
                     AUTH_TOKEN_ALGORITHM);
    assert_int_equal(header_verdict("{\"alg\":\"None\",\"kid\":\"rsa\"}", "rsa", SIGN_RS256),
                     AUTH_TOKEN_ALGORITHM);
    assert_int_equal(header_verdict("{\"alg\":\"HS256\",\"kid\":\"rsa\"}", "rsa", SIGN_HS256),
                     AUTH_TOKEN_ALGORITHM);
    assert_int_equal(header_verdict("{\"alg\":\"RS256\",\"kid\":\"rsa\"}", "rsa", SIGN_HS256),
                     AUTH_TOKEN_SIGNATURE);
    assert_int_equal(header_verdict("{\"alg\":\"HS256\",\"kid\":\"oct\"}", "rsa", SIGN_HS256),
                     AUTH_TOKEN_ALGORITHM);
    assert_int_equal(header_verdict("{\"alg\":\"rs256\",\"kid\":\"rsa\"}", "rsa", SIGN_RS256),
                     AUTH_TOKEN_ALGORITHM);
    assert_int_equal(header_verdict("{\"kid\":\"rsa\"}", "rsa", SIGN_RS256),
                     AUTH_TOKEN_MALFORMED);
    assert_int_equal(header_verdict("{\"alg\":5}", "rsa", SIGN_RS256), AUTH_TOKEN_MALFORMED);
    /* A key is for what it is for. */
    assert_int_equal(header_verdict("{\"alg\":\"RS256\",\"kid\":\"pss\"}", "pss", SIGN_RS256),
                     AUTH_TOKEN_KEY);
    assert_int_equal(header_verdict("{\"alg\":\"ES256\",\"kid\":\"rsa\"}", "rsa", SIGN_RS256),
                     AUTH_TOKEN_KEY);
    assert_int_equal(header_verdict("{\"alg\":\"RS256\",\"kid\":\"enc\"}", "enc", SIGN_RS256),
                     AUTH_TOKEN_KEY);
}

static void keys_by_name(void **unused)
{
    static const char *const headers[] = {
        "{\"alg\":\"RS256\",\"kid\":\"../../dev/null\"}",
        "{\"alg\":\"RS256\",\"kid\":\"\"}",
        "{\"alg\":\"RS256\",\"kid\":\"RSA\"}",
        "{\"alg\":\"RS256\",\"kid\":\"rsa' or '1'='1\"}",
        "{\"alg\":\"RS256\",\"kid\":\"ed\"}",
        "{\"alg\":\"PS256\"}", /* two keys could be meant */
    };
    (void)unused;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        assert_int_equal(header_verdict(headers[i], "rsa", SIGN_RS256), AUTH_TOKEN_KEY);
    assert_int_equal(header_verdict("{\"alg\":\"RS256\",\"kid\":[\"rsa\"]}", "rsa", SIGN_RS256),
                     AUTH_TOKEN_MALFORMED);
    assert_int_equal(
        header_verdict("{\"alg\":\"RS256\",\"kid\":\"rsa\\u0000\"}", "rsa", SIGN_RS256),
        AUTH_TOKEN_MALFORMED);
    /* Another's key under a known name. */
    assert_int_equal(header_verdict("{\"alg\":\"RS256\",\"kid\":\"rsa\"}", "enc", SIGN_RS256),
                     AUTH_TOKEN_SIGNATURE);
}

static void headers_that_ask_for_more(void **unused)
{
    (void)unused;
    assert_int_equal(header_verdict("{\"alg\":\"EdDSA\",\"crit\":[\"b64\"],\"b64\":false}",
                                    "ed", SIGN_EDDSA),
                     AUTH_TOKEN_MALFORMED);
    assert_int_equal(
        header_verdict("{\"alg\":\"EdDSA\",\"typ\":\"logout+jwt\"}", "ed", SIGN_EDDSA),
        AUTH_TOKEN_MALFORMED);
    assert_int_equal(header_verdict("{\"alg\":\"none\",\"alg\":\"EdDSA\"}", "ed", SIGN_EDDSA),
                     AUTH_TOKEN_MALFORMED);
    assert_int_equal(header_verdict("[\"EdDSA\"]", "ed", SIGN_EDDSA), AUTH_TOKEN_MALFORMED);
    /* A key that a token brings along is not looked at. */
    assert_int_equal(header_verdict("{\"alg\":\"EdDSA\",\"jku\":\"https://evil.example/\","
                                    "\"jwk\":{\"kty\":\"OKP\"}}",
                                    "ed", SIGN_EDDSA),
                     AUTH_TOKEN_OK);
}

#define CLAIMS(iss, aud, exp, more)                                                            \
    "{\"iss\":" iss ",\"aud\":" aud ",\"exp\":" exp ",\"scope\":\"mail\","                     \
    "\"email\":\"user@example.com\"" more "}"
#define ISS "\"" TOKEN_ISSUER "\""
#define AUD "\"" TOKEN_AUDIENCE "\""
#define EXP "1790000300"

static void claims(void **unused)
{
    static const struct {
        const char *claims;
        enum auth_token verdict;
    } rows[] = {
        {CLAIMS(ISS, AUD, EXP, ""), AUTH_TOKEN_OK},
        {CLAIMS(ISS, AUD, "1790000300.5", ""), AUTH_TOKEN_OK},
        {CLAIMS(ISS, "[\"other\"," AUD "]", EXP, ""), AUTH_TOKEN_OK},
        {CLAIMS("\"https://id.example.com/\"", AUD, EXP, ""), AUTH_TOKEN_ISSUER},
        {CLAIMS("\"https://evil.example\"", AUD, EXP, ""), AUTH_TOKEN_ISSUER},
        {CLAIMS("[" ISS "]", AUD, EXP, ""), AUTH_TOKEN_ISSUER},
        {CLAIMS(ISS, "\"other\"", EXP, ""), AUTH_TOKEN_AUDIENCE},
        {CLAIMS(ISS, "[]", EXP, ""), AUTH_TOKEN_AUDIENCE},
        {CLAIMS(ISS, "[[" AUD "]]", EXP, ""), AUTH_TOKEN_AUDIENCE},
        {CLAIMS(ISS, "{\"mail.example.com\":1}", EXP, ""), AUTH_TOKEN_AUDIENCE},
        {CLAIMS(ISS, AUD, "1789999941", ""), AUTH_TOKEN_OK}, /* a minute is forgiven */
        {CLAIMS(ISS, AUD, "1789999940", ""), AUTH_TOKEN_EXPIRED},
        {CLAIMS(ISS, AUD, "0", ""), AUTH_TOKEN_EXPIRED},
        {CLAIMS(ISS, AUD, "-1", ""), AUTH_TOKEN_MALFORMED},
        {CLAIMS(ISS, AUD, "\"1790000300\"", ""), AUTH_TOKEN_MALFORMED},
        {CLAIMS(ISS, AUD, "9223372036854775807", ""), AUTH_TOKEN_MALFORMED},
        {CLAIMS(ISS, AUD, "1e300", ""), AUTH_TOKEN_MALFORMED},
        {CLAIMS(ISS, AUD, "null", ""), AUTH_TOKEN_MALFORMED},
        {CLAIMS(ISS, AUD, EXP, ",\"nbf\":1790000060"), AUTH_TOKEN_OK},
        {CLAIMS(ISS, AUD, EXP, ",\"nbf\":1790000061"), AUTH_TOKEN_EARLY},
        {CLAIMS(ISS, AUD, EXP, ",\"iat\":1790000061"), AUTH_TOKEN_EARLY},
        {CLAIMS(ISS, AUD, EXP, ",\"nbf\":\"1\""), AUTH_TOKEN_MALFORMED},
        {CLAIMS(ISS, AUD, EXP, ",\"exp\":1790000300"), AUTH_TOKEN_MALFORMED}, /* twice */
        {CLAIMS(ISS, AUD, EXP, ",\"email_verified\":true"), AUTH_TOKEN_OK},
        {CLAIMS(ISS, AUD, EXP, ",\"email_verified\":\"true\""), AUTH_TOKEN_OK},
        {CLAIMS(ISS, AUD, EXP, ",\"email_verified\":false"), AUTH_TOKEN_CLAIM},
        {CLAIMS(ISS, AUD, EXP, ",\"email_verified\":\"false\""), AUTH_TOKEN_CLAIM},
        {"{\"iss\":" ISS ",\"aud\":" AUD ",\"exp\":" EXP ",\"email\":\"user@example.com\"}",
         AUTH_TOKEN_SCOPE},
        {"{\"iss\":" ISS ",\"aud\":" AUD ",\"exp\":" EXP
         ",\"email\":\"user@example.com\",\"scope\":\"mailx xmail\"}",
         AUTH_TOKEN_SCOPE},
        {"{\"iss\":" ISS ",\"aud\":" AUD ",\"exp\":" EXP
         ",\"email\":\"user@example.com\",\"scp\":[\"a\",\"mail\"]}",
         AUTH_TOKEN_OK},
        {"{\"iss\":" ISS ",\"aud\":" AUD ",\"exp\":" EXP ",\"scope\":\"mail\"}",
         AUTH_TOKEN_CLAIM},
        {"{\"iss\":" ISS ",\"aud\":" AUD ",\"exp\":" EXP ",\"scope\":\"mail\",\"email\":\"\"}",
         AUTH_TOKEN_CLAIM},
        {"{\"iss\":" ISS ",\"aud\":" AUD ",\"exp\":" EXP
         ",\"scope\":\"mail\",\"email\":\"a\\r\\n@b\"}",
         AUTH_TOKEN_CLAIM},
        {"{\"iss\":" ISS ",\"aud\":" AUD ",\"exp\":" EXP ",\"scope\":\"mail\",\"email\":5}",
         AUTH_TOKEN_CLAIM},
        {"[]", AUTH_TOKEN_MALFORMED},
        {"{", AUTH_TOKEN_MALFORMED},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(claims_verdict(rows[i].claims), rows[i].verdict);
}

/* Each byte changed, each end cut off; base64 has one form only, so not even a spare bit goes.
 */
static void every_byte_changed(void **unused)
{
    struct buffer token = BUFFER_EMPTY;
    (void)unused;
    buffer_add(&token,
               token_lab_sign(lab, "{\"alg\":\"EdDSA\"}", TOKEN_CLAIMS, "ed", SIGN_EDDSA));
    assert_int_equal(verify(buffer_bytes(&token)), AUTH_TOKEN_OK);
    for (size_t i = 0; i < buffer_len(&token); i++) {
        uint8_t *at = token.memory + token.start + i;
        uint8_t was = *at;
        for (unsigned flip = 1; flip < 256; flip++) {
            *at = (uint8_t)(was ^ flip);
            assert_int_not_equal(verify(buffer_bytes(&token)), AUTH_TOKEN_OK);
        }
        *at = was;
        uint8_t *cut = malloc(i + 1);
        memcpy(cut, token.memory + token.start, i);
        assert_int_not_equal(verify(bytes_from(cut, i)), AUTH_TOKEN_OK);
        free(cut);
    }
    buffer_add_string(&token, "=");
    assert_int_equal(verify(buffer_bytes(&token)), AUTH_TOKEN_MALFORMED);
    buffer_add_string(&token, ".AAAA");
    assert_int_equal(verify(buffer_bytes(&token)), AUTH_TOKEN_MALFORMED);
    buffer_fini(&token);
}

static void sizes_are_bounded(void **unused)
{
    char *claims = calloc(1, 20000);
    (void)unused;
    for (size_t depth = 100; depth <= 6000; depth += 5900) { /* depth, then size */
        memset(claims, 0, 20000);
        memset(claims, '[', depth);
        assert_int_equal(claims_verdict(claims), AUTH_TOKEN_MALFORMED);
    }
    free(claims);
}

static void configurations(void **unused)
{
    static const struct {
        const char *jwks;
        bool good;
    } rows[] = {
        {"", false},
        {"{}", false},
        {"{\"keys\":[]}", false},
        {"{\"keys\":{}}", false},
        {"{\"keys\":[null,5,\"x\",{}]}", false},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}", false},
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
         "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
         true},
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":" /* of small order */
         "\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
         false},
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"alg\":\"RS256\",\"x\":"
         "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
         false},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\"," /* not on the curve */
         "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
         "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}]}",
         false},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
         "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
         "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4\"}]}",
         false},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"sXch\",\"e\":\"AQAB\"}]}", false}, /* 24 bits */
        {"{\"keys\":[],\"keys\":[]}", false},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *why;
        struct auth_oauth_config config = token_lab_config(lab);
        config.jwks = bytes_of(rows[i].jwks);
        struct auth_oauth *made = auth_oauth_new(&config, &why);
        assert_int_equal(made != NULL, rows[i].good);
        assert_int_equal(why == NULL, rows[i].good);
        auth_oauth_free(&made);
    }
    struct auth_oauth_config config = token_lab_config(lab);
    const char *why;
    config.issuer = "";
    assert_null(auth_oauth_new(&config, &why));
    config = token_lab_config(lab);
    config.audience = NULL;
    assert_null(auth_oauth_new(&config, &why));
    config = token_lab_config(lab);
    config.skew_s = 601;
    assert_null(auth_oauth_new(&config, &why));
}

static void other_claims_and_scopes(void **unused)
{
    struct auth_oauth_config config = token_lab_config(lab);
    const char *why;
    (void)unused;
    config.claim = "sub";
    config.scope = NULL;
    struct auth_oauth *other = auth_oauth_new(&config, &why);
    assert_non_null(other);
    struct bytes token =
        token_lab_sign(lab, "{\"alg\":\"EdDSA\"}", TOKEN_CLAIMS, "ed", SIGN_EDDSA);
    assert_int_equal(auth_oauth_verify(other, token, TOKEN_NOW, address), AUTH_TOKEN_OK);
    assert_string_equal(address, "u1");
    auth_oauth_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_algorithm),
        cmocka_unit_test(signatures_of_the_rfcs),
        cmocka_unit_test(algorithms_that_do_not_count),
        cmocka_unit_test(keys_by_name),
        cmocka_unit_test(headers_that_ask_for_more),
        cmocka_unit_test(claims),
        cmocka_unit_test(every_byte_changed),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(configurations),
        cmocka_unit_test(other_claims_and_scopes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
