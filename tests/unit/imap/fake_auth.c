/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>

#include "node/base/check.h"
#include "storage/schema/entry.h"
#include "tests/unit/imap/fake_internal.h"

/*
 * Log-ins: the real exchanges (storage/auth), for one account, with a nonce, a salt and a time
 * that never change, so that both sides of a conversation can be written down.
 */
#define NAME "ann@example.org"
#define PASSWORD "secret"
enum { NOW_S = 1790000000, SESSION = 77, ACCOUNT_DIGEST = 4711 };

/* Of an Ed25519 key whose seed is 0, 1, 2, ... 31. */
static const char issuer_keys[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
                                  "\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\"}]}";

static struct {
    struct auth_config config;
    struct auth_secrets secrets;
    struct auth_oauth *oauth;
} world;

__attribute__((destructor)) static void world_end(void)
{
    auth_oauth_free(&world.oauth);
}

static void world_make(void)
{
    const struct auth_oauth_config oauth = {
        .issuer = "i", .audience = "a", .jwks = bytes_of(issuer_keys)};
    const char *why;

    if (world.oauth != NULL)
        return;
    world.oauth = auth_oauth_new(&oauth, &why);
    CHECK(world.oauth != NULL);
    world.config.decoy_hash = "nobody knows";
    world.config.oauth = world.oauth;
    world.secrets = (struct auth_secrets){
        .identity = BYTES(NAME),
        .password_hash = PASSWORD,
        .scram = true,
        .iterations = AUTH_SCRAM_ITERATIONS_MIN,
    };
    CHECK(auth_scram_make(BYTES(PASSWORD), world.secrets.salt, world.secrets.iterations,
                          &world.secrets.password_scram) == ERR_OK);
}

void fake_store_forget_login(struct fake_store *store)
{
    auth_exchange_free(&store->exchange);
}

static enum auth_next look_up(struct auth_exchange *exchange, enum auth_next next)
{
    while (next == AUTH_NEED_USER || next == AUTH_NEED_PASSWORD) {
        struct bytes name = auth_exchange_name(exchange);
        if (next == AUTH_NEED_USER) {
            bool is_known = bytes_equal_nocase(name, BYTES(NAME));
            next = auth_exchange_user(exchange, name, is_known ? &world.secrets : NULL, NOW_S);
        } else {
            const char *hash = auth_exchange_password_hash(exchange);
            next = auth_exchange_password_checked(
                exchange, bytes_equal(auth_exchange_password(exchange), bytes_of(hash)));
        }
    }
    return next;
}

static enum auth_next begin(struct fake_store *store, const Pr__AuthStep *step)
{
    unsigned all = AUTH_OFFER(AUTH_MECHANISM_COUNT) - 1;
    enum auth_mechanism mechanism = auth_mechanism_find(bytes_of(step->mechanism), all);
    const struct auth_channel channel = {
        .offered = all,
        .tls_exporter = bytes_of_field(step->exporter),
        .tls_server_end_point = bytes_of_field(step->end_point),
        .scope = AUTH_SCOPE_IMAP,
    };

    CHECK(mechanism != AUTH_MECHANISM_NONE && step->tls);
    fake_store_forget_login(store);
    store->exchange = auth_exchange_new(mechanism, &world.config, &channel);
    store->exchange_id++;
    return step->initial
               ? auth_exchange_step(store->exchange, bytes_of_field(step->message), NOW_S)
               : auth_exchange_begin(store->exchange);
}

static void refuse(struct fake_call *call, Pr__AuthStepAnswer *answer)
{
    struct auth_exchange *exchange = call->store->exchange;
    uint8_t digest[AUTH_DIGEST_SIZE];

    call->reply->err = ERR_DENIED;
    answer->tried = arena_string(call->arena, auth_exchange_name(exchange));
    answer->account_digest = answer->tried[0] != '\0' ? ACCOUNT_DIGEST : 0;
    answer->expired = auth_exchange_token(exchange) == AUTH_TOKEN_EXPIRED;
    if (auth_exchange_tried(exchange, digest))
        answer->secret_digest =
            field_of_bytes(arena_copy(call->arena, bytes_from(digest, sizeof(digest))));
    fake_store_forget_login(call->store);
}

void fake_answer_auth(struct fake_call *call)
{
    const Pr__AuthStep *step = call->request->auth_step;
    struct fake_store *store = call->store;
    Pr__AuthStepAnswer *answer = arena_alloc(call->arena, sizeof(*answer));
    enum auth_next next;

    world_make();
    if (step->exchange != 0 &&
        (store->exchange == NULL || store->exchange_id != step->exchange)) {
        call->reply->err = ERR_NOSESSION;
        return;
    }
    next = step->exchange == 0
               ? begin(store, step)
               : auth_exchange_step(store->exchange, bytes_of_field(step->message), NOW_S);
    next = look_up(store->exchange, next);
    pr__auth_step_answer__init(answer);
    call->reply->answer_case = PR__REPLY__ANSWER_AUTH_STEP;
    call->reply->auth_step = answer;
    if (next == AUTH_CONTINUE) {
        answer->exchange = store->exchange_id;
        answer->challenge =
            field_of_bytes(arena_copy(call->arena, auth_exchange_challenge(store->exchange)));
    } else if (next == AUTH_DONE) {
        answer->session = SESSION;
        answer->address =
            arena_string(call->arena, auth_exchange_result(store->exchange)->identity);
        answer->account_digest = ACCOUNT_DIGEST;
        fake_store_forget_login(store);
    } else {
        CHECK(next == AUTH_REFUSED);
        refuse(call, answer);
    }
}
