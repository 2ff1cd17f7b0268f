/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SCRAM (RFC 5802, RFC 7677), the server's side: first message, look-up, challenge, final
 * message, signature, empty message. The client's proof is tried on every secret of the
 * account.
 */
#include "storage/auth/scram_internal.h"

#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/auth/base64.h"

enum { BASE64 = sodium_base64_VARIANT_ORIGINAL };

static struct scram *scram_new(enum auth_mechanism mechanism)
{
    struct scram *scram = calloc(1, sizeof(*scram));

    CHECK(scram != NULL);
    bool sha1 = mechanism == AUTH_SCRAM_SHA_1 || mechanism == AUTH_SCRAM_SHA_1_PLUS;
    scram->hash = sha1 ? &scram_sha1 : &scram_sha256;
    scram->plus = mechanism == AUTH_SCRAM_SHA_1_PLUS || mechanism == AUTH_SCRAM_SHA_256_PLUS;
    buffer_init(&scram->binding);
    buffer_init(&scram->nonce);
    buffer_init(&scram->message);
    return scram;
}

void scram_free(struct scram **scram)
{
    if (*scram == NULL)
        return;
    buffer_fini(&(*scram)->binding);
    buffer_fini(&(*scram)->nonce);
    buffer_fini(&(*scram)->message);
    sodium_memzero(*scram, sizeof(**scram));
    free(*scram);
    *scram = NULL;
}

static void add_base64(struct buffer *buffer, struct bytes bytes)
{
    size_t size = sodium_base64_encoded_len(bytes.len, BASE64);
    uint8_t *room = buffer_reserve(buffer, size);

    sodium_bin2base64((char *)room, size, bytes.at, bytes.len, BASE64);
    buffer_added(buffer, size - 1); /* without the NUL */
}

/*
 * RFC 5802 section 6. "y" says: I could bind to the channel, but you do not offer it. When we
 * did, somebody in between has taken the offer out.
 */
static enum auth_refusal check_flag(const struct auth_exchange *exchange,
                                    const struct scram_first *first, struct bytes *data)
{
    const unsigned plus =
        AUTH_OFFER(AUTH_SCRAM_SHA_1_PLUS) | AUTH_OFFER(AUTH_SCRAM_SHA_256_PLUS);

    *data = bytes_from(NULL, 0);
    if (!exchange->scram->plus) {
        if (first->flag == 'y' && (exchange->offered & plus) != 0)
            return AUTH_REFUSAL_DOWNGRADE;
        return first->flag == 'p' ? AUTH_REFUSAL_MALFORMED : AUTH_REFUSAL_NONE;
    }
    if (first->flag != 'p')
        return AUTH_REFUSAL_MALFORMED;
    if (bytes_equal(first->binding_name, BYTES("tls-exporter")))
        *data = bytes_from(exchange->exporter, exchange->exporter_len);
    else if (bytes_equal(first->binding_name, BYTES("tls-server-end-point")))
        *data = bytes_from(exchange->end_point, exchange->end_point_len);
    return data->len > 0 ? AUTH_REFUSAL_NONE : AUTH_REFUSAL_BINDING;
}

static enum auth_next client_first(struct auth_exchange *exchange, struct bytes message)
{
    struct scram *scram = scram_new(exchange->row->mechanism);
    struct scram_first first;
    uint8_t name[AUTH_SCRAM_MESSAGE_SIZE_MAX];
    uint8_t authzid[AUTH_SCRAM_MESSAGE_SIZE_MAX];
    size_t name_len;
    size_t authzid_len;
    struct bytes binding;

    exchange->scram = scram;
    if (!scram_parse_first(message, &first) ||
        !scram_name_decode(first.name, name, &name_len) ||
        !scram_name_decode(first.authzid, authzid, &authzid_len) ||
        !auth_name_set(exchange, bytes_from(name, name_len)))
        return auth_refuse(exchange, AUTH_REFUSAL_MALFORMED);
    if (authzid_len > 0 &&
        !bytes_equal_nocase(bytes_from(authzid, authzid_len), auth_exchange_name(exchange)))
        return auth_refuse(exchange, AUTH_REFUSAL_IDENTITY);
    enum auth_refusal refusal = check_flag(exchange, &first, &binding);
    if (refusal != AUTH_REFUSAL_NONE)
        return auth_refuse(exchange, refusal);

    struct buffer bound = BUFFER_EMPTY;
    buffer_add(&bound, first.gs2_header);
    buffer_add(&bound, binding);
    add_base64(&scram->binding, buffer_bytes(&bound));
    buffer_fini(&bound);
    buffer_add(&scram->nonce, first.nonce);
    add_base64(&scram->nonce, bytes_from(exchange->nonce, AUTH_NONCE_SIZE));
    buffer_add(&scram->message, first.bare);
    exchange->state = AUTH_STATE_USER;
    return AUTH_NEED_USER;
}

