/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_AUTH_OAUTH_H
#define STORAGE_AUTH_OAUTH_H

#include "node/base/bytes.h"

/*
 * Bearer tokens that are JWTs in JWS compact form (RFC 7515, 7519, 8725), from one issuer whose
 * keys are given. Nothing is fetched. Algorithms: RS256, PS256 (2048 bits and more), ES256,
 * EdDSA with Ed25519. Keys come from the configuration only; `jwk`, `jku`, `x5u`, `x5c` of a
 * token are never looked at, a `crit` header is refused.
 */
struct auth_oauth;

enum {
    AUTH_TOKEN_SIZE_MAX = 8192,
    AUTH_JWKS_SIZE_MAX = 256 * 1024,
    AUTH_JWKS_KEYS_MAX = 64,
    AUTH_CLAIM_SIZE_MAX = 320, /* of the address */
    AUTH_SKEW_S_MAX = 600,
};

/* Strings are copied; NULL or empty where it says so. */
struct auth_oauth_config {
    const char *issuer;    /* `iss`, exactly */
    const char *audience;  /* in `aud` */
    const char *scope;     /* word that `scope` (or `scp`) must have; NULL: none needed */
    const char *claim;     /* that has the address: "email" when NULL. An "email" with
                              email_verified == false does not count */
    const char *discovery; /* openid-configuration URL told to refused clients; NULL: none */
    struct bytes jwks;     /* RFC 7517 set */
    uint32_t skew_s;       /* how far clocks may differ */
};

/* NULL when the configuration is no good; `why` then has words for the operator (static). Keys
 * of the set that are of no use here (other types, other uses, too small) are passed over, but
 * one must remain. Duplicate names in the JSON are refused. */
struct auth_oauth *auth_oauth_new(const struct auth_oauth_config *config, const char **why);
void auth_oauth_free(struct auth_oauth **oauth);

/* Why a token does not count; for logs. OK is 0. */
enum auth_token {
    AUTH_TOKEN_OK,
    AUTH_TOKEN_MALFORMED,
    AUTH_TOKEN_ALGORITHM, /* none, HS256, or one that the key is not for */
    AUTH_TOKEN_KEY,       /* no such key */
    AUTH_TOKEN_SIGNATURE,
    AUTH_TOKEN_ISSUER,
    AUTH_TOKEN_AUDIENCE,
    AUTH_TOKEN_EXPIRED,
    AUTH_TOKEN_EARLY, /* nbf or iat lie ahead */
    AUTH_TOKEN_SCOPE,
    AUTH_TOKEN_CLAIM, /* no address in it */
    AUTH_TOKEN_NONE,  /* the message had none, or was malformed */
};

const char *auth_token_text(enum auth_token verdict);

/* The claim as it stands (not folded), with a NUL; written for AUTH_TOKEN_OK only. A signature
 * costs 30 to 100 us. Safe from several threads at once. */
enum auth_token auth_oauth_verify(const struct auth_oauth *oauth, struct bytes token,
                                  uint64_t now_s, char address[AUTH_CLAIM_SIZE_MAX + 1]);

/* The JSON of RFC 7628 section 3.2.2 for a token that was refused. Lives as long as `oauth`. */
struct bytes auth_oauth_error(const struct auth_oauth *oauth, enum auth_token verdict);

#endif
