/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_AUTH_AUTH_H
#define STORAGE_AUTH_AUTH_H

#include "storage/auth/oauth.h"
#include "storage/auth/secrets.h"

/*
 * One SASL exchange (RFC 4422), the server's side, with no socket, clock, disk or thread in it.
 *
 * Messages of the client go in (decoded from base64 by the front end, whole); each call says
 * what must happen next. Look-ups and slow hashes are the caller's: NEED_USER and NEED_PASSWORD
 * are answered by auth_exchange_user() and auth_exchange_password_checked().
 *
 *     new -> begin or step -> { CONTINUE -> step | NEED_USER -> user | NEED_PASSWORD -> checked
 * }
 *         -> DONE or REFUSED
 *
 * A call that does not fit the state refuses the exchange; it never lets anybody in. An unknown
 * name costs the same work and answers with the same bytes as a known one, up to the refusal.
 *
 * | mechanism              | messages of the client                | secrets that count | |
 * PLAIN (RFC 4616)       | authzid NUL name NUL password         | password, app passwords    |
 * | LOGIN                  | name; password                        | password, app passwords |
 * | SCRAM-* (RFC 5802,7677)| first; final; empty                   | password, app passwords |
 * | OAUTHBEARER (RFC 7628) | token; ^A after an error              | token |
 *
 * With TOTP on, the password counts with the code of six digits behind it, over PLAIN and LOGIN
 * only. App passwords are as ever: they are the second factor's way around clients that cannot
 * ask for one.
 *
 * SCRAM messages are parsed and proofs verified here, not by libgsasl: its server knows no
 * tls-server-end-point, asks for the salt from within a step, makes its own nonces, and checks
 * one secret. libgsasl prepares passwords (SASLprep) and is the other side in the tests.
 */
struct auth_exchange;

enum auth_mechanism {
    AUTH_MECHANISM_NONE, /* no such mechanism, or not offered */
    AUTH_PLAIN,
    AUTH_LOGIN,
    AUTH_SCRAM_SHA_1,
    AUTH_SCRAM_SHA_1_PLUS,
    AUTH_SCRAM_SHA_256,
    AUTH_SCRAM_SHA_256_PLUS,
    AUTH_OAUTHBEARER,
    AUTH_MECHANISM_COUNT,
};
#define AUTH_OFFER(mechanism) (1u << (mechanism))

enum {
    AUTH_MESSAGE_SIZE_MAX = 9216, /* 12288 characters of base64 (RFC 4954 section 4.5) */
    AUTH_SCRAM_MESSAGE_SIZE_MAX = 2048,
    AUTH_NAME_SIZE_MAX = 320,
    AUTH_NONCE_SIZE = 18, /* random bytes of the server */
    AUTH_BINDING_SIZE_MAX = 64,
};

/* Registered names, in the order in which they are best offered (strongest first). The bits of
 * `offered` are AUTH_OFFER(). Any case; NONE for what was not offered. */
enum auth_mechanism auth_mechanism_find(struct bytes name, unsigned offered);
const char *auth_mechanism_name(enum auth_mechanism mechanism);
/* "SCRAM-SHA-256-PLUS SCRAM-SHA-256 ..." of the mask into `text`, AUTH_OFFER_TEXT_SIZE bytes.
 */
enum { AUTH_OFFER_TEXT_SIZE = 128 };
void auth_mechanism_list(unsigned offered, char text[AUTH_OFFER_TEXT_SIZE]);

/* What is the same for all exchanges of a process. Borrowed by them. */
struct auth_config {
    uint8_t server_key[AUTH_SERVER_KEY_SIZE]; /* auth_scram_salt() */
    const char *decoy_hash;         /* argon2id at the usual cost, of what nobody knows */
    const struct auth_oauth *oauth; /* NULL: OAUTHBEARER refuses all */
};

/* What this one connection has. The bytes are copied. */
struct auth_channel {
    unsigned offered; /* what the front end announced here: the check of `y` needs it */
    struct bytes tls_exporter; /* RFC 9266, 32 bytes; empty: none (TLS 1.2 without EMS) */
    struct bytes tls_server_end_point; /* RFC 5929: digest of the certificate; empty: none */
    uint32_t scope;                    /* enum auth_scope: what app passwords must be for */
    uint8_t nonce[AUTH_NONCE_SIZE];    /* random, fresh */
};

enum auth_next {
    AUTH_CONTINUE,      /* send auth_exchange_challenge(), then step() */
    AUTH_NEED_USER,     /* look auth_exchange_name() up, then user() */
    AUTH_NEED_PASSWORD, /* check auth_exchange_password(), then password_checked() */
    AUTH_DONE,          /* auth_exchange_result() */
    AUTH_REFUSED,       /* auth_exchange_refusal() */
};