static void slot_take(struct scram *scram, struct scram_slot *slot,
                      const struct auth_scram_keys *keys)
{
    bool sha1 = scram->hash == &scram_sha1;

    if (!keys->present)
        return;
    slot->taken = true;
    memcpy(slot->stored, sha1 ? keys->stored_sha1 : keys->stored_sha256, scram->hash->size);
    memcpy(slot->server, sha1 ? keys->server_sha1 : keys->server_sha256, scram->hash->size);
}

static void slots_take(struct scram *scram, const struct auth_secrets *secrets)
{
    scram->slots[0].secret = AUTH_SECRET_PASSWORD;
    scram->slots[0].needs_code = secrets->totp_secret.len > 0;
    slot_take(scram, &scram->slots[0], &secrets->password_scram);
    for (size_t i = 0; i < AUTH_APP_PASSWORDS_MAX && i < secrets->app_password_count; i++) {
        const struct auth_app_password *app = &secrets->app_passwords[i];
        struct scram_slot *slot = &scram->slots[1 + i];
        slot->secret = AUTH_SECRET_APP_PASSWORD;
        slot->app_password = app->id;
        slot->scopes = app->scopes;
        slot_take(scram, slot, &app->scram);
    }
}

enum auth_next scram_user(struct auth_exchange *exchange, struct bytes folded,
                          const struct auth_secrets *secrets, uint64_t now_s)
{
    struct scram *scram = exchange->scram;
    uint8_t salt[AUTH_SALT_SIZE];
    uint32_t iterations = AUTH_SCRAM_ITERATIONS;

    (void)now_s;
    auth_scram_salt(exchange->config->server_key, folded, salt);
    exchange->work.digests++;
    scram->known = secrets != NULL;
    if (secrets != NULL && secrets->scram && secrets->iterations > 0) {
        auth_result_set(exchange, secrets, AUTH_SECRET_PASSWORD);
        memcpy(salt, secrets->salt, AUTH_SALT_SIZE);
        iterations = secrets->iterations;
        slots_take(scram, secrets);
    }
    struct buffer *challenge = &exchange->challenge;
    buffer_add_string(challenge, "r=");
    buffer_add(challenge, buffer_bytes(&scram->nonce));
    buffer_add_string(challenge, ",s=");
    add_base64(challenge, bytes_from(salt, AUTH_SALT_SIZE));
    buffer_printf(challenge, ",i=%u", (unsigned)iterations);
    buffer_add_byte(&scram->message, ',');
    buffer_add(&scram->message, buffer_bytes(challenge));
    return auth_continue(exchange);
}

static enum auth_next accept_slot(struct auth_exchange *exchange, const struct scram_slot *slot,
                                  const uint8_t *signature)
{
    if (slot->needs_code)
        return auth_refuse(exchange, AUTH_REFUSAL_TOTP_MISSING);
    if (!auth_scopes_allow(slot->scopes, exchange->scope))
        return auth_refuse(exchange, AUTH_REFUSAL_SCOPE);
    exchange->result.secret = slot->secret;
    exchange->result.app_password = slot->app_password;
    if (slot->scopes != 0)
        exchange->result.scopes = slot->scopes;
    buffer_add_string(&exchange->challenge, "v=");
    add_base64(&exchange->challenge, bytes_from(signature, exchange->scram->hash->size));
    return auth_continue(exchange);
}

static enum auth_next client_final(struct auth_exchange *exchange, struct bytes message)
{
    struct scram *scram = exchange->scram;
    struct scram_final final;
    uint8_t proof[SCRAM_KEY_SIZE_MAX];
    uint8_t signature[SCRAM_KEY_SIZE_MAX];
    size_t proof_len;

    if (!scram_parse_final(message, &final) ||
        !auth_base64_decode(AUTH_BASE64, final.proof, proof, sizeof(proof), &proof_len) ||
        proof_len != scram->hash->size ||
        !bytes_equal(final.nonce, buffer_bytes(&scram->nonce)))
        return auth_refuse(exchange, AUTH_REFUSAL_MALFORMED);
    if (!bytes_equal(final.binding, buffer_bytes(&scram->binding)))
        return auth_refuse(exchange, AUTH_REFUSAL_BINDING);
    buffer_add_byte(&scram->message, ',');
    buffer_add(&scram->message, final.without_proof);
    const struct scram_slot *slot = scram_proof_find(scram, &exchange->work, proof, signature);
    if (slot == NULL)
        return auth_refuse(exchange, scram->known ? AUTH_REFUSAL_SECRET : AUTH_REFUSAL_USER);
    return accept_slot(exchange, slot, signature);
}

enum auth_next scram_step(struct auth_exchange *exchange, struct bytes message, uint64_t now_s)
{
    (void)now_s;
    switch (exchange->stage) {
    case 1:
        return client_first(exchange, message);
    case 2:
        return client_final(exchange, message);
    case 3: /* protocols without a last message of the server let the client answer it */
        if (message.len != 0)
            return auth_refuse(exchange, AUTH_REFUSAL_MALFORMED);
        return auth_done(exchange);
    default:
        return auth_refuse(exchange, AUTH_REFUSAL_ORDER);
    }
}
