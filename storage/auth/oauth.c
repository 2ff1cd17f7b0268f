/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <openssl/err.h>
#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/auth/base64.h"
#include "storage/auth/oauth_internal.h"

static const char *const token_texts[] = {
    [AUTH_TOKEN_OK] = "token is good",
    [AUTH_TOKEN_MALFORMED] = "token is malformed",
    [AUTH_TOKEN_ALGORITHM] = "token has an algorithm that is not allowed",
    [AUTH_TOKEN_KEY] = "token is signed with a key that is not known",
    [AUTH_TOKEN_SIGNATURE] = "token's signature is wrong",
    [AUTH_TOKEN_ISSUER] = "token is of another issuer",
    [AUTH_TOKEN_AUDIENCE] = "token is for another audience",
    [AUTH_TOKEN_EXPIRED] = "token has expired",
    [AUTH_TOKEN_EARLY] = "token is not valid yet",
    [AUTH_TOKEN_SCOPE] = "token has not the scope that is needed",
    [AUTH_TOKEN_CLAIM] = "token names no (verified) address",
    [AUTH_TOKEN_NONE] = "message is malformed or has no token",
};

const char *auth_token_text(enum auth_token verdict)
{
    CHECK((size_t)verdict < sizeof(token_texts) / sizeof(token_texts[0]));
    return token_texts[verdict];
}

static struct bytes error_json(struct auth_oauth *oauth, const struct auth_oauth_config *config,
                               const char *status)
{
    json_t *json = json_object();
    CHECK(json != NULL && json_object_set_new(json, "status", json_string(status)) == 0);
    if (config->scope != NULL)
        CHECK(json_object_set_new(json, "scope", json_string(config->scope)) == 0);
    if (config->discovery != NULL)
        CHECK(json_object_set_new(json, "openid-configuration",
                                  json_string(config->discovery)) == 0);
    char *text = json_dumps(json, JSON_COMPACT);
    CHECK(text != NULL);
    struct bytes copy = arena_copy(&oauth->arena, bytes_of(text));
    free(text);
    json_decref(json);
    return copy;
}

