/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_AUTH_TOKEN_LAB_H
#define TESTS_UNIT_STORAGE_AUTH_TOKEN_LAB_H

#include "storage/auth/oauth.h"

/* An issuer of tokens with a key of each kind, made anew: kids "rsa", "pss" (alg PS256), "ec",
 * "ed", "enc" (RSA, use enc); and the key set that it publishes. */
struct token_lab;

#define TOKEN_NOW 1790000000u
#define TOKEN_ISSUER "https://id.example.com"
#define TOKEN_AUDIENCE "mail.example.com"
#define TOKEN_CLAIMS                                                                           \
    "{\"iss\":\"https://id.example.com\",\"aud\":\"mail.example.com\",\"sub\":\"u1\","         \
    "\"iat\":1789999990,\"nbf\":1789999990,\"exp\":1790000300,\"scope\":\"openid mail\","      \
    "\"email\":\"user@example.com\"}"

struct token_lab *token_lab_new(void);
void token_lab_free(struct token_lab **lab);
struct bytes token_lab_jwks(const struct token_lab *lab);
/* A configuration that takes TOKEN_CLAIMS; borrows from the lab. */
struct auth_oauth_config token_lab_config(const struct token_lab *lab);

enum token_signing { SIGN_RS256, SIGN_PS256, SIGN_ES256, SIGN_EDDSA, SIGN_HS256, SIGN_NOT };

/*
 * A token of this header and payload as they stand. `key` is a kid. HS256 takes the public
 * key's PEM text as its secret, as the known attack does; NOT leaves the signature empty. Valid
 * until the next call.
 */
struct bytes token_lab_sign(struct token_lab *lab, const char *header, const char *claims,
                            const char *key, enum token_signing signing);

#endif
