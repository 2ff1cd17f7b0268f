/* SPDX-License-Identifier: GPL-2.0-or-later */
/* App passwords as operators make and remove them, and what lets in with them. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "storage/auth/totp.h"
#include "storage/service/addresses.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/login_lab.h"

#define ANN "ann@acme.example"
#define CARL "carl@bar.example"

enum { OPERATOR = 3 /* its connection */ };

struct made {
    uint64_t id;
    const char *password;
};

static enum err ask_make(const char *address, const char *name, uint32_t scopes)
{
    struct lab *lab = world.lab;
    Pr__Request *request = calls_request(PR__REQUEST__CALL_APP_PASSWORD_MAKE);

    calls_identify(request);
    request->app_password_make =
        CALL(AppPasswordMake, app_password_make,
             .address = arena_string(&lab->arena, bytes_of(address)),
             .name = arena_string(&lab->arena, bytes_of(name)), .scopes = scopes);
    return calls_ask(ROLE_OPERATOR, OPERATOR, request, app_password_make_call);
}

static struct made make(const char *address, const char *name, uint32_t scopes)
{
    assert_int_equal(ask_make(address, name, scopes), ERR_OK);
    assert_int_equal(heard.reply->answer_case, PR__REPLY__ANSWER_APP_PASSWORD_MAKE);
    assert_int_equal(strlen(heard.reply->app_password_make->password), AUTH_APP_TEXT_SIZE - 1);
    return (struct made){heard.reply->app_password_make->id,
                         heard.reply->app_password_make->password};
}

static enum err ask_remove(const char *address, uint64_t id)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_APP_PASSWORD_REMOVE);

    calls_identify(request);
    request->app_password_remove =
        CALL(AppPasswordRemove, app_password_remove,
             .address = arena_string(&world.lab->arena, bytes_of(address)), .id = id);
    return calls_ask(ROLE_OPERATOR, OPERATOR, request, app_password_remove_call);
}

static size_t count_of(const char *address)
{
    const Pr__Credentials *known = login_lab_credentials(address);

    return known != NULL ? known->n_app_passwords : 0;
}

static void lets_in(const char *user, const char *password, enum err imap, enum err submission)
{
    assert_int_equal(login_lab_plain(ROLE_IMAP, user, password), imap);
    assert_int_equal(login_lab_plain(ROLE_SMTP, user, password), submission);
    assert_int_equal(login_lab_scram_plain(ROLE_IMAP, user, password), imap);
    assert_int_equal(login_lab_scram_plain(ROLE_SMTP, user, password), submission);
}

/* It is seen once, lies there as a digest, and lets in until it is removed. */
static void test_life(void **state)
{
    (void)state;
    struct made phone = make("Ann@ACME.example", "phone", 0);
    struct made tablet = make(ANN, "tablet", 0);
    assert_int_not_equal(phone.id, tablet.id);
    assert_string_not_equal(phone.password, tablet.password);
    assert_int_equal(count_of(ANN), 2);
    const Pr__AppPassword *there = login_lab_credentials(ANN)->app_passwords[0];
    assert_int_equal(there->id, phone.id);
    assert_string_equal(there->name, "phone");
    assert_int_equal(there->digest.len, AUTH_DIGEST_SIZE);
    assert_true(there->created_ms > 0);
    assert_non_null(there->scram);
    lets_in(ANN, phone.password, ERR_OK, ERR_OK);
    lets_in(ANN, tablet.password, ERR_OK, ERR_OK);
    assert_int_equal(login_lab_plain(ROLE_IMAP, ANN, "right"), ERR_OK);
    lets_in(CARL, phone.password, ERR_DENIED, ERR_DENIED);

    assert_int_equal(ask_remove(ANN, phone.id), ERR_OK);
    assert_int_equal(count_of(ANN), 1);
    lets_in(ANN, phone.password, ERR_DENIED, ERR_DENIED);
    lets_in(ANN, tablet.password, ERR_OK, ERR_OK);
    assert_int_equal(ask_remove(ANN, phone.id), ERR_NOTFOUND);
    struct made again = make(ANN, "phone", 0);
    assert_true(again.id > tablet.id); /* nobody's log means another one by an id */
    lets_in(ANN, phone.password, ERR_DENIED, ERR_DENIED);
    /* A new password of the account leaves them. */
    login_lab_password(ANN, "other");
    lets_in(ANN, again.password, ERR_OK, ERR_OK);
}

static void test_scopes(void **state)
{
    (void)state;
    struct made reader = make(ANN, "reader", AUTH_SCOPE_IMAP);
    struct made printer = make(ANN, "printer", AUTH_SCOPE_SUBMISSION);
    struct made both = make(ANN, "both", AUTH_SCOPES_ALL);
    lets_in(ANN, reader.password, ERR_OK, ERR_DENIED);
    lets_in(ANN, printer.password, ERR_DENIED, ERR_OK);
    lets_in(ANN, both.password, ERR_OK, ERR_OK);
    assert_int_equal(ask_make(ANN, "fridge", 8), ERR_INVALID);
    assert_int_equal(count_of(ANN), 3);
}

