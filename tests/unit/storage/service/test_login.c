/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exchanges over connections of front ends: who gets a session, and what becomes of those who
 * begin and do not go on. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/base/check.h"
#include "storage/auth/auth.h"
#include "storage/auth/totp.h"
#include "storage/service/firewall.h"
#include "storage/service/login.h"
#include "storage/service/sessions.h"
#include "storage/service/verifiers.h"
#include "storage/service/watch.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/service_world.h"

enum { CALL_MS = 10000, ANN = 7, OTHER = 8 /* connections */ };

static struct lab the_lab;
static struct lab *const lab = &the_lab;

/* The last answer, and how many there were. */
static struct {
    enum err err;
    uint64_t exchange;
    uint64_t session;
    uint64_t account_digest;
    bool has_secret;
    char refusal[80];
    unsigned count;
    unsigned good;
    unsigned told_good; /* to the firewall */
    unsigned told_bad;
} answer;

/* ---- what login.c asks of its surroundings ---- */

static void call_end(struct service_call *call)
{
    arena_fini(&call->call_arena);
    free(call);
}

void call_reply(struct service_call *call, Pr__Reply *reply)
{
    const Pr__AuthStepAnswer *step =
        reply->answer_case == PR__REPLY__ANSWER_AUTH_STEP ? reply->auth_step : NULL;

    answer.err = (enum err)reply->err;
    answer.exchange = step != NULL ? step->exchange : 0;
    answer.session = step != NULL ? step->session : 0;
    answer.account_digest = step != NULL ? step->account_digest : 0;
    answer.has_secret = step != NULL && step->secret_digest.len > 0;
    snprintf(answer.refusal, sizeof(answer.refusal), "%s", step != NULL ? step->refusal : "");
    answer.count++;
    answer.good += answer.session != 0;
    call_end(call);
}

void call_fail(struct service_call *call, enum err err, const char *text)
{
    Pr__Reply reply = PR__REPLY__INIT;

    (void)text;
    reply.err = err;
    call_reply(call, &reply);
}

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
    answer.told_good += good;
    answer.told_bad += !good;
}

void watch_session_closing(struct service *service, struct session *session)
{
    (void)service;
    (void)session;
}

void verifiers_seen(struct service *service, const Pr__AccountRecord *account,
                    enum auth_secret secret, struct bytes password)
{
    (void)service;
    (void)secret;
    assert_non_null(account);
    assert_true(password.len > 0);
}

/* Nobody's tokens are known here. */
struct auth_oauth *login_oauth(struct service *service);
struct auth_oauth *login_oauth(struct service *service)
{
    (void)service;
    return NULL;
}

/* ---- a front end ---- */

static void step(uint32_t connection, uint64_t exchange, const char *mechanism,
                 struct bytes message)
{
    struct service_call *call = calloc(1, sizeof(*call));

    CHECK(call != NULL);
    *call = (struct service_call){
        .service = &world.service,
        .role = ROLE_SMTP,
        .connection = connection,
        .deadline_ms = world.now_ms + CALL_MS,
    };
    arena_init(&call->call_arena);
    call->request = arena_alloc(&call->call_arena, sizeof(*call->request));
    pr__request__init(call->request);
    Pr__AuthStep *asked = arena_alloc(&call->call_arena, sizeof(*asked));
    pr__auth_step__init(asked);
    asked->exchange = exchange;
    asked->mechanism = arena_string(&call->call_arena, bytes_of(mechanism));
    asked->message = field_of_bytes(arena_copy(&call->call_arena, message));
    asked->initial = message.len > 0;
    asked->tls = true;
    call->request->call_case = PR__REQUEST__CALL_AUTH_STEP;
    call->request->auth_step = asked;
    answer.err = ERR_COUNT;
    auth_step_call(call);
}

static void work(void)
{
    world_run(world.now_ms);
}

