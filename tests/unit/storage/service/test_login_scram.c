/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SCRAM over connections of front ends: who is right, who is wrong, and what somebody learns
 * who asks for names. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/service/login.h"
#include "storage/service/sessions.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/login_lab.h"

#define ANN "ann@acme.example"
#define EXPORTER "0123456789abcdef0123456789abcdef"

enum { CONNECTION = 7, OTHER = 8 };

/* Ann has verifiers: she has logged in once. */
static int begin(void **state)
{
    login_lab_begin(state);
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
    assert_non_null(login_lab_credentials(ANN)->scram);
    return 0;
}

static enum err try(const char *mechanism, const char *gs2, const char *binding,
                    const char *password, const char *exporter)
{
    struct scram_client client = {
        .sha1 = strncmp(mechanism, "SCRAM-SHA-1", 11) == 0,
        .gs2 = gs2,
        .binding = bytes_of(binding),
        .name = ANN,
        .password = password,
    };

    return login_lab_scram(ROLE_SMTP, &client, mechanism, exporter);
}

static void test_right_and_wrong(void **state)
{
    static const char *const mechanisms[] = {"SCRAM-SHA-1", "SCRAM-SHA-256"};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        unsigned good = login_lab_told.good;
        unsigned bad = login_lab_told.bad;
        unsigned sessions = sessions_count(world.service.sessions);
        assert_int_equal(try(mechanisms[i], "n,,", "", "right", NULL), ERR_OK);
        assert_string_equal(login_lab_answer()->address, ANN);
        assert_int_equal(sessions_count(world.service.sessions), sessions + 1);
        assert_int_equal(try(mechanisms[i], "n,,", "", "wrong", NULL), ERR_DENIED);
        assert_int_equal(login_lab_answer()->session, 0);
        assert_string_equal(login_lab_answer()->tried, ANN);
        assert_int_equal(sessions_count(world.service.sessions), sessions + 1);
        assert_int_equal(login_lab_told.good, good + 1);
        assert_int_equal(login_lab_told.bad, bad + 1);
    }
    /* A name in another case is the same account, with the same salt. */
    assert_int_equal(login_lab_scram_plain(ROLE_IMAP, "Ann@ACME.example", "right"), ERR_OK);
    WANT(OK, lab_apply(world.lab, 0,
                       LAB_COMMAND(account_alter, ACCOUNT_ALTER,
                                   CALL(AccountAlter, account_alter, .address = TEXT(ANN),
                                        .bars_set = PR__ACCOUNT_BAR__BAR_LOGIN))));
    assert_int_equal(login_lab_scram_plain(ROLE_IMAP, ANN, "right"), ERR_DENIED);
}

/* The salt that somebody is shown; his exchange is refused, whatever he proves. */
static const char *salt_of(const char *user)
{
    struct scram_client client = {.gs2 = "n,,", .name = user, .password = "right"};
    struct login_lab_step step = {
        .role = ROLE_SMTP,
        .connection = CONNECTION,
        .mechanism = "SCRAM-SHA-256",
        .message = scram_client_first(&client),
    };

    assert_int_equal(login_lab_step(&step), ERR_OK);
    return login_lab_salt(bytes_of_field(login_lab_answer()->challenge));
}

/* Of names that are there and those that are not, in every store's life, and when one comes. */
static void test_names_look_alike(void **state)
{
    struct lab *lab = world.lab;

    (void)state;
    const char *anns = salt_of(ANN);
    const char *nobodys = salt_of("nobody@acme.example");
    assert_non_null(strstr(anns, ",i=32768"));
    assert_string_equal(strstr(anns, ",i="), strstr(nobodys, ",i="));
    assert_int_equal(strlen(anns), strlen(nobodys));
    assert_string_not_equal(anns, nobodys);
    assert_string_not_equal(nobodys, salt_of("nobody@other.example"));
    assert_string_equal(nobodys, salt_of("Nobody@Acme.example"));
    assert_string_equal(anns, salt_of(ANN));
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, "nobody@acme.example", "right"),
                     ERR_DENIED);
    /* Another node, another life of this one. */
    logins_free(&world.service.logins);
    world.service.logins = logins_new(&world.service);
    assert_string_equal(nobodys, salt_of("nobody@acme.example"));
    assert_string_equal(anns, salt_of(ANN));
    /* It comes, gets its verifiers, another password, and goes. */
    login_lab_account("nobody@acme.example", "right");
    assert_string_equal(nobodys, salt_of("nobody@acme.example"));
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, "nobody@acme.example", "right"),
                     ERR_DENIED);
    assert_int_equal(login_lab_plain(ROLE_SMTP, "nobody@acme.example", "right"), ERR_OK);
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, "nobody@acme.example", "right"), ERR_OK);
    assert_string_equal(nobodys, salt_of("nobody@acme.example"));
    login_lab_password("nobody@acme.example", "other");
    assert_string_equal(nobodys, salt_of("nobody@acme.example"));
    WANT(OK, RUN(AccountRemove, account_remove, ACCOUNT_REMOVE,
                 .address = TEXT("nobody@acme.example")));
    assert_string_equal(nobodys, salt_of("nobody@acme.example"));
}

