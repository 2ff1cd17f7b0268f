/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_AUTH_SECRETS_H
#define STORAGE_AUTH_SECRETS_H

#include "node/base/bytes.h"
#include "node/base/err.h"

/*
 * What an account's owner proves knowledge of, and how it is made: the password (argon2id text
 * form, made by the caller's pool), SCRAM verifiers, app passwords, the key of a one-time
 * password. Pure: random bytes come from the caller (libsodium's randombytes_buf()).
 */
enum {
    AUTH_SALT_SIZE = 16,
    AUTH_SHA1_SIZE = 20,
    AUTH_SHA256_SIZE = 32,
    AUTH_DIGEST_SIZE = 32, /* BLAKE2b-256 */
    AUTH_SERVER_KEY_SIZE = 32,
    AUTH_HASH_SIZE = 128,          /* argon2id text with its NUL (crypto_pwhash_STRBYTES) */
    AUTH_PASSWORD_SIZE_MAX = 1024, /* bytes; a TOTP code behind it counts */
    AUTH_APP_PASSWORDS_MAX = 32,   /* an account; each exchange works through so many slots */

    AUTH_SCRAM_ITERATIONS = 32768,    /* PBKDF2; what unknown names seem to have too */
    AUTH_SCRAM_ITERATIONS_MIN = 4096, /* RFC 7677 section 4 */
    AUTH_SCRAM_ITERATIONS_MAX = 1000000,

    AUTH_APP_RANDOM_SIZE = 20,
    AUTH_APP_TEXT_SIZE = 25, /* abcd-efgh-ijkm-npqr-stuv and a NUL: 100 bits */
};

/* Who may use an app password for what. Persisted. None of the bits: for all. */
enum auth_scope { AUTH_SCOPE_IMAP = 1, AUTH_SCOPE_SUBMISSION = 2, AUTH_SCOPES_ALL = 3 };

/* Of one secret, under the account's salt and iteration count (RFC 5802 section 3). */
struct auth_scram_keys {
    bool present;
    uint8_t stored_sha1[AUTH_SHA1_SIZE];
    uint8_t server_sha1[AUTH_SHA1_SIZE];
    uint8_t stored_sha256[AUTH_SHA256_SIZE];
    uint8_t server_sha256[AUTH_SHA256_SIZE];
};

struct auth_app_password {
    uint64_t id; /* not 0 */
    struct bytes name;
    uint8_t digest[AUTH_DIGEST_SIZE]; /* auth_app_password_digest() */
    struct auth_scram_keys scram;
    uint32_t scopes; /* enum auth_scope; 0: all */
    uint64_t created_ms;
};

/*
 * All of one account. One salt and one iteration count serve all of its secrets, so that one
 * SCRAM exchange can find out which of them the client knows: the salt has to be sent before
 * the proof comes. They can therefore change only when no app password is left.
 */
struct auth_secrets {
    struct bytes identity;     /* the account's address, folded */
    const char *password_hash; /* argon2id; NULL: nobody knows a password */
    bool scram;                /* the next three are there */
    uint8_t salt[AUTH_SALT_SIZE];
    uint32_t iterations;
    struct auth_scram_keys password_scram;
    const struct auth_app_password *app_passwords;
    size_t app_password_count; /* those beyond AUTH_APP_PASSWORDS_MAX are not looked at */
    struct bytes totp_secret;  /* empty: no TOTP */
    uint64_t totp_step;        /* the last that was used; it and those before are spent */
};

/*
 * The salt for an account that has none yet. It is the one that the exchange pretends for an
 * unknown name (and for an account without SCRAM keys), so that nothing about a name changes
 * when its account comes, or gets its keys. `server_key` is secret, the same on all nodes, and
 * never changes. `name` is folded.
 */
void auth_scram_salt(const uint8_t server_key[AUTH_SERVER_KEY_SIZE], struct bytes name,
                     uint8_t salt[AUTH_SALT_SIZE]);

/*
 * Verifiers of a password in UTF-8, after SASLprep (RFC 4013). Two PBKDF2: about 30 ms at
 * AUTH_SCRAM_ITERATIONS, call it in a pool thread. ERR_INVALID: empty, not UTF-8, or with
 * characters that SASLprep forbids (control characters above all): no client could log in with
 * it by SCRAM, `keys` says so with present == false and the account does without. ERR_TOOBIG:
 * the password's length, or iterations out of range.
 *
 * Whoever steals verifiers tries passwords at PBKDF2's price, not at argon2id's. With TOTP on,
 * SCRAM with the password is refused anyway: leave its verifiers out then.
 */
enum err auth_scram_make(struct bytes password, const uint8_t salt[AUTH_SALT_SIZE],
                         uint32_t iterations, struct auth_scram_keys *keys) MUST_CHECK;

/* Readable text of 100 random bits. SCRAM verifiers are made of exactly this text. */
void auth_app_password_make(const uint8_t random[AUTH_APP_RANDOM_SIZE],
                            char text[AUTH_APP_TEXT_SIZE]);

/*
 * Of what a user typed: letters of any case, with or without hyphens and spaces. A plain fast
 * digest: nobody tries out 2^100 texts. Returns false, with a digest that nothing matches, when
 * it has not the form of an app password.
 */
bool auth_app_password_digest(struct bytes typed, uint8_t digest[AUTH_DIGEST_SIZE]);

#endif
