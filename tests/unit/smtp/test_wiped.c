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
        cmocka_unit_test(test_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