static void plain(uint32_t connection, const char *user, const char *password)
{
    char message[200];
    int len = snprintf(message, sizeof(message), "%c%s%c%s", 0, user, 0, password);

    step(connection, 0, "PLAIN", bytes_from(message, (size_t)len));
}

static const char *plain_logged(const char *user, const char *password)
{
    static char logged[1 << 12];
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);

    CHECK(file != NULL && before >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    plain(ANN, user, password);
    work();
    CHECK(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    rewind(file);
    logged[fread(logged, 1, sizeof(logged) - 1, file)] = '\0';
    fclose(file);
    return logged;
}

static unsigned sessions(void)
{
    return sessions_count(world.service.sessions);
}

static void account(const char *address)
{
    char hash[crypto_pwhash_STRBYTES];

    CHECK(crypto_pwhash_str(hash, "right", 5, crypto_pwhash_OPSLIMIT_MIN,
                            crypto_pwhash_MEMLIMIT_MIN) == 0);
    WANT(OK, RUN(AccountAdd, account_add, ACCOUNT_ADD,
                 .address = arena_string(&lab->arena, bytes_of(address)),
                 .password_hash = arena_string(&lab->arena, bytes_of(hash))));
}

static int begin(void **state)
{
    (void)state;
    CHECK(sodium_init() >= 0);
    memset(&answer, 0, sizeof(answer));
    directory_lab_open(lab, FORMAT_ADDRESSES);
    WANT(OK, directory_lab_role(lab));
    account("ann@acme.example");
    world_begin(lab);
    world.service.sessions = sessions_new();
    world.service.logins = logins_new(&world.service);
    return 0;
}

static int end(void **state)
{
    (void)state;
    logins_free(&world.service.logins);
    work();
    sessions_free(&world.service.sessions);
    world_end();
    lab_close(lab);
    return 0;
}

static void test_plain(void **state)
{
    (void)state;
    plain(ANN, "Ann@ACME.example", "right");
    work();
    assert_int_equal(answer.err, ERR_OK);
    assert_non_null(session_find(world.service.sessions, ANN, answer.session));
    assert_null(session_find(world.service.sessions, OTHER, answer.session));
    uint64_t digest = answer.account_digest;
    plain(ANN, "ann@acme.example", "wrong");
    work();
    assert_int_equal(answer.err, ERR_DENIED);
    assert_int_equal(answer.account_digest, digest);
    assert_true(answer.has_secret);
    plain(ANN, "nobody@acme.example", "right");
    work();
    assert_int_equal(answer.err, ERR_DENIED);
    assert_true(answer.account_digest != digest);
    WANT(OK, RUN(AccountAlter, account_alter, ACCOUNT_ALTER,
                 .address = TEXT("ann@acme.example"), .bars_set = PR__ACCOUNT_BAR__BAR_LOGIN));
    plain(ANN, "ann@acme.example", "right");
    work();
    assert_int_equal(answer.err, ERR_DENIED);
    world.reads_fail = true;
    plain(ANN, "ann@acme.example", "right");
    work();
    assert_int_equal(answer.err, ERR_UNAVAILABLE);
    assert_int_equal(sessions(), 1);
    assert_int_equal(answer.told_good, 1);
    assert_int_equal(answer.told_bad, 3); /* trouble of ours is nobody's failure */
}

/* What it was let in by is taken away while it is compared: the sessions that there are end
 * now, and none may begin behind that. */
static void test_outdated(void **state)
{
    char hash[crypto_pwhash_STRBYTES];

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        plain(ANN, "ann@acme.example", "right");
        world_step(world.now_ms); /* the directory has been read */
        if (i == 0) {
            CHECK(crypto_pwhash_str(hash, "other", 5, crypto_pwhash_OPSLIMIT_MIN,
                                    crypto_pwhash_MEMLIMIT_MIN) == 0);
            WANT(OK, RUN(AccountPassword, account_password, ACCOUNT_PASSWORD,
                         .address = TEXT("ann@acme.example"), .password_hash = hash));
        } else if (i == 1) {
            plain(OTHER, "ann@acme.example", "other");
            world_step(world.now_ms);
            WANT(OK, RUN(AccountAlter, account_alter, ACCOUNT_ALTER,
                         .address = TEXT("ann@acme.example"),
                         .bars_set = PR__ACCOUNT_BAR__BAR_LOGIN));
        } else {
            WANT(OK, RUN(AccountRemove, account_remove, ACCOUNT_REMOVE,
                         .address = TEXT("ann@acme.example")));
        }
        work();
        assert_int_equal(answer.good, 0);
        assert_int_equal(sessions(), 0);
    }
}