static const char *read_keys(struct auth_oauth *oauth, struct bytes jwks)
{
    size_t i;
    json_t *key;

    if (jwks.len > AUTH_JWKS_SIZE_MAX)
        return "the key set is too large";
    json_t *set = json_loadb((const char *)jwks.at, jwks.len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *keys = json_object_get(set, "keys");
    const char *why = NULL;
    if (!json_is_array(keys))
        why = "the key set is not JSON with an array \"keys\", or a name occurs twice";
    else if (json_array_size(keys) > AUTH_JWKS_KEYS_MAX)
        why = "the key set has too many keys";
    else
        json_array_foreach(keys, i, key)
        {
            if (jwk_read(key, &oauth->arena, &oauth->keys[oauth->key_count]))
                oauth->key_count++;
        }
    json_decref(set);
    if (why == NULL && oauth->key_count == 0)
        why = "the key set has no key for RS256, PS256, ES256 or EdDSA";
    return why;
}

static const char *copy_text(struct auth_oauth *oauth, const char *text)
{
    return text == NULL ? NULL : arena_string(&oauth->arena, bytes_of(text));
}

static bool is_text(const char *text)
{
    json_t *json = json_string(text); /* NULL: not UTF-8 */
    json_decref(json);
    return json != NULL;
}

struct auth_oauth *auth_oauth_new(const struct auth_oauth_config *config, const char **why)
{
    *why = NULL;
    if (config->issuer == NULL || config->issuer[0] == '\0')
        *why = "no issuer is given";
    else if (config->audience == NULL || config->audience[0] == '\0')
        *why = "no audience is given";
    else if (config->skew_s > AUTH_SKEW_S_MAX)
        *why = "clocks may not differ that much";
    else if ((config->scope != NULL && !is_text(config->scope)) ||
             (config->discovery != NULL && !is_text(config->discovery)))
        *why = "scope and discovery URL must be UTF-8";
    if (*why != NULL)
        return NULL;
    CHECK(sodium_init() >= 0);
    struct auth_oauth *oauth = calloc(1, sizeof(*oauth));
    CHECK(oauth != NULL);
    arena_init(&oauth->arena);
    oauth->issuer = copy_text(oauth, config->issuer);
    oauth->audience = copy_text(oauth, config->audience);
    oauth->scope = copy_text(oauth, config->scope);
    oauth->claim = copy_text(oauth, config->claim != NULL ? config->claim : "email");
    oauth->skew_s = config->skew_s;
    oauth->error_request = error_json(oauth, config, "invalid_request");
    oauth->error_token = error_json(oauth, config, "invalid_token");
    oauth->error_scope = error_json(oauth, config, "insufficient_scope");
    *why = read_keys(oauth, config->jwks);
    ERR_clear_error();
    if (*why != NULL)
        auth_oauth_free(&oauth);
    return oauth;
}

void auth_oauth_free(struct auth_oauth **oauth)
{
    if (*oauth == NULL)
        return;
    for (size_t i = 0; i < (*oauth)->key_count; i++)
        jwk_fini(&(*oauth)->keys[i]);
    arena_fini(&(*oauth)->arena);
    free(*oauth);
    *oauth = NULL;
}

struct bytes auth_oauth_error(const struct auth_oauth *oauth, enum auth_token verdict)
{
    switch (verdict) {
    case AUTH_TOKEN_NONE:
        return oauth->error_request;
    case AUTH_TOKEN_SCOPE:
        return oauth->error_scope;
    default:
        return oauth->error_token;
    }
}

/* The three parts of RFC 7515 section 7.1. */
struct token_parts {
    struct bytes signed_text;
    struct bytes header;
    struct bytes payload;
    struct bytes signature;
};

static bool decode(struct bytes text, uint8_t *room, size_t room_size, struct bytes *decoded)
{
    size_t len;

    if (!auth_base64_decode(AUTH_BASE64_URL, text, room, room_size, &len))
        return false;
    *decoded = bytes_from(room, len);
    return true;
}

/* All parts are decoded into `room`, AUTH_TOKEN_SIZE_MAX bytes. */
static bool token_split(struct bytes token, uint8_t *room, struct token_parts *parts)
{
    size_t first = bytes_find(token, '.');
    struct bytes rest = bytes_skip(token, first + 1);
    size_t second = bytes_find(rest, '.');
    struct bytes last = bytes_skip(rest, second + 1);
    const size_t size = AUTH_TOKEN_SIZE_MAX;

    if (second == rest.len) /* fewer than two dots */
        return false;
    parts->signed_text = bytes_from(token.at, first + 1 + second);
    if (!decode(bytes_from(token.at, first), room, size, &parts->header))
        return false;
    size_t used = parts->header.len;
    if (!decode(bytes_from(rest.at, second), room + used, size - used, &parts->payload))
        return false;
    used += parts->payload.len;
    return decode(last, room + used, size - used, &parts->signature);
}

/* The media types that are tokens for us (RFC 7519 section 5.1, RFC 9068 section 2.1). */
static bool type_allowed(const json_t *type)
{
    static const struct bytes types[] = {BYTES_INIT("JWT"), BYTES_INIT("at+jwt"),
                                         BYTES_INIT("application/at+jwt")};

    if (type == NULL)
        return true;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (json_is_string(type) &&
            bytes_equal_nocase(bytes_of(json_string_value(type)), types[i]))
            return true;
    return false;
}

/* The key that the header names; without a name, the only one that fits. */
static const struct jwk *find_key(const struct auth_oauth *oauth, const char *kid,
                                  enum jws_algorithm algorithm)
{
    const struct jwk *found = NULL;

    for (size_t i = 0; i < oauth->key_count; i++) {
        const struct jwk *key = &oauth->keys[i];
        if ((key->algorithms & JWS_BIT(algorithm)) == 0)
            continue;
        if (kid != NULL && (key->kid == NULL || strcmp(key->kid, kid) != 0))
            continue;
        if (found != NULL)
            return NULL; /* two of them: which one it is is not for a token to leave open */
        found = key;
    }
    return found;
}

static enum auth_token check_signature(const struct auth_oauth *oauth,
                                       const struct token_parts *parts, const json_t *header)
{
    const json_t *kid = json_object_get(header, "kid");
    const char *name = json_string_value(json_object_get(header, "alg"));
    enum jws_algorithm algorithm;

    if (!json_is_object(header) || name == NULL || (kid != NULL && !json_is_string(kid)) ||
        json_object_get(header, "crit") != NULL ||
        !type_allowed(json_object_get(header, "typ")))
        return AUTH_TOKEN_MALFORMED;
    if (!jws_algorithm_find(name, &algorithm))
        return AUTH_TOKEN_ALGORITHM;
    const struct jwk *key = find_key(oauth, json_string_value(kid), algorithm);
    if (key == NULL)
        return AUTH_TOKEN_KEY;
    bool good = jwk_verify(key, algorithm, parts->signed_text, parts->signature);
    ERR_clear_error();
    return good ? AUTH_TOKEN_OK : AUTH_TOKEN_SIGNATURE;
}

enum auth_token auth_oauth_verify(const struct auth_oauth *oauth, struct bytes token,
                                  uint64_t now_s, char address[AUTH_CLAIM_SIZE_MAX + 1])
{
    uint8_t room[AUTH_TOKEN_SIZE_MAX];
    struct token_parts parts;

    if (token.len > AUTH_TOKEN_SIZE_MAX || !token_split(token, room, &parts))
        return AUTH_TOKEN_MALFORMED;
    json_t *header = json_loadb((const char *)parts.header.at, parts.header.len,
                                JSON_REJECT_DUPLICATES, NULL);
    enum auth_token verdict = check_signature(oauth, &parts, header);
    json_decref(header);
    if (verdict != AUTH_TOKEN_OK)
        return verdict;
    /* Parsed only now: whoever has no key does not get this far. */
    json_t *claims = json_loadb((const char *)parts.payload.at, parts.payload.len,
                                JSON_REJECT_DUPLICATES, NULL);
    verdict = json_is_object(claims) ? token_claims(oauth, claims, now_s, address)
                                     : AUTH_TOKEN_MALFORMED;
    json_decref(claims);
    return verdict;
}
