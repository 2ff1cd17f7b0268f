/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Passwords, their keys, app passwords, one-time passwords; the cluster's own account. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "storage/machine/directory_addresses.h"
#include "storage/machine/directory_credentials.h"
#include "tests/unit/storage/directory_lab.h"

static struct lab the_lab;
static struct lab *const lab = &the_lab;

enum { ITERATIONS = 32768 };
#define ANN "ann@acme.example"

static int setup(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    WANT(OK, directory_lab_account(lab, ANN));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    directory_lab_recount(lab);
    lab_close(lab);
    return 0;
}

#define SET(...)                                                                               \
    RUN(CredentialsSet, credentials_set, CREDENTIALS_SET, .address = TEXT(ANN), __VA_ARGS__)
#define BYTES_OF(size, byte) directory_lab_bytes(lab, size, byte)

static Pr__ScramKeys *keys(uint8_t byte)
{
    Pr__ScramKeys *made = arena_alloc(&lab->arena, sizeof(*made));

    pr__scram_keys__init(made);
    made->stored_sha1 = made->server_sha1 = BYTES_OF(20, byte);
    made->stored_sha256 = made->server_sha256 = BYTES_OF(32, byte);
    return made;
}

static Pr__AccountRecord *ann(void)
{
    return directory_lab_account_of(lab, ANN);
}

static Pr__Outcome *app_add(const char *name, Pr__ScramKeys *scram, uint8_t salt)
{
    return RUN(AppPasswordAdd, app_password_add, APP_PASSWORD_ADD, .address = TEXT(ANN),
               .password = CALL(AppPassword, app_password,
                                .name = arena_string(&lab->arena, bytes_of(name)),
                                .digest = BYTES_OF(32, 'd'), .scram = scram, .scopes = 1),
               .scram_salt = salt != 0 ? BYTES_OF(16, salt) : BYTES_OF(0, 0),
               .scram_iterations = salt != 0 ? ITERATIONS : 0);
}

static Pr__Outcome *app_remove(uint64_t id)
{
    return RUN(AppPasswordRemove, app_password_remove, APP_PASSWORD_REMOVE,
               .address = TEXT(ANN), .id = id);
}

static void test_a_password_and_its_keys(void **state)
{
    (void)state;
    WANT(INVALID, SET(.scram = keys('1'))); /* without a salt */
    WANT(INVALID, SET(.scram_salt = BYTES_OF(16, 's'), .scram_iterations = ITERATIONS));
    WANT(OK, SET(.scram = keys('1'), .scram_salt = BYTES_OF(16, 's'),
                 .scram_iterations = ITERATIONS, .expected_hash = TEXT("$argon2id$...")));
    assert_int_equal(lab->events.ended_count, 0); /* the same password */
    assert_int_equal(ann()->credentials->scram->stored_sha1.data[0], '1');
    assert_int_equal(ann()->credentials->changed_ms, 0);
    WANT(CONFLICT, SET(.scram = keys('2'), .expected_hash = TEXT("$older")));
    /* A new password without keys has none: the others were of the old one. */
    WANT(OK, SET(.password_hash = TEXT("$new")));
    assert_int_equal(lab->events.ended_count, 1);
    assert_string_equal(ann()->password_hash, "$new");
    assert_null(ann()->credentials->scram);
    assert_int_equal(ann()->credentials->scram_salt.len, 16);
    assert_int_equal(ann()->credentials->changed_ms, lab->now_ms);
    WANT(OK, SET(.password_hash = TEXT("$newer"), .scram = keys('3')));
    assert_int_equal(ann()->credentials->scram->stored_sha1.data[0], '3');
    /* So does the command of the formats before. */
    WANT(OK, RUN(AccountPassword, account_password, ACCOUNT_PASSWORD, .address = TEXT(ANN),
                 .password_hash = TEXT("$newest")));
    assert_int_equal(lab->events.ended_count, 1);
    assert_null(ann()->credentials->scram);
}