/* For the log and the firewall. The client hears one and the same for all of them. */
#define AUTH_REFUSAL_LIST(X)                                                                   \
    X(NONE, "not refused")                                                                     \
    X(MALFORMED, "message is malformed")                                                       \
    X(ORDER, "message out of order")                                                           \
    X(IDENTITY, "asks to act for somebody else")                                               \
    X(DOWNGRADE, "client believes that channel binding is not offered")                        \
    X(BINDING, "channel binding does not match: somebody may be in between")                   \
    X(USER, "no such user")                                                                    \
    X(SECRET, "wrong password")                                                                \
    X(SCOPE, "app password is not for this service")                                           \
    X(TOTP_MISSING, "one-time code is needed")                                                 \
    X(TOTP_WRONG, "wrong one-time code")                                                       \
    X(TOTP_SPENT, "one-time code was used already")                                            \
    X(TOKEN, "token was refused")

#define AUTH_REFUSAL_ENUM(name, text) AUTH_REFUSAL_##name,
enum auth_refusal { AUTH_REFUSAL_LIST(AUTH_REFUSAL_ENUM) AUTH_REFUSAL_COUNT };
#undef AUTH_REFUSAL_ENUM

const char *auth_refusal_text(enum auth_refusal refusal);

enum auth_secret { AUTH_SECRET_PASSWORD, AUTH_SECRET_APP_PASSWORD, AUTH_SECRET_TOKEN };

struct auth_result {
    struct bytes identity; /* of struct auth_secrets; lives as long as the exchange */
    enum auth_secret secret;
    uint64_t app_password; /* its id, with AUTH_SECRET_APP_PASSWORD */
    uint32_t scopes;       /* what this log-in may be used for: never 0 */
    bool totp_used;        /* record the step in the cluster; refuse when it is spent by then */
    uint64_t totp_step;
};

/* `config` is borrowed and must outlive the exchange. `mechanism` is not NONE. About 2 KiB;
 * with SCRAM 6 KiB. */
struct auth_exchange *auth_exchange_new(enum auth_mechanism mechanism,
                                        const struct auth_config *config,
                                        const struct auth_channel *channel);
/* Wipes what was secret. */
void auth_exchange_free(struct auth_exchange **exchange);

/* There was no initial response: CONTINUE with the mechanism's first challenge (most often
 * empty). With one, call step() at once instead; it may be empty ("=", RFC 4954). */
enum auth_next auth_exchange_begin(struct auth_exchange *exchange);

/* `message` is borrowed during the call, of any size. */
enum auth_next auth_exchange_step(struct auth_exchange *exchange, struct bytes message,
                                  uint64_t now_s);

/* As claimed: neither folded nor checked for more than its length and NULs. Empty before the
 * client has sent it. */
struct bytes auth_exchange_name(const struct auth_exchange *exchange);

/* Answers NEED_USER. `folded` is the name as it is looked up by (what was claimed, when it is
 * no address at all). `secrets` is borrowed during the call; NULL: no such user, or one who may
 * not log in. */
enum auth_next auth_exchange_user(struct auth_exchange *exchange, struct bytes folded,
                                  const struct auth_secrets *secrets, uint64_t now_s);

/* NEED_PASSWORD: `right` is whether crypto_pwhash_str_verify() says so. Both live until the
 * exchange goes. */
const char *auth_exchange_password_hash(const struct auth_exchange *exchange);
struct bytes auth_exchange_password(const struct auth_exchange *exchange);
enum auth_next auth_exchange_password_checked(struct auth_exchange *exchange, bool right);

/* CONTINUE: bytes for the client (not base64); may be empty. Valid until the next call. */
struct bytes auth_exchange_challenge(const struct auth_exchange *exchange);

/* DONE. */
const struct auth_result *auth_exchange_result(const struct auth_exchange *exchange);

/* REFUSED. */
enum auth_refusal auth_exchange_refusal(const struct auth_exchange *exchange);
/* REFUSED with AUTH_REFUSAL_TOKEN. */
enum auth_token auth_exchange_token(const struct auth_exchange *exchange);

/*
 * A keyed digest of the password that was tried, so that a client which tries the same wrong
 * one again and again can be told from one which guesses. Returns false when no password was
 * seen (SCRAM, tokens).
 */
bool auth_exchange_tried(const struct auth_exchange *exchange,
                         uint8_t digest[AUTH_DIGEST_SIZE]);

#endif