static void test_refused(void **state)
{
    char long_name[600];

    (void)state;
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    make(ANN, "phone", 0);
    assert_int_equal(ask_make(ANN, "phone", 0), ERR_EXISTS);
    assert_int_equal(ask_make(ANN, "", 0), ERR_INVALID);
    assert_int_equal(ask_make(ANN, long_name, 0), ERR_INVALID);
    assert_int_equal(ask_make(ANN, "pho\nne", 0), ERR_INVALID);
    assert_int_equal(ask_make("nobody@acme.example", "phone", 0), ERR_NOTFOUND);
    assert_int_equal(ask_remove("nobody@acme.example", 1), ERR_NOTFOUND);
    assert_int_equal(count_of(ANN), 1);
}

/* An id is of one account: that of another tenant's goes nowhere near it. */
static void test_others(void **state)
{
    (void)state;
    struct made anns = make(ANN, "phone", 0);
    struct made second = make(ANN, "tablet", 0);
    struct made carls = make(CARL, "phone", 0);
    assert_int_equal(ask_remove(CARL, second.id), ERR_NOTFOUND);
    assert_int_equal(ask_remove(CARL, carls.id), ERR_OK);
    assert_int_equal(count_of(CARL), 0);
    assert_int_equal(count_of(ANN), 2);
    lets_in(ANN, anns.password, ERR_OK, ERR_OK);
    lets_in(CARL, carls.password, ERR_DENIED, ERR_DENIED);
}

/* Every one of the most that there may be lets in, also by SCRAM. */
static void test_most(void **state)
{
    struct made first = {0, NULL};
    struct made last = {0, NULL};
    char name[20];

    (void)state;
    for (unsigned i = 0; i < AUTH_APP_PASSWORDS_MAX; i++) {
        snprintf(name, sizeof(name), "program %u", i);
        last = make(ANN, name, 0);
        first = i == 0 ? last : first;
    }
    assert_int_equal(ask_make(ANN, "one more", 0), ERR_TOOBIG);
    assert_int_equal(count_of(ANN), AUTH_APP_PASSWORDS_MAX);
    lets_in(ANN, first.password, ERR_OK, ERR_OK);
    lets_in(ANN, last.password, ERR_OK, ERR_OK);
    assert_int_equal(ask_remove(ANN, first.id), ERR_OK);
    make(ANN, "one more", 0);
    assert_int_equal(ask_make(ANN, "and more", 0), ERR_TOOBIG);
}

/* With one-time codes on, an app password stands for itself. */
static void test_one_time_codes(void **state)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_TOTP_MAKE);

    (void)state;
    struct made phone = make(ANN, "phone", 0);
    calls_identify(request);
    request->totp_make = CALL(TotpMake, totp_make, .address = TEXT(ANN));
    assert_int_equal(calls_ask(ROLE_OPERATOR, OPERATOR, request, totp_make_call), ERR_OK);
    assert_true(strlen(heard.reply->totp_make->secret) >= AUTH_TOTP_SECRET_SIZE);
    assert_non_null(strstr(heard.reply->totp_make->uri, heard.reply->totp_make->secret));
    assert_int_equal(login_lab_plain(ROLE_IMAP, ANN, "right"), ERR_DENIED);
    lets_in(ANN, phone.password, ERR_OK, ERR_OK);
    calls_identify(request);
    request->totp_make->off = true;
    assert_int_equal(calls_ask(ROLE_OPERATOR, OPERATOR, request, totp_make_call), ERR_OK);
    assert_string_equal(heard.reply->totp_make->secret, "");
    assert_int_equal(login_lab_plain(ROLE_IMAP, ANN, "right"), ERR_OK);
}

static enum world_fate lose(struct service_world *of, uint32_t group,
                            const Pr__Command *command)
{
    (void)of;
    (void)group;
    (void)command;
    return WORLD_LOST;
}

/* Nobody is shown one that is not there. */
static void test_without_majority(void **state)
{
    (void)state;
    world.fate = lose;
    assert_int_equal(ask_make(ANN, "phone", 0), ERR_UNAVAILABLE);
    assert_null(heard.reply->app_password_make);
    world.fate = NULL;
    assert_int_equal(count_of(ANN), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, login_lab_begin, login_lab_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_life),
        TEST(test_scopes),
        TEST(test_refused),
        TEST(test_others),
        TEST(test_most),
        TEST(test_one_time_codes),
        TEST(test_without_majority),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
