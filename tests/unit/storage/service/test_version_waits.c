/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Front ends wait for changes of settings: answered when there is one, at the deadline, or
 * never let in; not again and again without news. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/query/settings.h"
#include "storage/service/addresses.h"
#include "storage/service/listing.h"
#include "storage/service/operator.h"
#include "storage/service/settings_calls.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/calls_world.h"

static struct lab the_lab;
static struct lab *const lab = &the_lab;

/* Operators' calls are not asked here. */
bool operator_domain(struct service_call *call, const char *text, struct bytes *folded)
{
    (void)call;
    *folded = bytes_of(text);
    return true;
}

bool operator_address(struct service_call *call, const char *text, struct bytes *folded)
{
    return operator_domain(call, text, folded);
}

void listing_call(struct service_call *call, listing_fill *fill)
{
    (void)fill;
    call_fail(call, ERR_UNSUPPORTED, NULL);
}

static int begin(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    world_begin(lab);
    heard = (struct calls_heard){0, NULL};
    world.service.version_waits = version_waits_new(&world.service);
    return 0;
}

static int end(void **state)
{
    (void)state;
    version_waits_free(&world.service.version_waits);
    world_end();
    lab_close(lab);
    return 0;
}

static uint64_t version(void)
{
    struct db_txn *txn = db_read_begin(lab->db);
    uint64_t now = settings_version(txn);

    db_abort(&txn);
    return now;
}

static void ask(uint32_t connection, uint64_t known)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_SETTINGS_READ);

    request->settings_read = CALL(SettingsRead, settings_read, .version = known);
    calls_send(ROLE_SMTP, connection, request, settings_read_call);
}

static void test_change_and_deadline(void **state)
{
    (void)state;
    ask(1, 0);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.reply->settings_read->version, version());
    ask(1, version());
    world_run(world.now_ms + 2 * VERSION_LOOK_MS);
    assert_int_equal(heard.count, 1);
    WANT(OK,
         directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_CLUSTER, "", "mail.outbound", "on"));
    world_run(world.now_ms + 2 * VERSION_LOOK_MS);
    assert_int_equal(heard.count, 2);
    assert_int_equal(heard.reply->settings_read->n_settings, 1);
    ask(1, version());
    world_run(world.now_ms + CALLS_MS - 2 * VERSION_LOOK_MS);
    assert_int_equal(heard.count, 2);
    world_run(world.now_ms + 4 * VERSION_LOOK_MS);
    assert_int_equal(heard.count, 3);
    assert_int_equal(heard.reply->err, ERR_OK);
}

static enum err put_postmaster(const char *address)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_SETTING_PUT);
    char name[] = "mail.postmaster";
    Pr__Setting setting = PR__SETTING__INIT;
    Pr__SettingPut put = PR__SETTING_PUT__INIT;

    setting.name = name;
    setting.value = arena_string(&lab->arena, bytes_of(address));
    put.setting = &setting;
    request->setting_put = &put;
    return calls_ask(ROLE_OPERATOR, 1, request, setting_put_call);
}

/* Who shall read mail to postmaster is somebody. */
static void test_postmaster(void **state)
{
    (void)state;
    WANT(OK, directory_lab_account(lab, "ann@acme.example"));
    assert_int_equal(put_postmaster("ann@acme.example"), ERR_OK);
    assert_int_equal(put_postmaster("nosuch@acme.example"), ERR_NOTFOUND);
    assert_non_null(strstr(heard.reply->text, "nosuch@acme.example"));
    assert_int_equal(put_postmaster("noc@far.example"), ERR_OK);
    assert_int_equal(put_postmaster(""), ERR_OK);
}

/* One connection cannot take all places, and nobody is answered without news. */
static void test_too_many(void **state)
{
    uint64_t known = version();

    (void)state;
    for (unsigned i = 0; i < VERSION_WAITS_MAX; i++)
        ask(1 + i / VERSION_WAITS_CONNECTION_MAX, known);
    assert_int_equal(heard.count, 0);
    ask(1, known);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.reply->err, ERR_BUSY);
    ask(5000, known);
    assert_int_equal(heard.count, 2);
    assert_int_equal(heard.reply->err, ERR_BUSY);
    ask(5000, known - 1); /* there is news for it */
    assert_int_equal(heard.count, 3);
    assert_int_equal(heard.reply->err, ERR_OK);

    version_waits_connection_closed(world.service.version_waits, 2);
    assert_int_equal(heard.count, 3 + VERSION_WAITS_CONNECTION_MAX);
    assert_int_equal(heard.reply->err, ERR_CLOSED);
    ask(1, known);
    assert_int_equal(heard.reply->err, ERR_BUSY); /* the connection's share */
    unsigned before = heard.count;
    ask(5000, known);
    assert_int_equal(heard.count, before);
    version_waits_free(&world.service.version_waits);
    assert_int_equal(heard.count,
                     before + VERSION_WAITS_MAX - VERSION_WAITS_CONNECTION_MAX + 1);
}

/* Who knows nothing yet, or something else than what is true, is told at once, also where
 * nothing was ever set; who was answered leaves room for the next. */
static void test_at_once(void **state)
{
    (void)state;
    ask(1, 0);
    assert_int_equal(heard.count, 1);
    ask(1, version() + 1);
    assert_int_equal(heard.count, 2);
    for (unsigned round = 0; round < 3; round++) {
        unsigned before = heard.count;
        for (unsigned i = 0; i < VERSION_WAITS_MAX; i++)
            ask(1 + i / VERSION_WAITS_CONNECTION_MAX, version());
        assert_int_equal(heard.count, before);
        WANT(OK, directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_CLUSTER, "", "mail.outbound",
                                   round % 2 == 0 ? "on" : "off"));
        ask(1, version() - 1);
        assert_int_equal(heard.count, before + 1);
        world_run(world.now_ms + VERSION_LOOK_MS);
        assert_int_equal(heard.count, before + 1 + VERSION_WAITS_MAX);
        assert_int_equal(heard.reply->err, ERR_OK);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_change_and_deadline),
        TEST(test_postmaster),
        TEST(test_too_many),
        TEST(test_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
