/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_AUTH_AUTH_INTERNAL_H
#define STORAGE_AUTH_AUTH_INTERNAL_H

#include "node/base/buffer.h"
#include "storage/auth/auth.h"

/* What the mechanisms share, and the exchange as they see it. */

enum auth_state {
    AUTH_STATE_START,
    AUTH_STATE_MESSAGE,  /* CONTINUE was answered */
    AUTH_STATE_USER,     /* NEED_USER */
    AUTH_STATE_PASSWORD, /* NEED_PASSWORD */
    AUTH_STATE_DONE,
    AUTH_STATE_REFUSED,
};

/* How much was computed: the same for known and unknown names, which the tests compare. */
struct auth_work {
    unsigned hmacs;
    unsigned digests;
    unsigned compares;
};

struct scram; /* scram_internal.h */

struct auth_exchange {
    const struct auth_config *config;
    const struct auth_mechanism_row *row;
    enum auth_state state;
    unsigned stage; /* messages of the client that were taken, for the mechanism */
    unsigned offered;
    uint32_t scope;
    uint8_t nonce[AUTH_NONCE_SIZE];
    uint8_t exporter[AUTH_BINDING_SIZE_MAX];
    size_t exporter_len;
    uint8_t end_point[AUTH_BINDING_SIZE_MAX];
    size_t end_point_len;

    uint8_t name[AUTH_NAME_SIZE_MAX];
    size_t name_len;
    uint8_t identity[AUTH_NAME_SIZE_MAX];
    struct buffer challenge;

    /* PLAIN and LOGIN */
    uint8_t password[AUTH_PASSWORD_SIZE_MAX];
    size_t password_len; /* as typed */
    size_t checked_len;  /* without the one-time code */
    char hash[AUTH_HASH_SIZE];
    enum auth_refusal pending; /* why it will be refused even when the password is right */

    struct scram *scram;
    enum auth_token token;
    struct auth_result result;
    enum auth_refusal refusal;
    struct auth_work work;
};

/* One mechanism. The functions are called in the states in which they may be; they answer what
 * the public call answers. */
struct auth_mechanism_row {
    enum auth_mechanism mechanism;
    const char *name;
    enum auth_next (*step)(struct auth_exchange *exchange, struct bytes message,
                           uint64_t now_s);
    enum auth_next (*user)(struct auth_exchange *exchange, struct bytes folded,
                           const struct auth_secrets *secrets, uint64_t now_s);
    const char *prompt; /* the first challenge */
};

const struct auth_mechanism_row *auth_mechanism_row(enum auth_mechanism mechanism);

enum auth_next auth_refuse(struct auth_exchange *exchange, enum auth_refusal refusal);
/* CONTINUE; what is to be sent lies in exchange->challenge, which step() has emptied before. */
enum auth_next auth_continue(struct auth_exchange *exchange);
/* False when it is empty, too long, or has a NUL. */
bool auth_name_set(struct auth_exchange *exchange, struct bytes name);
/* The result's identity and scopes, without going to DONE yet. */
void auth_result_set(struct auth_exchange *exchange, const struct auth_secrets *secrets,
                     enum auth_secret secret);
enum auth_next auth_done(struct auth_exchange *exchange);

/* Whether an app password with these scopes is for what the front end does. */
bool auth_scopes_allow(uint32_t scopes, uint32_t wanted);

/* mechanisms */
enum auth_next plain_step(struct auth_exchange *exchange, struct bytes message, uint64_t now_s);
enum auth_next login_step(struct auth_exchange *exchange, struct bytes message, uint64_t now_s);
enum auth_next password_user(struct auth_exchange *exchange, struct bytes folded,
                             const struct auth_secrets *secrets, uint64_t now_s);
enum auth_next scram_step(struct auth_exchange *exchange, struct bytes message, uint64_t now_s);
enum auth_next scram_user(struct auth_exchange *exchange, struct bytes folded,
                          const struct auth_secrets *secrets, uint64_t now_s);
void scram_free(struct scram **scram);
enum auth_next oauthbearer_step(struct auth_exchange *exchange, struct bytes message,
                                uint64_t now_s);
enum auth_next oauthbearer_user(struct auth_exchange *exchange, struct bytes folded,
                                const struct auth_secrets *secrets, uint64_t now_s);

#endif
