/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PLAIN (RFC 4616) and LOGIN: the password itself comes in. */
#include <sodium.h>

#include "node/base/check.h"
#include "storage/auth/auth_internal.h"
#include "storage/auth/totp.h"

static enum auth_next need_user(struct auth_exchange *exchange, struct bytes password)
{
    if (password.len == 0 || password.len > AUTH_PASSWORD_SIZE_MAX ||
        bytes_find(password, 0) < password.len)
        return auth_refuse(exchange, AUTH_REFUSAL_MALFORMED);
    memcpy(exchange->password, password.at, password.len);
    exchange->password_len = password.len;
    exchange->checked_len = password.len;
    exchange->state = AUTH_STATE_USER;
    return AUTH_NEED_USER;
}

static struct bytes take_to_nul(struct bytes *rest)
{
    struct bytes part = {rest->at, bytes_find(*rest, 0)};
    *rest = bytes_skip(*rest, part.len + 1);
    return part;
}

enum auth_next plain_step(struct auth_exchange *exchange, struct bytes message, uint64_t now_s)
{
    struct bytes rest = message;

    (void)now_s;
    if (exchange->stage != 1)
        return auth_refuse(exchange, AUTH_REFUSAL_ORDER);
    struct bytes authzid = take_to_nul(&rest);
    struct bytes name = take_to_nul(&rest);
    if (authzid.len + name.len + 2 > message.len || !auth_name_set(exchange, name))
        return auth_refuse(exchange, AUTH_REFUSAL_MALFORMED);
    if (authzid.len > 0 && !bytes_equal_nocase(authzid, name))
        return auth_refuse(exchange, AUTH_REFUSAL_IDENTITY);
    return need_user(exchange, rest);
}

enum auth_next login_step(struct auth_exchange *exchange, struct bytes message, uint64_t now_s)
{
    (void)now_s;
    if (exchange->stage == 1) {
        if (!auth_name_set(exchange, message))
            return auth_refuse(exchange, AUTH_REFUSAL_MALFORMED);
        buffer_add_string(&exchange->challenge, "Password:");
        return auth_continue(exchange);
    }
    if (exchange->stage != 2)
        return auth_refuse(exchange, AUTH_REFUSAL_ORDER);
    return need_user(exchange, message);
}

/* The app password that was typed, or NULL. Looks at as many slots for everybody. */
static const struct auth_app_password *app_password_find(struct auth_exchange *exchange,
                                                         const struct auth_secrets *secrets)
{
    static const uint8_t nobody[AUTH_DIGEST_SIZE];
    const struct auth_app_password *found = NULL;
    uint8_t digest[AUTH_DIGEST_SIZE];
    struct bytes typed = bytes_from(exchange->password, exchange->password_len);
    bool form = auth_app_password_digest(typed, digest);

    exchange->work.digests++;
    for (size_t i = 0; i < AUTH_APP_PASSWORDS_MAX; i++) {
        bool taken = secrets != NULL && i < secrets->app_password_count;
        const uint8_t *other = taken ? secrets->app_passwords[i].digest : nobody;
        exchange->work.compares++;
        if (sodium_memcmp(digest, other, AUTH_DIGEST_SIZE) == 0 && taken && form)
            found = &secrets->app_passwords[i];
    }
    sodium_memzero(digest, sizeof(digest));
    return found;
}

/*
 * Takes the code off the end of the password. A missing or wrong one is told only after the
 * password has been hashed all the same, so that time does not tell which of the two is wrong.
 */
static enum auth_refusal code_check(struct auth_exchange *exchange,
                                    const struct auth_secrets *secrets, uint64_t now_s)
{
    struct bytes typed = bytes_from(exchange->password, exchange->password_len);
    uint64_t step;

    if (typed.len <= AUTH_TOTP_DIGITS)
        return AUTH_REFUSAL_TOTP_MISSING;
    struct bytes code = bytes_skip(typed, typed.len - AUTH_TOTP_DIGITS);
    for (size_t i = 0; i < code.len; i++)
        if (code.at[i] < '0' || code.at[i] > '9')
            return AUTH_REFUSAL_TOTP_MISSING;
    exchange->checked_len = typed.len - AUTH_TOTP_DIGITS;
    switch (auth_totp_check(secrets->totp_secret, code, now_s, secrets->totp_step, &step)) {
    case AUTH_TOTP_RIGHT:
        exchange->result.totp_used = true;
        exchange->result.totp_step = step;
        return AUTH_REFUSAL_NONE;
    case AUTH_TOTP_SPENT:
        return AUTH_REFUSAL_TOTP_SPENT;
    case AUTH_TOTP_WRONG:
        break;
    }
    return AUTH_REFUSAL_TOTP_WRONG;
}

enum auth_next password_user(struct auth_exchange *exchange, struct bytes folded,
                             const struct auth_secrets *secrets, uint64_t now_s)
{
    const struct auth_app_password *app = app_password_find(exchange, secrets);
    bool known = secrets != NULL && secrets->password_hash != NULL;

    (void)folded;
    if (app != NULL) {
        if (!auth_scopes_allow(app->scopes, exchange->scope))
            return auth_refuse(exchange, AUTH_REFUSAL_SCOPE);
        auth_result_set(exchange, secrets, AUTH_SECRET_APP_PASSWORD);
        exchange->result.app_password = app->id;
        if (app->scopes != 0)
            exchange->result.scopes = app->scopes;
        return auth_done(exchange);
    }
    const char *hash = known ? secrets->password_hash : exchange->config->decoy_hash;
    CHECK(strlen(hash) < AUTH_HASH_SIZE);
    memcpy(exchange->hash, hash, strlen(hash) + 1);
    if (!known) {
        exchange->pending = secrets == NULL ? AUTH_REFUSAL_USER : AUTH_REFUSAL_SECRET;
    } else {
        auth_result_set(exchange, secrets, AUTH_SECRET_PASSWORD);
        if (secrets->totp_secret.len > 0)
            exchange->pending = code_check(exchange, secrets, now_s);
    }
    exchange->state = AUTH_STATE_PASSWORD;
    return AUTH_NEED_PASSWORD;
}
