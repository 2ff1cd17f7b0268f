/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/service/login_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>

#include "node/base/check.h"
#include "storage/service/firewall.h"
#include "storage/service/login.h"
#include "storage/service/login_oauth.h"
#include "storage/service/login_secrets.h"
#include "storage/service/operator.h"
#include "storage/service/sessions.h"
#include "storage/service/verifiers.h"
#include "storage/service/watch.h"
#include "tests/unit/storage/directory_lab.h"

static struct lab the_lab;
static struct lab *const lab = &the_lab;
struct login_lab_told login_lab_told;

/* ---- what stands around ---- */

struct firewall_key firewalls_key(struct service *service)
{
    (void)service;
    return (struct firewall_key){1, 2};
}

void firewalls_login(struct service *service, uint32_t connection, const char *peer, bool good)
{
    (void)service;
    (void)connection;
    (void)peer;
    login_lab_told.good += good;
    login_lab_told.bad += !good;
}

void watch_session_closing(struct service *service, struct session *session)
{
    (void)service;
    (void)session;
}

struct auth_oauth *login_oauth(struct service *service)
{
    (void)service;
    return NULL;
}

bool operator_address(struct service_call *call, const char *typed, struct bytes *address)
{
    *address = login_fold(bytes_of(typed), &call->call_arena);
    return true;
}

/* ---- the directory ---- */

void login_lab_begin_with(unsigned format)
{
    CHECK(sodium_init() >= 0);
    login_lab_told = (struct login_lab_told){0, 0};
    heard = (struct calls_heard){0, NULL};
    directory_lab_open(lab, format);
    world_begin(lab);
    world.service.sessions = sessions_new();
    world.service.logins = logins_new(&world.service);
    world.service.verifiers = verifiers_new(&world.service);
}

int login_lab_begin(void **state)
{
    (void)state;
    login_lab_begin_with(FORMAT_ADDRESSES);
    WANT(OK, directory_lab_role(lab));
    login_lab_account("ann@acme.example", "right");
    login_lab_account("carl@bar.example", "carls");
    return 0;
}

int login_lab_end(void **state)
{
    (void)state;
    logins_free(&world.service.logins);
    verifiers_free(&world.service.verifiers);
    world_run(world.now_ms);
    sessions_free(&world.service.sessions);
    world_end();
    lab_close(lab);
    return 0;
}

static char *hash_of(const char *password)
{
    char hash[crypto_pwhash_STRBYTES];

    CHECK(crypto_pwhash_str(hash, password, strlen(password), crypto_pwhash_OPSLIMIT_MIN,
                            crypto_pwhash_MEMLIMIT_MIN) == 0);
    return arena_string(&lab->arena, bytes_of(hash));
}

void login_lab_account(const char *address, const char *password)
{
    WANT(OK, RUN(AccountAdd, account_add, ACCOUNT_ADD,
                 .address = arena_string(&lab->arena, bytes_of(address)),
                 .password_hash = hash_of(password)));
}

void login_lab_password(const char *address, const char *password)
{
    WANT(OK, RUN(AccountPassword, account_password, ACCOUNT_PASSWORD,
                 .address = arena_string(&lab->arena, bytes_of(address)),
                 .password_hash = hash_of(password)));
}

const Pr__Credentials *login_lab_credentials(const char *address)
{
    return directory_lab_account_of(lab, address)->credentials;
}

/* ---- clients ---- */

const Pr__AuthStepAnswer *login_lab_answer(void)
{
    assert_int_equal(heard.reply->answer_case, PR__REPLY__ANSWER_AUTH_STEP);
    return heard.reply->auth_step;
}

enum err login_lab_step(const struct login_lab_step *step)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_AUTH_STEP);
    bool begins = step->mechanism != NULL;

    request->auth_step =
        CALL(AuthStep, auth_step, .exchange = step->exchange,
             .mechanism = arena_string(&lab->arena, bytes_of(begins ? step->mechanism : "")),
             .message = field_of_bytes(arena_copy(&lab->arena, step->message)),
             .initial = begins && step->message.len > 0, .tls = true,
             .peer_address = TEXT("192.0.2.1"), .client = TEXT(""),
             .exporter = field_of_bytes(bytes_of(step->exporter)));
    return calls_ask(step->role, step->connection, request, auth_step_call);
}

/* Each log-in on a connection of its own. */
static uint32_t connection_new(void)
{
    static uint32_t connections = 100;

    return ++connections;
}

static bool has_session(uint32_t connection)
{
    return session_find(world.service.sessions, connection, login_lab_answer()->session) !=
           NULL;
}

enum err login_lab_plain(enum service_role role, const char *user, const char *password)
{
    char message[400];
    int len = snprintf(message, sizeof(message), "%c%s%c%s", 0, user, 0, password);
    struct login_lab_step step = {
        .role = role,
        .connection = connection_new(),
        .mechanism = "PLAIN",
        .message = bytes_from(message, (size_t)len),
    };
    enum err err = login_lab_step(&step);

    assert_int_equal(err == ERR_OK,
                     heard.reply->auth_step != NULL && has_session(step.connection));
    return err;
}

enum err login_lab_scram(enum service_role role, struct scram_client *client,
                         const char *mechanism, const char *exporter)
{
    struct login_lab_step step = {
        .role = role,
        .connection = connection_new(),
        .mechanism = mechanism,
        .message = scram_client_first(client),
        .exporter = exporter,
    };
    enum err err = login_lab_step(&step);

    if (err != ERR_OK)
        return err;
    step.exchange = login_lab_answer()->exchange;
    step.mechanism = NULL;
    assert_true(step.exchange != 0);
    step.message = scram_client_final(client, bytes_of_field(login_lab_answer()->challenge));
    if ((err = login_lab_step(&step)) != ERR_OK)
        return err;
    assert_true(scram_client_believes(client, bytes_of_field(login_lab_answer()->challenge)));
    assert_int_equal(login_lab_answer()->exchange, step.exchange);
    step.message = bytes_from(NULL, 0);
    if ((err = login_lab_step(&step)) == ERR_OK)
        assert_true(has_session(step.connection));
    return err;
}

enum err login_lab_scram_plain(enum service_role role, const char *user, const char *password)
{
    struct scram_client client = {.gs2 = "n,,", .name = user, .password = password};

    return login_lab_scram(role, &client, "SCRAM-SHA-256", NULL);
}

const char *login_lab_salt(struct bytes challenge)
{
    const char *text = arena_string(&lab->arena, challenge);
    const char *salt = strstr(text, ",s=");

    assert_non_null(salt);
    return salt;
}