/* Operators read why; clients hear nothing of it. */
static void test_logged(void **state)
{
    (void)state;
    assert_non_null(strstr(plain_logged("ann@acme.example", "right"),
                           "event=login user=ann@acme.example program=smtp connection=7 "));
    const char *line = plain_logged("nobody@acme.example", "right");
    assert_non_null(strstr(line, "program=smtp connection=7 "));
    assert_non_null(strstr(line, "reason=\"no such user\""));
    char heard[sizeof(answer.refusal)];
    memcpy(heard, answer.refusal, sizeof(heard));
    WANT(OK, RUN(AccountAlter, account_alter, ACCOUNT_ALTER,
                 .address = TEXT("ann@acme.example"), .bars_set = PR__ACCOUNT_BAR__BAR_LOGIN));
    line = plain_logged("ann@acme.example", "right");
    assert_non_null(strstr(line, "reason=\"the account is barred\""));
    assert_string_equal(answer.refusal, heard);
}

/* An exchange belongs to its connection, and to a minute. */
static void test_exchange(void **state)
{
    (void)state;
    step(ANN, 0, "LOGIN", bytes_from(NULL, 0));
    uint64_t exchange = answer.exchange;
    assert_true(exchange != 0);
    step(OTHER, exchange, "", BYTES("ann@acme.example"));
    assert_int_equal(answer.err, ERR_NOSESSION);
    step(ANN, exchange, "", BYTES("ann@acme.example"));
    work();
    assert_int_equal(answer.exchange, exchange);
    step(ANN, exchange, "", BYTES("right"));
    work();
    assert_true(answer.session != 0);
    step(ANN, exchange, "", BYTES("right"));
    assert_int_equal(answer.err, ERR_NOSESSION);

    step(ANN, 0, "LOGIN", bytes_from(NULL, 0));
    exchange = answer.exchange;
    world_run(world.now_ms + LOGIN_EXCHANGE_MS / 2);
    step(ANN, exchange, "", BYTES("ann@acme.example"));
    work();
    assert_int_equal(answer.err, ERR_OK);
    world_run(world.now_ms + LOGIN_EXCHANGE_MS / 2 + LOGIN_SWEEP_MS + 1);
    step(ANN, exchange, "", BYTES("right"));
    assert_int_equal(answer.err, ERR_NOSESSION);
}

/* The front end goes while its client's password is compared. */
static void test_connection_closes(void **state)
{
    (void)state;
    plain(ANN, "ann@acme.example", "right");
    logins_connection_closed(world.service.logins, ANN);
    sessions_connection_closed(world.service.sessions, ANN);
    work();
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.err, ERR_CLOSED);
    assert_int_equal(sessions(), 0);
    step(ANN, 0, "LOGIN", bytes_from(NULL, 0));
    uint64_t exchange = answer.exchange;
    logins_connection_closed(world.service.logins, OTHER);
    step(ANN, exchange, "", BYTES("ann@acme.example"));
    work();
    assert_int_equal(answer.err, ERR_OK);
    logins_connection_closed(world.service.logins, ANN);
    step(ANN, exchange, "", BYTES("right"));
    assert_int_equal(answer.err, ERR_NOSESSION);
}

