/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All SASL exchanges over any messages, and the readers of key sets and of claims.
 *
 * The first byte chooses the mechanism (or the readers), the second what the account is like;
 * then come messages, each behind its length in two bytes. What a fuzzer cannot find by itself
 * is put in for it: ^B stands for a good token; and, when the second byte says so, the SCRAM
 * final message is the right one with the input's bytes over it (XOR).
 *
 * What must hold: nobody gets in without the secret, nor without an account; who has both does;
 * after the end nothing is taken any more; challenges are bounded; calls end.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/auth/scram_internal.h"
#include "storage/auth/totp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAME "u@example.com"
#define PASSWORD "pencil"
enum {
    NOW = 1790000000,
    CHALLENGE_SIZE_MAX = 1024,
    CALLS_MAX = 16,
    HAS_ACCOUNT = 1, /* bits of the second byte */
    HAS_TOTP = 2,
    HAS_APP = 4,
    BEGINS = 8,
    HELPED = 16,
    NO_PLUS = 32,
};

static struct {
    struct auth_config config;
    struct auth_secrets secrets;
    struct auth_app_password app;
    char app_text[AUTH_APP_TEXT_SIZE];
    uint8_t totp[AUTH_TOTP_SECRET_SIZE];
    uint8_t client_sha1[AUTH_SHA1_SIZE];
    uint8_t client_sha256[AUTH_SHA256_SIZE];
    uint8_t issuer_key[crypto_sign_SECRETKEYBYTES];
    struct auth_oauth *oauth;
    struct buffer token;
    bool ready;
} world;

static void add_base64(struct buffer *buffer, const uint8_t *bytes, size_t len, int variant)
{
    size_t size = sodium_base64_encoded_len(len, variant);
    sodium_bin2base64((char *)buffer_reserve(buffer, size), size, bytes, len, variant);
    buffer_added(buffer, size - 1);
}

static void token_make(struct buffer *token, struct bytes claims)
{
    static const char header[] = "{\"alg\":\"EdDSA\"}";
    uint8_t signature[crypto_sign_BYTES];
    const int url = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

    buffer_clear(token);
    add_base64(token, (const uint8_t *)header, strlen(header), url);
    buffer_add_byte(token, '.');
    add_base64(token, claims.at, claims.len, url);
    CHECK(crypto_sign_detached(signature, NULL, token->memory + token->start, buffer_len(token),
                               world.issuer_key) == 0);
    buffer_add_byte(token, '.');
    add_base64(token, signature, sizeof(signature), url);
}

