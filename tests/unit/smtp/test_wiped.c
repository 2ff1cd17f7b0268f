/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Passwords on their way from a connection to the store: no block of memory that is given back
 * holds one, also the connections' own, at the end of the loop. (The engine's alone: see
 * test_secrets.c.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/runtime/rpc.h"
#include "unit/smtp/fake_store.h"
#include "unit/smtp/submit_client.h"

/* In base64 from each of three places, and as it is. */
#define SECRET "Horse-Battery-Staple"
static const char *const traces[] = {"Horse-Ba", "hvcnNlLU", "b3JzZS1C", "SG9yc2Ut",
                                     "eS1TdGFw" /* its end */};

void __real_free(void *memory);
void __wrap_free(void *memory);

static volatile bool looking;
static volatile unsigned found;

void __wrap_free(void *memory)
{
    if (looking && memory != NULL)
        for (unsigned i = 0; i < sizeof(traces) / sizeof(traces[0]); i++)
            found += memmem(memory, malloc_usable_size(memory), traces[i], 8) != NULL;
    __real_free(memory);
}

static bool nobody_is_logged_in(void)
{
    return fake_store.logouts == 1;
}

static void test_log_ins(void **state)
{
    struct server *server = *state;
    struct submit_client client;
    char two[400];

    submit_begin(server);
    fake_store.hold_logins = true;
    found = 0;
    looking = true;
    server_run(server);
    submit_enter(&client, server);
    /* The second waits in the connection's memory. */
    snprintf(two, sizeof(two), "%s%s", submit_plain(SECRET), submit_plain(SECRET));
    submit_put(&client, two);
    store_wait_held(1);
    store_release(server);
    submit_expect(&client, "535 ");
    submit_say(&client, "NOOP\r\n", "250 ");
    submit_put(&client, "AUTH PLAIN AGFubkBoZXJlLnRlc3QASG9yc2UtQmF0dGVyeS1"); /* and away */
    submit_leave(&client);
    submit_enter(&client, server);
    submit_say(&client, submit_plain("right"), "235 ");
    submit_leave(&client);
    server_stop(server);
    looking = false;
    assert_int_equal(found, 0);
}

/* A proxy speaks for one client after the other: the second one's log-in is a new one. */
static void test_another_client(void **state)
{
    static const struct config_prefixes here = {
        .count = 1,
        .at = {{{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127}}, 104}},
    };
    struct server *server = *state;
    struct submit_client client;

    server->xclient_networks = &here;
    submit_begin(server);
    found = 0;
    looking = true;
    server_run(server);
    submit_enter(&client, server);
    submit_say(&client, submit_plain("right"), "235 ");
    submit_say(&client, "XCLIENT ADDR=192.0.2.9\r\n", "220 ");
    submit_wait(nobody_is_logged_in); /* not even before the next log-in */
    submit_say(&client, "EHLO client.test\r\n", "250 ");
    submit_say(&client, "AUTH LOGIN\r\n", "334 ");
    submit_say(&client, "YW5uQGhlcmUudGVzdA==\r\n", "334 ");
    submit_put(&client, "SG9yc2UtQmF0dGVyeS1TdGFw"); /* its end is missing yet */
    submit_say(&client, "bGU=\r\n", "535 ");
    submit_leave(&client);
    server_stop(server);
    looking = false;
    assert_int_equal(found, 0);
    assert_int_equal(fake_store.logins, 1);
    assert_int_equal(fake_store.logouts, 1);
}

/* The password was right, and what the store says with that is left untaken. */
static bool with_last_word(const Pr__Request *request, Pr__Reply *reply, enum err *err)
{
    static char address[] = "ann@here.test";
    static uint8_t last[] = "last";
    static Pr__AuthStepAnswer answer;

    if (request->call_case != PR__REQUEST__CALL_AUTH_STEP || fake_store.logins > 0)
        return false;
    pr__auth_step_answer__init(&answer);
    answer.session = FAKE_SESSION;
    answer.address = address;
    answer.account_id = 4;
    answer.challenge = (ProtobufCBinaryData){4, last};
    reply->answer_case = PR__REPLY__ANSWER_AUTH_STEP;
    reply->auth_step = &answer;
    fake_store.logins++;
    *err = ERR_OK;
    return true;
}

static void test_last_word_not_taken(void **state)
{
    struct server *server = *state;
    struct submit_client client;

    submit_begin(server);
    fake_store.answers = with_last_word;
    found = 0;
    looking = true;
    server_run(server);
    submit_enter(&client, server);
    submit_say(&client, submit_plain("right"), "334 ");
    submit_say(&client, "*\r\n", "501 ");
    submit_say(&client, "MAIL FROM:<ann@here.test>\r\n", "530 ");
    submit_say(&client, submit_plain(SECRET), "535 ");
    submit_say(&client, submit_plain("right"), "235 ");
    submit_say(&client, "MAIL FROM:<ann@here.test>\r\n", "250 ");
    submit_leave(&client);
    server_stop(server);
    looking = false;
    assert_int_equal(found, 0);
    assert_int_equal(fake_store.logins, 2);
    assert_int_equal(fake_store.logouts, 2);
}

static void on_answer(void *context, enum err err, struct bytes reply)
{
    (void)context;
    (void)err;
    (void)reply;
}

/* A store that is not there: the call waits, and is given up. */
static void test_calls(void **state)
{
    const struct rpc_client_config config = {.url = "ipc:///nowhere/at.all", .parallel_max = 1};
    struct loop *loop = loop_new();
    struct rpc_client *client = NULL;

    (void)state;
    for (unsigned secret = 0; secret < 2; secret++) {
        found = 0;
        looking = true;
        assert_int_equal(rpc_client_new(loop, &config, &client), ERR_OK);
        if (secret)
            rpc_call_secret(client, BYTES(SECRET), 1000, on_answer, NULL);
        else
            rpc_call(client, BYTES(SECRET), 1000, on_answer, NULL);
        rpc_client_free(&client);
        looking = false;
        assert_int_equal(found, secret ? 0 : 1);
    }
    loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_log_ins),
        SERVER_TEST(test_another_client),
        SERVER_TEST(test_last_word_not_taken),
        cmocka_unit_test(test_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
