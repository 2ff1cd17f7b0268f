/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/auth/auth_lab.h"

#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/auth/totp.h"

static uint8_t totp_secret[AUTH_TOTP_SECRET_SIZE];

void auth_lab_init(struct auth_lab *lab)
{
    static const uint32_t scopes[LAB_APPS] = {0, AUTH_SCOPE_IMAP, AUTH_SCOPE_SUBMISSION};

    memset(lab, 0, sizeof(*lab));
    memset(lab->config.server_key, 7, AUTH_SERVER_KEY_SIZE);
    lab->config.decoy_hash = "hash:\x01nobody knows";
    lab->channel.offered = ~0u;
    lab->channel.tls_exporter = BYTES(LAB_EXPORTER);
    lab->channel.tls_server_end_point = BYTES(LAB_END_POINT);
    lab->channel.scope = AUTH_SCOPE_SUBMISSION;
    memset(lab->channel.nonce, 9, AUTH_NONCE_SIZE);
    lab->now_s = LAB_NOW;
    lab->secrets.identity = BYTES(LAB_NAME);
    lab->secrets.password_hash = "hash:" LAB_PASSWORD;
    lab->secrets.scram = true;
    lab->secrets.iterations = LAB_ITERATIONS;
    auth_scram_salt(lab->config.server_key, BYTES(LAB_NAME), lab->secrets.salt);
    CHECK(auth_scram_make(BYTES(LAB_PASSWORD), lab->secrets.salt, LAB_ITERATIONS,
                          &lab->secrets.password_scram) == ERR_OK);
    for (unsigned i = 0; i < LAB_APPS; i++) {
        struct auth_app_password *app = &lab->apps[i];
        uint8_t random[AUTH_APP_RANDOM_SIZE];
        for (unsigned k = 0; k < sizeof(random); k++)
            random[k] = (uint8_t)(41 * k + 97 * i + 5);
        auth_app_password_make(random, lab->app_texts[i]);
        app->id = 11 + i;
        app->scopes = scopes[i];
        CHECK(auth_app_password_digest(bytes_of(lab->app_texts[i]), app->digest));
        CHECK(auth_scram_make(bytes_of(lab->app_texts[i]), lab->secrets.salt, LAB_ITERATIONS,
                              &app->scram) == ERR_OK);
    }
    lab->secrets.app_passwords = lab->apps;
    lab->secrets.app_password_count = LAB_APPS;
    for (size_t i = 0; i < sizeof(lab->saids) / sizeof(lab->saids[0]); i++)
        buffer_init(&lab->saids[i]);
}

void auth_lab_fini(struct auth_lab *lab)
{
    for (size_t i = 0; i < sizeof(lab->saids) / sizeof(lab->saids[0]); i++)
        buffer_fini(&lab->saids[i]);
}

void auth_lab_totp(struct auth_lab *lab, uint8_t byte)
{
    memset(totp_secret, byte, sizeof(totp_secret));
    lab->secrets.totp_secret = bytes_from(totp_secret, sizeof(totp_secret));
}

enum auth_next auth_lab_answer(struct auth_lab *lab, struct auth_exchange *exchange,
                               enum auth_next next)
{
    while (next == AUTH_NEED_USER || next == AUTH_NEED_PASSWORD) {
        if (next == AUTH_NEED_USER) {
            struct bytes name = auth_exchange_name(exchange);
            bool known = bytes_equal(name, BYTES(LAB_NAME));
            next = auth_exchange_user(exchange, name, known ? &lab->secrets : NULL, lab->now_s);
            continue;
        }
        const char *hash = auth_exchange_password_hash(exchange);
        lab->hashes++;
        next = auth_exchange_password_checked(
            exchange,
            bytes_equal(bytes_of(hash + strlen("hash:")), auth_exchange_password(exchange)));
    }
    return next;
}

enum auth_next auth_lab_step(struct auth_lab *lab, struct auth_exchange *exchange,
                             struct bytes message)
{
    return auth_lab_answer(lab, exchange, auth_exchange_step(exchange, message, lab->now_s));
}

struct auth_exchange *auth_lab_new(struct auth_lab *lab, enum auth_mechanism mechanism)
{
    return auth_exchange_new(mechanism, &lab->config, &lab->channel);
}

struct auth_exchange *auth_lab_say(struct auth_lab *lab, enum auth_mechanism mechanism,
                                   struct bytes message, enum auth_next *next)
{
    struct auth_exchange *exchange = auth_lab_new(lab, mechanism);
    *next = auth_lab_step(lab, exchange, message);
    return exchange;
}

struct bytes auth_lab_plain(const char *authzid, const char *name, const char *password)
{
    static char text[2048];
    int len = snprintf(text, sizeof(text), "%s%c%s%c%s", authzid, 0, name, 0, password);
    CHECK(len > 0 && (size_t)len < sizeof(text));
    return bytes_from(text, (size_t)len);
}

struct client {
    const char *name;
    const char *password;
    const char *exporter;
};

static int on_property(Gsasl *context, Gsasl_session *session, Gsasl_property property)
{
    const struct client *client = gsasl_session_hook_get(session);
    char *base64 = NULL;

    (void)context;
    switch (property) {
    case GSASL_AUTHID:
        return gsasl_property_set(session, property, client->name);
    case GSASL_PASSWORD:
        return gsasl_property_set(session, property, client->password);
    case GSASL_CB_TLS_EXPORTER:
        if (client->exporter == NULL)
            return GSASL_NO_CALLBACK;
        CHECK(gsasl_base64_to(client->exporter, strlen(client->exporter), &base64, NULL) ==
              GSASL_OK);
        int result = gsasl_property_set(session, property, base64);
        gsasl_free(base64);
        return result;
    default:
        return GSASL_NO_CALLBACK;
    }
}

struct auth_exchange *auth_lab_client(struct auth_lab *lab, enum auth_mechanism mechanism,
                                      const char *name, const char *password,
                                      const char *exporter, enum auth_next *next,
                                      bool *server_believed)
{
    struct client client = {name, password, exporter};
    struct auth_exchange *exchange = auth_lab_new(lab, mechanism);
    Gsasl *context = NULL;
    Gsasl_session *session = NULL;

    CHECK(gsasl_init(&context) == GSASL_OK);
    gsasl_callback_set(context, on_property);
    CHECK(gsasl_client_start(context, auth_mechanism_name(mechanism), &session) == GSASL_OK);
    gsasl_session_hook_set(session, &client);
    *server_believed = false;
    lab->said_count = 0;
    *next = auth_exchange_begin(exchange);
    while (*next == AUTH_CONTINUE) {
        struct bytes challenge = auth_exchange_challenge(exchange);
        char *answer = NULL;
        size_t len = 0;
        int result =
            gsasl_step(session, (const char *)challenge.at, challenge.len, &answer, &len);
        if (result != GSASL_OK && result != GSASL_NEEDS_MORE)
            break;
        *server_believed = result == GSASL_OK;
        CHECK(lab->said_count < sizeof(lab->saids) / sizeof(lab->saids[0]));
        struct buffer *said = &lab->saids[lab->said_count];
        buffer_clear(said);
        buffer_add(said, bytes_from(answer, len));
        lab->said[lab->said_count++] = buffer_bytes(said);
        *next = auth_lab_step(lab, exchange, bytes_from(answer, len));
        gsasl_free(answer);
    }
    gsasl_finish(session);
    gsasl_done(context);
    return exchange;
}
