/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_AUTH_OAUTH_INTERNAL_H
#define STORAGE_AUTH_OAUTH_INTERNAL_H

#include <jansson.h>

#include "node/base/arena.h"
#include "storage/auth/oauth.h"

/* The algorithms that count; anything else a token names is refused before a key is looked for.
 */
enum jws_algorithm { JWS_RS256, JWS_PS256, JWS_ES256, JWS_EDDSA, JWS_ALGORITHM_COUNT };
#define JWS_BIT(algorithm) (1u << (algorithm))

/* False for a name that is none of them: "none", "HS256". */
bool jws_algorithm_find(const char *name, enum jws_algorithm *algorithm);

struct jwk {
    const char *kid;     /* NULL: none */
    unsigned algorithms; /* JWS_BIT() */
    struct evp_pkey_st *key;
};

/* One key of a set. False for what is of no use here. `kid` goes into `arena`. */
bool jwk_read(const json_t *json, struct arena *arena, struct jwk *jwk);
void jwk_fini(struct jwk *jwk);
bool jwk_verify(const struct jwk *jwk, enum jws_algorithm algorithm, struct bytes signed_text,
                struct bytes signature);

struct auth_oauth {
    struct arena arena;
    const char *issuer;
    const char *audience;
    const char *scope;
    const char *claim;
    uint32_t skew_s;
    struct jwk keys[AUTH_JWKS_KEYS_MAX];
    size_t key_count;
    struct bytes error_request;
    struct bytes error_token;
    struct bytes error_scope;
};

enum auth_token token_claims(const struct auth_oauth *oauth, const json_t *claims,
                             uint64_t now_s, char address[AUTH_CLAIM_SIZE_MAX + 1]);

#endif
