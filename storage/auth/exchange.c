/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/auth/auth_internal.h"

#define AUTH_REFUSAL_TEXT(name, text) text,
static const char *const refusal_texts[] = {AUTH_REFUSAL_LIST(AUTH_REFUSAL_TEXT)};

const char *auth_refusal_text(enum auth_refusal refusal)
{
    CHECK(refusal < AUTH_REFUSAL_COUNT);
    return refusal_texts[refusal];
}

static size_t binding_set(uint8_t copy[AUTH_BINDING_SIZE_MAX], struct bytes binding)
{
    CHECK(binding.len <= AUTH_BINDING_SIZE_MAX);
    if (binding.len > 0)
        memcpy(copy, binding.at, binding.len);
    return binding.len;
}

struct auth_exchange *auth_exchange_new(enum auth_mechanism mechanism,
                                        const struct auth_config *config,
                                        const struct auth_channel *channel)
{
    struct auth_exchange *exchange = calloc(1, sizeof(*exchange));

    CHECK(exchange != NULL);
    CHECK(sodium_init() >= 0);
    CHECK(strlen(config->decoy_hash) < AUTH_HASH_SIZE);
    exchange->config = config;
    exchange->row = auth_mechanism_row(mechanism);
    exchange->offered = channel->offered;
    exchange->scope = channel->scope;
    memcpy(exchange->nonce, channel->nonce, AUTH_NONCE_SIZE);
    exchange->exporter_len = binding_set(exchange->exporter, channel->tls_exporter);
    exchange->end_point_len = binding_set(exchange->end_point, channel->tls_server_end_point);
    buffer_init(&exchange->challenge);
    return exchange;
}

void auth_exchange_free(struct auth_exchange **exchange)
{
    if (*exchange == NULL)
        return;
    scram_free(&(*exchange)->scram);
    buffer_fini(&(*exchange)->challenge);
    sodium_memzero(*exchange, sizeof(**exchange));
    free(*exchange);
    *exchange = NULL;
}

enum auth_next auth_refuse(struct auth_exchange *exchange, enum auth_refusal refusal)
{
    CHECK(refusal != AUTH_REFUSAL_NONE);
    exchange->state = AUTH_STATE_REFUSED;
    exchange->refusal = refusal;
    exchange->result = (struct auth_result){.identity = {NULL, 0}};
    buffer_clear(&exchange->challenge);
    return AUTH_REFUSED;
}

enum auth_next auth_continue(struct auth_exchange *exchange)
{
    exchange->state = AUTH_STATE_MESSAGE;
    return AUTH_CONTINUE;
}

enum auth_next auth_done(struct auth_exchange *exchange)
{
    CHECK(exchange->result.identity.len > 0);
    exchange->state = AUTH_STATE_DONE;
    return AUTH_DONE;
}

bool auth_name_set(struct auth_exchange *exchange, struct bytes name)
{
    if (name.len == 0 || name.len > AUTH_NAME_SIZE_MAX || bytes_find(name, 0) < name.len)
        return false;
    memcpy(exchange->name, name.at, name.len);
    exchange->name_len = name.len;
    return true;
}

void auth_result_set(struct auth_exchange *exchange, const struct auth_secrets *secrets,
                     enum auth_secret secret)
{
    CHECK(secrets->identity.len > 0 && secrets->identity.len <= sizeof(exchange->identity));
    memcpy(exchange->identity, secrets->identity.at, secrets->identity.len);
    exchange->result = (struct auth_result){
        .identity = bytes_from(exchange->identity, secrets->identity.len),
        .secret = secret,
        .scopes = AUTH_SCOPES_ALL,
    };
}

bool auth_scopes_allow(uint32_t scopes, uint32_t wanted)
{
    return scopes == 0 || (scopes & wanted) == wanted;
}

enum auth_next auth_exchange_begin(struct auth_exchange *exchange)
{
    if (exchange->state != AUTH_STATE_START)
        return auth_refuse(exchange, AUTH_REFUSAL_ORDER);
    buffer_add_string(&exchange->challenge, exchange->row->prompt);
    return auth_continue(exchange);
}

enum auth_next auth_exchange_step(struct auth_exchange *exchange, struct bytes message,
                                  uint64_t now_s)
{
    if (exchange->state != AUTH_STATE_START && exchange->state != AUTH_STATE_MESSAGE)
        return auth_refuse(exchange, AUTH_REFUSAL_ORDER);
    if (message.len > AUTH_MESSAGE_SIZE_MAX)
        return auth_refuse(exchange, AUTH_REFUSAL_MALFORMED);
    buffer_clear(&exchange->challenge);
    exchange->stage++;
    return exchange->row->step(exchange, message, now_s);
}

enum auth_next auth_exchange_user(struct auth_exchange *exchange, struct bytes folded,
                                  const struct auth_secrets *secrets, uint64_t now_s)
{
    if (exchange->state != AUTH_STATE_USER)
        return auth_refuse(exchange, AUTH_REFUSAL_ORDER);
    return exchange->row->user(exchange, folded, secrets, now_s);
}

enum auth_next auth_exchange_password_checked(struct auth_exchange *exchange, bool right)
{
    if (exchange->state != AUTH_STATE_PASSWORD)
        return auth_refuse(exchange, AUTH_REFUSAL_ORDER);
    if (exchange->pending == AUTH_REFUSAL_USER)
        return auth_refuse(exchange, AUTH_REFUSAL_USER);
    if (!right)
        return auth_refuse(exchange, AUTH_REFUSAL_SECRET);
    if (exchange->pending != AUTH_REFUSAL_NONE)
        return auth_refuse(exchange, exchange->pending);
    return auth_done(exchange);
}

struct bytes auth_exchange_name(const struct auth_exchange *exchange)
{
    return bytes_from(exchange->name, exchange->name_len);
}

const char *auth_exchange_password_hash(const struct auth_exchange *exchange)
{
    CHECK(exchange->state == AUTH_STATE_PASSWORD);
    return exchange->hash;
}

struct bytes auth_exchange_password(const struct auth_exchange *exchange)
{
    CHECK(exchange->state == AUTH_STATE_PASSWORD);
    return bytes_from(exchange->password, exchange->checked_len);
}

struct bytes auth_exchange_challenge(const struct auth_exchange *exchange)
{
    CHECK(exchange->state == AUTH_STATE_MESSAGE);
    return buffer_bytes(&exchange->challenge);
}

const struct auth_result *auth_exchange_result(const struct auth_exchange *exchange)
{
    CHECK(exchange->state == AUTH_STATE_DONE);
    return &exchange->result;
}

enum auth_refusal auth_exchange_refusal(const struct auth_exchange *exchange)
{
    CHECK(exchange->state == AUTH_STATE_REFUSED);
    return exchange->refusal;
}

enum auth_token auth_exchange_token(const struct auth_exchange *exchange)
{
    return exchange->token;
}

bool auth_exchange_tried(const struct auth_exchange *exchange, uint8_t digest[AUTH_DIGEST_SIZE])
{
    crypto_generichash_state state;
    static const char domain[] = "tried password";

    if (exchange->password_len == 0)
        return false;
    crypto_generichash_init(&state, exchange->config->server_key, AUTH_SERVER_KEY_SIZE,
                            AUTH_DIGEST_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)domain, sizeof(domain));
    crypto_generichash_update(&state, exchange->password, exchange->password_len);
    crypto_generichash_final(&state, digest, AUTH_DIGEST_SIZE);
    return true;
}
