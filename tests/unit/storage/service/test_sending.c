/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an account may submit by its class and age, and as whom. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/service/sending.h"
#include "storage/service/sessions.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/service_world.h"

#define DAY_MS ((uint64_t)24 * 60 * 60 * 1000)

enum { ANN = 7 /* connection */ };

static struct lab the_lab;
static struct lab *const lab = &the_lab;
static uint64_t ann;
static struct session *session;

static struct {
    enum err err;
    unsigned allowed; /* a bit for each address */
} answer;

void call_reply(struct service_call *call, Pr__Reply *reply)
{
    answer.err = (enum err)reply->err;
    answer.allowed = 0;
    for (size_t i = 0; reply->may_send != NULL && i < reply->may_send->n_allowed; i++)
        answer.allowed |= (unsigned)(reply->may_send->allowed[i] != 0) << i;
    arena_fini(&call->call_arena);
    free(call);
}

void call_fail(struct service_call *call, enum err err, const char *text)
{
    Pr__Reply reply = PR__REPLY__INIT;

    (void)text;
    reply.err = err;
    call_reply(call, &reply);
}

static void ask(size_t count, const char *const *addresses)
{
    struct service_call *call = calloc(1, sizeof(*call));

    CHECK(call != NULL);
    *call = (struct service_call){.service = &world.service, .session = session};
    arena_init(&call->call_arena);
    call->request = arena_alloc(&call->call_arena, sizeof(*call->request));
    pr__request__init(call->request);
    Pr__MaySend *asked = arena_alloc(&call->call_arena, sizeof(*asked));
    pr__may_send__init(asked);
    asked->addresses = arena_alloc(&call->call_arena, count * sizeof(*asked->addresses));
    for (size_t i = 0; i < count; i++)
        asked->addresses[i] = arena_string(&call->call_arena, bytes_of(addresses[i]));
    asked->n_addresses = count;
    call->request->may_send = asked;
    may_send_call(call);
}

static int begin(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    WANT(OK, directory_lab_account(lab, "ann@acme.example"));
    WANT(OK, directory_lab_account(lab, "bob@acme.example"));
    ann = directory_lab_account_of(lab, "ann@acme.example")->id;
    world_begin(lab);
    world.service.sessions = sessions_new();
    session = session_open(world.service.sessions, ANN, ann, 1, "ann@acme.example");
    return 0;
}

static int end(void **state)
{
    (void)state;
    sessions_free(&world.service.sessions);
    world_end();
    lab_close(lab);
    return 0;
}

static const Pr__DeliverCall none = PR__DELIVER_CALL__INIT;

static void want(uint32_t hour, uint32_t day)
{
    const Pr__SendingLimits *limits = sending_limits(&world.service, ann, &none, &lab->arena);

    assert_non_null(limits);
    assert_int_equal(limits->account_id, ann);
    assert_int_equal(limits->recipients, 0);
    assert_int_equal(limits->hour_max, hour);
    assert_int_equal(limits->day_max, day);
}

static void set(Pr__SettingScope scope, const char *of, const char *name, const char *value)
{
    WANT(OK, directory_lab_set(lab, scope, of, name, value));
}

static void test_classes(void **state)
{
    (void)state;
    want(50, 200);
    world_run(world.now_ms + 7 * DAY_MS - 1);
    want(50, 200);
    world_run(world.now_ms + 1);
    want(300, 2000);
    set(PR__SETTING_SCOPE__SETTING_TENANT, "acme", "sending.normal_day", "77");
    want(300, 77);
    set(PR__SETTING_SCOPE__SETTING_ACCOUNT, "ann@acme.example", "sending.class", "mass");
    want(0, 5000);
    set(PR__SETTING_SCOPE__SETTING_ACCOUNT, "ann@acme.example", "sending.class", "new");
    want(50, 200);
    set(PR__SETTING_SCOPE__SETTING_ACCOUNT, "ann@acme.example", "sending.class", "custom");
    want(300, 2000);
    set(PR__SETTING_SCOPE__SETTING_ACCOUNT, "ann@acme.example", "sending.hour", "5");
    want(5, 2000);
    assert_null(sending_limits(&world.service, ann + 100, &none, &lab->arena));
}

static void test_rights(void **state)
{
    static const char *const addresses[] = {"ann@acme.example", "bob@acme.example",
                                            "sales@acme.example", "x@far.example",
                                            "ann+tag@acme.example"};
    static const char *many[1001];

    (void)state;
    ask(5, addresses);
    assert_int_equal(answer.err, ERR_OK);
    assert_int_equal(answer.allowed & 0xF, 1);
    WANT(OK, directory_lab_alias(lab, "sales@acme.example", "ann@acme.example"));
    ask(4, addresses);
    assert_int_equal(answer.allowed, 1 | 4);
    WANT(OK, RUN(AccountAlter, account_alter, ACCOUNT_ALTER,
                 .address = TEXT("ann@acme.example"), .bars_set = PR__ACCOUNT_BAR__BAR_SEND));
    ask(4, addresses);
    assert_int_equal(answer.err, ERR_OK);
    assert_int_equal(answer.allowed, 0);
    ask(0, NULL);
    assert_int_equal(answer.err, ERR_OK);
    for (size_t i = 0; i < 1001; i++)
        many[i] = addresses[0];
    ask(1001, many);
    assert_int_equal(answer.err, ERR_TOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_classes, begin, end),
        cmocka_unit_test_setup_teardown(test_rights, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