static void test_binding(void **state)
{
    static const char *const mechanisms[] = {"SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"};
    const char *gs2 = "p=tls-exporter,,";

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        unsigned bad = login_lab_told.bad;
        assert_int_equal(try(mechanisms[i], gs2, EXPORTER, "right", EXPORTER), ERR_OK);
        /* Somebody in the middle has another channel to the client. */
        assert_int_equal(try(mechanisms[i], gs2, "another channel", "right", EXPORTER),
                         ERR_DENIED);
        assert_int_equal(try(mechanisms[i], gs2, "", "right", EXPORTER), ERR_DENIED);
        assert_int_equal(login_lab_told.bad, bad + 2);
        /* A channel of which nothing is known has none to bind to. */
        assert_int_equal(try(mechanisms[i], gs2, EXPORTER, "right", NULL), ERR_UNSUPPORTED);
        assert_int_equal(login_lab_told.bad, bad + 2);
    }
    /* He has taken -PLUS off the list: the client could have bound, and says so. */
    assert_int_equal(try("SCRAM-SHA-256", "y,,", "", "right", EXPORTER), ERR_DENIED);
    assert_int_equal(try("SCRAM-SHA-256", "y,,", "", "right", NULL), ERR_OK);
    assert_int_equal(try("SCRAM-SHA-256", "n,,", "", "right", EXPORTER), ERR_OK);
}

/* Its client has gone away, or takes too long; or somebody else has heard its number. */
static void test_left_behind(void **state)
{
    struct scram_client client = {.gs2 = "n,,", .name = ANN, .password = "right"};
    struct login_lab_step begin = {
        .role = ROLE_SMTP,
        .connection = CONNECTION,
        .mechanism = "SCRAM-SHA-256",
    };
    struct login_lab_step final = {.role = ROLE_SMTP, .connection = OTHER};

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        begin.message = scram_client_first(&client);
        assert_int_equal(login_lab_step(&begin), ERR_OK);
        final.exchange = login_lab_answer()->exchange;
        struct bytes challenge = bytes_of_field(login_lab_answer()->challenge);
        final.message = scram_client_final(&client, challenge);
        final.connection = OTHER;
        assert_int_equal(login_lab_step(&final), ERR_NOSESSION);
        final.connection = CONNECTION;
        if (round == 0)
            logins_connection_closed(world.service.logins, CONNECTION);
        else if (round == 1)
            world_run(world.now_ms + LOGIN_EXCHANGE_MS + LOGIN_SWEEP_MS + 1);
        unsigned sessions = sessions_count(world.service.sessions);
        enum err err = login_lab_step(&final);
        assert_int_equal(err, round < 2 ? ERR_NOSESSION : ERR_OK);
        assert_int_equal(sessions_count(world.service.sessions), sessions);
    }
    /* The proof was right, and the client goes before it has acknowledged the server's. */
    logins_connection_closed(world.service.logins, CONNECTION);
    final.message = bytes_from(NULL, 0);
    assert_int_equal(login_lab_step(&final), ERR_NOSESSION);
}

/* The password is changed between challenge and proof, and between proof and the end. */
static void test_password_changes_meanwhile(void **state)
{
    struct scram_client client = {.gs2 = "n,,", .name = ANN, .password = "right"};
    struct login_lab_step step = {.role = ROLE_SMTP, .connection = CONNECTION};

    (void)state;
    for (unsigned round = 0; round < 2; round++) {
        login_lab_password(ANN, "right");
        assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
        unsigned sessions = sessions_count(world.service.sessions);
        step.mechanism = "SCRAM-SHA-256";
        step.exchange = 0;
        step.message = scram_client_first(&client);
        assert_int_equal(login_lab_step(&step), ERR_OK);
        step.exchange = login_lab_answer()->exchange;
        step.mechanism = NULL;
        step.message =
            scram_client_final(&client, bytes_of_field(login_lab_answer()->challenge));
        if (round == 0)
            login_lab_password(ANN, "other");
        assert_int_equal(login_lab_step(&step), ERR_OK);
        if (round == 1)
            login_lab_password(ANN, "other");
        step.message = bytes_from(NULL, 0);
        assert_int_equal(login_lab_step(&step), ERR_UNAVAILABLE);
        assert_int_equal(sessions_count(world.service.sessions), sessions);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, login_lab_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_right_and_wrong), TEST(test_names_look_alike),           TEST(test_binding),
        TEST(test_left_behind),     TEST(test_password_changes_meanwhile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
