/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OAUTHBEARER (RFC 7628). The address is the token's; authzid may only repeat it. */
#include "storage/auth/auth_internal.h"

struct bearer_message {
    struct bytes authzid;
    struct bytes token;
};

static bool take_to(struct bytes *rest, uint8_t end, struct bytes *part)
{
    *part = bytes_from(rest->at, bytes_find(*rest, end));
    if (part->len == rest->len)
        return false;
    *rest = bytes_skip(*rest, part->len + 1);
    return true;
}

/* "Bearer" b64token (RFC 6750 section 2.1). */
static bool parse_bearer(struct bytes value, struct bytes *token)
{
    struct bytes scheme = BYTES("Bearer ");

    if (!bytes_start_nocase(value, scheme))
        return false;
    *token = bytes_trim(bytes_skip(value, scheme.len));
    return token->len > 0;
}

/*
 * gs2-header kvsep *(key "=" value kvsep) kvsep; there is no channel binding. Keys that are not
 * known are passed over. "=2C" in authzid needs no undoing: no address that we serve has one.
 */
static bool parse_message(struct bytes message, struct bearer_message *parsed)
{
    const uint8_t separator = 1;
    struct bytes rest = message;
    struct bytes flag;
    struct bytes pair;

    *parsed = (struct bearer_message){.token = {NULL, 0}};
    if (!take_to(&rest, ',', &flag) || !take_to(&rest, ',', &parsed->authzid) ||
        flag.len != 1 || (flag.at[0] != 'n' && flag.at[0] != 'y'))
        return false;
    if (parsed->authzid.len > 0) {
        if (!bytes_start_nocase(parsed->authzid, BYTES("a=")) || parsed->authzid.at[0] != 'a')
            return false;
        parsed->authzid = bytes_skip(parsed->authzid, 2);
    }
    if (!take_to(&rest, separator, &pair) || pair.len != 0)
        return false;
    while (take_to(&rest, separator, &pair)) {
        if (pair.len == 0) /* the one at the end */
            return rest.len == 0 && parsed->token.len > 0;
        size_t key = bytes_find(pair, '=');
        if (key == 0 || key == pair.len)
            return false;
        if (bytes_equal(bytes_from(pair.at, key), BYTES("auth")) &&
            (parsed->token.len > 0 || !parse_bearer(bytes_skip(pair, key + 1), &parsed->token)))
            return false;
    }
    return false;
}

/* Section 3.2.3: the reason first; the client answers with ^A, and only then it is over. */
static enum auth_next fail(struct auth_exchange *exchange, enum auth_token verdict)
{
    exchange->token = verdict;
    buffer_add(&exchange->challenge, auth_oauth_error(exchange->config->oauth, verdict));
    return auth_continue(exchange);
}

static enum auth_next take_token(struct auth_exchange *exchange, struct bytes message,
                                 uint64_t now_s)
{
    struct bearer_message parsed;
    char address[AUTH_CLAIM_SIZE_MAX + 1];

    if (exchange->config->oauth == NULL) {
        exchange->token = AUTH_TOKEN_ISSUER;
        return auth_refuse(exchange, AUTH_REFUSAL_TOKEN);
    }
    exchange->pending = AUTH_REFUSAL_TOKEN;
    if (!parse_message(message, &parsed) ||
        (parsed.authzid.len > 0 && !auth_name_set(exchange, parsed.authzid)))
        return fail(exchange, AUTH_TOKEN_NONE);
    enum auth_token verdict =
        auth_oauth_verify(exchange->config->oauth, parsed.token, now_s, address);
    if (verdict != AUTH_TOKEN_OK)
        return fail(exchange, verdict);
    if (parsed.authzid.len > 0 && !bytes_equal_nocase(parsed.authzid, bytes_of(address))) {
        exchange->pending = AUTH_REFUSAL_IDENTITY;
        return fail(exchange, AUTH_TOKEN_CLAIM);
    }
    if (!auth_name_set(exchange, bytes_of(address)))
        return fail(exchange, AUTH_TOKEN_CLAIM);
    exchange->state = AUTH_STATE_USER;
    return AUTH_NEED_USER;
}

enum auth_next oauthbearer_step(struct auth_exchange *exchange, struct bytes message,
                                uint64_t now_s)
{
    if (exchange->stage == 1)
        return take_token(exchange, message, now_s);
    /* Some clients send nothing, or anything, instead of ^A: it ends all the same. */
    return auth_refuse(exchange, exchange->pending);
}

enum auth_next oauthbearer_user(struct auth_exchange *exchange, struct bytes folded,
                                const struct auth_secrets *secrets, uint64_t now_s)
{
    (void)folded;
    (void)now_s;
    if (secrets == NULL) {
        exchange->pending = AUTH_REFUSAL_USER;
        return fail(exchange, AUTH_TOKEN_CLAIM);
    }
    auth_result_set(exchange, secrets, AUTH_SECRET_TOKEN);
    return auth_done(exchange);
}