static void test_what_is_no_key(void **state)
{
    Pr__ScramKeys *half = keys('1');
    Pr__ScramKeys *none = keys('1');
    Pr__ScramKeys *one = keys('1');
    Pr__ScramKeys *long_ones = keys('1');

    (void)state;
    half->server_sha1.len = 0;
    none->stored_sha1.len = none->server_sha1.len = 0;
    none->stored_sha256.len = none->server_sha256.len = 0;
    one->stored_sha1.len = one->server_sha1.len = 0;
    long_ones->stored_sha256 = long_ones->server_sha256 = BYTES_OF(33, '1');
#define WITH(made)                                                                             \
    SET(.scram = (made), .scram_salt = BYTES_OF(16, 's'), .scram_iterations = ITERATIONS)
    WANT(INVALID, WITH(half));
    WANT(INVALID, WITH(none));
    WANT(INVALID, WITH(long_ones));
    WANT(OK, WITH(one));
#undef WITH
#define WITH(salt_size, count)                                                                 \
    SET(.scram = keys('1'), .scram_salt = BYTES_OF(salt_size, 's'), .scram_iterations = (count))
    WANT(INVALID, WITH(15, ITERATIONS));
    WANT(INVALID, WITH(17, ITERATIONS));
    WANT(INVALID, WITH(16, SCRAM_ITERATIONS_MIN - 1));
    WANT(INVALID, WITH(16, SCRAM_ITERATIONS_MAX + 1));
    WANT(INVALID, WITH(0, ITERATIONS));
    WANT(INVALID, WITH(16, 0));
#undef WITH
    char *hash = arena_alloc(&lab->arena, DIRECTORY_PASSWORD_SIZE_MAX + 2);
    memset(hash, 'h', DIRECTORY_PASSWORD_SIZE_MAX + 1);
    WANT(TOOBIG, SET(.password_hash = hash));
    WANT(NOTFOUND, RUN(CredentialsSet, credentials_set, CREDENTIALS_SET,
                       .address = TEXT("bob@acme.example"), .password_hash = TEXT("$")));
}

static void test_app_passwords(void **state)
{
    Pr__Credentials *credentials;
    uint64_t first;

    (void)state;
    WANT(INVALID, app_add("phone", keys('1'), 0));
    Pr__Outcome *outcome = app_add("phone", keys('1'), 's');
    WANT(OK, outcome);
    first = outcome->id;
    assert_int_not_equal(first, 0);
    WANT(EXISTS, app_add("phone", NULL, 0));
    WANT(INVALID, app_add("", NULL, 0));
    WANT(INVALID, app_add("tab\t", NULL, 0));
    WANT(CONFLICT, app_add("laptop", keys('2'), 't'));
    WANT(OK, app_add("laptop", keys('2'), 's'));
    WANT(OK, app_add("old laptop", NULL, 0));
    credentials = ann()->credentials;
    assert_int_equal(credentials->n_app_passwords, 3);
    assert_int_equal(credentials->app_passwords[0]->id, first);
    assert_int_equal(credentials->app_passwords[0]->created_ms, lab->now_ms);
    assert_int_equal(credentials->app_passwords[0]->scopes, 1);
    assert_non_null(credentials->app_passwords[0]->scram);
    /* With another salt what was made with the old one is no use. */
    WANT(OK, SET(.scram = keys('3'), .scram_salt = BYTES_OF(16, 'u'),
                 .scram_iterations = ITERATIONS));
    credentials = ann()->credentials;
    assert_int_equal(credentials->n_app_passwords, 3);
    assert_null(credentials->app_passwords[0]->scram);
    assert_null(credentials->app_passwords[1]->scram);
    WANT(OK, app_remove(first));
    assert_int_equal(lab->events.ended_count, 1);
    WANT(NOTFOUND, app_remove(first));
    /* Numbers are never given out again. */
    outcome = app_add("phone", NULL, 0);
    WANT(OK, outcome);
    assert_int_equal(outcome->id, 4);
    WANT(OK, app_remove(4));
    assert_int_equal(app_add("phone", NULL, 0)->id, 5);
    /* A new password leaves them. */
    WANT(OK, SET(.password_hash = TEXT("$new")));
    assert_int_equal(ann()->credentials->n_app_passwords, 3);
}

static void test_limits_of_app_passwords(void **state)
{
    char name[APP_PASSWORD_NAME_SIZE_MAX + 2];

    (void)state;
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    WANT(INVALID, app_add(name, NULL, 0));
    for (unsigned i = 0; i < APP_PASSWORDS_MAX; i++) {
        snprintf(name, sizeof(name), "%u", i);
        WANT(OK, app_add(name, NULL, 0));
    }
    WANT(TOOBIG, app_add("one more", NULL, 0));
    WANT(OK, app_remove(7));
    WANT(OK, app_add("one more", NULL, 0));
#define APP(...)                                                                               \
    RUN(AppPasswordAdd, app_password_add, APP_PASSWORD_ADD, .address = TEXT(ANN),              \
        .password = CALL(AppPassword, app_password, __VA_ARGS__))
    WANT(OK, app_remove(9));
    WANT(INVALID, APP(.name = TEXT("x"), .digest = BYTES_OF(31, 'd')));
    WANT(INVALID, APP(.name = TEXT("x"), .digest = BYTES_OF(32, 'd'), .scopes = 4));
    WANT(INVALID,
         RUN(AppPasswordAdd, app_password_add, APP_PASSWORD_ADD, .address = TEXT(ANN)));
}

static Pr__Outcome *totp_used(uint64_t account_id, uint64_t step)
{
    return RUN(TotpUsed, totp_used, TOTP_USED, .account_id = account_id, .step = step);
}