static void issuer_make(void)
{
    static const uint8_t seed[crypto_sign_SEEDBYTES] = {1, 2, 3};
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    struct buffer jwks = BUFFER_EMPTY;
    const char *why;

    CHECK(crypto_sign_seed_keypair(public_key, world.issuer_key, seed) == 0);
    buffer_add_string(&jwks, "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
    add_base64(&jwks, public_key, sizeof(public_key), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    buffer_add_string(&jwks, "\"}]}");
    struct auth_oauth_config config = {
        .issuer = "i", .audience = "a", .scope = "s", .jwks = buffer_bytes(&jwks)};
    world.oauth = auth_oauth_new(&config, &why);
    CHECK(world.oauth != NULL);
    buffer_fini(&jwks);
    buffer_init(&world.token);
    token_make(&world.token, BYTES("{\"iss\":\"i\",\"aud\":\"a\",\"exp\":1790000100,"
                                   "\"scope\":\"s\",\"email\":\"" NAME "\"}"));
}

static void client_key(const EVP_MD *md, int size, uint8_t *key)
{
    uint8_t salted[AUTH_SHA256_SIZE];

    CHECK(PKCS5_PBKDF2_HMAC(PASSWORD, (int)strlen(PASSWORD), world.secrets.salt, AUTH_SALT_SIZE,
                            AUTH_SCRAM_ITERATIONS_MIN, md, size, salted) == 1);
    CHECK(HMAC(md, salted, size, (const uint8_t *)"Client Key", 10, key, NULL) != NULL);
}

static void world_make(void)
{
    static const uint8_t random[AUTH_APP_RANDOM_SIZE] = {3, 1, 4, 1, 5};

    if (world.ready)
        return;
    CHECK(sodium_init() >= 0);
    issuer_make();
    world.config.decoy_hash = "nobody knows";
    world.config.oauth = world.oauth;
    world.secrets = (struct auth_secrets){.identity = BYTES(NAME),
                                          .password_hash = PASSWORD,
                                          .scram = true,
                                          .iterations = AUTH_SCRAM_ITERATIONS_MIN,
                                          .app_passwords = &world.app};
    CHECK(auth_scram_make(BYTES(PASSWORD), world.secrets.salt, world.secrets.iterations,
                          &world.secrets.password_scram) == ERR_OK);
    client_key(EVP_sha1(), AUTH_SHA1_SIZE, world.client_sha1);
    client_key(EVP_sha256(), AUTH_SHA256_SIZE, world.client_sha256);
    auth_app_password_make(random, world.app_text);
    world.app.id = 5;
    CHECK(auth_app_password_digest(bytes_of(world.app_text), world.app.digest));
    CHECK(auth_scram_make(bytes_of(world.app_text), world.secrets.salt,
                          world.secrets.iterations, &world.app.scram) == ERR_OK);
    world.ready = true;
}

struct run {
    struct auth_exchange *exchange;
    enum auth_mechanism mechanism;
    uint8_t account;
    struct bytes input;
    bool said_password; /* a message had it, or the right app password */
    bool said_token;
    bool right_final; /* the SCRAM final message went in as it should be */
    bool changed_final;
};

static bool contains(struct bytes text, const char *word)
{
    return text.len > 0 && memmem(text.at, text.len, word, strlen(word)) != NULL;
}

static bool looks_like_app_password(struct bytes text)
{
    uint8_t digest[AUTH_DIGEST_SIZE];
    for (size_t at = 0; at < text.len; at++)
        if (auth_app_password_digest(bytes_skip(text, at), digest) &&
            memcmp(digest, world.app.digest, sizeof(digest)) == 0)
            return true;
    return false;
}

/* Answers what the exchange asks until it wants a message or is over. */
static enum auth_next answer(struct run *run, enum auth_next next)
{
    for (unsigned calls = 0; next == AUTH_NEED_USER || next == AUTH_NEED_PASSWORD; calls++) {
        CHECK(calls < 2);
        if (next == AUTH_NEED_USER) {
            struct bytes name = auth_exchange_name(run->exchange);
            CHECK(name.len > 0 && name.len <= AUTH_NAME_SIZE_MAX);
            bool known = (run->account & HAS_ACCOUNT) != 0 && bytes_equal(name, BYTES(NAME));
            next = auth_exchange_user(run->exchange, name, known ? &world.secrets : NULL, NOW);
            continue;
        }
        const char *hash = auth_exchange_password_hash(run->exchange);
        struct bytes password = auth_exchange_password(run->exchange);
        CHECK(password.len > 0 && password.len <= AUTH_PASSWORD_SIZE_MAX);
        next = auth_exchange_password_checked(run->exchange,
                                              bytes_equal(password, bytes_of(hash)));
    }
    return next;
}

static struct bytes take_message(struct bytes *rest)
{
    if (rest->len < 2) {
        struct bytes none = {rest->at, 0};
        *rest = bytes_skip(*rest, rest->len);
        return none;
    }
    size_t len = (size_t)(rest->at[0] << 8 | rest->at[1]);
    *rest = bytes_skip(*rest, 2);
    struct bytes message = {rest->at, len < rest->len ? len : rest->len};
    *rest = bytes_skip(*rest, message.len);
    return message;
}

/* With ^B as a good token. */
static void message_expand(struct run *run, struct bytes message, struct buffer *expanded)
{
    for (size_t i = 0; i < message.len; i++) {
        if (message.at[i] != 2) {
            buffer_add_byte(expanded, message.at[i]);
            continue;
        }
        if (buffer_len(expanded) > AUTH_MESSAGE_SIZE_MAX)
            return;
        buffer_add(expanded, buffer_bytes(&world.token));
        run->said_token = true;
    }
}

/* The right final message, with `noise` over it. */
static void final_make(struct run *run, struct bytes noise, struct buffer *final)
{
    struct scram *scram = run->exchange->scram;
    bool sha1 = scram->hash == &scram_sha1;
    const EVP_MD *md = sha1 ? EVP_sha1() : EVP_sha256();
    const struct auth_scram_keys *keys = &world.secrets.password_scram;
    const uint8_t *client = sha1 ? world.client_sha1 : world.client_sha256;
    struct buffer text = BUFFER_EMPTY;
    uint8_t proof[AUTH_SHA256_SIZE];

    buffer_printf(final, "c=%.*s,r=%.*s", BYTES_ARG(buffer_bytes(&scram->binding)),
                  BYTES_ARG(buffer_bytes(&scram->nonce)));
    buffer_add(&text, buffer_bytes(&scram->message));
    buffer_add_byte(&text, ',');
    buffer_add(&text, buffer_bytes(final));
    CHECK(HMAC(md, sha1 ? keys->stored_sha1 : keys->stored_sha256, (int)scram->hash->size,
               text.memory + text.start, buffer_len(&text), proof, NULL) != NULL);
    for (size_t i = 0; i < scram->hash->size; i++)
        proof[i] ^= client[i];
    buffer_add_string(final, ",p=");
    add_base64(final, proof, scram->hash->size, sodium_base64_VARIANT_ORIGINAL);
    buffer_fini(&text);
    run->right_final = true;
    for (size_t i = 0; i < noise.len && i < buffer_len(final); i++) {
        final->memory[final->start + i] ^= noise.at[i];
        run->changed_final |= noise.at[i] != 0;
    }
}

static void check_done(struct run *run)
{
    const struct auth_result *result = auth_exchange_result(run->exchange);

    CHECK((run->account & HAS_ACCOUNT) != 0);
    CHECK(bytes_equal(result->identity, BYTES(NAME)));
    CHECK(result->scopes != 0);
    switch (run->mechanism) {
    case AUTH_PLAIN:
    case AUTH_LOGIN:
        CHECK(run->said_password);
        CHECK(result->totp_used ==
              ((run->account & HAS_TOTP) != 0 && result->secret == AUTH_SECRET_PASSWORD));
        break;
    case AUTH_OAUTHBEARER:
        CHECK(run->said_token);
        CHECK(result->secret == AUTH_SECRET_TOKEN);
        break;
    default:
        CHECK(run->right_final && !run->changed_final);
        CHECK((run->account & HAS_TOTP) == 0);
        break;
    }
}

static void exchange_run(struct run *run)
{
    enum auth_next next = AUTH_CONTINUE;
    struct buffer message = BUFFER_EMPTY;

    if ((run->account & BEGINS) != 0)
        next = auth_exchange_begin(run->exchange);
    for (unsigned calls = 0; next == AUTH_CONTINUE && calls < CALLS_MAX; calls++) {
        if (run->input.len == 0 && !(run->right_final && calls < 4))
            break;
        struct bytes part = take_message(&run->input);
        struct scram *scram = run->exchange->scram;
        bool helped =
            (run->account & HELPED) != 0 && scram != NULL && scram->known && !run->right_final;
        buffer_clear(&message);
        if (helped)
            final_make(run, part, &message);
        else
            message_expand(run, part, &message);
        struct bytes said = buffer_bytes(&message);
        run->said_password |= contains(said, PASSWORD) || looks_like_app_password(said);
        next = answer(run, auth_exchange_step(run->exchange, said, NOW));
        if (next == AUTH_CONTINUE)
            CHECK(auth_exchange_challenge(run->exchange).len <= CHALLENGE_SIZE_MAX);
        if (helped) /* who knows the password gets on, who changes a byte does not */
            CHECK((next == AUTH_CONTINUE) ==
                  (!run->changed_final && (run->account & HAS_TOTP) == 0));
    }
    if (next == AUTH_DONE)
        check_done(run);
    if (next == AUTH_REFUSED)
        CHECK(auth_exchange_refusal(run->exchange) != AUTH_REFUSAL_NONE);
    if (next == AUTH_DONE || next == AUTH_REFUSED)
        CHECK(auth_exchange_step(run->exchange, BYTES(""), NOW) == AUTH_REFUSED);
    buffer_fini(&message);
}

static void exchange_fuzz(enum auth_mechanism mechanism, struct bytes input)
{
    struct auth_channel channel = {.tls_exporter = BYTES("0123456789abcdef0123456789abcdef"),
                                   .tls_server_end_point = BYTES("fedcba9876543210"),
                                   .scope = AUTH_SCOPE_IMAP};
    struct run run = {.mechanism = mechanism, .account = input.at[0]};

    run.input = bytes_skip(input, 1);
    channel.offered = ~0u;
    if ((run.account & NO_PLUS) != 0)
        channel.offered = AUTH_OFFER(AUTH_PLAIN) | AUTH_OFFER(AUTH_SCRAM_SHA_256);
    bool totp = (run.account & HAS_TOTP) != 0;
    world.secrets.totp_secret = bytes_from(world.totp, totp ? sizeof(world.totp) : 0);
    world.secrets.app_password_count = (run.account & HAS_APP) != 0;
    run.exchange = auth_exchange_new(mechanism, &world.config, &channel);
    exchange_run(&run);
    auth_exchange_free(&run.exchange);
}

static void key_set_fuzz(struct bytes input)
{
    const char *why;
    struct auth_oauth_config config = {.issuer = "i", .audience = "a", .jwks = input};
    struct auth_oauth *oauth = auth_oauth_new(&config, &why);
    char address[AUTH_CLAIM_SIZE_MAX + 1];

    CHECK((oauth == NULL) == (why != NULL));
    if (oauth != NULL)
        (void)auth_oauth_verify(oauth, buffer_bytes(&world.token), NOW, address);
    auth_oauth_free(&oauth);
}

/* Claims that the issuer has signed, whatever they are. */
static void claims_fuzz(struct bytes input)
{
    struct buffer token = BUFFER_EMPTY;
    char address[AUTH_CLAIM_SIZE_MAX + 1];

    token_make(&token, input);
    if (auth_oauth_verify(world.oauth, buffer_bytes(&token), NOW, address) == AUTH_TOKEN_OK)
        CHECK(strlen(address) > 0);
    buffer_fini(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_from(data, size);

    world_make();
    if (size < 2)
        return 0;
    unsigned choice = data[0] % (AUTH_MECHANISM_COUNT + 1);
    input = bytes_skip(input, 1);
    if (choice == AUTH_MECHANISM_NONE)
        key_set_fuzz(input);
    else if (choice == AUTH_MECHANISM_COUNT)
        claims_fuzz(input);
    else
        exchange_fuzz((enum auth_mechanism)choice, input);
    return 0;
}