/* Many begin and never go on: who comes next gets in. */
static void test_many_begin(void **state)
{
    uint64_t first = 0;
    uint64_t second = 0;

    (void)state;
    for (unsigned i = 0; i <= LOGIN_EXCHANGES_MAX; i++) {
        step(OTHER, 0, "LOGIN", bytes_from(NULL, 0));
        assert_int_equal(answer.err, ERR_OK);
        first = i == 0 ? answer.exchange : first;
        second = i == 1 ? answer.exchange : second;
    }
    step(OTHER, first, "", BYTES("ann@acme.example"));
    assert_int_equal(answer.err, ERR_NOSESSION);
    step(OTHER, second, "", BYTES("ann@acme.example"));
    assert_int_equal(answer.err, ERR_OK);
    plain(ANN, "ann@acme.example", "right");
    work();
    assert_true(answer.session != 0);
}

/* A code lets in once, also when it is shown twice at the same time. */
static void test_one_time_code(void **state)
{
    char password[40];
    uint8_t secret[AUTH_TOTP_SECRET_SIZE] = {1, 2, 3};
    struct bytes key = bytes_from(secret, sizeof(secret));

    (void)state;
    WANT(OK, RUN(CredentialsSet, credentials_set, CREDENTIALS_SET,
                 .address = TEXT("ann@acme.example"),
                 .totp_secret = CALL(BytesValue, bytes_value, .value = field_of_bytes(key))));
    plain(ANN, "ann@acme.example", "right");
    work();
    assert_int_equal(answer.err, ERR_DENIED);
    snprintf(password, sizeof(password), "right%06u",
             auth_hotp(key, clock_wall_ms() / 1000 / AUTH_TOTP_STEP_S));
    plain(ANN, "ann@acme.example", password);
    plain(OTHER, "ann@acme.example", password);
    work();
    assert_int_equal(answer.count, 3);
    assert_int_equal(answer.good, 1);
    assert_int_equal(sessions(), 1);
    plain(ANN, "ann@acme.example", password);
    work();
    assert_int_equal(answer.err, ERR_DENIED);
    assert_string_equal(answer.refusal, "one-time code was used already");
}

static enum world_fate lose(struct service_world *of, uint32_t group,
                            const Pr__Command *command)
{
    (void)of;
    (void)group;
    (void)command;
    return WORLD_LOST;
}

/* Without a majority nobody can say whether a code is spent. */
static void test_code_without_majority(void **state)
{
    char password[40];
    uint8_t secret[AUTH_TOTP_SECRET_SIZE] = {1, 2, 3};
    struct bytes key = bytes_from(secret, sizeof(secret));

    (void)state;
    WANT(OK, RUN(CredentialsSet, credentials_set, CREDENTIALS_SET,
                 .address = TEXT("ann@acme.example"),
                 .totp_secret = CALL(BytesValue, bytes_value, .value = field_of_bytes(key))));
    snprintf(password, sizeof(password), "right%06u",
             auth_hotp(key, clock_wall_ms() / 1000 / AUTH_TOTP_STEP_S));
    world.fate = lose;
    plain(ANN, "ann@acme.example", password);
    work();
    assert_int_equal(answer.err, ERR_UNAVAILABLE);
    assert_int_equal(sessions(), 0);
}

/* The store ends while some are under way: each is answered, and nobody is let in. */
static void test_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        plain(ANN, "ann@acme.example", "right");
    for (unsigned i = 0; i < 8; i++)
        world_step(world.now_ms);
    step(ANN, 0, "LOGIN", bytes_from(NULL, 0));
    unsigned before = answer.good;
    logins_free(&world.service.logins);
    work();
    assert_int_equal(answer.count, 6);
    assert_int_equal(answer.good, before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_outdated),
        TEST(test_plain),
        TEST(test_logged),
        TEST(test_exchange),
        TEST(test_connection_closes),
        TEST(test_many_begin),
        TEST(test_one_time_code),
        TEST(test_code_without_majority),
        TEST(test_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