static void test_one_time_passwords(void **state)
{
    uint64_t id = ann()->id;

    (void)state;
    WANT(INVALID, totp_used(id, 5));
    WANT(NOTFOUND, totp_used(id + 100, 5));
    WANT(INVALID,
         SET(.totp_secret = CALL(BytesValue, bytes_value, .value = BYTES_OF(15, 't'))));
    WANT(INVALID,
         SET(.totp_secret = CALL(BytesValue, bytes_value, .value = BYTES_OF(65, 't'))));
    WANT(OK, SET(.totp_secret = CALL(BytesValue, bytes_value, .value = BYTES_OF(20, 't'))));
    WANT(OK, totp_used(id, 5));
    WANT(CONFLICT, totp_used(id, 5));
    WANT(CONFLICT, totp_used(id, 4));
    WANT(OK, totp_used(id, 7));
    assert_int_equal(ann()->credentials->totp_step, 7);
    WANT(OK, SET(.password_hash = TEXT("$new")));
    assert_int_equal(ann()->credentials->totp_secret.len, 20);
    WANT(OK, SET(.totp_secret = CALL(BytesValue, bytes_value, .value = BYTES_OF(20, 'u'))));
    assert_int_equal(ann()->credentials->totp_step, 0);
    WANT(OK, SET(.totp_secret = CALL(BytesValue, bytes_value, .value = BYTES_OF(0, 0))));
    assert_int_equal(ann()->credentials->totp_secret.len, 0);
    WANT(INVALID, totp_used(id, 9));
}

static void test_the_clusters_own_account(void **state)
{
    Pr__AccountRecord *account;
    Pr__Outcome *made;

    (void)state;
    WANT(INVALID, RUN(RoleAccountMake, role_account_make, ROLE_ACCOUNT_MAKE,
                      .srs_key = BYTES_OF(31, 'k')));
    WANT(NOTFOUND,
         RUN(AccountRemove, account_remove, ACCOUNT_REMOVE, .address = TEXT(ROLE_ADDRESS)));
    made = directory_lab_role(lab);
    WANT(OK, made);
    account = directory_lab_account_of(lab, ROLE_ADDRESS);
    assert_int_equal(account->id, made->id);
    assert_string_equal(account->tenant, "");
    assert_string_equal(account->password_hash, "");
    assert_int_not_equal(account->group, 0);
    assert_int_equal(directory_lab_cluster(lab)->role_account_id, made->id);
    assert_int_equal(directory_lab_cluster(lab)->srs_key.data[31], 'k');
    directory_lab_recount(lab);
    /* Said again it is the same, and its keys stay. */
    WANT(OK, RUN(RoleAccountMake, role_account_make, ROLE_ACCOUNT_MAKE,
                 .srs_key = BYTES_OF(32, 'x'), .auth_key = BYTES_OF(32, 'y')));
    assert_int_equal(directory_lab_cluster(lab)->role_account_id, made->id);
    assert_int_equal(directory_lab_cluster(lab)->srs_key.data[31], 'k');
    assert_int_equal(directory_lab_cluster(lab)->auth_key.data[31], 'a');
    WANT(INVALID,
         RUN(AccountRemove, account_remove, ACCOUNT_REMOVE, .address = TEXT(ROLE_ADDRESS)));
    WANT(EXISTS, directory_lab_account(lab, ROLE_ADDRESS));
    WANT(INVALID, directory_lab_alias(lab, "abuse@localhost", ANN));
    WANT(OK, RUN(CredentialsSet, credentials_set, CREDENTIALS_SET,
                 .address = TEXT(ROLE_ADDRESS), .password_hash = TEXT("$mine")));
    assert_string_equal(directory_lab_account_of(lab, ROLE_ADDRESS)->password_hash, "$mine");
    WANT(OK, RUN(QuotaSet, quota_set, QUOTA_SET, .address = TEXT(ROLE_ADDRESS),
                 .quota = CALL(AccountQuota, account_quota, .bytes = 5)));
    /* It moves like any other. */
    WANT(OK, RUN(AccountMoveBegin, account_move_begin, ACCOUNT_MOVE_BEGIN,
                 .address = TEXT(ROLE_ADDRESS),
                 .group = account->group % DIRECTORY_LAB_GROUPS + 1));
    Pr__Outcome *claim = RUN(AccountMoveClaim, account_move_claim, ACCOUNT_MOVE_CLAIM,
                             .account_id = account->id, .from = account->group);
    WANT(OK, claim);
    WANT(OK, RUN(AccountMoveDone, account_move_done, ACCOUNT_MOVE_DONE,
                 .account_id = account->id, .attempt = claim->id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_password_and_its_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_app_passwords, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits_of_app_passwords, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_time_passwords, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_clusters_own_account, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
