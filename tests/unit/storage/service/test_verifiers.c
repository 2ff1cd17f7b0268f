/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys for SCRAM: accounts from before them get theirs when they log in; they follow the
 * password. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/auth/totp.h"
#include "storage/service/verifiers.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/login_lab.h"

#define ANN "ann@acme.example"
#define CARL "carl@bar.example"

static bool has_keys(const char *address)
{
    const Pr__Credentials *known = login_lab_credentials(address);

    return known != NULL && known->scram != NULL;
}

static unsigned writes_of(Pr__Command__CallCase call)
{
    unsigned count = 0;

    for (unsigned i = 0; i < world.writes; i++)
        count += world.calls[i] == call;
    return count;
}

/* By PLAIN once: then by SCRAM, and nothing is made again. */
static void test_old_account(void **state)
{
    (void)state;
    assert_false(has_keys(ANN));
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, ANN, "right"), ERR_DENIED);
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "wrong"), ERR_DENIED);
    assert_int_equal(login_lab_plain(ROLE_SMTP, "nobody@acme.example", "right"), ERR_DENIED);
    assert_int_equal(world.writes, 0);
    assert_int_equal(login_lab_plain(ROLE_IMAP, ANN, "right"), ERR_OK);
    assert_true(has_keys(ANN));
    assert_int_equal(login_lab_credentials(ANN)->scram_iterations, AUTH_SCRAM_ITERATIONS);
    assert_false(has_keys(CARL));
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, ANN, "carls"), ERR_DENIED);
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
    assert_int_equal(world.writes, 1);
    assert_int_equal(login_lab_plain(ROLE_SMTP, CARL, "carls"), ERR_OK);
    assert_memory_not_equal(login_lab_credentials(CARL)->scram_salt.data,
                            login_lab_credentials(ANN)->scram_salt.data, AUTH_SALT_SIZE);
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, CARL, "carls"), ERR_OK);
}

/* A new password ends them; the old one does not bring them back. */
static void test_changed_password(void **state)
{
    (void)state;
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
    login_lab_password(ANN, "other");
    assert_false(has_keys(ANN));
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, ANN, "right"), ERR_DENIED);
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, ANN, "other"), ERR_DENIED);
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "right"), ERR_DENIED);
    assert_false(has_keys(ANN));
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "other"), ERR_OK);
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, ANN, "other"), ERR_OK);
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, ANN, "right"), ERR_DENIED);
}

static enum world_fate change_before(struct service_world *of, uint32_t group,
                                     const Pr__Command *command)
{
    (void)group;
    if (command->call_case == PR__COMMAND__CALL_CREDENTIALS_SET) {
        of->fate = NULL;
        login_lab_password(ANN, "other");
    }
    return WORLD_APPLIED;
}

/* Keys of the old password that come behind a new one. */
static void test_changed_meanwhile(void **state)
{
    (void)state;
    world.fate = change_before;
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
    assert_int_equal(writes_of(PR__COMMAND__CALL_CREDENTIALS_SET), 1);
    assert_false(has_keys(ANN));
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, ANN, "right"), ERR_DENIED);
}

static enum world_fate lose(struct service_world *of, uint32_t group,
                            const Pr__Command *command)
{
    (void)of;
    (void)group;
    (void)command;
    return WORLD_LOST;
}

/* Without a majority the log-in is as good, and the next makes them. */
static void test_lost(void **state)
{
    (void)state;
    world.fate = lose;
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
    assert_false(has_keys(ANN));
    world.fate = NULL;
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
    assert_true(has_keys(ANN));
}

/* None where they would say less than what is asked for, or are not wanted. */
static void test_none_wanted(void **state)
{
    struct lab *lab = world.lab;

    (void)state;
    WANT(OK,
         directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_CLUSTER, "", "auth.scram", "off"));
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
    assert_int_equal(world.writes, 0);
    WANT(OK,
         directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_CLUSTER, "", "auth.scram", "on"));
    verifiers_free(&world.service.verifiers); /* the store ends */
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
    assert_int_equal(world.writes, 0);
    world.service.verifiers = verifiers_new(&world.service);
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
    assert_int_equal(world.writes, 1);
}

/* Codes are asked for, an app password waits for its salt, or no client could say it by SCRAM.
 */
static void test_none_possible(void **state)
{
    struct lab *lab = world.lab;
    uint8_t secret[AUTH_TOTP_SECRET_SIZE] = {1, 2, 3};

    (void)state;
    login_lab_account("odd@acme.example", "ri\001ght");
    assert_int_equal(login_lab_plain(ROLE_SMTP, "odd@acme.example", "ri\001ght"), ERR_OK);
    WANT(OK, RUN(AppPasswordAdd, app_password_add, APP_PASSWORD_ADD, .address = TEXT(CARL),
                 .password = CALL(AppPassword, app_password, .name = TEXT("phone"),
                                  .digest = directory_lab_bytes(lab, AUTH_DIGEST_SIZE, 1))));
    assert_int_equal(login_lab_plain(ROLE_SMTP, CARL, "carls"), ERR_OK);
    WANT(OK,
         RUN(CredentialsSet, credentials_set, CREDENTIALS_SET, .address = TEXT(ANN),
             .totp_secret = CALL(BytesValue, bytes_value,
                                 .value = field_of_bytes(bytes_from(secret, sizeof(secret))))));
    verifiers_set(&world.service, BYTES(ANN),
                  bytes_of(directory_lab_account_of(lab, ANN)->password_hash), BYTES("right"));
    world_run(world.now_ms);
    assert_int_equal(world.writes, 0);
    assert_false(has_keys(ANN) || has_keys(CARL) || has_keys("odd@acme.example"));
}

/* Passwords set for many at a time: few are worked on, the others get theirs by logging in. */
static void test_few_at_a_time(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        verifiers_set(&world.service, BYTES(ANN),
                      bytes_of(directory_lab_account_of(world.lab, ANN)->password_hash),
                      BYTES("right"));
    world_run(world.now_ms);
    assert_int_equal(world.writes, VERIFIERS_MAKING_MAX);
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
    /* An account that is not there yet: the salt is the one that it seems to have. */
    verifiers_set(&world.service, BYTES("new@acme.example"), BYTES("hash"), BYTES("right"));
    world_run(world.now_ms);
    assert_int_equal(world.writes, VERIFIERS_MAKING_MAX + 1);
    /* The store ends while some are being made. */
    verifiers_set(&world.service, BYTES(ANN), BYTES("hash"), BYTES("right"));
    verifiers_free(&world.service.verifiers);
    world_run(world.now_ms);
    assert_int_equal(world.writes, VERIFIERS_MAKING_MAX + 1);
}

/* The cluster's format, and its key, come first. */
static void test_old_cluster(void **state)
{
    struct lab *lab;

    (void)state;
    login_lab_begin_with(FORMAT_SCOPES);
    lab = world.lab;
    login_lab_account(ANN, "right");
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
    assert_int_equal(world.writes, 0);
    directory_lab_raise(lab, FORMAT_ADDRESSES);
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
    assert_int_equal(world.writes, 0);
    WANT(OK, directory_lab_role(lab));
    assert_int_equal(login_lab_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
    assert_true(has_keys(ANN));
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, ANN, "right"), ERR_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, login_lab_begin, login_lab_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_old_account),
        TEST(test_changed_password),
        TEST(test_changed_meanwhile),
        TEST(test_lost),
        TEST(test_none_wanted),
        TEST(test_none_possible),
        TEST(test_few_at_a_time),
        cmocka_unit_test_teardown(test_old_cluster, login_lab_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
