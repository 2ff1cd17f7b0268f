/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Secrets that the store makes up: told once, and only if they are what the directory has. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "node/base/check.h"
#include "storage/auth/secrets.h"
#include "storage/auth/totp.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/service/addresses.h"
#include "storage/service/operator.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/calls_world.h"

#define ANN_ADDRESS "ann@acme.example"

static struct lab the_lab;
static struct lab *const lab = &the_lab;

bool operator_address(struct service_call *call, const char *text, struct bytes *folded)
{
    (void)call;
    *folded = bytes_of(text);
    return true;
}

static int begin(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    WANT(OK, directory_lab_role(lab));
    WANT(OK, directory_lab_account(lab, ANN_ADDRESS));
    world_begin(lab);
    heard = (struct calls_heard){0, NULL};
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_end();
    lab_close(lab);
    return 0;
}

static Pr__AccountRecord *ann(void)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__AccountRecord *account = directory_account(txn, BYTES(ANN_ADDRESS), &lab->arena);

    db_abort(&txn);
    CHECK(account != NULL);
    return account;
}

static Pr__Request *app_request(void)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_APP_PASSWORD_MAKE);

    request->app_password_make = arena_alloc(&lab->arena, sizeof(*request->app_password_make));
    pr__app_password_make__init(request->app_password_make);
    request->app_password_make->address = arena_string(&lab->arena, BYTES(ANN_ADDRESS));
    request->app_password_make->name = arena_string(&lab->arena, BYTES("phone"));
    calls_identify(request);
    return request;
}

static Pr__Request *totp_request(void)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_TOTP_MAKE);

    request->totp_make = arena_alloc(&lab->arena, sizeof(*request->totp_make));
    pr__totp_make__init(request->totp_make);
    request->totp_make->address = arena_string(&lab->arena, BYTES(ANN_ADDRESS));
    calls_identify(request);
    return request;
}

static void an_app_password_is_told_once(void **state)
{
    Pr__Request *request = app_request();
    uint8_t digest[AUTH_DIGEST_SIZE];

    (void)state;
    assert_int_equal(calls_ask(ROLE_OPERATOR, 1, request, app_password_make_call), ERR_OK);
    assert_true(
        auth_app_password_digest(bytes_of(heard.reply->app_password_make->password), digest));
    assert_memory_equal(ann()->credentials->app_passwords[0]->digest.data, digest,
                        sizeof(digest));
    assert_int_equal(calls_ask(ROLE_OPERATOR, 1, request, app_password_make_call),
                     ERR_CONFLICT);
    assert_null(heard.reply->app_password_make);
    assert_int_equal(ann()->credentials->n_app_passwords, 1);
    request = app_request();
    request->app_password_make->name = arena_string(&lab->arena, BYTES("tablet"));
    assert_int_equal(calls_ask(ROLE_OPERATOR, 1, request, app_password_make_call), ERR_OK);
    assert_int_equal(ann()->credentials->n_app_passwords, 2);
}

static void a_key_of_codes_is_told_once(void **state)
{
    Pr__Request *request = totp_request();
    struct buffer text = BUFFER_EMPTY;

    (void)state;
    assert_int_equal(calls_ask(ROLE_OPERATOR, 1, request, totp_make_call), ERR_OK);
    auth_totp_secret_text(bytes_of_field(ann()->credentials->totp_secret), &text);
    assert_true(bytes_equal(buffer_bytes(&text), bytes_of(heard.reply->totp_make->secret)));
    buffer_fini(&text);
    assert_int_equal(calls_ask(ROLE_OPERATOR, 1, request, totp_make_call), ERR_CONFLICT);
    request = totp_request();
    request->totp_make->off = true;
    assert_int_equal(calls_ask(ROLE_OPERATOR, 1, request, totp_make_call), ERR_OK);
    assert_string_equal(heard.reply->totp_make->secret, "");
    assert_int_equal(calls_ask(ROLE_OPERATOR, 1, request, totp_make_call), ERR_OK);
}

/* It is there, but perhaps not what was made up here. */
static void what_is_not_known_is_not_told(void **state)
{
    (void)state;
    world.reads_fail = true;
    assert_int_equal(calls_ask(ROLE_OPERATOR, 1, app_request(), app_password_make_call),
                     ERR_UNKNOWN);
    assert_int_equal(calls_ask(ROLE_OPERATOR, 1, totp_request(), totp_make_call), ERR_UNKNOWN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_app_password_is_told_once),
        TEST(a_key_of_codes_is_told_once),
        TEST(what_is_not_known_is_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
