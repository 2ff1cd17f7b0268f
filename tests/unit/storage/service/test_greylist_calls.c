/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What front ends ask of the greylist: put off, passed, and in which group it is kept. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/service/greylist_calls.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/service_world.h"

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };

static struct lab lab_memory;
static struct lab *const lab = &lab_memory;
static uint64_t ann;

static struct {
    unsigned count;
    enum err err;
    bool passed;
} heard;

void call_reply(struct service_call *call, Pr__Reply *reply)
{
    heard.count++;
    heard.err = (enum err)reply->err;
    heard.passed = reply->answer_case == PR__REPLY__ANSWER_GREYLIST && reply->greylist->passed;
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

void call_outcome(struct service_call *call, enum err err, const Pr__Outcome *outcome)
{
    call_fail(call, err != ERR_OK ? err : (enum err)outcome->err, NULL);
}

static int begin(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    WANT(OK, directory_lab_role(lab)); /* which brings the cluster's secrets */
    WANT(OK, directory_lab_account(lab, "ann@acme.example"));
    ann = directory_lab_account_of(lab, "ann@acme.example")->id;
    for (uint32_t group = 1; group <= DIRECTORY_LAB_GROUPS; group++)
        WANT(OK, lab_apply(
                     lab, group,
                     LAB_COMMAND(format_raise, FORMAT_RAISE,
                                 CALL(FormatRaise, format_raise, .format = FORMAT_ADDRESSES))));
    world_begin(lab);
    heard.count = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_end();
    lab_close(lab);
    return 0;
}

static void ask(uint8_t byte, size_t size, uint64_t account_id, uint32_t group)
{
    struct service_call *call = calloc(1, sizeof(*call));
    unsigned before = heard.count;

    CHECK(call != NULL);
    *call =
        (struct service_call){.service = &world.service, .deadline_ms = world.now_ms + 10000};
    arena_init(&call->call_arena);
    call->request = arena_alloc(&call->call_arena, sizeof(*call->request));
    pr__request__init(call->request);
    Pr__GreylistAsk *asked = arena_alloc(&call->call_arena, sizeof(*asked));
    pr__greylist_ask__init(asked);
    asked->key = directory_lab_bytes(lab, size, byte);
    asked->account_id = account_id;
    asked->group = group;
    asked->wait_ms = 5 * MINUTE_MS;
    asked->keep_ms = 24 * HOUR_MS;
    asked->passed_keep_ms = 35ull * 24 * HOUR_MS;
    call->request->greylist_ask = asked;
    greylist_ask_call(call);
    world_run(world.now_ms + 1);
    assert_int_equal(heard.count, before + 1);
}

/* The groups' clocks follow ours at their own speed. */
static void pass_time(void)
{
    for (unsigned i = 0; i < 2000 && (i == 0 || !heard.passed); i++) {
        lab->now_ms += 10 * 1000;
        ask(1, 16, ann, 0);
    }
}

static void test_comes_twice(void **state)
{
    (void)state;
    ask(1, 16, ann, 0);
    assert_int_equal(heard.err, ERR_OK);
    assert_false(heard.passed);
    assert_int_equal(world.groups[0], directory_lab_account_of(lab, "ann@acme.example")->group);
    pass_time();
    assert_true(heard.passed);
    unsigned writes = world.writes;
    ask(1, 16, ann, 0);
    assert_true(heard.passed);
    assert_int_equal(world.writes, writes); /* it is known: nothing is written for it */
    ask(2, 16, ann, 0);
    assert_false(heard.passed); /* somebody else */
}

static void test_without_account(void **state)
{
    (void)state;
    ask(1, 16, 0, 2);
    assert_int_equal(heard.err, ERR_OK);
    assert_false(heard.passed);
    assert_int_equal(world.groups[0], 2);
}

static void test_what_cannot_be_asked(void **state)
{
    (void)state;
    ask(1, 15, ann, 0);
    assert_int_equal(heard.err, ERR_INVALID);
    ask(1, 16, ann + 1000, 0);
    assert_int_not_equal(heard.err, ERR_OK);
    ask(1, 16, 0, 77);
    assert_int_not_equal(heard.err, ERR_OK);
    assert_int_equal(world.writes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_comes_twice, begin, end),
        cmocka_unit_test_setup_teardown(test_without_account, begin, end),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_asked, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
